#pragma once

#include "runtime/text/hash_table.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace kvasir {

/// What two neighbouring symbols become, and how early: the lowest rank first.
struct Merge {
    uint32_t rank;
    int32_t symbol;
};

/// The merges of a vocabulary, by their pair of symbols. Symbols are token ids, or numbers beyond them for
/// characters that are no token themselves; a negative symbol takes part in no merge.
class MergeTable {
  public:
    void reserve(std::size_t n) { table_.reserve(n); }
    /// Gives false, and changes nothing, where the pair is there already.
    bool add(int32_t left, int32_t right, Merge merge) { return !table_.insert(key(left, right), merge); }
    const Merge* find(int32_t left, int32_t right) const { return table_.find(key(left, right)); }
    std::size_t size() const { return table_.size(); }

  private:
    static uint64_t key(int32_t left, int32_t right) {
        return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
    }

    HashTable<uint64_t, Merge> table_;
};

/// Byte-pair encoding of one word: merges the pair of lowest rank, the leftmost of equals, until none is
/// left. n log n in the symbols of the word; keeps its memory between words. Source: Sennrich et al., "Neural
/// Machine Translation of Rare Words with Subword Units" (2016), section 3.2.
class Merger {
  public:
    struct Symbol {
        int32_t id;
        uint32_t begin; ///< first byte in the word
        uint32_t end;   ///< one after its last
    };

    void clear() { links_.clear(); }
    void push(int32_t id, uint32_t begin, uint32_t end);

    /// The symbols that are left, in order; valid until the next clear.
    std::span<const Symbol> run(const MergeTable& table);

  private:
    struct Link {
        Symbol symbol;
        uint32_t prev, next;
    };
    /// A pair that could be merged when it was found: stale once one of its symbols has changed.
    struct Candidate {
        uint64_t order; ///< rank, then position
        int32_t left_id, right_id, merged_id;
        uint32_t left() const { return static_cast<uint32_t>(order); }
    };

    bool candidate(const MergeTable& table, uint32_t left, Candidate& found) const;

    std::vector<Link> links_;
    std::vector<Candidate> heap_;
    std::vector<Symbol> result_;
};

} // namespace kvasir
