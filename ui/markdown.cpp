#include "ui/markdown.hpp"

#include <md4c.h>

#include <algorithm>

namespace kvasir::ui {
namespace {

using Block = Markdown::Block;
using Run = Markdown::Run;

/// Gathers what md4c finds.
struct Reader {
    struct List {
        bool ordered;
        unsigned next;
    };
    std::vector<Block> blocks;
    std::vector<List> lists;
    int quotes = 0;
    std::string marker; ///< of the item that has no block yet
    Run look;           ///< of the text that comes
    Block* open = nullptr;
    bool in_cell = false;

    Block& start(Block::Kind kind) {
        Block& block = blocks.emplace_back();
        block.kind = kind;
        block.indent = static_cast<int>(lists.size()) + quotes;
        block.quote = quotes > 0;
        block.marker = std::move(marker);
        marker.clear();
        return *(open = &block);
    }
    /// An item that has no text of its own: empty, or only another list.
    void flush_marker() {
        if (!marker.empty()) start(Block::Kind::paragraph);
    }
    void text(const std::string& piece, bool line_break = false) {
        if (!open) start(Block::Kind::paragraph); // a tight list's item has no paragraph
        auto& runs = in_cell && !open->cells.empty() ? open->cells.back() : open->runs;
        Run run = look;
        run.text = piece, run.line_break = line_break;
        const bool same = !runs.empty() && !runs.back().line_break && !line_break &&
                          runs.back().strong == run.strong && runs.back().emphasis == run.emphasis &&
                          runs.back().code == run.code && runs.back().struck == run.struck &&
                          runs.back().link == run.link;
        if (same)
            runs.back().text += piece;
        else
            runs.push_back(std::move(run));
    }

    static int enter_block(MD_BLOCKTYPE type, void* detail, void* self) {
        Reader& r = *static_cast<Reader*>(self);
        switch (type) {
        case MD_BLOCK_QUOTE: ++r.quotes, r.open = nullptr; break;
        case MD_BLOCK_UL: r.flush_marker(), r.lists.push_back({false, 0}), r.open = nullptr; break;
        case MD_BLOCK_OL:
            r.flush_marker();
            r.lists.push_back({true, static_cast<MD_BLOCK_OL_DETAIL*>(detail)->start}), r.open = nullptr;
            break;
        case MD_BLOCK_LI:
            r.marker = r.lists.back().ordered ? std::to_string(r.lists.back().next++) + "." : "\xe2\x80\xa2";
            r.open = nullptr;
            break;
        case MD_BLOCK_HR: r.start(Block::Kind::rule), r.open = nullptr; break;
        case MD_BLOCK_H:
            r.start(Block::Kind::heading).level = int(static_cast<MD_BLOCK_H_DETAIL*>(detail)->level);
            break;
        case MD_BLOCK_CODE: {
            const MD_ATTRIBUTE& language = static_cast<MD_BLOCK_CODE_DETAIL*>(detail)->lang;
            r.start(Block::Kind::code).language.assign(language.text ? language.text : "", language.size);
            break;
        }
        case MD_BLOCK_P: r.start(Block::Kind::paragraph); break;
        case MD_BLOCK_TR: r.start(Block::Kind::row); break;
        case MD_BLOCK_TH: r.open->header = true; [[fallthrough]];
        case MD_BLOCK_TD: r.open->cells.emplace_back(), r.in_cell = true; break;
        default: break;
        }
        return 0;
    }
    static int leave_block(MD_BLOCKTYPE type, void*, void* self) {
        Reader& r = *static_cast<Reader*>(self);
        if (type == MD_BLOCK_LI) r.flush_marker();
        if (type == MD_BLOCK_QUOTE) --r.quotes;
        if (type == MD_BLOCK_UL || type == MD_BLOCK_OL) r.lists.pop_back();
        if (type == MD_BLOCK_TH || type == MD_BLOCK_TD)
            r.in_cell = false;
        else
            r.open = nullptr;
        return 0;
    }
    static int span(MD_SPANTYPE type, void* detail, Reader& r, bool on) {
        if (type == MD_SPAN_STRONG) r.look.strong = on;
        if (type == MD_SPAN_EM) r.look.emphasis = on;
        if (type == MD_SPAN_CODE) r.look.code = on;
        if (type == MD_SPAN_DEL) r.look.struck = on;
        if (type == MD_SPAN_A) {
            const MD_ATTRIBUTE& target = static_cast<MD_SPAN_A_DETAIL*>(detail)->href;
            r.look.link = on ? std::string(target.text, target.size) : "";
        }
        return 0;
    }
    static int enter_span(MD_SPANTYPE type, void* detail, void* self) {
        return span(type, detail, *static_cast<Reader*>(self), true);
    }
    static int leave_span(MD_SPANTYPE type, void* detail, void* self) {
        return span(type, detail, *static_cast<Reader*>(self), false);
    }
    static int add_text(MD_TEXTTYPE type, const MD_CHAR* text, MD_SIZE size, void* self) {
        Reader& r = *static_cast<Reader*>(self);
        const bool in_code = r.open && r.open->kind == Block::Kind::code;
        if (type == MD_TEXT_BR)
            r.text("", true);
        else if (type == MD_TEXT_SOFTBR) // people and models mean the line ends they write
            r.text("", true);
        else if (type == MD_TEXT_NULLCHAR)
            r.text("\xef\xbf\xbd");
        else if (type == MD_TEXT_ENTITY && !in_code)
            r.text(entity({text, size}));
        else
            r.text({text, size});
        return 0;
    }
    static std::string entity(const std::string& name) {
        constexpr std::pair<const char*, const char*> known[]{
            {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&nbsp;", "\xc2\xa0"}};
        for (const auto& [written, meant] : known)
            if (name == written) return meant;
        return name;
    }
};

} // namespace

Markdown::Markdown(const std::string& text) {
    MD_PARSER parser{};
    // HTML is text: a model's answer is shown, never run.
    parser.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_NOHTML | MD_FLAG_PERMISSIVEURLAUTOLINKS;
    parser.enter_block = Reader::enter_block, parser.leave_block = Reader::leave_block;
    parser.enter_span = Reader::enter_span, parser.leave_span = Reader::leave_span;
    parser.text = Reader::add_text;
    Reader reader;
    md_parse(text.data(), static_cast<MD_SIZE>(text.size()), &parser, &reader);
    blocks_ = std::move(reader.blocks);
    auto add_runs = [this](const std::vector<Run>& runs) {
        for (const Run& run : runs) plain_ += run.line_break ? "\n" : run.text;
    };
    for (Block& block : blocks_) {
        block.offset = plain_.size();
        if (!block.marker.empty()) plain_ += block.marker + " ";
        add_runs(block.runs);
        for (const auto& cell : block.cells) {
            add_runs(cell);
            plain_ += "\t";
        }
        if (!plain_.empty() && plain_.back() != '\n') plain_ += "\n";
    }
}

} // namespace kvasir::ui
