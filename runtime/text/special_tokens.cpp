#include "runtime/text/special_tokens.hpp"

#include "runtime/text/utf8.hpp"

#include <algorithm>
#include <functional>

#include <utf8proc.h>

namespace kvasir {

namespace {

/// The character at the front of bytes, or a code point that is in no class where they are not UTF-8.
char32_t first_character(std::string_view bytes) {
    const Utf8Unit unit = next_unit(bytes.substr(0, 4));
    return unit.kind == Utf8Unit::Kind::character ? code_point(bytes.substr(0, unit.size)) : 0xFFFF;
}

/// Where the last character before `end` begins.
std::size_t last_begin(std::string_view text, std::size_t end) {
    std::size_t at = end - 1;
    while (at > 0 && end - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
    return at;
}

/// White_Space, Unicode PropList.txt.
bool is_white(char32_t c) {
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

/// Letters, marks, decimal digits and connectors: \w of Unicode Technical Standard 18.
bool is_word(char32_t c) {
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_PC: return true;
    default: return false;
    }
}

bool beside_word(std::string_view text, std::size_t begin, std::size_t end) {
    return (begin > 0 && is_word(first_character(text.substr(last_begin(text, begin))))) ||
           (end < text.size() && is_word(first_character(text.substr(end))));
}

} // namespace

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary, bool with_control, bool normalized,
                             const std::function<std::string(const std::string&)>& written) {
    for (int32_t id = 0; id < vocabulary.size(); ++id) {
        const bool control = vocabulary.is(id, TokenType::control) || vocabulary.is(id, TokenType::unknown);
        if (!vocabulary.is(id, TokenType::user_defined) && !(control && with_control)) continue;
        const FindRule rule = vocabulary.rule(id);
        if (rule.normalized != normalized) continue;
        const std::string& label = vocabulary.labels[static_cast<std::size_t>(id)];
        const std::string& text = texts_.emplace_back(written ? written(label) : label);
        ids_.insert(text, {id, rule});
        sizes_[static_cast<unsigned char>(text[0])].push_back(text.size());
    }
    for (auto& sizes : sizes_) {
        std::sort(sizes.begin(), sizes.end(), std::greater<>());
        sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    }
}

SpecialTokens::Match SpecialTokens::find(std::string_view text, std::size_t from,
                                         const std::function<bool(const Match&)>& may) const {
    if (ids_.size() == 0) return {text.size(), 0, -1};
    for (std::size_t at = from; at < text.size(); ++at)
        for (const std::size_t size : sizes_[static_cast<unsigned char>(text[at])]) {
            if (size > text.size() - at) continue;
            const Token* token = ids_.find(text.substr(at, size));
            if (!token) continue;
            std::size_t begin = at, end = at + size;
            if (token->rule.single_word && beside_word(text, begin, end)) {
                at = end - 1; // what was found there is text
                break;
            }
            while (token->rule.lstrip && begin > from &&
                   is_white(first_character(text.substr(last_begin(text, begin)))))
                begin = last_begin(text, begin);
            while (token->rule.rstrip && end < text.size() && is_white(first_character(text.substr(end))))
                end += next_unit(text.substr(end, 4)).size;
            const Match match{begin, end - begin, token->id};
            if (!may || may(match)) return match;
        }
    return {text.size(), 0, -1};
}

} // namespace kvasir
