#pragma once

#include "runtime/text/hash_table.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace kvasir {

/// The words of one text that were encoded already, by where their ids stand in the output: natural text
/// repeats most of its words, and a look-up costs a tenth of the merges. Lives as long as one call of encode,
/// so that encoding is const and safe from many threads.
class WordCache {
  public:
    /// Appends the ids of a word met before; false where it is new.
    bool repeat(std::string_view word, std::vector<int32_t>& ids) const {
        const Place* place = word.size() <= longest ? words_.find(word) : nullptr;
        if (!place) return false;
        const std::size_t end = ids.size();
        ids.resize(end + place->count);
        for (std::size_t i = 0; i < place->count; ++i) ids[end + i] = ids[place->begin + i];
        return true;
    }

    /// Remembers a new word, whose ids are those from begin to the end of ids.
    void remember(std::string_view word, std::size_t begin, const std::vector<int32_t>& ids) {
        if (word.size() <= longest) words_.insert(word, {begin, ids.size() - begin});
    }

  private:
    struct Place {
        std::size_t begin, count;
    };
    static constexpr std::size_t longest =
        64; // bytes; longer words hardly come twice, and hashing them costs

    HashTable<std::string_view, Place> words_;
};

} // namespace kvasir
