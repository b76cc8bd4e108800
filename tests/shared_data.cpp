#include "tests/shared_data.hpp"

#include <doctest/doctest.h>

#include <string>

namespace kvasir {

std::optional<std::filesystem::path> shared_data(const char* folder, int n_cases) {
    auto path = std::filesystem::path(KVASIR_SOURCE_DIR) / ".." / "shared" / "data" / folder;
    if (std::filesystem::is_directory(path)) return path;
    MESSAGE("skipped " << n_cases << " cases: no ../shared/data/" << std::string(folder));
    return std::nullopt;
}

} // namespace kvasir
