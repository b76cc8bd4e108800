#pragma once

#include "runtime/model_spec.hpp"
#include "runtime/sampler.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kvasir::ui {

/// What the window keeps between runs, in one JSON file.
struct Settings {
    bool dark = true;
    double font_scale = 1; ///< 0.5 to 4
    std::string language = "en";
    std::string model, device; ///< last used
    std::vector<std::string> recent;
    uint32_t n_ctx = 0;
    KvType kv = KvType::f16;
    std::optional<SamplerOptions> sampler; ///< the user's own; nothing: what the model's makers advise
    std::map<std::string, SamplerOptions> presets;
    uint32_t seed = 0; ///< of the next answer; those of the sampler and the presets are not used
    bool enter_sends = true;
    bool token_colors = false;
    double chat_share = 0.36, side_share = 0.27; ///< widths of the columns
    std::string conversation;                    ///< that was open
    int width = 1280, height = 800;              ///< of the window

    /// From a file; what is damaged or unknown in it stays as it is here, and `problem` tells.
    static Settings read(const std::filesystem::path& file, std::string& problem);
    /// Replaces the file in one step. Gives an error's text, or nothing.
    std::string write(const std::filesystem::path& file) const;
};

const char* name(KvType type); ///< "f16"

} // namespace kvasir::ui
