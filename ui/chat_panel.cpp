#include "ui/colors.hpp"
#include "ui/draw.hpp"
#include "ui/fonts.hpp"
#include "ui/inspector_parts.hpp"
#include "ui/marks.hpp"
#include "ui/text_input.hpp"
#include "ui/ui.hpp"
#include "ui/words.hpp"

#include <imgui.h>

#include <algorithm>
#include <cfloat>
#include <string_view>

namespace kvasir::ui {
namespace {

bool small_button(const char* label, const std::string& name) {
    const bool pressed = ImGui::SmallButton((std::string(label) + "##" + name).c_str());
    mark(name);
    return pressed;
}

/// Of the token, `width` wide, and those after it that go on with its word.
float word_width(const std::vector<AnswerToken>& tokens, size_t i, float width) {
    while (++i < tokens.size() && !begins_word(tokens[i - 1].text, tokens[i].text) &&
           tokens[i].text.find('\n') == std::string::npos)
        width += ImGui::CalcTextSize(tokens[i].text.data(), tokens[i].text.data() + tokens[i].text.size()).x;
    return width;
}

} // namespace

void Ui::conversation_list() {
    ImGui::SetNextItemWidth(-FLT_MIN);
    const bool typed = input_text("##search", tr("Search conversations"), search_);
    mark("search");
    if (!store_) return;
    if (typed) found_.reset();
    if (!search_.empty() && !found_) found_ = store_->search(search_); // reads every file: not in every frame
    const auto entries = search_.empty() ? store_->list() : *found_;
    if (entries.empty())
        ImGui::TextDisabled("%s", search_.empty() ? tr("No conversations yet.") : tr("Nothing found."));
    for (size_t i = 0; i < entries.size(); ++i) {
        const auto& entry = entries[i];
        ImGui::PushID(entry.id.c_str());
        const ImVec2 at = ImGui::GetCursorPos();
        if (ImGui::Selectable("##open", entry.id == conversation_.id)) {
            show_conversation(entry.id);
            show_list_ = false;
        }
        mark("conversation " + std::to_string(i));
        if (ImGui::BeginPopupContextItem("conversation")) {
            if (ImGui::IsWindowAppearing()) rename_ = entry.name;
            if (input_text("##name", tr("Name"), rename_, ImGuiInputTextFlags_EnterReturnsTrue)) {
                if (entry.id != conversation_.id) show_conversation(entry.id);
                conversation_.title = rename_;
                saved(store_->save_title(conversation_));
                found_.reset();
                ImGui::CloseCurrentPopup();
            }
            mark("conversation name");
            if (ImGui::MenuItem(tr("Delete for good"))) {
                try {
                    const std::string id = entry.id;
                    store_->remove(id);
                    found_.reset();
                    if (id == conversation_.id) new_conversation();
                } catch (const std::exception& error) {
                    tell(error.what());
                }
            }
            ImGui::EndPopup();
        }
        ImGui::SetCursorPos(at); // no label: a name may hold "##", which would end it
        ImGui::TextUnformatted(entry.name.c_str());
        ImGui::PopID();
    }
}

/// The tokens of an answer one by one, tinted by how sure the model was. A token that holds line ends is
/// drawn in parts.
void Ui::message_tokens(uint32_t index) {
    const Message& m = conversation_.at(index);
    const auto first = first_tokens_.find(index);
    const float size = ImGui::GetFontSize(), line = size * 1.45f;
    const ImVec2 origin = ImGui::GetCursorScreenPos(), mouse = ImGui::GetMousePos();
    const float right = origin.x + ImGui::GetContentRegionAvail().x;
    const bool over = ImGui::IsWindowHovered() &&
                      ImGui::IsMouseHoveringRect(origin, {right, origin.y + drawn_[index].height});
    if (over) snapshot_.hovered.reset();
    ImVec2 pen = origin;
    auto part = [&](std::string_view shown, uint32_t i) {
        const float width =
            shown.empty() ? size * 0.3f : ImGui::CalcTextSize(shown.data(), shown.data() + shown.size()).x;
        const bool begins = i == 0 || shown.data() != m.tokens[i].text.data() ||
                            begins_word(m.tokens[i - 1].text, m.tokens[i].text);
        const float whole = begins ? word_width(m.tokens, i, width) : width; // to the end of the word
        const bool fits = pen.x + (whole <= right - origin.x ? whole : width) <= right;
        if (!fits && pen.x > origin.x) {
            pen = {origin.x, pen.y + line};
            if (shown.starts_with(' ')) pen.x -= ImGui::CalcTextSize(" ").x; // words begin at the edge
        }
        const ImVec2 low = pen, high{pen.x + width, pen.y + line * 0.92f};
        pen.x += width;
        if (!ImGui::IsRectVisible(low, high)) return;
        ImDrawList* draw = ImGui::GetWindowDrawList();
        draw->AddRectFilled(low, high, certainty_color(m.tokens[i].choice.p), 2);
        draw->AddText({low.x, low.y + (line * 0.92f - size) / 2}, ImGui::GetColorU32(ImGuiCol_Text),
                      shown.data(), shown.data() + shown.size());
        if (first == first_tokens_.end()) return;
        const uint32_t position = first->second + i;
        if (over && mouse.x >= low.x && mouse.x < high.x && mouse.y >= low.y && mouse.y < high.y) {
            snapshot_.hovered = position;
            ImGui::SetTooltip("%s  p %.3f", m.tokens[i].text.c_str(), double(m.tokens[i].choice.p));
            if (ImGui::IsMouseClicked(0)) snapshot_.selected = position;
        }
        const bool chosen = snapshot_.selected == position;
        if (chosen || snapshot_.hovered == position)
            draw->AddRect(low, high, ImGui::GetColorU32(theme().accent), 2, 0, chosen ? 2.0f : 1.0f);
    };
    for (uint32_t i = 0; i < m.tokens.size(); ++i) {
        std::string_view text = m.tokens[i].text;
        for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
            if (end > 0) part(text.substr(0, end), i);
            text.remove_prefix(end + 1);
            pen = {origin.x, pen.y + line};
        }
        if (!text.empty() || m.tokens[i].text.empty()) part(text, i);
    }
    ImGui::Dummy({right - origin.x, pen.y + line - origin.y});
}

void Ui::message_buttons(uint32_t index) {
    const Message& m = conversation_.at(index);
    const auto& versions = conversation_.versions(index);
    const std::string n = std::to_string(index);
    ImGui::PushStyleColor(ImGuiCol_Text, theme().muted);
    ImGui::PushStyleColor(ImGuiCol_Button, ImVec4(0, 0, 0, 0));
    if (versions.size() > 1) {
        const uint32_t at = conversation_.version(index);
        const auto show = [&](uint32_t version) {
            stop();
            conversation_.choose(versions[version]);
            if (store_) saved(store_->save_choice(conversation_, conversation_.last()));
        };
        ImGui::BeginDisabled(at == 0);
        if (small_button("<", "earlier " + n)) show(at - 1);
        ImGui::EndDisabled();
        ImGui::SameLine(0, 2);
        ImGui::Text("%u/%zu", at + 1, versions.size());
        ImGui::SameLine(0, 2);
        ImGui::BeginDisabled(at + 1 == versions.size());
        if (small_button(">", "later " + n)) show(at + 1);
        ImGui::EndDisabled();
        same_line_if_fits(button_width(tr("Copy")));
    }
    if (small_button(tr("Copy"), "copy " + n)) ImGui::SetClipboardText(m.text.c_str());
    same_line_if_fits(button_width(tr("Edit")), 0.3f);
    if (small_button(tr("Edit"), "edit " + n)) editing_ = index, edit_text_ = m.text, focus_edit_ = true;
    if (m.role == "assistant" && index != answering_) {
        same_line_if_fits(button_width(tr("Again")), 0.3f);
        const bool again = small_button(tr("Again"), "again " + n);
        std::string told;
        char speed[64];
        if (m.tokens_per_second > 0) {
            std::snprintf(speed, sizeof speed, "%zu %s, %.1f/s", m.tokens.size(), tr("tokens"),
                          m.tokens_per_second);
            told = speed;
        }
        if (m.why == "stopped" || m.why.empty())
            told += std::string(told.empty() ? "" : ", ") + tr("stopped");
        if (m.why == "error") told += std::string(told.empty() ? "" : ", ") + tr("ended by an error");
        if (!told.empty()) {
            same_line_if_fits(ImGui::CalcTextSize(told.c_str()).x);
            ImGui::TextUnformatted(told.c_str());
        }
        if (again) regenerate(index); // the messages may move then
    }
    ImGui::PopStyleColor(2);
}

void Ui::message(uint32_t index) {
    const Message& m = conversation_.at(index);
    const bool user = m.role == "user";
    const float size = ImGui::GetFontSize();
    ImGui::PushID(static_cast<int>(index));
    ImGui::TextColored(user ? theme().muted : theme().accent, "%s", user ? tr("You") : tr("Model"));
    if (editing_ == index) {
        const float height =
            std::clamp(float(1 + std::count(edit_text_.begin(), edit_text_.end(), '\n')), 3.0f, 12.0f);
        if (focus_edit_) ImGui::SetKeyboardFocusHere(), focus_edit_ = false;
        input_multiline("##edit", edit_text_, {-FLT_MIN, height * size * 1.3f + size}, 0);
        mark("edit box");
        if (ImGui::Button(user ? tr("Send as a new version") : tr("Keep as a new version"))) {
            const std::string text = edit_text_;
            ImGui::PopID();
            return edit_to(index, text);
        }
        mark("edit done");
        ImGui::SameLine();
        if (ImGui::Button(tr("Cancel"))) editing_.reset();
    } else if (!user && settings_.token_colors && !m.tokens.empty()) {
        message_tokens(index);
    } else {
        Drawn& drawn = drawn_[index];
        if (drawn.bytes != m.text.size()) {
            drawn.bytes = m.text.size();
            drawn.markdown = Markdown(m.text);
        }
        draw_markdown(drawn.markdown, ImGui::GetContentRegionAvail().x, std::to_string(index).c_str(),
                      drawn.selection);
        if (index == answering_ && m.text.empty()) ImGui::TextDisabled("...");
    }
    if (editing_ != index) message_buttons(index);
    ImGui::Dummy({0, size * 0.4f});
    ImGui::PopID();
}

/// How much of the context is used, and what happens when it is full.
void Ui::context_meter() {
    if (!snapshot_.model) return;
    const uint32_t n_ctx = snapshot_.model->n_ctx, skipped = left_out(conversation_.last());
    const auto used = static_cast<uint32_t>(snapshot_.sequence.size());
    ImGui::PushStyleColor(ImGuiCol_Text, theme().warning);
    ImGui::PushTextWrapPos();
    if (skipped > 0)
        ImGui::Text(tr("The context holds %u tokens: the first messages (%u) will not be read."), n_ctx,
                    skipped);
    else if (used > n_ctx * 3 / 4)
        ImGui::Text(tr("%u of %u tokens are used. At the end the answer stops; then the oldest messages are "
                       "left out."),
                    used, n_ctx);
    ImGui::PopTextWrapPos();
    ImGui::PopStyleColor();
}

void Ui::input_box() {
    const float size = ImGui::GetFontSize();
    const float button = ImGui::CalcTextSize(tr("Send")).x + 3 * size;
    if (focus_input_) ImGui::SetKeyboardFocusHere(), focus_input_ = false;
    const float lines = std::clamp(float(1 + std::count(input_.begin(), input_.end(), '\n')), 2.0f, 8.0f);
    const ImVec2 box{ImGui::GetContentRegionAvail().x - button - size * 0.5f, lines * size * 1.2f + size};
    ImGuiInputTextFlags flags = ImGuiInputTextFlags_EnterReturnsTrue;
    if (settings_.enter_sends && !ImGui::GetIO().KeyShift) flags |= ImGuiInputTextFlags_CtrlEnterForNewLine;
    const std::string draft = input_;
    const bool entered = input_multiline("##message", input_, box, flags);
    mark("message");
    if (ImGui::IsKeyPressed(ImGuiKey_Escape)) { // it stops an answer, and takes neither words nor keyboard
        input_ = draft;
        focus_input_ |= ImGui::IsItemDeactivated();
    }
    if (entered) send(), focus_input_ = true;
    if (input_.empty()) {
        const ImVec2 low = ImGui::GetItemRectMin();
        const char* hint = settings_.enter_sends
                               ? tr("Write a message. Enter sends it, Shift+Enter begins a line.")
                               : tr("Write a message. Ctrl+Enter sends it.");
        if (ImGui::CalcTextSize(hint, nullptr, false, box.x - size).y > box.y) hint = tr("Write a message.");
        ImGui::GetWindowDrawList()->AddText(ImGui::GetFont(), size,
                                            {low.x + size * 0.5f, low.y + size * 0.35f},
                                            ImGui::GetColorU32(theme().muted), hint, nullptr, box.x - size);
    }
    ImGui::SameLine();
    const ImVec2 whole{button, box.y};
    if (snapshot_.generating) {
        if (ImGui::Button(tr("Stop"), whole)) stop();
        mark("stop");
    } else {
        ImGui::BeginDisabled(!snapshot_.model);
        if (ImGui::Button(tr("Send"), whole)) send(), focus_input_ = true;
        ImGui::EndDisabled();
        mark("send");
    }
}

void Ui::chat() {
    if (ImGui::Button(show_list_ ? tr("Back") : tr("Conversations")))
        show_list_ = !show_list_, found_.reset();
    mark("conversations");
    same_line_if_fits(button_width(tr("New")));
    if (ImGui::Button(tr("New"))) new_conversation(), show_list_ = false;
    mark("new conversation");
    same_line_if_fits(ImGui::GetFrameHeight() + em(0.5f) + ImGui::CalcTextSize(tr("Tokens")).x);
    ImGui::Checkbox(tr("Tokens"), &settings_.token_colors);
    mark("tokens");
    if (ImGui::IsItemHovered())
        ImGui::SetTooltip("%s", tr("Answers as tokens, redder where the model was less sure"));
    same_line_if_fits(button_width(tr("Export")));
    if (ImGui::Button(tr("Export"))) ImGui::OpenPopup("export");
    mark("export");
    if (ImGui::BeginPopup("export")) {
        const std::string name = conversation_.id;
        if (ImGui::MenuItem("Markdown")) route({SaveFile{name + ".md", conversation_.to_markdown()}});
        mark("export markdown");
        if (ImGui::MenuItem("JSON")) route({SaveFile{name + ".json", conversation_.to_json()}});
        mark("export json");
        ImGui::EndPopup();
    }
    ImGui::Separator();
    if (show_list_) return conversation_list();

    const float size = ImGui::GetFontSize();
    const float lines = std::clamp(float(1 + std::count(input_.begin(), input_.end(), '\n')), 2.0f, 8.0f);
    const float below = lines * size * 1.2f + size * 4.8f;
    ImGui::BeginChild("messages", {0, -below}, ImGuiChildFlags_None);
    const auto path = conversation_.path();
    if (const float width = ImGui::GetContentRegionAvail().x; width != chat_width_) {
        chat_width_ = width;
        for (auto& [index, drawn] : drawn_) drawn.height = 0;
    }
    if (path.empty()) {
        ImGui::Dummy({0, size});
        ImGui::PushTextWrapPos();
        ImGui::TextDisabled("%s", tr("Ask something. The model's attention, its cache and its probabilities "
                                     "appear beside the text while it answers."));
        ImGui::PopTextWrapPos();
    }
    for (const uint32_t at : path) {
        // A message out of sight is its height.
        Drawn& drawn = drawn_[at];
        const ImVec2 start = ImGui::GetCursorScreenPos();
        const bool known = drawn.height > 0 && at != answering_ && editing_ != at;
        if (known && !ImGui::IsRectVisible(start, {start.x + 1, start.y + drawn.height})) {
            ImGui::Dummy({0, drawn.height - ImGui::GetStyle().ItemSpacing.y});
            continue;
        }
        const size_t n = conversation_.messages().size();
        message(at);
        drawn_[at].height = ImGui::GetCursorScreenPos().y - start.y;
        if (conversation_.messages().size() != n || conversation_.path() != path)
            break; // it asked for something
    }
    // It follows the text until the reader scrolls away, and again when the reader comes back to the end.
    const bool scrolled = ImGui::GetIO().MouseWheel != 0 && ImGui::IsWindowHovered();
    if (scrolled && ImGui::GetIO().MouseWheel > 0) follow_ = false;
    if (ImGui::GetScrollY() >= ImGui::GetScrollMaxY() - size && !scrolled && snapshot_.generating == false)
        follow_ = true;
    if (scrolled && ImGui::GetIO().MouseWheel < 0 && ImGui::GetScrollY() >= ImGui::GetScrollMaxY() - 3 * size)
        follow_ = true;
    if (follow_) ImGui::SetScrollY(ImGui::GetScrollMaxY());
    ImGui::EndChild();
    if (!follow_ && snapshot_.generating) {
        if (ImGui::SmallButton(tr("Go to the end"))) follow_ = true;
        mark("go to the end");
    } else if (snapshot_.prompt) {
        ImGui::TextDisabled(tr("reading: %u of %u tokens"), snapshot_.prompt->done, snapshot_.prompt->total);
    } else
        context_meter();
    ImGui::SetCursorPosY(ImGui::GetWindowHeight() - lines * size * 1.2f - size * 2.1f);
    input_box();
}

} // namespace kvasir::ui
