#include "ui/colors.hpp"
#include "ui/draw.hpp"
#include "ui/fonts.hpp"
#include "ui/markdown.hpp"
#include "ui/marks.hpp"
#include "ui/words.hpp"

#include <imgui.h>

#include <algorithm>
#include <cfloat>
#include <string_view>

namespace kvasir::ui {
namespace {

using Block = Markdown::Block;
using Run = Markdown::Run;

size_t character_bytes(const char* at, const char* end) {
    const auto lead = static_cast<unsigned char>(*at);
    const size_t n = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return std::min(n, static_cast<size_t>(end - at));
}

/// Lays runs out in lines and draws them; follows the selection.
class Painter {
  public:
    Painter(float width, const Selection& selection)
        : origin_(ImGui::GetCursorScreenPos()), pen_(origin_), width_(width), selection_(selection),
          draw_(ImGui::GetWindowDrawList()) {}

    void block(const Block& block);
    float height() const { return pen_.y - origin_.y; }
    /// The offset nearest to the mouse on the line that it is level with, or else where the text above it
    /// ends.
    size_t hit() const { return hit_; }

  private:
    void runs(const std::vector<Run>& runs, float left, float right, float size, bool strong);
    void code(const Block& block, float left);
    void row(const Block& block, float left);
    void word(std::string_view text, const Run& look, ImFont* font, float size, bool strong);
    void new_line(float left) {
        pen_.x = left;
        pen_.y += line_;
    }
    /// Width of the text in runs [next, last) that no line may end before, where `run` ends.
    static float rest_of_word(const Run& run, const Run* next, const Run* last, float size);
    static ImFont* font_of(bool code) {
        ImFont* font = code ? fonts().mono : fonts().text;
        return font ? font : ImGui::GetFont();
    }

    ImVec2 origin_, pen_;
    float width_, line_ = 0;
    const Selection& selection_;
    ImDrawList* draw_;
    size_t offset_ = 0; ///< in the plain text
    size_t hit_ = 0;
    bool level_ = false; ///< the mouse is level with a line
};

void Painter::word(std::string_view text, const Run& look, ImFont* font, float size, bool strong) {
    const char *begin = text.data(), *end = begin + text.size();
    auto width_of = [&](const char* to) { return font->CalcTextSizeA(size, FLT_MAX, 0, begin, to).x; };
    const float advance = width_of(end);
    const ImVec2 low = pen_, high{pen_.x + advance, pen_.y + line_}, mouse = ImGui::GetMousePos();
    const size_t from = offset_, to = offset_ + text.size();
    if (mouse.y >= high.y && !level_) hit_ = to;
    if (mouse.y >= low.y && mouse.y < high.y && (mouse.x >= low.x || !level_)) {
        level_ = true;
        const char* at = begin;
        while (at < end) {
            const char* next = at + character_bytes(at, end);
            if (mouse.x < low.x + (width_of(at) + width_of(next)) / 2) break;
            at = next;
        }
        hit_ = from + static_cast<size_t>(at - begin);
    }
    if (selection_.low() < to && selection_.high() > from) {
        const size_t a = std::max(from, selection_.low()) - from, b = std::min(to, selection_.high()) - from;
        draw_->AddRectFilled({low.x + width_of(begin + a), low.y}, {low.x + width_of(begin + b), high.y},
                             ImGui::GetColorU32(ImGuiCol_TextSelectedBg));
    }
    const ImVec2 at{low.x, low.y + (line_ - size) / 2};
    if (look.code)
        draw_->AddRectFilled({low.x, at.y - 1}, {high.x, at.y + size + 1},
                             ImGui::GetColorU32(ImGuiCol_FrameBg), 2);
    const ImU32 color =
        look.link.empty() ? ImGui::GetColorU32(ImGuiCol_Text) : ImGui::GetColorU32(theme().accent);
    draw_->AddText(font, size, at, color, begin, end);
    // One weight and one slant are loaded: strong is drawn twice, emphasis has a fine line.
    if (look.strong || strong) draw_->AddText(font, size, {at.x + size * 0.035f, at.y}, color, begin, end);
    if (look.emphasis || !look.link.empty())
        draw_->AddLine({low.x, at.y + size + 1}, {high.x, at.y + size + 1},
                       ImGui::GetColorU32(theme().muted));
    if (look.struck) draw_->AddLine({low.x, at.y + size / 2}, {high.x, at.y + size / 2}, color);
    pen_.x += advance;
    offset_ = to;
}

/// Where the first piece of a text that is not empty ends: a line may end there.
size_t piece_bytes(std::string_view text) {
    size_t n = 0;
    do n += character_bytes(text.data() + n, text.data() + text.size());
    while (n < text.size() && !may_break(text.substr(0, n), text.substr(n)));
    return n;
}

float Painter::rest_of_word(const Run& run, const Run* next, const Run* last, float size) {
    if (next == last || next->line_break || may_break(run.text, next->text)) return 0;
    const char* text = next->text.data();
    return font_of(next->code)->CalcTextSizeA(size, FLT_MAX, 0, text, text + piece_bytes(next->text)).x;
}

void Painter::runs(const std::vector<Run>& runs, float left, float right, float size, bool strong) {
    line_ = size * 1.4f;
    pen_.x = left;
    for (const Run& run : runs) {
        if (run.line_break) {
            ++offset_;
            new_line(left);
            continue;
        }
        ImFont* font = font_of(run.code);
        const char *at = run.text.data(), *end = at + run.text.size();
        while (at < end) {
            auto fits = [&](const char* to, float from) {
                return from + font->CalcTextSizeA(size, FLT_MAX, 0, at, to).x <= right;
            };
            const char* stop = at + piece_bytes({at, static_cast<size_t>(end - at)});
            const float rest = stop < end ? 0 : rest_of_word(run, &run + 1, runs.data() + runs.size(), size);
            if (!fits(stop, pen_.x + rest) && pen_.x > left) new_line(left);
            if (!fits(stop, left)) { // a word longer than a line is cut
                const char* fitting = at + character_bytes(at, end);
                while (fitting < stop && fits(fitting + character_bytes(fitting, end), left))
                    fitting += character_bytes(fitting, end);
                stop = fitting;
            }
            word({at, static_cast<size_t>(stop - at)}, run, font, size, strong);
            at = stop;
        }
    }
    new_line(left);
}

void Painter::code(const Block& block, float left) {
    const float size = ImGui::GetFontSize(), pad = size * 0.5f;
    const std::string text = block.runs.empty() ? "" : [&] {
        std::string all;
        for (const Run& run : block.runs) all += run.line_break ? "\n" : run.text;
        return all;
    }();
    std::string_view shown = text;
    while (shown.ends_with('\n')) shown.remove_suffix(1);
    const auto n_lines = 1 + std::count(shown.begin(), shown.end(), '\n');
    const ImVec2 low{left, pen_.y},
        high{origin_.x + width_, pen_.y + float(n_lines) * size * 1.25f + 2 * pad + size * 1.3f};
    draw_->AddRectFilled(low, high, ImGui::GetColorU32(ImGuiCol_FrameBg), 4);
    draw_->AddText({low.x + pad, low.y + pad * 0.6f}, ImGui::GetColorU32(theme().muted),
                   block.language.c_str());
    ImGui::SetCursorScreenPos({high.x - ImGui::CalcTextSize(tr("Copy")).x - 3 * pad, low.y + 1});
    ImGui::PushID(static_cast<int>(offset_));
    if (ImGui::SmallButton(tr("Copy"))) ImGui::SetClipboardText(text.c_str());
    mark("copy code");
    ImGui::PopID();
    const size_t end = offset_ + text.size();
    pen_ = {low.x + pad, low.y + pad + size * 1.3f};
    line_ = size * 1.25f;
    draw_->PushClipRect(low, high, true);
    while (!shown.empty()) {
        const size_t stop = std::min(shown.find('\n'), shown.size());
        word(shown.substr(0, stop), {}, font_of(true), size, false);
        shown.remove_prefix(std::min(stop + 1, shown.size()));
        ++offset_;
        new_line(low.x + pad);
    }
    draw_->PopClipRect();
    offset_ = end;
    pen_ = {left, high.y + size * 0.4f};
}

void Painter::row(const Block& block, float left) {
    const float top = pen_.y,
                each = (origin_.x + width_ - left) / float(std::max<size_t>(block.cells.size(), 1));
    float bottom = top;
    for (size_t i = 0; i < block.cells.size(); ++i) {
        pen_.y = top;
        const float x = left + each * float(i);
        runs(block.cells[i], x, x + each - ImGui::GetFontSize() * 0.5f, ImGui::GetFontSize(), block.header);
        bottom = std::max(bottom, pen_.y);
        ++offset_; // the tab between
    }
    pen_ = {left, bottom};
    draw_->AddLine({left, bottom}, {origin_.x + width_, bottom}, ImGui::GetColorU32(ImGuiCol_Border));
}

void Painter::block(const Block& block) {
    offset_ = block.offset;
    const float size = ImGui::GetFontSize(), left = origin_.x + float(block.indent) * size * 1.4f,
                top = pen_.y;
    if (!block.marker.empty()) {
        const float width = ImGui::CalcTextSize(block.marker.c_str()).x;
        draw_->AddText({left - width - size * 0.4f, pen_.y + size * 0.2f}, ImGui::GetColorU32(theme().muted),
                       block.marker.c_str());
        offset_ += block.marker.size() + 1;
    }
    switch (block.kind) {
    case Block::Kind::paragraph: runs(block.runs, left, origin_.x + width_, size, false); break;
    case Block::Kind::heading:
        pen_.y += size * 0.3f;
        runs(block.runs, left, origin_.x + width_,
             size * (block.level == 1   ? 1.35f
                     : block.level == 2 ? 1.2f
                                        : 1.08f),
             true);
        break;
    case Block::Kind::code: code(block, left); break;
    case Block::Kind::row: row(block, left); break;
    case Block::Kind::rule:
        pen_.y += size * 0.5f;
        draw_->AddLine({left, pen_.y}, {origin_.x + width_, pen_.y}, ImGui::GetColorU32(ImGuiCol_Border));
        pen_.y += size * 0.5f;
        break;
    }
    if (block.kind != Block::Kind::row && block.marker.empty()) pen_.y += size * 0.35f;
    if (block.quote)
        draw_->AddRectFilled({left - size * 0.7f, top}, {left - size * 0.55f, pen_.y},
                             ImGui::GetColorU32(theme().muted));
}

std::string selected(const Markdown& text, const Selection& selection) {
    const size_t low = std::min(selection.low(), text.plain().size());
    return text.plain().substr(low, selection.high() - low);
}

} // namespace

void draw_markdown(const Markdown& text, float width, const char* id, Selection& selection) {
    ImGui::PushID(id);
    const ImVec2 start = ImGui::GetCursorScreenPos();
    ImGui::SetNextItemAllowOverlap(); // by the buttons of code blocks
    ImGui::InvisibleButton("text", {width, std::max(selection.height, 1.0f)});
    mark(std::string("text ") + id);
    const bool hovered = ImGui::IsItemHovered(), pressed = ImGui::IsItemActivated();
    if (ImGui::BeginPopupContextItem("text menu")) {
        const bool some = selection.low() < selection.high();
        if (ImGui::MenuItem(tr("Copy"), "Ctrl+C", false, some))
            ImGui::SetClipboardText(selected(text, selection).c_str());
        if (ImGui::MenuItem(tr("Select all"))) selection.begin = 0, selection.end = text.plain().size();
        ImGui::EndPopup();
    }
    ImGui::SetCursorScreenPos(start);
    Painter painter(width, selection);
    for (const Block& block : text.blocks()) painter.block(block);
    selection.height = painter.height();
    ImGui::SetCursorScreenPos({start.x, start.y + selection.height});
    ImGui::Dummy({width, 0});
    if (hovered) ImGui::SetMouseCursor(ImGuiMouseCursor_TextInput);
    if (pressed) selection.begin = painter.hit(), selection.dragging = true;
    if (selection.dragging) selection.end = painter.hit();
    if (!ImGui::IsMouseDown(0)) selection.dragging = false;
    if (selection.low() < selection.high() && ImGui::IsKeyChordPressed(ImGuiMod_Ctrl | ImGuiKey_C))
        ImGui::SetClipboardText(selected(text, selection).c_str());
    ImGui::PopID();
}

} // namespace kvasir::ui
