// The window as a person uses it, played from scripts on a picture: needs no display.
#include "tests/process.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>

namespace kvasir {
namespace {

/// Folders of a user of the window's own, and a tiny model.
struct User {
    Folder folder;
    std::string model = folder / "m.gguf";
    User() {
        write_tiny_model(model);
        setenv("XDG_DATA_HOME", (folder / "data").c_str(), 1);
        setenv("XDG_CONFIG_HOME", (folder / "config").c_str(), 1);
    }
    ~User() {
        unsetenv("XDG_DATA_HOME");
        unsetenv("XDG_CONFIG_HOME");
    }

    Finished play(const std::string& script, std::vector<std::string> more = {}) const {
        write_file(folder / "script", script);
        std::vector<std::string> arguments{"window", model, "--script", folder / "script"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run_kvasir(arguments);
    }
    std::vector<std::string> conversations() const {
        std::vector<std::string> texts;
        for (const auto& file : std::filesystem::directory_iterator(folder / "data/kvasir/conversations"))
            texts.push_back(read_file(file.path().string()));
        return texts;
    }
};

void check_done(const Finished& end) {
    CAPTURE(end.err);
    CHECK(end.status == 0);
}

uint32_t png_number(const std::string& png, size_t at) {
    uint32_t n = 0;
    for (size_t i = 0; i < 4; ++i) n = n << 8 | static_cast<unsigned char>(png.at(at + i));
    return n;
}

TEST_CASE("window: type, send, stop, answer again, edit, branch, switch models; everything is there again") {
    const User user;
    check_done(user.play(R"(
wait loaded
type hello there
key Enter
wait tokens 1
key Escape
wait idle
click again 1
wait tokens 1
key Escape
wait idle
click edit 0
key Ctrl+A
type other words
click edit done
wait tokens 1
key Escape
wait idle
click tab tokens
click tab kv
click tab positions
click tab device
click device
key Escape
)" + std::string("open ") +
                         user.model + R"(
wait loaded
click new conversation
type a second one
key Enter
wait tokens 1
key Escape
wait idle
)"));
    const auto texts = user.conversations();
    REQUIRE(texts.size() == 2);
    const std::string both = texts[0] + texts[1];
    for (const char* text : {"hello there", "other words", "a second one"})
        CHECK(both.find(text) != std::string::npos);
    const auto settings = nlohmann::json::parse(read_file(user.folder / "config/kvasir/settings.json"));
    CHECK(settings["model"] == user.model);

    check_done(user.play("wait loaded\nclick conversations\nwait item conversation 1\nclick conversation 1\n"
                         "wait item copy 0\nwait item earlier 0\n"));
}

TEST_CASE("window: a picture of its size, at twice the scale too") {
    const User user;
    for (const char* scale : {"1", "2"}) {
        check_done(user.play("wait loaded\n", {"--shot", user.folder / "w.png", "--width", "900", "--height",
                                               "700", "--scale", scale}));
        const std::string png = read_file(user.folder / "w.png");
        CHECK(png.substr(1, 3) == "PNG");
        CHECK(png_number(png, 16) == 900);
        CHECK(png_number(png, 20) == 700);
    }
}

TEST_CASE("window: what goes wrong is told, and the window goes on") {
    const User user;
    write_file(user.folder / "broken.gguf", "GGUF no more");
    std::filesystem::create_directories(user.folder / "config/kvasir");
    write_file(user.folder / "config/kvasir/settings.json", "{\"dark\": ");
    check_done(user.play("wait notice settings\nwait loaded\nopen " + (user.folder / "broken.gguf") +
                         "\nwait notice broken.gguf\nopen " + user.model +
                         "\nwait loaded\ntype x\nkey Enter\nwait tokens 2\n"));
    CHECK(std::filesystem::exists(user.folder / "config/kvasir/settings.json.broken"));
}

TEST_CASE("window: a script that cannot be played says which line") {
    const User user;
    const Finished verb = user.play("wait loaded\njump high\n");
    CHECK(verb.status == 1);
    CHECK(verb.err.find("line 2") != std::string::npos);
    CHECK(verb.err.find("jump") != std::string::npos);
    const Finished item = user.play("wait loaded\nclick the moon\n");
    CHECK(item.status == 1);
    CHECK(item.err.find("the moon") != std::string::npos);
    CHECK(run_kvasir({"window", user.model, "--script", user.folder / "none"}).status == 1);
    CHECK(run_kvasir({"window", user.model, "--shot", "x.png"}).status == 2);
}

} // namespace
} // namespace kvasir
