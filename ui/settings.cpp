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
    return {{"temperature", s.temperature},
            {"top_k", s.top_k},
            {"top_p", s.top_p},
            {"min_p", s.min_p},
            {"repeat_penalty", s.repeat_penalty}};
}

/// A number of the settings within its bounds, or as it is where there is none.
template <class T>
void take_number(const Json& json, const char* name, T& value, double low, double high) {
    value = static_cast<T>(std::clamp(json.value(name, static_cast<double>(value)), low, high));
}

SamplerOptions sampler_from(const Json& json) {
    SamplerOptions s;
    take_number(json, "temperature", s.temperature, 0, 10);
    take_number(json, "top_k", s.top_k, 0, UINT32_MAX);
    take_number(json, "top_p", s.top_p, 0, 1);
    take_number(json, "min_p", s.min_p, 0, 1);
    take_number(json, "repeat_penalty", s.repeat_penalty, 0.1, 10);
    return s;
}

constexpr double most_n_ctx = 1 << 24; ///< more than any model is trained for
constexpr KvType kv_types[]{KvType::f16, KvType::f32, KvType::q8_0};

void take(Settings& s, const Json& json) {
    s.dark = json.value("dark", s.dark);
    take_number(json, "font_scale", s.font_scale, 0.5, 4);
    s.language = json.value("language", s.language);
    s.model = json.value("model", s.model), s.device = json.value("device", s.device);
    s.recent = json.value("recent", s.recent);
    take_number(json, "n_ctx", s.n_ctx, 0, most_n_ctx);
    for (const KvType type : kv_types)
        if (json.value("kv", "") == name(type)) s.kv = type;
    if (json.contains("sampler")) s.sampler = sampler_from(json.at("sampler"));
    if (json.contains("presets"))
        for (const auto& [name, preset] : json.at("presets").items()) s.presets[name] = sampler_from(preset);
    take_number(json, "seed", s.seed, 0, UINT32_MAX);
    s.enter_sends = json.value("enter_sends", s.enter_sends);
    s.token_colors = json.value("token_colors", s.token_colors);
    take_number(json, "chat_share", s.chat_share, 0.15, 0.6);
    take_number(json, "side_share", s.side_share, 0.15, 0.6);
    s.conversation = json.value("conversation", s.conversation);
    take_number(json, "width", s.width, 320, 16384);
    take_number(json, "height", s.height, 240, 16384);
}

} // namespace

const char* name(KvType type) {
    return type == KvType::f32 ? "f32" : type == KvType::q8_0 ? "q8_0" : "f16";
}

Settings Settings::read(const std::filesystem::path& path, std::string& problem) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) return {};
    try {
        std::ifstream file(path);
        Settings settings;
        take(settings, Json::parse(file));
        return settings;
    } catch (const std::exception&) {
        // Kept for its owner to look at: the next write would replace it.
        const std::filesystem::path kept = path.string() + ".broken";
        std::filesystem::copy_file(path, kept, std::filesystem::copy_options::overwrite_existing, error);
        problem = "the settings in " + path.string() + " cannot be read, the usual ones are used";
        if (!error) problem += "; the file is kept as " + kept.filename().string();
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
              {"seed", seed},
              {"enter_sends", enter_sends},
              {"token_colors", token_colors},
              {"chat_share", chat_share},
              {"side_share", side_share},
              {"conversation", conversation},
              {"width", width},
              {"height", height}};
    if (sampler) json["sampler"] = to_json(*sampler);
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
    if (!error) return "";
    const std::string why = error.message();
    std::filesystem::remove(fresh, error);
    return "saving the settings in " + path.string() + ": " + why + "; they are kept until the window closes";
}

} // namespace kvasir::ui
