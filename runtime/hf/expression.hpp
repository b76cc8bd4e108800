#pragma once

#include <string>
#include <string_view>

namespace kvasir {

/// A regular expression of tokenizer.json, which is written for Oniguruma, as PCRE2 with Unicode properties
/// reads it: \s and \w by Unicode's definitions, \uHHHH, sets inside sets, line anchors. Throws Error for
/// syntax in which the two differ and which is not translated, naming it.
/// Source: Oniguruma, doc/RE (Ruby syntax); PCRE2, pcre2pattern.
std::string to_pcre2(std::string_view expression);

/// A text as an expression that matches it and nothing else.
std::string literal_expression(std::string_view text);

} // namespace kvasir
