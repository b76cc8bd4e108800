#include "tests/ui_window.hpp"
#include "ui/marks.hpp"

#include <doctest/doctest.h>
#include <imgui.h>

#include <csignal>
#include <filesystem>
#include <sys/resource.h>

// The window when something fails, fills up or ends: nothing of the conversation is lost, and it goes on.

namespace kvasir::ui {

TEST_CASE("trouble: a new conversation while it answers lets the answer end") {
    ScratchFolder folder;
    Window w(folder);
    w.load();
    const Answer a = w.say("q");
    w.token(a, w.begin(a), 1, "x");
    w.press(ImGuiMod_Ctrl | ImGuiKey_N);
    CHECK(w.take<Stop>().size() == 1);
    w.token(a, 11, 2, "late");
    w.end(a, "stopped");
    w.frame();
    CHECK(!w.ui.snapshot().generating);
    CHECK(w.path().empty());
    CHECK(w.say("new").turns.size() == 1);
}

TEST_CASE("trouble: a model that fails to load is told of, and another one can be loaded") {
    ScratchFolder folder;
    Window w(folder);
    w.ui.apply(Loading{"bad.gguf", 10, 100});
    w.frame();
    CHECK(find_mark("loading"));
    w.ui.apply(Failed{"opening bad.gguf: no such file", true, false});
    w.frame();
    CHECK(!w.ui.snapshot().loading);
    CHECK(w.shows("opening bad.gguf: no such file"));
    w.click("message");
    w.type("kept");
    w.asked.clear();
    w.press(ImGuiKey_Enter); // no model: told, and the words stay
    CHECK(w.take<Answer>().empty());
    CHECK(w.ui.shows_notice("No model is loaded"));
    w.ui.open_model("good.gguf");
    w.frame();
    const auto loads = w.take<LoadModel>();
    REQUIRE(loads.size() == 1);
    CHECK(loads[0].path == "good.gguf");
    w.load(2048, "good.gguf");
    w.click("send");
    const auto answers = w.take<Answer>();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].turns[0].text == "kept");
}

TEST_CASE("trouble: where another model cannot be opened, the one that runs stays chosen") {
    ScratchFolder folder;
    Window w(folder);
    w.load(2048, "good.gguf");
    w.ui.settings().kv = KvType::q8_0;
    w.ui.open_model("bad.gguf");
    w.frame();
    CHECK(w.ui.settings().model == "bad.gguf");
    w.ui.apply(Failed{"opening bad.gguf: no such file", false, false,
                      LoadModel{"good.gguf", "1", 2048, KvType::f16}});
    w.frame();
    CHECK(w.shows("opening bad.gguf: no such file"));
    REQUIRE(w.ui.snapshot().model);
    CHECK(w.ui.settings().model == "good.gguf");
    CHECK(w.ui.settings().device == "1");
    CHECK(w.ui.settings().n_ctx == 2048);
    CHECK(w.ui.settings().kv == KvType::f16);
    CHECK(w.say("still here").turns.size() == 1);
}

TEST_CASE("trouble: a lost device leaves the conversation, which goes on with a new one") {
    ScratchFolder folder;
    Window w(folder);
    w.load();
    const Answer a = w.say("q");
    w.token(a, w.begin(a), 100, "half");
    w.frame();
    SUBCASE("the answer is ended before it is told") {
        w.end(a, "error");
    }
    SUBCASE("nobody ends the answer") {}
    w.ui.apply(Failed{"the device is lost", true, true});
    w.frame();
    CHECK(!w.ui.snapshot().model);
    CHECK(!w.ui.snapshot().generating);
    CHECK(w.ui.shows_notice("the device is lost"));
    CHECK(w.path() == Texts{"q", "half"});
    CHECK(w.ui.conversation().at(1).why == "error");
    w.load();
    const Answer next = w.say("go on");
    CHECK(next.turns.size() == 3);
    w.reply(next, {"fine"});
    CHECK(w.path() == Texts{"q", "half", "go on", "fine"});
}

TEST_CASE("trouble: before the context is full it is told, and what is left out is said before it is") {
    ScratchFolder folder;
    Window w(folder);
    w.load(100);
    const Answer a = w.say("q");
    uint32_t at = w.begin(a, 70);
    for (int i = 0; i < 10; ++i) w.token(a, at++, i, "x");
    w.end(a, "context");
    w.frame();
    CHECK(w.ui.shows_notice("The context is full"));
    CHECK(w.shows("80 of 100 tokens are used"));
    const std::string words(150, 'w'); // 50 tokens, as they are estimated
    w.reply(w.say(words), {"y"});
    CHECK(w.shows("the first messages (2) will not be read"));
    const Answer next = w.say("short");
    REQUIRE(next.turns.size() == 3);
    CHECK(next.turns[0].text == words);
    w.reply(next, {"z"});
    // An early answer, made again, has fewer turns than are left out at the end.
    for (int i = 0; i < 3; ++i) w.reply(w.say(words), {"y"});
    w.frame(3);
    w.ui.settings().font_scale = 0.5;
    w.ui.set_scale(0.5f); // everything in sight
    w.frame(3);
    w.asked.clear();
    w.click("again 1");
    const auto again = w.take<Answer>();
    REQUIRE(again.size() == 1);
    REQUIRE(again[0].turns.size() == 1);
    CHECK(again[0].turns[0].text == "q");
}

TEST_CASE("trouble: after closing and opening again all is where it was") {
    ScratchFolder folder;
    double share = 0;
    {
        Window w(folder);
        w.load();
        w.reply(w.say("remember"), {"I", " do"});
        w.click("tokens"); // a setting
        const auto bar = find_mark("chat width");
        REQUIRE(bar);
        const float x = (bar->x + bar->z) / 2, y = (bar->y + bar->w) / 2;
        share = w.ui.settings().chat_share;
        w.screen.drag(x, y, x + 100, y, [&] { w.ui.draw(); });
        w.frame();
        CHECK(w.ui.settings().chat_share > share + 0.05);
        share = w.ui.settings().chat_share;
        w.ui.close();
    }
    Window w(folder);
    CHECK(w.path() == Texts{"remember", "I do"});
    CHECK(w.ui.settings().token_colors);
    CHECK(w.ui.settings().chat_share == share);
    w.load();
    CHECK(w.say("and?").turns.size() == 3);
    // Another conversation, and back by the list.
    w.press(ImGuiMod_Ctrl | ImGuiKey_N);
    CHECK(w.path().empty());
    w.click("conversations");
    CHECK(w.shows("remember"));
    w.click("search");
    w.type("nowhere");
    CHECK(w.shows("Nothing found."));
    w.press(ImGuiMod_Ctrl | ImGuiKey_A);
    w.type("i DO");
    w.click("conversation 0");
    CHECK(w.path() == Texts{"remember", "I do", "and?", ""});
}

TEST_CASE("trouble: a full disk is told of once, and what was said meanwhile is saved when there is room") {
    ScratchFolder folder;
    const std::filesystem::path place = places_in(folder).conversations;
    {
        Window w(folder);
        w.load();
        const Answer a = w.say("q");
        uint32_t at = w.begin(a);
        w.token(a, at++, 100, "be");
        rlimit usual{};
        REQUIRE(getrlimit(RLIMIT_FSIZE, &usual) == 0);
        const auto handler = std::signal(SIGXFSZ, SIG_IGN);
        rlimit full = usual;
        full.rlim_cur = 100;
        REQUIRE(setrlimit(RLIMIT_FSIZE, &full) == 0);
        for (int32_t i = 0; i < 5; ++i) w.token(a, at++, 101 + i, "x");
        w.frame();
        setrlimit(RLIMIT_FSIZE, &usual);
        std::signal(SIGXFSZ, handler);
        CHECK(w.ui.shows_notice("saving the conversation in " + place.string()));
        w.click("dismiss 0");
        CHECK(!w.ui.shows_notice("saving the conversation"));
        w.token(a, at++, 106, "end");
        w.end(a);
        w.frame();
        CHECK(w.path() == Texts{"q", "bexxxxxend"});
        w.ui.close();
    }
    const Window w(folder);
    CHECK(w.path() == Texts{"q", "bexxxxxend"});
}

TEST_CASE("trouble: closed in the middle of an answer, its tokens are there") {
    ScratchFolder folder;
    {
        Window w(folder);
        w.load();
        const Answer a = w.say("q");
        uint32_t at = w.begin(a);
        w.token(a, at++, 100, "half"), w.token(a, at++, 101, " done");
        w.frame();
        // Killed here: nothing is closed.
    }
    {
        Window w(folder);
        w.click("conversations");
        w.click("conversation 0");
        CHECK(w.path() == Texts{"q", "half done"});
        CHECK(w.shows("stopped"));
    }
}

TEST_CASE("trouble: a settings file that is broken is told of, and the window works") {
    ScratchFolder folder;
    std::ofstream(places_in(folder).settings) << "{\"dark\": 5";
    std::ofstream(folder.path / "conversations") << "a file where the folder should be";
    Window w(folder);
    CHECK(w.ui.shows_notice("settings.json"));
    CHECK(w.ui.shows_notice("folder of conversations"));
    w.load();
    w.reply(w.say("unsaved"), {"but", " answered"});
    CHECK(w.path() == Texts{"unsaved", "but answered"});
    w.click("conversations");
    w.press(ImGuiMod_Ctrl | ImGuiKey_N);
    CHECK(w.path().empty());
}

TEST_CASE("trouble: rows of attention are taken only for tokens that are there") {
    ScratchFolder folder;
    Window w(folder);
    w.load();
    const Answer a = w.say("q");
    w.begin(a, 10);
    w.ui.apply(RowsRead{synthetic_rows(0, 0, 10, 8)});
    w.ui.apply(RowsRead{synthetic_rows(0, 8, 10, 8)}); // of an answer that was cut off meanwhile
    w.frame(3);
    w.end(a);
    w.frame();
    CHECK(w.ui.snapshot().sequence.size() == 10);
}

} // namespace kvasir::ui
