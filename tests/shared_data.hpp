#pragma once

#include <filesystem>
#include <optional>

namespace kvasir {

/// A folder of the optional test data beside the repository (`../shared/data`). Where it is absent: nothing,
/// after saying how many cases that skips.
std::optional<std::filesystem::path> shared_data(const char* folder, int n_cases);

} // namespace kvasir
