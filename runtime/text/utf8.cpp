#include "runtime/text/utf8.hpp"

#include <cassert>
#include <cstdint>
#include <cstring>

namespace kvasir {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD"; // U+FFFD

/// The row of table 3-7 that a first byte selects: how long the character is, and what its second byte may
/// be.
struct Row {
    std::size_t size;
    unsigned char second_min, second_max;
};

Row row_of(unsigned char first) {
    if (first < 0x80) return {1, 0, 0};
    if (first < 0xC2)
        return {0, 0, 0}; // continuation bytes, and C0 and C1, which only overlong forms would use
    if (first < 0xE0) return {2, 0x80, 0xBF};
    if (first == 0xE0) return {3, 0xA0, 0xBF}; // below A0: overlong
    if (first == 0xED) return {3, 0x80, 0x9F}; // above 9F: surrogates
    if (first < 0xF0) return {3, 0x80, 0xBF};
    if (first == 0xF0) return {4, 0x90, 0xBF}; // below 90: overlong
    if (first < 0xF4) return {4, 0x80, 0xBF};
    if (first == 0xF4) return {4, 0x80, 0x8F}; // above 8F: beyond U+10FFFF
    return {0, 0, 0};
}

} // namespace

Utf8Unit next_unit(std::string_view bytes) {
    assert(!bytes.empty());
    const Row row = row_of(static_cast<unsigned char>(bytes[0]));
    if (row.size == 0) return {Utf8Unit::Kind::invalid, 1};
    for (std::size_t i = 1; i < row.size; ++i) {
        if (i == bytes.size()) return {Utf8Unit::Kind::unfinished, i};
        const auto byte = static_cast<unsigned char>(bytes[i]);
        const unsigned char low = i == 1 ? row.second_min : 0x80;
        const unsigned char high = i == 1 ? row.second_max : 0xBF;
        if (byte < low || byte > high) return {Utf8Unit::Kind::invalid, i};
    }
    return {Utf8Unit::Kind::character, row.size};
}

std::size_t valid_prefix(std::string_view bytes) {
    std::size_t at = 0;
    while (at < bytes.size()) {
        if (bytes.size() - at >= 8) { // eight ASCII bytes at a time: most text is mostly that
            uint64_t word;
            std::memcpy(&word, bytes.data() + at, 8);
            if ((word & 0x8080808080808080ull) == 0) {
                at += 8;
                continue;
            }
        }
        const Utf8Unit unit = next_unit(bytes.substr(at, 4));
        if (unit.kind != Utf8Unit::Kind::character) break;
        at += unit.size;
    }
    return at;
}

std::string utf8(char32_t c) {
    assert(c < 0x110000);
    const auto byte = [](char32_t bits) { return static_cast<char>(static_cast<unsigned char>(bits)); };
    const auto tail = [&](int shift) { return byte(0x80 | ((c >> shift) & 0x3F)); };
    if (c < 0x80) return {byte(c)};
    if (c < 0x800) return {byte(0xC0 | (c >> 6)), tail(0)};
    if (c < 0x10000) return {byte(0xE0 | (c >> 12)), tail(6), tail(0)};
    return {byte(0xF0 | (c >> 18)), tail(12), tail(6), tail(0)};
}

char32_t code_point(std::string_view character) {
    const auto first = static_cast<unsigned char>(character[0]);
    if (character.size() == 1) return first;
    char32_t c = first & (0x7F >> character.size());
    for (std::size_t i = 1; i < character.size(); ++i)
        c = c << 6 | (static_cast<unsigned char>(character[i]) & 0x3F);
    return c;
}

std::string Utf8Stream::push(std::string_view bytes) {
    pending_.append(bytes);
    std::string text;
    std::size_t at = 0;
    while (at < pending_.size()) {
        const std::string_view rest = std::string_view(pending_).substr(at);
        if (const std::size_t whole = valid_prefix(rest); whole > 0) {
            text.append(rest.substr(0, whole));
            at += whole;
            continue;
        }
        const Utf8Unit unit = next_unit(rest);
        if (unit.kind == Utf8Unit::Kind::unfinished) break;
        text.append(replacement);
        at += unit.size;
    }
    pending_.erase(0, at);
    return text;
}

std::string Utf8Stream::finish() {
    const bool unfinished = !pending_.empty();
    pending_.clear();
    return unfinished ? std::string(replacement) : std::string();
}

} // namespace kvasir
