#pragma once

#include "runtime/text/vocabulary.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

/// Finds the tokens that are read from a text as they are written, before anything else looks at it.
class SpecialTokens {
  public:
    struct Match {
        std::size_t begin, size; ///< white space that goes with it included; size 0: none
        int32_t id;
    };

    /// The user-defined tokens of a vocabulary; with_control: its control and unknown tokens too. normalized:
    /// those, and only those, that are looked for in normalised text, written as `written` gives it.
    SpecialTokens(const Vocabulary& vocabulary, bool with_control, bool normalized = false,
                  const std::function<std::string(const std::string&)>& written = {});

    bool empty() const { return ids_.size() == 0; }

    /// The leftmost token in text at or after `from`, the longest of those that begin there, among those that
    /// `may` be (empty: all). `from` is where the last match ended: what lies before does not belong to this
    /// one.
    Match find(std::string_view text, std::size_t from,
               const std::function<bool(const Match&)>& may = {}) const;

  private:
    struct Token {
        int32_t id;
        FindRule rule;
    };

    std::deque<std::string> texts_; ///< what ids_ points into
    HashTable<std::string_view, Token> ids_;
    std::array<std::vector<std::size_t>, 256> sizes_; ///< by first byte: the sizes that occur, longest first
};

} // namespace kvasir
