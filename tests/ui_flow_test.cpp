#include "tests/ui_harness.hpp"
#include "ui/colors.hpp"
#include "ui/marks.hpp"
#include "ui/ui.hpp"
#include "ui/words.hpp"

#include <doctest/doctest.h>
#include <imgui.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <unistd.h>

// The window's inside from end to end: keys and clicks go in, requests come out, and events are made here in
// the inference thread's place.

namespace kvasir::ui {
namespace {

namespace fs = std::filesystem;

struct Folder {
    fs::path path;
    Folder() {
        std::string name = (fs::temp_directory_path() / "kvasir-flow-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() {
        std::error_code error;
        fs::remove_all(path, error);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    Places places() const { return {path / "conversations", path / "settings.json", path, {"tutor"}}; }
};

/// A window, and the answers of a model that is not there.
struct Window {
    HeadlessUi screen{1280, 800, true};
    Ui ui;
    Requests asked; ///< so far, but not yet looked at
    int vertices = 0;

    explicit Window(const Folder& folder) : ui(folder.places(), "", "") { frame(); }

    void frame(int n = 1) {
        for (int i = 0; i < n; ++i) vertices = screen.frame([this] { ui.draw(); });
        for (Request& request : ui.take()) asked.push_back(std::move(request));
    }
    void click(const std::string& name) {
        screen.click(name, [this] { ui.draw(); });
        frame();
    }
    void press(int key) {
        screen.press(key, [this] { ui.draw(); });
        frame();
    }
    void type(const std::string& text) {
        screen.type(text, [this] { ui.draw(); });
        frame();
    }
    /// What is written on the window, but for Markdown and what is out of sight.
    std::string text() {
        screen.frame([this] {
            ImGui::LogToClipboard();
            ui.draw();
            ImGui::LogFinish();
        });
        return ImGui::GetClipboardText();
    }
    bool shows(const std::string& part) { return text().find(part) != std::string::npos; }

    /// The requests of a kind since this was asked last; forgets all others.
    template <class R>
    std::vector<R> take() {
        std::vector<R> found;
        for (const Request& request : asked)
            if (const R* r = std::get_if<R>(&request)) found.push_back(*r);
        asked.clear();
        return found;
    }

    void load(uint32_t n_ctx = 2048, const std::string& path = "tutor") {
        RunningModel model = *synthetic_snapshot(0).model;
        model.path = path, model.name = "The model", model.n_ctx = n_ctx;
        ui.apply(Loaded{std::move(model)});
        frame();
        asked.clear();
    }
    Answer say(const std::string& words) {
        asked.clear();
        click("message");
        type(words);
        press(ImGuiKey_Enter);
        const auto answers = take<Answer>();
        REQUIRE(answers.size() == 1);
        return answers[0];
    }
    /// The sequence begins, and tokens follow: ids from 100 on.
    uint32_t begin(const Answer& answer, uint32_t n_prompt = 10) {
        SequenceBegun begun;
        begun.answer = answer.answer;
        for (uint32_t i = 0; i < n_prompt; ++i)
            begun.ids.push_back(int32_t(i)), begun.labels.push_back("p" + std::to_string(i));
        ui.apply(std::move(begun));
        return n_prompt;
    }
    void token(const Answer& answer, uint32_t position, int32_t id, const std::string& text) {
        TokenMade made;
        made.answer = answer.answer, made.position = position, made.label = made.text = text;
        made.choice.id = id, made.choice.p = 0.5f;
        made.choice.candidates.resize(3);
        for (int32_t i = 0; i < 3; ++i)
            made.choice.candidates[size_t(i)].id = id + i,
            made.choice.candidates[size_t(i)].p = 0.5f / float(i + 1);
        made.choice.labels = {text, text + "'", text + "''"};
        ui.apply(std::move(made));
    }
    void end(const Answer& answer, const std::string& why = "end") {
        AnswerEnded ended;
        ended.answer = answer.answer, ended.why = why;
        ui.apply(std::move(ended));
    }
    /// A whole answer of these words.
    void reply(const Answer& answer, const std::vector<std::string>& words, const std::string& why = "end") {
        uint32_t at = begin(answer);
        int32_t id = 100;
        for (const std::string& word : words) token(answer, at++, id++, word), frame();
        end(answer, why);
        frame(2);
    }
    std::vector<std::string> path() const {
        std::vector<std::string> texts;
        for (const uint32_t at : ui.conversation().path()) texts.push_back(ui.conversation().at(at).text);
        return texts;
    }
};

using Texts = std::vector<std::string>;

} // namespace

TEST_CASE("flow: typing and Enter asks for an answer with all turns") {
    Folder folder;
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
    Folder folder;
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
    Folder folder;
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

TEST_CASE("flow: a new conversation while it answers lets the answer end") {
    Folder folder;
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

TEST_CASE("flow: answering again and editing make versions, and < and > go through them") {
    Folder folder;
    Window w(folder);
    w.load();
    w.reply(w.say("q"), {"one"});
    const uint32_t seed = w.ui.settings().sampler.seed;
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
    Folder folder;
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

TEST_CASE("flow: a model that fails to load is told of, and another one can be loaded") {
    Folder folder;
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

TEST_CASE("flow: notices go when they are dismissed") {
    Folder folder;
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

TEST_CASE("flow: a lost device leaves the conversation, which goes on with a new one") {
    Folder folder;
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

TEST_CASE("flow: before the context is full it is told, and what is left out is said before it is") {
    Folder folder;
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

TEST_CASE("flow: after closing and opening again all is where it was") {
    Folder folder;
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

TEST_CASE("flow: closed in the middle of an answer, its tokens are there") {
    Folder folder;
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

TEST_CASE("flow: a settings file that is broken is told of, and the window works") {
    Folder folder;
    std::ofstream(folder.places().settings) << "{\"dark\": 5";
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

TEST_CASE("flow: theme, language and size of the text change at once") {
    Folder folder;
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

TEST_CASE("flow: rows of attention are taken only for tokens that are there") {
    Folder folder;
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

TEST_CASE("flow: pausing is shown, and going on as well") {
    Folder folder;
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
    Folder folder;
    {
        ConversationStore store(folder.places().conversations);
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
