#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <optional>

namespace kvasir {

/// A folder of the optional test data beside the repository (`../shared/data`). Where it is absent: nothing,
/// after saying how many cases that skips.
inline std::optional<std::filesystem::path> shared_data(const char* folder, int n_cases) {
    auto path = std::filesystem::path(KVASIR_SOURCE_DIR) / ".." / "shared" / "data" / folder;
    if (std::filesystem::is_directory(path)) return path;
    MESSAGE("skipped " << n_cases << " cases: no ../shared/data/" << folder);
    return std::nullopt;
}

} // namespace kvasir
