#include "tests/ui_window.hpp"
#include "ui/marks.hpp"
#include "ui/words.hpp"

#include <doctest/doctest.h>
#include <imgui.h>

// The window's inside from end to end: keys and clicks go in, requests come out, and events are made here in
// the inference thread's place.

namespace kvasir::ui {

TEST_CASE("flow: typing and Enter asks for an answer with all turns") {
    ScratchFolder folder;
    Window w(folder);
    const auto loads = w.take<LoadModel>();
    REQUIRE(loads.size() == 1);
    CHECK(loads[0].path == "tutor");
    w.load();
    Answer first = w.say("你好 there");
    REQUIRE(first.turns.size() == 1);
    CHECK(first.turns[0].text == "你好 there");
    CHECK(w.ui.snapshot().generating);
    w.reply(first, {"Good", " day"});
    CHECK(!w.ui.snapshot().generating);
    CHECK(w.path() == Texts{"你好 there", "Good day"});
    Answer second = w.say("and?");
    CHECK(second.answer != first.answer);
    REQUIRE(second.turns.size() == 3);
    CHECK(second.turns[1].ids == std::vector<int32_t>{100, 101});
    CHECK(second.turns[2].text == "and?");
    // Tokens of an answer that is over are nobody's.
    w.token(first, 12, 7, "late");
    w.end(first);
    CHECK(w.ui.snapshot().generating);
    CHECK(w.path() == Texts{"你好 there", "Good day", "and?", ""});
}

TEST_CASE("flow: an empty message is not sent, Shift+Enter begins a line") {
    ScratchFolder folder;
    Window w(folder);
    w.load();
    w.click("message");
    w.type("  ");
    w.press(ImGuiKey_Enter);
    CHECK(w.take<Answer>().empty());
    w.type("a");
    w.press(ImGuiMod_Shift | ImGuiKey_Enter);
    CHECK(w.take<Answer>().empty());
    w.type("b");
    w.press(ImGuiKey_Enter);
    const auto answers = w.take<Answer>();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].turns.back().text == "a\nb");
}

TEST_CASE("flow: the button and Esc stop; a draft is kept") {
    ScratchFolder folder;
    Window w(folder);
    w.load();
    Answer a = w.say("q");
    w.token(a, w.begin(a), 1, "x");
    w.frame();
    w.click("stop");
    CHECK(w.take<Stop>().size() == 1);
    w.end(a, "stopped");
    w.frame();
    CHECK(!w.ui.snapshot().generating);
    a = w.say("q2");
    w.begin(a);
    w.type("my draft");
    w.press(ImGuiKey_Escape);
    CHECK(w.take<Stop>().size() == 1);
    w.end(a, "stopped");
    w.frame();
    w.click("send");
    const auto next = w.take<Answer>();
    REQUIRE(next.size() == 1);
    CHECK(next[0].turns.back().text == "my draft");
    w.end(next[0]);
    w.frame();
    w.press(ImGuiKey_Escape);
    CHECK(w.take<Stop>().empty()); // nothing runs
}

TEST_CASE("flow: the sampler is the model's until the user has one, and again when asked for") {
    ScratchFolder folder;
    Window w(folder);
    RunningModel model = *synthetic_snapshot(0).model;
    model.sampler.temperature = 0.25f;
    auto load = [&] {
        w.ui.apply(Loaded{model});
        w.frame();
    };
    auto choose = [&](const char* preset) {
        w.click("sampler");
        w.click(preset);
        w.click("message"); // closes the popup
    };
    load();
    Answer first = w.say("q");
    CHECK(first.sampler == SamplerOptions{.temperature = 0.25f});
    w.reply(first, {"one"});
    choose("preset inventive");
    load(); // changes nothing that is the user's
    Answer second = w.say("q");
    CHECK(second.sampler.temperature == 1.2f);
    w.reply(second, {"two"});
    choose("preset model's");
    CHECK(w.say("q").sampler.temperature == 0.25f);
    CHECK(!w.ui.settings().sampler);
}

TEST_CASE("flow: the share of probes is that of the operation which reads attention") {
    ScratchFolder folder;
    Window w(folder);
    w.load();
    Timed timed;
    timed.profile.resize(2);
    timed.profile[0].op = "linear", timed.profile[0].ms = 3;
    timed.profile[1].op = "probe", timed.profile[1].ms = 1;
    w.ui.apply(std::move(timed));
    CHECK(w.ui.snapshot().probe_share == 0.25);
}

TEST_CASE("flow: answering again and editing make versions, and < and > go through them") {
    ScratchFolder folder;
    Window w(folder);
    w.load();
    w.reply(w.say("q"), {"one"});
    const uint32_t seed = w.ui.settings().seed;
    w.click("again 1");
    auto again = w.take<Answer>();
    REQUIRE(again.size() == 1);
    CHECK(again[0].turns.size() == 1);
    CHECK(again[0].sampler.seed != seed);
    w.reply(again[0], {"two"});
    CHECK(w.path() == Texts{"q", "two"});
    w.reply(w.say("after two"), {"yes"});
    w.click("earlier 2");
    CHECK(w.path() == Texts{"q", "one"});
    w.click("later 1");
    CHECK(w.path() == Texts{"q", "two", "after two", "yes"});
    w.press(ImGuiMod_Ctrl | ImGuiKey_R);
    again = w.take<Answer>();
    REQUIRE(again.size() == 1);
    CHECK(again[0].turns.size() == 3);
    w.reply(again[0], {"no"});
    // The first message, edited, begins another branch.
    w.click("edit 0");
    w.click("edit box");
    w.press(ImGuiMod_Ctrl | ImGuiKey_A);
    w.type("other q");
    w.click("edit done");
    const auto edited = w.take<Answer>();
    REQUIRE(edited.size() == 1);
    REQUIRE(edited[0].turns.size() == 1);
    CHECK(edited[0].turns[0].text == "other q");
    w.reply(edited[0], {"three"});
    CHECK(w.path() == Texts{"other q", "three"});
    CHECK(w.ui.conversation().messages().size() == 8);
    w.click("earlier 6");
    CHECK(w.path() == Texts{"q", "two", "after two", "no"});
}

TEST_CASE("flow: another token at a place keeps what was before it, choices included") {
    ScratchFolder folder;
    Window w(folder);
    w.load();
    w.reply(w.say("q"), {"a", "b", "c"});
    w.click("token 11"); // "b"
    REQUIRE(w.ui.snapshot().selected == 11u);
    w.click("candidate 2");
    const auto answers = w.take<Answer>();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].begin == std::vector<int32_t>{100, 103});
    CHECK(answers[0].turns.size() == 1);
    // The tokens that are given again come without candidates.
    const uint32_t first = w.begin(answers[0]);
    for (uint32_t i = 0; i < 2; ++i) {
        TokenMade made;
        made.answer = answers[0].answer, made.position = first + i;
        made.choice.id = answers[0].begin[i], made.label = made.text = i ? "b''" : "a";
        w.ui.apply(std::move(made));
    }
    w.frame();
    const auto& c = w.ui.conversation();
    const Message& m = c.at(c.last());
    REQUIRE(m.tokens.size() == 2);
    CHECK(m.tokens[0].choice.candidates.size() == 3);
    CHECK(m.tokens[1].choice.candidates.size() == 3);
    CHECK(m.tokens[1].choice.p == 0.5f / 3);
    CHECK(c.versions(c.last()).size() == 2);
    CHECK(w.path() == Texts{"q", "ab''"});
}

TEST_CASE("flow: notices go when they are dismissed") {
    ScratchFolder folder;
    Window w(folder);
    w.ui.tell("first"), w.ui.tell("second"), w.ui.tell("second");
    w.frame();
    CHECK(w.shows("first"));
    w.click("dismiss 0");
    CHECK(!w.ui.shows_notice("first"));
    CHECK(w.ui.shows_notice("second"));
    w.click("dismiss 0");
    CHECK(!w.shows("second"));
}

TEST_CASE("flow: a conversation is renamed in the list") {
    ScratchFolder folder;
    Window w(folder);
    w.load();
    w.reply(w.say("q"), {"one"});
    w.click("conversations");
    const auto place = find_mark("conversation 0");
    REQUIRE(place);
    ImGui::GetIO().AddMousePosEvent(place->x + 10, (place->y + place->w) / 2);
    w.frame();
    for (const bool down : {true, false}) {
        ImGui::GetIO().AddMouseButtonEvent(1, down);
        w.frame();
    }
    w.frame(2);
    w.click("conversation name");
    w.press(ImGuiMod_Ctrl | ImGuiKey_A);
    w.type("C## and 你");
    w.press(ImGuiKey_Enter);
    w.frame(2);
    CHECK(w.ui.conversation().title == "C## and 你");
    CHECK(w.shows("C## and 你"));
    CHECK(ConversationStore(places_in(folder).conversations).list()[0].name == "C## and 你");
}

TEST_CASE("flow: columns as wide as they go leave room for each other") {
    ScratchFolder folder;
    Window w(folder);
    w.ui.settings().chat_share = w.ui.settings().side_share = 0.6;
    w.load();
    const auto chat = find_mark("chat width"), side = find_mark("side width");
    REQUIRE(chat);
    REQUIRE(side);
    CHECK(side->x > chat->z + 50);
    CHECK(1280 - side->z > 100);
}

TEST_CASE("flow: theme, language and size of the text change at once") {
    ScratchFolder folder;
    {
        Window w(folder);
        w.load();
        const ImVec4 dark = ImGui::GetStyleColorVec4(ImGuiCol_WindowBg);
        w.click("settings");
        w.frame(2);
        w.click("light");
        w.frame();
        const ImVec4 light = ImGui::GetStyleColorVec4(ImGuiCol_WindowBg);
        CHECK(light.x > dark.x + 0.5f);
        CHECK(w.shows("Settings"));
        w.click("chinese");
        w.frame();
        CHECK(w.shows(tr("Settings")));
        CHECK(language() == Language::chinese);
        CHECK(!w.shows("Settings"));
        w.click("english");
        w.click("close");
        w.frame(2);
        auto height = [] {
            const auto place = find_mark("chat width"); // 0.4 of the size of the text
            return place ? place->z - place->x : 0;
        };
        const float size = height();
        CHECK(size == doctest::Approx(0.4 * 16).epsilon(0.1));
        w.press(ImGuiMod_Ctrl | ImGuiKey_Equal);
        w.frame();
        CHECK(height() > size * 1.05f);
        w.press(ImGuiMod_Ctrl | ImGuiKey_0);
        w.frame();
        CHECK(height() == size);
        w.ui.set_scale(2);
        w.frame();
        CHECK(height() == doctest::Approx(2 * size));
    }
    const Window again(folder);
    CHECK(ImGui::GetStyleColorVec4(ImGuiCol_WindowBg).x > 0.5f);
}

TEST_CASE("flow: pausing is shown, and going on as well") {
    ScratchFolder folder;
    Window w(folder);
    w.load();
    const Answer a = w.say("q");
    w.token(a, w.begin(a), 1, "x");
    w.frame();
    w.click("pause");
    CHECK(w.take<Pause>().size() == 1);
    w.click("step");
    CHECK(w.take<StepToken>().size() == 1);
    w.click("resume");
    CHECK(w.take<Resume>().size() == 1);
    CHECK(!w.ui.snapshot().paused);
}

TEST_CASE("flow: of a long conversation only what is in sight is drawn") {
    ScratchFolder folder;
    {
        ConversationStore store(places_in(folder).conversations);
        Conversation c = store.create();
        for (int i = 0; i < 100; ++i) { // 50,000 tokens
            const uint32_t q = c.add(c.last(), "user", "Question " + std::to_string(i));
            const uint32_t n = c.add(q, "assistant", "");
            for (int k = 0; k < 500; ++k) {
                AnswerToken token;
                token.choice.id = k, token.text = k % 40 == 39 ? "word\n\n" : "word ";
                c.at(n).text += token.text;
                c.at(n).tokens.push_back(std::move(token));
            }
        }
        CHECK(store.save_system(c) == "");
    }
    Window w(folder);
    w.load();
    const int empty = w.vertices;
    w.click("conversations");
    w.click("conversation 0");
    w.frame(4);
    CHECK(w.ui.conversation().messages().size() == 200);
    for (const bool tokens : {false, true}) {
        CAPTURE(tokens);
        w.ui.settings().token_colors = tokens;
        w.frame(4);
        // A screen holds some 60 lines of 60 characters, of 4 vertices each; tokens have a rectangle more.
        CHECK(w.vertices > empty);
        CHECK(w.vertices < empty + 60 * 60 * 4 * 2);
    }
}

} // namespace kvasir::ui
