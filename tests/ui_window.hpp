#pragma once

#include "tests/scratch_folder.hpp"
#include "tests/ui_harness.hpp"
#include "ui/ui.hpp"

#include <doctest/doctest.h>
#include <imgui.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace kvasir::ui {

inline Places places_in(const ScratchFolder& folder) {
    return {folder.path / "conversations", folder.path / "settings.json", folder.path, {"tutor"}};
}

using Texts = std::vector<std::string>;

/// A window, and the answers of a model that is not there.
struct Window {
    HeadlessUi screen{1280, 800, true};
    Ui ui;
    Requests asked; ///< so far, but not yet looked at
    int vertices = 0;

    explicit Window(const ScratchFolder& folder) : ui(places_in(folder), "", "") { frame(); }

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

} // namespace kvasir::ui
