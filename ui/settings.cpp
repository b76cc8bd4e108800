#include "ui/settings.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace kvasir::ui {
namespace {

using Json = nlohmann::json;

Json to_json(const SamplerOptions& s) {
    return {{"temperature", s.temperature},       {"top_k", s.top_k}, {"top_p", s.top_p}, {"min_p", s.min_p},
            {"repeat_penalty", s.repeat_penalty}, {"seed", s.seed}};
}

SamplerOptions sampler_from(const Json& json) {
    SamplerOptions s;
    s.temperature = std::clamp(json.value("temperature", s.temperature), 0.0f, 10.0f);
    s.top_k = json.value("top_k", s.top_k);
    s.top_p = std::clamp(json.value("top_p", s.top_p), 0.0f, 1.0f);
    s.min_p = std::clamp(json.value("min_p", s.min_p), 0.0f, 1.0f);
    s.repeat_penalty = std::clamp(json.value("repeat_penalty", s.repeat_penalty), 0.1f, 10.0f);
    s.seed = json.value("seed", s.seed);
    return s;
}

constexpr KvType kv_types[]{KvType::f16, KvType::f32, KvType::q8_0};

void take(Settings& s, const Json& json) {
    s.dark = json.value("dark", s.dark);
    s.font_scale = std::clamp(json.value("font_scale", s.font_scale), 0.5, 4.0);
    s.language = json.value("language", s.language);
    s.model = json.value("model", s.model), s.device = json.value("device", s.device);
    s.recent = json.value("recent", s.recent);
    s.n_ctx = json.value("n_ctx", s.n_ctx);
    for (const KvType type : kv_types)
        if (json.value("kv", "") == name(type)) s.kv = type;
    if (json.contains("sampler")) s.sampler = sampler_from(json.at("sampler"));
    if (json.contains("presets"))
        for (const auto& [name, preset] : json.at("presets").items()) s.presets[name] = sampler_from(preset);
    s.enter_sends = json.value("enter_sends", s.enter_sends);
    s.token_colors = json.value("token_colors", s.token_colors);
    s.chat_share = std::clamp(json.value("chat_share", s.chat_share), 0.15, 0.8);
    s.side_share = std::clamp(json.value("side_share", s.side_share), 0.1, 0.6);
    s.conversation = json.value("conversation", s.conversation);
    s.width = std::clamp(json.value("width", s.width), 320, 16384);
    s.height = std::clamp(json.value("height", s.height), 240, 16384);
}

} // namespace

const char* name(KvType type) {
    return type == KvType::f32 ? "f32" : type == KvType::q8_0 ? "q8_0" : "f16";
}

Settings Settings::read(const std::filesystem::path& path, std::string& problem) {
    std::ifstream file(path);
    if (!file) return {};
    try {
        Settings settings;
        take(settings, Json::parse(file));
        return settings;
    } catch (const std::exception& error) {
        // Kept for its owner to look at: the next write would replace it.
        std::error_code ignored;
        const std::filesystem::path kept = path.string() + ".broken";
        std::filesystem::copy_file(path, kept, std::filesystem::copy_options::overwrite_existing, ignored);
        problem = "the settings in " + path.string() +
                  " cannot be read, the usual ones are used; the file is kept as " + kept.filename().string();
        return {};
    }
}

std::string Settings::write(const std::filesystem::path& path) const {
    Json json{{"dark", dark},
              {"font_scale", font_scale},
              {"language", language},
              {"model", model},
              {"device", device},
              {"recent", recent},
              {"n_ctx", n_ctx},
              {"kv", name(kv)},
              {"sampler", to_json(sampler)},
              {"enter_sends", enter_sends},
              {"token_colors", token_colors},
              {"chat_share", chat_share},
              {"side_share", side_share},
              {"conversation", conversation},
              {"width", width},
              {"height", height}};
    for (const auto& [preset, options] : presets) json["presets"][preset] = to_json(options);
    std::error_code error;
    std::filesystem::create_directories(path.parent_path(), error);
    const std::filesystem::path fresh = path.string() + ".new";
    {
        std::ofstream file(fresh);
        file << json.dump(1, ' ', false, Json::error_handler_t::replace) << "\n";
        if (!file.flush()) {
            const std::string why = std::strerror(errno);
            std::filesystem::remove(fresh, error);
            return "saving the settings in " + path.string() + ": " + why +
                   "; they are kept until the window closes";
        }
    }
    std::filesystem::rename(fresh, path, error);
    return error ? "saving the settings in " + path.string() + ": " + error.message() : "";
}

} // namespace kvasir::ui
