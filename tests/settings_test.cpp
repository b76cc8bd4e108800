#include "tests/scratch_folder.hpp"
#include "ui/settings.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <filesystem>

// What the window keeps between runs.

namespace kvasir::ui {
namespace {

namespace fs = std::filesystem;

void check_equal(const Settings& a, const Settings& b) {
    CHECK(a.dark == b.dark);
    CHECK(a.font_scale == b.font_scale);
    CHECK(a.language == b.language);
    CHECK(a.model == b.model);
    CHECK(a.device == b.device);
    CHECK(a.recent == b.recent);
    CHECK(a.n_ctx == b.n_ctx);
    CHECK(a.kv == b.kv);
    CHECK(a.sampler == b.sampler);
    CHECK(a.presets == b.presets);
    CHECK(a.seed == b.seed);
    CHECK(a.enter_sends == b.enter_sends);
    CHECK(a.token_colors == b.token_colors);
    CHECK(a.chat_share == b.chat_share);
    CHECK(a.side_share == b.side_share);
    CHECK(a.conversation == b.conversation);
    CHECK(a.width == b.width);
    CHECK(a.height == b.height);
}

} // namespace

TEST_CASE("settings: what was written is read back, from a folder that was not there") {
    ScratchFolder folder;
    const fs::path file = folder.path / "a" / "b" / "settings.json";
    Settings s;
    s.dark = false, s.font_scale = 1.37, s.language = "zh", s.model = "/m/模型.gguf", s.device = "1";
    s.recent = {"/m/模型.gguf", "x"}, s.n_ctx = 3000, s.kv = KvType::q8_0;
    s.sampler = {.temperature = 0.3f, .top_k = 7, .top_p = 0.9f, .min_p = 0.01f, .repeat_penalty = 1.1f};
    s.seed = 4294967295u;
    s.presets = {{"mine \"1\"", *s.sampler}, {"你", {}}};
    s.enter_sends = false, s.token_colors = true, s.chat_share = 0.5, s.side_share = 0.2;
    s.conversation = "20260101-000000", s.width = 999, s.height = 777;
    CHECK(s.write(file) == "");
    std::string problem;
    check_equal(Settings::read(file, problem), s);
    CHECK(problem == "");
    s.presets.clear(), s.sampler.reset(), s.kv = KvType::f32;
    CHECK(s.write(file) == "");
    check_equal(Settings::read(file, problem), s);
    size_t files = 0;
    for ([[maybe_unused]] const auto& one : fs::directory_iterator(file.parent_path())) ++files;
    CHECK(files == 1); // nothing is left of the writing
}

TEST_CASE("settings: none yet are the usual ones, without a word") {
    ScratchFolder folder;
    std::string problem;
    check_equal(Settings::read(folder.path / "settings.json", problem), Settings{});
    CHECK(problem == "");
    write_bytes(folder.path / "settings.json", "{\"dark\": false, \"of a later version\": [1]}");
    Settings light;
    light.dark = false;
    check_equal(Settings::read(folder.path / "settings.json", problem), light);
    CHECK(problem == "");
}

TEST_CASE("settings: what cannot be read is told of and kept") {
    ScratchFolder folder;
    const fs::path file = folder.path / "settings.json";
    const char* broken[]{"",
                         "{",
                         "{\"dark\": true",
                         "[]",
                         "null",
                         "4",
                         "\xff\xfe",
                         "{\"dark\": \"yes\"}",
                         "{\"font_scale\": []}",
                         "{\"language\": 4}",
                         "{\"recent\": \"x\"}",
                         "{\"recent\": [1]}",
                         "{\"n_ctx\": \"many\"}",
                         "{\"kv\": 16}",
                         "{\"sampler\": 4}",
                         "{\"sampler\": {\"top_k\": \"x\"}}",
                         "{\"presets\": \"x\"}",
                         "{\"presets\": [1]}",
                         "{\"presets\": {\"a\": 3}}",
                         "{\"width\": null}"};
    for (const char* text : broken) {
        CAPTURE(text);
        write_bytes(file, text);
        std::string problem;
        check_equal(Settings::read(file, problem), Settings{});
        CHECK(problem.find(file.string()) != std::string::npos);
        CHECK(problem.find("settings.json.broken") != std::string::npos);
        CHECK(read_bytes(file.string() + ".broken") == text);
        fs::remove(file.string() + ".broken");
    }
}

TEST_CASE("settings: numbers out of their bounds are brought within") {
    ScratchFolder folder;
    const fs::path file = folder.path / "settings.json";
    auto with = [&](const std::string& number) {
        nlohmann::json json;
        const auto n = nlohmann::json::parse(number);
        for (const char* name :
             {"font_scale", "n_ctx", "chat_share", "side_share", "width", "height", "seed"})
            json[name] = n;
        for (const char* name : {"temperature", "top_k", "top_p", "min_p", "repeat_penalty"})
            json["sampler"][name] = n;
        write_bytes(file, json.dump());
        std::string problem;
        const Settings s = Settings::read(file, problem);
        CHECK(problem == "");
        return s;
    };
    for (const char* huge : {"1e300", "99999999999999999999", "4294967297000"}) {
        CAPTURE(huge);
        const Settings s = with(huge);
        CHECK(s.font_scale == 4);
        CHECK(s.n_ctx == 1 << 24);
        CHECK(s.chat_share == 0.6);
        CHECK(s.side_share == 0.6);
        CHECK(s.width == 16384);
        CHECK(s.height == 16384);
        CHECK(s.sampler->temperature == 10);
        CHECK(s.sampler->top_k == UINT32_MAX);
        CHECK(s.sampler->top_p == 1);
        CHECK(s.sampler->min_p == 1);
        CHECK(s.sampler->repeat_penalty == 10);
        CHECK(s.seed == UINT32_MAX);
    }
    for (const char* low : {"-1e300", "-99999999999999999999", "-4294967297000", "-1"}) {
        CAPTURE(low);
        const Settings s = with(low);
        CHECK(s.font_scale == 0.5);
        CHECK(s.n_ctx == 0);
        CHECK(s.chat_share == 0.15);
        CHECK(s.side_share == 0.15);
        CHECK(s.width == 320);
        CHECK(s.height == 240);
        CHECK(s.sampler->temperature == 0);
        CHECK(s.sampler->top_k == 0);
        CHECK(s.sampler->top_p == 0);
        CHECK(s.seed == 0);
    }
}

TEST_CASE("settings: a place that cannot be written gives a text, and no exception") {
    ScratchFolder folder;
    write_bytes(folder.path / "file", "x");
    fs::create_directory(folder.path / "taken");
    for (const fs::path& path : {folder.path / "file" / "settings.json", folder.path / "taken"}) {
        CAPTURE(path.string());
        const std::string told = Settings{}.write(path);
        CHECK(told.find("saving the settings in " + path.string()) != std::string::npos);
        CHECK(!fs::exists(path.string() + ".new"));
    }
    std::string problem;
    check_equal(Settings::read(folder.path / "taken", problem), Settings{});
    CHECK(problem.find("taken") != std::string::npos);
    CHECK(problem.find(".broken") == std::string::npos);
    CHECK(read_bytes(folder.path / "file") == "x");
}

} // namespace kvasir::ui
