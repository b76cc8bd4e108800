#include "ui/script.hpp"

#include "runtime/error.hpp"
#include "ui/marks.hpp"

#include <imgui.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <sstream>

namespace kvasir::ui {
namespace {

constexpr int patience = 30; ///< frames that an item may take to appear

constexpr std::array verbs{"type", "key",    "click", "right", "double", "hover",
                           "drag", "scroll", "wait",  "open",  "where",  "shot"};

/// "Ctrl+Shift+N" as keys; nothing where one has no such name.
std::optional<std::vector<ImGuiKey>> keys_of(const std::string& chord) {
    std::vector<ImGuiKey> keys;
    std::istringstream parts(chord);
    for (std::string part; std::getline(parts, part, '+');) {
        ImGuiKey found = ImGuiKey_None;
        if (part == "Ctrl") found = ImGuiMod_Ctrl;
        if (part == "Shift") found = ImGuiMod_Shift;
        if (part == "Alt") found = ImGuiMod_Alt;
        for (int key = ImGuiKey_NamedKey_BEGIN; key < ImGuiKey_NamedKey_END && found == ImGuiKey_None; ++key)
            if (part == ImGui::GetKeyName(static_cast<ImGuiKey>(key))) found = static_cast<ImGuiKey>(key);
        if (found == ImGuiKey_None) return {};
        keys.push_back(found);
    }
    return keys.empty() ? std::nullopt : std::optional(keys);
}

ImVec2 middle(const ImVec4& place) {
    return {(place.x + place.z) / 2, (place.y + place.w) / 2};
}

} // namespace

Script Script::parse(const std::string& text, const std::string& name) {
    Script script;
    script.name_ = name;
    std::istringstream lines(text);
    int number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
        if (line.empty() || line[0] == '#') continue;
        const size_t space = line.find(' ');
        Line one{number, line.substr(0, space), space == std::string::npos ? "" : line.substr(space + 1)};
        if (std::find(verbs.begin(), verbs.end(), one.verb) == verbs.end()) {
            std::string known;
            for (const char* verb : verbs) known += std::string(known.empty() ? "" : ", ") + verb;
            throw Error(name + ", line " + std::to_string(number),
                        "there is no action " + kvasir::quoted(one.verb), known);
        }
        script.lines_.push_back(std::move(one));
    }
    return script;
}

void Script::fail(const Line& line, const std::string& why) const {
    throw Error(name_ + ", line " + std::to_string(line.number) + " (" + line.verb + " " + line.rest + ")",
                why, "another order of lines, or a wait before this one");
}

bool Script::wait_is_over(const Line& line, const Ui& ui) const {
    const Snapshot& s = ui.snapshot();
    std::istringstream words(line.rest);
    std::string what;
    words >> what;
    std::string rest;
    std::getline(words >> std::ws, rest);
    const bool idle = !s.generating && !s.loading && !s.prompt;
    if (what == "loaded") return s.model.has_value() && !s.loading;
    if (what == "idle") return idle;
    if (what == "notice") return ui.shows_notice(rest);
    if (what == "item") return find_mark(rest).has_value();
    if (what == "tokens") {
        const uint32_t last = ui.conversation().last();
        const size_t n = last == Message::none ? 0 : ui.conversation().at(last).tokens.size();
        if (n >= std::strtoul(rest.c_str(), nullptr, 10)) return true;
        if (idle && s.answer > 0) fail(line, "the answer ended with " + std::to_string(n) + " tokens");
        if (idle && s.model) fail(line, "no answer was asked for");
        return false;
    }
    fail(line, "there is no condition " + kvasir::quoted(what));
    return true;
}

void Script::act(const Line& line, Ui& ui, const Program& program) {
    ImGuiIO& io = ImGui::GetIO();
    if (line.verb == "shot") return program.shoot(line.rest);
    if (line.verb == "open") return ui.open_model(line.rest);
    if (line.verb == "type") {
        std::string text;
        for (size_t i = 0; i < line.rest.size(); ++i)
            if (line.rest.compare(i, 2, "\\n") == 0)
                text += '\n', ++i;
            else
                text += line.rest[i];
        io.AddInputCharactersUTF8(text.c_str());
        return;
    }
    if (line.verb == "key") {
        const auto keys = keys_of(line.rest);
        if (!keys) fail(line, "there is no such key");
        frames_.push_back([keys = *keys] {
            for (const ImGuiKey key : keys) ImGui::GetIO().AddKeyEvent(key, true);
        });
        frames_.push_back([keys = *keys] {
            for (const ImGuiKey key : keys) ImGui::GetIO().AddKeyEvent(key, false);
        });
        return;
    }
    std::istringstream words(line.rest);
    std::string name = line.rest;
    double x = 0, y = 0;
    if (line.verb == "drag" || line.verb == "scroll") { // numbers at the end
        const int n = line.verb == "drag" ? 2 : 1;
        for (int i = 0; i < n; ++i) {
            const size_t space = name.rfind(' ');
            if (space == std::string::npos) fail(line, "numbers are missing");
            (i == n - 1 ? x : y) = std::atof(name.c_str() + space);
            name.resize(space);
        }
    }
    const auto place = find_mark(name);
    if (!place) fail(line, "nothing on the screen has this name");
    const ImVec2 at = middle(*place);
    if (line.verb == "where")
        return program.say("where " + name + ": " + std::to_string(std::lround(at.x)) + " " +
                           std::to_string(std::lround(at.y)));
    auto move = [](ImVec2 to) { ImGui::GetIO().AddMousePosEvent(to.x, to.y); };
    auto press = [](int button, bool down) { ImGui::GetIO().AddMouseButtonEvent(button, down); };
    move(at);
    const int button = line.verb == "right" ? 1 : 0;
    if (line.verb == "scroll")
        frames_.push_back([x] { ImGui::GetIO().AddMouseWheelEvent(0, static_cast<float>(x)); });
    if (line.verb == "click" || line.verb == "right" || line.verb == "double")
        for (int i = 0; i < (line.verb == "double" ? 2 : 1); ++i) {
            frames_.push_back([=] { press(button, true); });
            frames_.push_back([=] { press(button, false); });
        }
    if (line.verb == "drag") {
        frames_.push_back([=] { press(0, true); });
        for (int i = 1; i <= 4; ++i)
            frames_.push_back([=] {
                move({at.x + float(x) * float(i) / 4, at.y + float(y) * float(i) / 4});
            });
        frames_.push_back([=] { press(0, false); });
    }
}

bool Script::advance(Ui& ui, const Program& program) {
    waiting_ = false;
    if (!frames_.empty()) {
        frames_.front()();
        frames_.pop_front();
        return true;
    }
    if (still_ > 0 && still_ < 3) { // an action shows in the frames after it
        ++still_;
        return true;
    }
    if (lines_.empty()) return false;
    const Line line = lines_.front();
    if (line.verb == "wait") {
        waiting_ = !wait_is_over(line, ui);
        if (!waiting_) lines_.pop_front(), still_ = 1;
        return true;
    }
    const bool needs_item = line.verb == "click" || line.verb == "right" || line.verb == "double" ||
                            line.verb == "hover" || line.verb == "where";
    if (needs_item && !find_mark(line.rest) && still_ < patience) {
        still_ = std::max(still_, 3) + 1;
        return true;
    }
    lines_.pop_front();
    still_ = 1;
    act(line, ui, program);
    return true;
}

} // namespace kvasir::ui
