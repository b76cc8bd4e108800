#include "app/built_in.hpp"

#include "runtime/error.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

namespace kvasir {

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> names{"tutor", "shakespeare-learned", "shakespeare-rope",
                                                "shakespeare-alibi"};

/// Where the models may lie. Files, not bytes of the executable: other programs open them too, they are
/// mapped like any model, and the builds for tests and fuzzing stay small.
std::vector<fs::path> folders() {
    std::vector<fs::path> all;
    std::error_code error;
    const fs::path executable = fs::read_symlink("/proc/self/exe", error); // empty where it cannot be read
    if (!executable.empty()) {
        const fs::path here = executable.parent_path();
        all.push_back((here / "../share/kvasir/assets").lexically_normal());
        all.push_back((here / "../../assets").lexically_normal());
    }
    const fs::path built_from = fs::path(KVASIR_ASSETS).lexically_normal();
    if (std::find(all.begin(), all.end(), built_from) == all.end()) all.push_back(built_from);
    return all;
}

} // namespace

std::span<const std::string_view> built_in_models() {
    return names;
}

std::optional<std::string> built_in_path(std::string_view name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) return std::nullopt;
    std::string looked_in;
    for (const fs::path& folder : folders()) {
        std::error_code error;
        const fs::path file = folder / (std::string(name) + ".gguf");
        if (fs::is_regular_file(file, error)) return file.string();
        looked_in += (looked_in.empty() ? "" : ", ") + folder.string();
    }
    throw Error("opening the built-in model " + std::string(name), "it is in none of " + looked_in,
                "installing the program with its assets, or the path of a .gguf file");
}

} // namespace kvasir
