#include "runtime/text/jinja/lexer.hpp"

#include "runtime/error.hpp"
#include "runtime/text/jinja/text.hpp"
#include "runtime/text/jinja/workspace.hpp"
#include "runtime/text/utf8.hpp"

#include <algorithm>
#include <array>

namespace kvasir::jinja {

namespace {

using Form = Token::Kind;

constexpr std::array<std::string_view, 27> signs = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                    "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                    ">",  "<",  "=",  ".",  ":",  "|",  ",", ";", "!"};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_name_start(char c) {
    return is_ascii_letter(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

/// Line ends as \n, without the last one.
std::string normalized(std::string_view source) {
    std::string text;
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '\r') {
            text += '\n';
            if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
        } else {
            text += source[i];
        }
    }
    if (text.ends_with('\n')) text.pop_back();
    return text;
}

class Lexer {
  public:
    explicit Lexer(std::string source) : source_(std::move(source)), rest_(source_) {}

    std::vector<Token> run() {
        while (at_ < rest_.size()) read_text();
        add(Form::end, "");
        return std::move(tokens_);
    }

  private:
    [[noreturn]] void fail(const std::string& found) const { refuse(line_, found); }
    void add(Form kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
    bool ahead(std::string_view text) const { return rest_.substr(at_, text.size()) == text; }

    /// Goes on, counting lines.
    void advance(std::size_t n) {
        line_ +=
            static_cast<uint32_t>(std::count(rest_.begin() + static_cast<std::ptrdiff_t>(at_),
                                             rest_.begin() + static_cast<std::ptrdiff_t>(at_ + n), '\n'));
        at_ += n;
    }
    void skip_space() {
        std::size_t size = 0;
        while (at_ < rest_.size() && is_space(rest_.substr(at_), size)) advance(size);
    }

    void read_text();
    void read_comment();
    void read_tag(Form begin, Form end, std::string_view closing);
    bool close(std::string_view closing);
    void read_token();
    void read_number();
    void read_string();
    void read_escape(std::string& text, std::size_t& at);

    std::string source_;
    std::string_view rest_; ///< all of the source
    std::size_t at_ = 0;
    uint32_t line_ = 1;
    bool line_start_ = true; ///< whether the last tag ended with a line end
    std::string open_;       ///< brackets
    std::vector<Token> tokens_;
};

/// The text up to the next tag or comment, and that.
void Lexer::read_text() {
    std::size_t tag = at_;
    for (;; ++tag) {
        tag = rest_.find('{', tag);
        if (tag == std::string_view::npos || tag + 1 == rest_.size()) tag = rest_.size();
        if (tag == rest_.size() || std::string_view("{%#").find(rest_[tag + 1]) != std::string_view::npos)
            break;
    }
    std::string_view text = rest_.substr(at_, tag - at_);
    const char sign = tag + 2 < rest_.size() ? rest_[tag + 2] : '\0';
    const bool is_block = tag < rest_.size() && rest_[tag + 1] != '{';
    if (tag < rest_.size() && sign == '-') {
        text = text.substr(0, strip(text, false, true).end);
    } else if (is_block && sign != '+') {
        const std::size_t line = text.rfind('\n') + 1; // 0 where there is none: npos + 1
        const std::string_view before = text.substr(line);
        if ((line > 0 || line_start_) && strip(before, true, false).begin == before.size())
            text = text.substr(0, line);
    }
    if (!text.empty()) add(Form::text, std::string(text));
    advance(tag - at_);
    if (tag == rest_.size()) return;
    const char kind = rest_[tag + 1];
    advance(2);
    if (kind == '#') return read_comment();
    if (sign == '-' || sign == '+') advance(1);
    if (kind == '{')
        read_tag(Form::output_begin, Form::output_end, "}}");
    else
        read_tag(Form::tag_begin, Form::tag_end, "%}");
}

void Lexer::read_comment() {
    if (ahead("-") || ahead("+")) advance(1);
    const std::size_t end = rest_.find("#}", at_);
    if (end == std::string_view::npos) fail("a comment is not closed");
    const char sign = end > at_ ? rest_[end - 1] : '\0';
    advance(end + 2 - at_);
    if (sign == '-')
        skip_space();
    else if (sign != '+' && ahead("\n"))
        advance(1);
    line_start_ = rest_[at_ - 1] == '\n';
}

void Lexer::read_tag(Form begin, Form end, std::string_view closing) {
    add(begin, "");
    open_.clear();
    for (;;) {
        skip_space();
        if (at_ == rest_.size()) fail("a tag is not closed by " + std::string(closing));
        if (open_.empty() && close(closing)) break;
        read_token();
    }
    add(end, "");
    line_start_ = rest_[at_ - 1] == '\n';
}

/// Reads the end of a tag with the white space that goes with it, if it stands here.
bool Lexer::close(std::string_view closing) {
    const bool is_block = closing == "%}";
    if (ahead("-" + std::string(closing))) {
        advance(3);
        skip_space();
    } else if (is_block && ahead("+%}")) {
        advance(3);
    } else if (ahead(closing)) {
        advance(2);
        if (is_block && ahead("\n")) advance(1);
    } else {
        return false;
    }
    return true;
}

void Lexer::read_token() {
    const char c = rest_[at_];
    if (is_digit(c)) return read_number();
    if (c == '\'' || c == '"') return read_string();
    if (is_name_start(c)) {
        std::size_t end = at_;
        while (end < rest_.size() && (is_name_start(rest_[end]) || is_digit(rest_[end]))) ++end;
        add(Form::name, std::string(rest_.substr(at_, end - at_)));
        at_ = end;
        return;
    }
    const auto sign = std::find_if(signs.begin(), signs.end(), [&](std::string_view s) { return ahead(s); });
    if (sign == signs.end() || *sign == "!") fail("unexpected " + quoted(rest_.substr(at_, 1)));
    if (*sign == "(" || *sign == "[" || *sign == "{") {
        open_ += c == '(' ? ')' : static_cast<char>(c + 2); // in ASCII ] and } follow [ and { by two
    } else if (*sign == ")" || *sign == "]" || *sign == "}") {
        if (open_.empty() || open_.back() != c) fail("unexpected " + quoted(*sign));
        open_.pop_back();
    }
    add(Form::sign, std::string(*sign));
    at_ += sign->size();
}

void Lexer::read_number() {
    // After a dot a number is the index of an item: x.0.1
    const bool index = !tokens_.empty() && tokens_.back().kind == Form::sign && tokens_.back().text == "." &&
                       rest_[at_ - 1] == '.';
    std::size_t end = at_;
    const auto digits = [&] {
        while (end < rest_.size() && is_digit(rest_[end])) ++end;
    };
    digits();
    bool real = false;
    if (!index && end + 1 < rest_.size() && rest_[end] == '.' && is_digit(rest_[end + 1])) {
        real = true;
        ++end;
        digits();
    }
    if (!index && end < rest_.size() && (rest_[end] == 'e' || rest_[end] == 'E')) {
        const std::size_t sign = end + 1 < rest_.size() && (rest_[end + 1] == '+' || rest_[end + 1] == '-');
        if (end + 1 + sign < rest_.size() && is_digit(rest_[end + 1 + sign])) {
            real = true;
            end += 1 + sign;
            digits();
        }
    }
    if (end < rest_.size() && is_name_start(rest_[end]))
        fail("no number is written " + quoted(rest_.substr(at_, end + 1 - at_)));
    add(real ? Form::real : Form::integer, std::string(rest_.substr(at_, end - at_)));
    at_ = end;
}

void Lexer::read_string() {
    const char quote = rest_[at_];
    std::string text;
    std::size_t end = at_ + 1;
    for (;; ++end) {
        if (end >= rest_.size()) fail("a text is not closed by its quotation mark");
        if (rest_[end] == quote) break;
        if (rest_[end] == '\\')
            read_escape(text, end);
        else
            text += rest_[end];
    }
    add(Form::string, std::move(text));
    advance(end + 1 - at_);
}

/// One escape of Python's string literals, which begins at `at`; leaves at its last byte.
void Lexer::read_escape(std::string& text, std::size_t& at) {
    if (++at >= rest_.size()) fail("a text is not closed by its quotation mark");
    const char c = rest_[at];
    constexpr std::string_view named = "abfnrtv\\'\"\n";
    constexpr std::string_view values = "\a\b\f\n\r\t\v\\'\"";
    if (const auto i = named.find(c); i != std::string_view::npos) {
        if (i < values.size()) text += values[i]; // a line end after \ is none
        return;
    }
    if (c == 'N') fail("the escape \\N in a text is not known");
    std::size_t n = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    const unsigned base = n ? 16 : 8;
    if (n == 0) {
        while (n < 3 && at + n < rest_.size() && rest_[at + n] >= '0' && rest_[at + n] < '8') ++n;
        if (n == 0) { // not an escape
            text += {'\\', c};
            return;
        }
        --at;
    }
    uint32_t code = 0;
    for (const char digit : rest_.substr(std::min(at + 1, rest_.size()), n)) {
        const char lower = digit >= 'A' && digit <= 'F' ? static_cast<char>(digit + 32) : digit;
        const std::size_t value = std::string_view("0123456789abcdef").find(lower);
        if (value >= base) fail("a text has an escape without its digits");
        code = code * base + static_cast<uint32_t>(value);
    }
    if (at + n >= rest_.size() || code >= 0x110000 || (code >= 0xD800 && code < 0xE000))
        fail("a text has an escape that is no character");
    text += utf8(code);
    at += n;
}

} // namespace

std::vector<Token> tokenize(std::string_view source) {
    return Lexer(normalized(source)).run();
}

} // namespace kvasir::jinja
