#include "runtime/text/nfc.hpp"

#include "runtime/text/utf8.hpp"

#include <cstdlib>
#include <limits>
#include <memory>
#include <new>

#include <utf8proc.h>

namespace kvasir {

namespace {

/// Characters below this one are in form C, begin anew, and join nothing that comes before them: a stretch
/// that lies between two of them can be taken alone.
constexpr unsigned char first_lead = 0xCC; // of U+0300

/// Appends a stretch of whole characters in form C.
void append(std::string_view text, std::string& out) {
    utf8proc_uint8_t* result = nullptr;
    const auto n = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                static_cast<utf8proc_ssize_t>(text.size()), &result,
                                static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
    if (n < 0) throw std::bad_alloc(); // the text is valid UTF-8 of less than 4 GiB: nothing else can fail
    out.append(reinterpret_cast<const char*>(result), static_cast<std::size_t>(n));
}

std::size_t size_of(std::string_view text) {
    return next_unit(text.substr(0, 4)).size;
}

} // namespace

std::string to_nfc(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    const auto lead = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    std::size_t done = 0;     // bytes already in `out`
    std::size_t previous = 0; // the character before `at`
    for (std::size_t at = 0; at < text.size();) {
        if (lead(at) < first_lead) {
            previous = at;
            at += lead(at) < 0x80 ? 1 : size_of(text.substr(at));
            continue;
        }
        std::size_t end = at; // of the characters from U+0300 on that follow one another
        while (end < text.size() && lead(end) >= first_lead &&
               next_unit(text.substr(end, 4)).kind == Utf8Unit::Kind::character)
            end += size_of(text.substr(end));
        if (end == at) { // not UTF-8
            at += size_of(text.substr(at));
            previous = at;
            continue;
        }
        const bool base =
            previous < at && next_unit(text.substr(previous, 4)).kind == Utf8Unit::Kind::character;
        const std::size_t begin = base ? previous : at;
        out.append(text, done, begin - done);
        append(text.substr(begin, end - begin), out);
        done = previous = at = end;
    }
    out.append(text, done);
    return out;
}

} // namespace kvasir
