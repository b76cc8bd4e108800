#include "runtime/text/utf8.hpp"

#include <doctest/doctest.h>

#include <vector>

using kvasir::Utf8Stream;

namespace {

const std::string mark = "\xEF\xBF\xBD"; // U+FFFD

std::string marks(int n) {
    std::string text;
    for (int i = 0; i < n; ++i) text += mark;
    return text;
}

std::string streamed(const std::vector<std::string>& parts) {
    Utf8Stream stream;
    std::string text;
    for (const std::string& part : parts) text += stream.push(part);
    return text + stream.finish();
}

struct Case {
    std::string bytes, text;
};

// Expected values: The Unicode Standard 15.0, section 3.9, tables 3-8 to 3-11 (its own examples of
// substitution of maximal subparts), then cases at the bounds of table 3-7.
const std::vector<Case> cases = {
    {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", marks(8) + "A"},                  // 3-8: non-shortest forms
    {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", marks(8) + "A"},                  // 3-9: surrogates
    {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", marks(5) + "A" + marks(2) + "B"}, // 3-10: other ill-formed
    {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", marks(4) + "A"},                  // 3-11: truncated
    {"", ""},
    {std::string("\0a\0", 3), std::string("\0a\0", 3)},
    {"\x7F\xC2\x80\xDF\xBF", "\x7F\xC2\x80\xDF\xBF"},
    {"\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF", "\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"},
    {"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"},
    {"\xF4\x90\x80\x80", marks(4)}, // U+110000
    {"\xF5\x80\x80\x80", marks(4)},
    {"\xC1\xBF", marks(2)},
    {"\xF0\x9F\xA6", mark}, // the end of a text cuts a character: one subpart
    {"\xF0\x9F\xA6\xF0\x9F\xA6\x99", mark + "\xF0\x9F\xA6\x99"},
    {"na\xC3\xAFve \xE2\x82\xAC \xF0\x9F\xA6\x99.", "na\xC3\xAFve \xE2\x82\xAC \xF0\x9F\xA6\x99."},
};

} // namespace

TEST_CASE("a stream of bytes becomes the same whole UTF-8 however it is cut") {
    for (const Case& c : cases) {
        CAPTURE(c.bytes);
        CHECK(streamed({c.bytes}) == c.text);
        for (std::size_t i = 0; i <= c.bytes.size(); ++i)
            for (std::size_t j = i; j <= c.bytes.size(); ++j)
                CHECK(streamed({c.bytes.substr(0, i), c.bytes.substr(i, j - i), c.bytes.substr(j)}) ==
                      c.text);
        std::vector<std::string> single;
        for (const char byte : c.bytes) single.emplace_back(1, byte);
        CHECK(streamed(single) == c.text);
    }
}

TEST_CASE("what a stream has given so far is whole characters") {
    const std::string text = "\xF0\x9F\xA6\x99\xE2\x82\xAC\xC3\xAF";
    Utf8Stream stream;
    std::string so_far;
    for (const char byte : text) {
        so_far += stream.push(std::string_view(&byte, 1));
        CHECK(kvasir::valid_prefix(so_far) == so_far.size());
    }
    CHECK(so_far == text);
    CHECK(stream.finish() == "");
}

TEST_CASE("a finished stream begins anew") {
    Utf8Stream stream;
    CHECK(stream.push("\xE2\x82") == "");
    CHECK(stream.finish() == mark);
    CHECK(stream.push("\xAC") == mark); // no longer the end of U+20AC
    CHECK(stream.finish() == "");
}

TEST_CASE("every code point is written and read back") {
    for (char32_t c = 0; c < 0x110000; ++c) {
        if (c >= 0xD800 && c < 0xE000) continue;
        const std::string bytes = kvasir::utf8(c);
        const kvasir::Utf8Unit unit = kvasir::next_unit(bytes);
        if (unit.kind != kvasir::Utf8Unit::Kind::character || unit.size != bytes.size() ||
            kvasir::code_point(bytes) != c)
            FAIL("U+" << static_cast<uint32_t>(c));
    }
    CHECK(kvasir::utf8(0x1F999) == "\xF0\x9F\xA6\x99");
}

TEST_CASE("the valid prefix ends at the first byte that is none") {
    CHECK(kvasir::valid_prefix("") == 0);
    CHECK(kvasir::valid_prefix("plain text, longer than eight bytes") == 35);
    CHECK(kvasir::valid_prefix("12345678\xFFz") == 8);
    CHECK(kvasir::valid_prefix("1234567\xC3\xAF\xED\xA0\x80") == 9);
    CHECK(kvasir::valid_prefix("a\xE2\x82") == 1);
}
