#include "runtime/hf/expression.hpp"

#include "runtime/error.hpp"

#include <cctype>

namespace kvasir {

namespace {

// The members of Oniguruma's classes, to stand inside [ ]. White_Space is Unicode's (PropList.txt); PCRE2's
// own \s adds U+180E, and its \w lacks marks and connectors. The numbers among Latin-1's characters count as
// word characters, unlike their like beyond (Oniguruma, src/unicode.c: a table of its own below 256).
constexpr const char* white = "\\t-\\r\\x{85}\\p{Z}";
constexpr const char* word = "\\p{L}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";

class Translator {
  public:
    explicit Translator(std::string_view expression) : all_(expression), rest_(expression) {}

    std::string run() {
        out_ = "(?m)"; // Ruby's ^ and $ stand at every line
        while (!rest_.empty()) {
            const char c = take();
            if (c == '\\')
                escape(false);
            else if (c == '[')
                set();
            else if (c == '(' && rest_.starts_with("?"))
                group();
            else if (c == '}' && rest_.starts_with("+"))
                refuse("{n,m}+, which is not possessive there"); // what a } that closes no count would be is
                                                                 // no matter
            else
                out_ += c;
        }
        return std::move(out_);
    }

  private:
    [[noreturn]] void refuse(const std::string& what) const {
        throw Error("reading the expression " + kvasir::quoted(all_) + " of tokenizer.json",
                    what + " is not supported here", "another copy of the model, or its GGUF form");
    }

    char take() {
        if (rest_.empty()) refuse("an expression that ends in the middle");
        const char c = rest_.front();
        rest_.remove_prefix(1);
        return c;
    }

    void group() { // after "("
        for (const char* same : {"?:", "?=", "?!", "?<=", "?<!", "?>", "?i:", "?i)"})
            if (rest_.starts_with(same)) {
                out_ += "(";
                out_ += same;
                rest_.remove_prefix(std::string_view(same).size());
                return;
            }
        refuse("(" + std::string(rest_.substr(0, 3)));
    }

    /// After a backslash. Classes become sets, or members where a set is open.
    void escape(bool in_set) {
        const char c = take();
        const auto members = [&](const char* list, bool negated) {
            if (negated && in_set) refuse(std::string("\\") + c + " in a set");
            out_ += in_set ? list : std::string(negated ? "[^" : "[") + list + "]";
        };
        switch (c) {
        case 's': return members(white, false);
        case 'S': // a set without white space is a set of everything else
            if (in_set) {
                out_ += "\\S";
                return;
            }
            return members(white, true);
        case 'w': return members(word, false);
        case 'W': return members(word, true);
        case 'd': return members("\\p{Nd}", false);
        case 'u': return unicode();
        case 'p':
        case 'P': {
            const size_t end = rest_.find('}');
            if (!rest_.starts_with("{") || end == std::string_view::npos) refuse("\\p without {}");
            out_ += std::string("\\") + c + std::string(rest_.substr(0, end + 1));
            rest_.remove_prefix(end + 1);
            return;
        }
        default:
            if (std::isalnum(static_cast<unsigned char>(c)) &&
                std::string_view("rntfvax0").find(c) == std::string_view::npos)
                refuse(std::string("\\") + c);
            out_ += '\\';
            out_ += c;
        }
    }

    void unicode() {
        const std::string_view digits = rest_.substr(0, 4);
        for (const char digit : digits)
            if (!std::isxdigit(static_cast<unsigned char>(digit))) refuse("\\u without four digits");
        if (digits.size() < 4) refuse("\\u without four digits");
        out_ += "\\x{" + std::string(digits) + "}";
        rest_.remove_prefix(4);
    }

    /// After "[". Oniguruma reads a set inside a set as their union, and && as an intersection.
    void set() {
        out_ += '[';
        if (rest_.starts_with("^")) out_ += take();
        int depth = 1;
        for (bool first = true; depth > 0; first = false) {
            const char c = take();
            if (c == '[') {
                if (rest_.starts_with(":") || rest_.starts_with("^"))
                    refuse("[" + std::string(rest_.substr(0, 1)) + " in a set");
                ++depth;
            } else if (c == ']' && first) {
                out_ += "\\]";
            } else if (c == ']') {
                --depth;
            } else if (c == '&' && rest_.starts_with("&")) {
                refuse("&& in a set");
            } else if (c == '\\') {
                escape(true);
            } else {
                out_ += c;
            }
        }
        out_ += ']';
    }

    std::string_view all_, rest_;
    std::string out_;
};

} // namespace

std::string to_pcre2(std::string_view expression) {
    return Translator(expression).run();
}

std::string literal_expression(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c))) out += '\\';
        out += c;
    }
    return out;
}

} // namespace kvasir
