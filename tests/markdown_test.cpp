#include "tests/ui_harness.hpp"
#include "ui/markdown.hpp"
#include "ui/marks.hpp"

#include <doctest/doctest.h>
#include <imgui.h>

#include <algorithm>

// Markdown as it is read, drawn and selected.

namespace kvasir::ui {
namespace {

using Kind = Markdown::Block::Kind;

std::string text_of(const Markdown::Block& block) {
    std::string text;
    for (const auto& run : block.runs) text += run.line_break ? "|" : run.text;
    return text;
}

/// "p:text" of each block, with its indent, marker and look.
std::vector<std::string> blocks_of(const std::string& text) {
    std::vector<std::string> found;
    const Markdown markdown(text);
    for (const auto& block : markdown.blocks()) {
        std::string one(size_t(block.indent), ' ');
        one += block.quote ? ">" : "";
        one += block.marker.empty() ? "" : block.marker + " ";
        if (block.kind == Kind::heading) one += "h" + std::to_string(block.level) + ":";
        if (block.kind == Kind::code) one += "code(" + block.language + "):";
        if (block.kind == Kind::rule) one += "rule";
        for (const auto& cell : block.cells) {
            one += block.header ? "[H " : "[";
            for (const auto& run : cell) one += run.text;
            one += "]";
        }
        found.push_back(one + text_of(block));
    }
    return found;
}

using Blocks = std::vector<std::string>;

const char* long_text = R"(# Title with `code` and *emphasis*

A paragraph with **strong**, ~~struck~~ text, a [link](https://example.org/a?b=1&c=2), an
autolink https://example.org and &lt;entities&gt; &amp; <b>HTML</b>.  
After a hard break: 你好，世界。这是一段没有空格的文字，需要在任何字之间换行。 ∑ 𝔸 é 👩‍👩‍👧

- one
- two with `code`
  1. inner
  2.
     ```python
     def f(x):

         return "你"
     ```
  3. - deeper
- 
- [ ] after an empty one

> quoted
> - list in a quote
>
> > twice

| a | b *c* |
|---|:-:|
| 1 | `x` |
| 你好 |

***

    indented code

```
unclosed fence with <b> and **no strong**
a	tab)";

} // namespace

TEST_CASE("markdown: blocks, lists, quotes and rules") {
    CHECK(blocks_of("").empty());
    CHECK(blocks_of("# a\n\nb\nc  \nd\n\n---\n\n###### e") == Blocks{"h1:a", "b|c|d", "rule", "h6:e"});
    CHECK(blocks_of("- a\n- b\n  - c\n\n1. x\n2. y\n") ==
          Blocks{" \u2022 a", " \u2022 b", "  \u2022 c", " 1. x", " 2. y"});
    CHECK(blocks_of("7. x\n8. y") == Blocks{" 7. x", " 8. y"});
    CHECK(blocks_of("> a\n\nb") == Blocks{" >a", "b"});
    // An item without text keeps its own marker, and gives it to nobody else.
    CHECK(blocks_of("- a\n-\n\nafter") == Blocks{" \u2022 a", " \u2022 ", "after"});
    CHECK(blocks_of("- - a") == Blocks{" \u2022 ", "  \u2022 a"});
}

TEST_CASE("markdown: tables and code") {
    CHECK(blocks_of("| a | b |\n|---|---|\n| 1 | *2* |") == Blocks{"[H a][H b]", "[1][2]"});
    CHECK(blocks_of("```c++ x\nint a;\n\n  b;\n```\nafter") == Blocks{"code(c++):int a;\n\n  b;\n", "after"});
    CHECK(blocks_of("    four\n") == Blocks{"code():four\n"});
    CHECK(blocks_of("```\n```\nafter") == Blocks{"code():", "after"});
    // While it is streamed, a fence is open: what is there is code.
    CHECK(blocks_of("a\n```py\nx = 1\n# no heading") == Blocks{"a", "code(py):x = 1\n# no heading\n"});
}

TEST_CASE("markdown: looks, links, entities and HTML") {
    const Markdown m("**s** *e* `c` ~~d~~ [l](http://x/?a=1&b=2) **_both_**");
    REQUIRE(m.blocks().size() == 1);
    auto find = [&](const std::string& text) {
        const auto& runs = m.blocks()[0].runs;
        const auto found =
            std::find_if(runs.begin(), runs.end(), [&](const auto& r) { return r.text == text; });
        REQUIRE(found != runs.end());
        return *found;
    };
    CHECK(find("s").strong);
    CHECK(!find("s").emphasis);
    CHECK(find("e").emphasis);
    CHECK(find("c").code);
    CHECK(find("d").struck);
    CHECK(find("l").link == "http://x/?a=1&b=2");
    CHECK(find("both").strong);
    CHECK(find("both").emphasis);
    CHECK(Markdown("a <b onclick='x'>c</b> <!-- d -->").plain() == "a <b onclick='x'>c</b> <!-- d -->\n");
    CHECK(Markdown("<script>\nx\n</script>").plain() == "<script>\nx\n</script>\n");
    CHECK(Markdown("&lt;&amp;&gt;&quot; &unknown;").plain() == "<&>\" &unknown;\n");
    CHECK(Markdown("a\nb  \nc").plain() == "a\nb\nc\n");
    CHECK(Markdown(std::string("a\0b", 3)).plain() == "a\xef\xbf\xbd"
                                                      "b\n");
}

TEST_CASE("markdown: every beginning of a text is read and drawn") {
    HeadlessUi ui(500, 600);
    const std::string text = long_text;
    for (size_t n = 0; n <= text.size(); ++n) {
        const Markdown m(text.substr(0, n));
        Selection selection{0, m.plain().size(), false, 0};
        ui.frame([&] { draw_markdown(m, 480, "a", selection); });
        ui.frame([&] { draw_markdown(m, 40, "a", selection); });
        for (const auto& block : m.blocks()) CHECK(block.offset <= m.plain().size());
    }
}

TEST_CASE("markdown: everything that is selected is what plain() has") {
    HeadlessUi ui(700, 1600);
    const Markdown m(long_text);
    Selection selection;
    const auto draw = [&] { draw_markdown(m, 680, "a", selection); };
    ui.frame(draw), ui.frame(draw);
    const auto place = find_mark("text a");
    REQUIRE(place);
    ui.drag(place->x + 1, place->y + 8, place->z - 1, place->w - 12, draw);
    ImGui::SetClipboardText("");
    ui.press(ImGuiMod_Ctrl | ImGuiKey_C, draw);
    const std::string copied = ImGui::GetClipboardText();
    CAPTURE(copied);
    CHECK(copied.starts_with("Title with code"));
    CHECK(copied.find(
              "\u2022 two with code\n1. inner\n2. def f(x):\n\n    return \"你\"\n3. \n\u2022 deeper\n") !=
          std::string::npos);
    CHECK(copied.find("a\tb c\t\n1\tx\t\n你好\t\t\nindented code\n") != std::string::npos);
    CHECK(copied.ends_with("and **no strong**\na\ttab"));
}

TEST_CASE("markdown: what was dragged over is copied, to the character") {
    // The font's widths say where a character stands; everything before it is at the beginning of its line.
    struct Case {
        const char *name, *text, *line, *from, *to; ///< line: as drawn; from, to: beginnings of it
        int row;                                    ///< of the lines, from the top
        const char* copied;
    };
    const Case cases[]{
        {"paragraph", "Hello wide world", "Hello wide world", "He", "Hello wide w", 0, "llo wide w"},
        {"after a break", "first\nsecond line", "second line", "s", "second", 1, "econd"},
        {"Chinese", "你好，世界 abc", "你好，世界 abc", "你", "你好，世", 0, "好，世"},
        {"whole line backwards", "Hello", "Hello", "Hello", "", 0, "Hello"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.name);
        HeadlessUi ui(600, 400);
        const Markdown m(c.text);
        Selection selection;
        float from = 0, to = 0, size = 0;
        const auto draw = [&] {
            size = ImGui::GetFontSize();
            from = ImGui::CalcTextSize(c.from).x, to = ImGui::CalcTextSize(c.to).x;
            draw_markdown(m, 580, "a", selection);
        };
        ui.frame(draw), ui.frame(draw);
        const auto place = find_mark("text a");
        REQUIRE(place);
        const float y = place->y + size * 1.4f * (float(c.row) + 0.5f);
        ui.drag(place->x + from, y, place->x + to, y, draw);
        ImGui::SetClipboardText("");
        ui.press(ImGuiMod_Ctrl | ImGuiKey_C, draw);
        CHECK(std::string(ImGui::GetClipboardText()) == c.copied);
    }
}

TEST_CASE("markdown: in lists, code and tables, and after rules, a line that is dragged over is that line") {
    struct Case {
        const char *name, *text;
        std::vector<std::string> lines; ///< that a drag over one line each finds, from the top
    };
    const Case cases[]{
        {"list", "- one\n- two\n\n1. three\n", {"one", "two", "three"}},
        {"empty item", "- one\n-\n- three\n", {"one", "three"}},
        {"code", "before\n\n```py\nx = 1\n\n  y\n```\nafter", {"before", "x = 1", "  y", "after"}},
        {"empty code", "before\n\n```\n```\n\nafter", {"before", "after"}},
        {"rules", "---\n\na\n\n---\n\n---\n\nb", {"a", "b"}},
        {"table", "| ab | cd |\n|---|---|\n| 你 | ef |\n\nafter", {"ab\tcd", "你\tef", "after"}},
        {"heading", "# big\n\n> quoted\n\nsmall", {"big", "quoted", "small"}},
    };
    for (const Case& c : cases) {
        CAPTURE(c.name);
        HeadlessUi ui(600, 500);
        const Markdown m(c.text);
        Selection selection;
        const auto draw = [&] { draw_markdown(m, 580, "a", selection); };
        ui.frame(draw), ui.frame(draw);
        const auto place = find_mark("text a");
        REQUIRE(place);
        std::vector<std::string> lines;
        for (float y = place->y + 1; y < place->w; y += 2) { // every height, as one line may lie anywhere
            selection = {0, 0, false, selection.height};
            ui.drag(place->x + 1, y, place->z - 200, y, draw);
            ImGui::SetClipboardText("");
            ui.press(ImGuiMod_Ctrl | ImGuiKey_C, draw);
            const std::string copied = ImGui::GetClipboardText();
            if (!copied.empty() && (lines.empty() || lines.back() != copied)) lines.push_back(copied);
        }
        CHECK(lines == c.lines);
    }
}

TEST_CASE("markdown: the button of a code block copies its code") {
    HeadlessUi ui(500, 400);
    const Markdown m("a\n\n```py\nx = 1\n\n  y\n```\nb");
    Selection selection;
    const auto draw = [&] { draw_markdown(m, 480, "a", selection); };
    ui.frame(draw);
    ImGui::SetClipboardText("");
    ui.click("copy code", draw);
    CHECK(std::string(ImGui::GetClipboardText()) == "x = 1\n\n  y\n");
}

} // namespace kvasir::ui
