#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvasir {

/// What stands at the front of some bytes.
struct Utf8Unit {
    enum class Kind {
        character, ///< a whole character of `size` bytes
        invalid,   ///< `size` bytes that no further byte can make a character
        unfinished ///< all that is left, `size` bytes, begins a character whose rest is missing
    };
    Kind kind;
    std::size_t size;
};

/// The unit at the front of bytes, which are not empty. Surrogates, overlong forms and values above U+10FFFF
/// are invalid; an invalid unit is a maximal subpart, so that replacing each by one U+FFFD is the Unicode
/// practice. Source: The Unicode Standard, section 3.9, table 3-7 and "U+FFFD Substitution of Maximal
/// Subparts".
Utf8Unit next_unit(std::string_view bytes);

/// The number of bytes at the front that are whole characters.
std::size_t valid_prefix(std::string_view bytes);

/// The bytes of a code point below 0x110000.
std::string utf8(char32_t code_point);

/// The code point of one whole character.
char32_t code_point(std::string_view character);

/// Turns pieces into text that is always whole UTF-8: keeps back the bytes of an unfinished character; bytes
/// that can never become one are replaced by U+FFFD, one for each maximal subpart.
class Utf8Stream {
  public:
    std::string push(std::string_view bytes);
    std::string finish(); ///< what is still kept back, as U+FFFD; the stream is then as new

  private:
    std::string pending_; ///< at most 3 bytes
};

} // namespace kvasir
