#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvasir::ui {

/// A text in Markdown (CommonMark with tables and strikethrough, as md4c reads it), ready to be drawn.
class Markdown {
  public:
    struct Run { ///< text of one look
        std::string text;
        bool strong = false, emphasis = false, code = false, struck = false, line_break = false;
        std::string link;
    };
    struct Block {
        enum class Kind : uint8_t { paragraph, heading, code, rule, row } kind = Kind::paragraph;
        int level = 0;  ///< of a heading
        int indent = 0; ///< lists and quotes it stands in
        bool quote = false;
        std::string marker; ///< of a list item: "-", "3."
        std::string language;
        std::vector<Run> runs;               ///< a code block has one
        std::vector<std::vector<Run>> cells; ///< of a table's row
        bool header = false;
        size_t offset = 0; ///< of its marker or text in plain()
    };

    Markdown() = default;
    explicit Markdown(const std::string& text);

    const std::vector<Block>& blocks() const { return blocks_; }

    /// What can be selected and copied: the text without its marks.
    const std::string& plain() const { return plain_; }

  private:
    std::vector<Block> blocks_;
    std::string plain_;
};

/// A selection within one drawn text: byte offsets of Markdown::plain().
struct Selection {
    size_t begin = 0, end = 0;
    bool dragging = false;
    float height = 0; ///< that the text took when it was drawn last
    size_t low() const { return begin < end ? begin : end; }
    size_t high() const { return begin < end ? end : begin; }
};

/// Draws it `width` wide at the cursor, with copy buttons on code blocks, selectable with the mouse. id:
/// names it.
void draw_markdown(const Markdown& text, float width, const char* id, Selection& selection);

} // namespace kvasir::ui
