#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir::jinja {

struct Token {
    enum class Kind : uint8_t {
        text, ///< of the template, outside of tags
        output_begin,
        output_end, ///< {{ }}
        tag_begin,
        tag_end, ///< {% %}
        name,
        string,
        integer,
        real, ///< as written; a string without quotes and escapes
        sign, ///< an operator or bracket, as written
        end
    };
    Kind kind;
    std::string text;
    uint32_t line; ///< from 1
};

/// The tokens of a template, the last of which is `end`. White space goes as Hugging Face sets Jinja: the
/// line end after a tag is left out (trim_blocks), and so is white space before a tag that begins its line
/// (lstrip_blocks), and one line end at the end of the template. Comments are left out. Throws Error where
/// something is not closed or is no token.
std::vector<Token> tokenize(std::string_view source);

} // namespace kvasir::jinja
