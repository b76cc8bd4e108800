#include "runtime/text/jinja/text.hpp"

#include "runtime/text/utf8.hpp"

#include <algorithm>
#include <cassert>

namespace kvasir::jinja {

namespace {

/// Python's white space: bidirectional type WS, B or S, or category Zs (Unicode Character Database).
bool is_space(char32_t c) {
    if (c < 0x80) return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool holds(std::string_view set, std::string_view character) {
    for (std::size_t at = 0; at < set.size();) {
        const std::size_t size = character_size(set.substr(at));
        if (set.substr(at, size) == character) return true;
        at += size;
    }
    return false;
}

/// Where the last character before `end` begins.
std::size_t previous(std::string_view text, std::size_t end) {
    for (std::size_t size = std::min<std::size_t>(end, 4); size > 1; --size)
        if (character_size(text.substr(end - size)) == size) return end - size;
    return end - 1;
}

} // namespace

Text::Text(std::string bytes, int origin) : bytes_(std::move(bytes)) {
    mark(0, bytes_.size(), origin);
}

void Text::mark(std::size_t begin, std::size_t end, int origin) {
    if (origin == 0 || begin == end) return;
    if (!spans_.empty() && spans_.back().end == begin && spans_.back().origin == origin)
        spans_.back().end = end;
    else
        spans_.push_back({begin, end, origin});
}

int Text::origin_at(std::size_t at) const {
    const auto it = std::upper_bound(spans_.begin(), spans_.end(), at,
                                     [](std::size_t a, const Span& s) { return a < s.end; });
    return it != spans_.end() && it->begin <= at ? it->origin : 0;
}

void Text::append(std::string_view bytes, int origin) {
    mark(bytes_.size(), bytes_.size() + bytes.size(), origin);
    bytes_ += bytes;
}

void Text::append(const Text& text, std::size_t begin, std::size_t end) {
    assert(begin <= end && end <= text.size() && &text != this);
    auto it = std::upper_bound(text.spans_.begin(), text.spans_.end(), begin,
                               [](std::size_t a, const Span& s) { return a < s.end; });
    for (; it != text.spans_.end() && it->begin < end; ++it)
        mark(bytes_.size() + std::max(it->begin, begin) - begin,
             bytes_.size() + std::min(it->end, end) - begin, it->origin);
    bytes_.append(text.bytes_, begin, end - begin);
}

void Text::rewrite(std::string to) {
    assert(to.size() == bytes_.size());
    bytes_ = std::move(to);
}

std::size_t character_size(std::string_view text) {
    if (static_cast<unsigned char>(text[0]) < 0x80) return 1;
    const Utf8Unit unit = next_unit(text.substr(0, 4));
    return unit.kind == Utf8Unit::Kind::character ? unit.size : 1;
}

std::size_t count_characters(std::string_view text) {
    std::size_t n = 0;
    for (std::size_t at = 0; at < text.size(); ++n) at += character_size(text.substr(at));
    return n;
}

bool is_space(std::string_view text, std::size_t& size) {
    size = character_size(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (size == 1) return first < 0x80 && is_space(char32_t{first});
    return is_space(code_point(text.substr(0, size)));
}

Range strip(std::string_view text, bool left, bool right, const std::string* set) {
    Range range = {0, text.size()};
    const auto goes = [&](std::size_t at, std::size_t& size) {
        if (!set) return is_space(text.substr(at), size);
        size = character_size(text.substr(at));
        return holds(*set, text.substr(at, size));
    };
    std::size_t size = 0;
    while (left && range.begin < range.end && goes(range.begin, size)) range.begin += size;
    while (right && range.begin < range.end) {
        const std::size_t at = previous(text.substr(0, range.end), range.end);
        if (at < range.begin || !goes(at, size)) break;
        range.end = at;
    }
    return range;
}

Search::Search(std::string_view needle) : needle_(needle), borders_(needle.size() + 1) {
    for (std::size_t i = 1, border = 0; i < needle.size(); ++i) {
        while (border > 0 && needle[i] != needle[border]) border = borders_[border];
        if (needle[i] == needle[border]) ++border;
        borders_[i + 1] = border;
    }
}

std::size_t Search::find(std::string_view text, std::size_t from) const {
    if (from > text.size()) return std::string_view::npos;
    if (needle_.empty()) return from;
    for (std::size_t at = from, matched = 0; at < text.size(); ++at) {
        while (matched > 0 && text[at] != needle_[matched]) matched = borders_[matched];
        if (text[at] == needle_[matched] && ++matched == needle_.size()) return at + 1 - needle_.size();
    }
    return std::string_view::npos;
}

bool is_ascii_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string to_upper(std::string text) {
    for (char& c : text)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return text;
}

std::string to_lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

} // namespace kvasir::jinja
