#pragma once

#include "runtime/text/vocabulary.hpp"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace kvasir {

/// Finds the tokens that are read from a text as they are written, before anything else looks at it.
class SpecialTokens {
  public:
    struct Match {
        std::size_t begin, size; ///< size 0: none
        int32_t id;
    };

    /// The user-defined tokens of a vocabulary, which stays alive and in place; with_control: its control and
    /// unknown tokens too.
    SpecialTokens(const Vocabulary& vocabulary, bool with_control);

    /// The leftmost token in text at or after `from`, the longest of those that begin there.
    Match find(std::string_view text, std::size_t from) const {
        return find(text, from, [](const Match&) { return true; });
    }

    /// As above, among those that `may` be.
    template <class May>
    Match find(std::string_view text, std::size_t from, const May& may) const {
        if (ids_.size() == 0) return {text.size(), 0, -1};
        for (std::size_t at = from; at < text.size(); ++at)
            for (const std::size_t size : sizes_[static_cast<unsigned char>(text[at])]) {
                if (size > text.size() - at) continue;
                const int32_t* id = ids_.find(text.substr(at, size));
                if (id && may(Match{at, size, *id})) return {at, size, *id};
            }
        return {text.size(), 0, -1};
    }

  private:
    HashTable<std::string_view, int32_t> ids_;
    std::array<std::vector<std::size_t>, 256> sizes_; ///< by first byte: the sizes that occur, longest first
};

} // namespace kvasir
