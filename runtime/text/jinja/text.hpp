#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir::jinja {

/// Bytes begin to end - 1 of a text came from the part of the input with this number (1 on).
struct Span {
    std::size_t begin, end;
    int origin;
};

/// A text that knows which of its bytes came from where: whatever a template does with a message, what the
/// user wrote can be told from what the template wrote.
class Text {
  public:
    Text() = default;
    /// origin 0: the template's own.
    explicit Text(std::string bytes, int origin = 0);

    const std::string& bytes() const { return bytes_; }
    const std::vector<Span>& spans() const { return spans_; } ///< in order, none empty, none touch and agree
    std::size_t size() const { return bytes_.size(); }

    int origin_at(std::size_t at) const; ///< of one byte; 0: the template's own

    void append(std::string_view bytes, int origin = 0);
    void append(const Text& text, std::size_t begin, std::size_t end); ///< a part of it

    /// The same bytes with other letters: to is as long as the text.
    void rewrite(std::string to);

  private:
    void mark(std::size_t begin, std::size_t end, int origin);

    std::string bytes_;
    std::vector<Span> spans_;
};

/// Bytes of the character at the front of a text that is not empty; a byte that begins none counts as one.
std::size_t character_size(std::string_view text);

/// The number of characters.
std::size_t count_characters(std::string_view text);

/// Whether the character at the front is white space as Python's str.isspace has it; size: its bytes.
bool is_space(std::string_view text, std::size_t& size);

/// What is left of the bytes begin to end - 1 without white space, or without `set`'s characters where there
/// is one, at the left, the right or both.
struct Range {
    std::size_t begin, end;
};
Range strip(std::string_view text, bool left, bool right, const std::string* set = nullptr);

/// Finds a string in others, in time linear in both whatever they hold (Knuth, Morris, Pratt 1977): texts in
/// templates are hostile.
class Search {
  public:
    explicit Search(std::string_view needle);
    /// The first place at or after `from`, npos where there is none.
    std::size_t find(std::string_view text, std::size_t from) const;

  private:
    std::string_view needle_;
    std::vector<std::size_t> borders_; ///< of each prefix: the longest that is also its end
};

/// ASCII letters in upper or lower case; other characters stay as they are.
std::string to_upper(std::string text);
std::string to_lower(std::string text);
bool is_ascii_letter(char c);

} // namespace kvasir::jinja
