#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace kvasir {

/// Which physical page of the KV cache holds which positions of the sequence: host bookkeeping, no memory of
/// its own.
///
/// Positions are kept in pages of 64. A page that is full is published: it becomes a node of a tree whose
/// edges are 64 token ids, compared by content, so that a node stands for one exact prefix (keys and values
/// of a position depend on every token before it). A page is never written while it is published. When its
/// sequence is left it stays cached, and a later sequence that begins with the same tokens takes it over.
/// Where a page is needed and none is free, the least recently used leaf of the tree gives up its own; pages
/// of the current sequence are never taken. Source of the idea: Kwon et al. 2023 (paged attention), Zheng et
/// al. 2024 (prefix tree).
class PageTable {
  public:
    static constexpr uint32_t page_size = 64;      ///< positions a page
    static constexpr uint32_t unused = UINT32_MAX; ///< table entry without a page

    /// n_ctx: positions that a sequence may have; n_pages: physical pages; window: as in ModelSpec where all
    /// layers have it, so that older pages may be missing (release_before), else 0.
    PageTable(uint32_t n_ctx, uint32_t n_pages, uint32_t window = 0);

    static uint32_t pages_for(uint64_t positions) {
        return uint32_t((positions + page_size - 1) / page_size);
    }

    /// Starts the sequence `ids` with as many of its first positions as are in the cache already, at least
    /// one short of all (a token must be computed to have logits): what the current sequence has in common
    /// with it, or the longest chain of cached pages if that is longer. Returns length(). The caller computes
    /// and appends ids from there on. Throws Error where ids is empty or longer than n_ctx, changing nothing.
    uint32_t open(std::span<const int32_t> ids);

    /// Makes sure of pages for n positions after length(), for work that writes them before their ids are
    /// known. Throws Error where the context or the pages do not suffice, changing nothing.
    void reserve(uint32_t n);

    /// Adds tokens whose keys and values are computed by work that is already submitted, or will be before
    /// any other. Reserves what they need and publishes pages that become full. Throws as reserve() does.
    void append(std::span<const int32_t> ids);

    /// Forgets the positions from n on (n <= length()), reserved ones too, and returns length(), which is
    /// below n where a page cannot be kept in part because other cached pages stand on it, or where the
    /// window needs pages that were released: the caller computes ids()[returned, n) again, which it must
    /// have saved.
    uint32_t rewind(uint32_t n);

    /// Frees the pages whose positions are all below `position` (<= length()): a sliding window has passed
    /// them. Leave room for a rewind: after it the first window - 1 positions before the new end are needed.
    void release_before(uint32_t position);

    uint32_t length() const { return uint32_t(ids_.size()); }
    std::span<const int32_t> ids() const { return ids_; }

    /// Physical page of logical page i (position / page_size), or unused.
    uint32_t page(uint32_t i) const { return table_[i]; }
    /// All logical pages of n_ctx positions, for upload: `[pages_for(n_ctx)]`.
    std::span<const uint32_t> table() const { return table_; }
    /// Changes whenever table() does.
    uint64_t version() const { return version_; }

    struct Statistics {
        uint32_t pages = 0;  ///< of the pool: used + cached + free
        uint32_t used = 0;   ///< by the current sequence
        uint32_t shared = 0; ///< of those: other cached sequences stand on them
        uint32_t cached = 0; ///< kept for sequences that may come back
        uint32_t free = 0;
        uint64_t reused = 0;  ///< positions that open() did not have to compute, ever
        uint64_t evicted = 0; ///< pages taken from the cached ones, ever
    };
    Statistics statistics() const;

  private:
    static constexpr uint32_t root = UINT32_MAX;

    struct Key {
        uint32_t parent; ///< node, or root
        std::array<int32_t, page_size> ids;
        auto operator<=>(const Key&) const = default;
    };
    using Index = std::map<Key, uint32_t>;

    /// A published page. Without a page (released) it only holds its place in the tree for those after it.
    struct Node {
        Index::iterator self;
        uint32_t page = unused;
        uint32_t n_children = 0;
        bool current = false; ///< on the path of the current sequence
        uint64_t last_used = 0;
    };

    std::vector<uint32_t> cached_chain(std::span<const int32_t> ids) const;
    uint32_t keepable(uint32_t n) const;
    bool complete(std::span<const uint32_t> pages, uint32_t n) const;
    void truncate(uint32_t n);
    void take_over(std::span<const uint32_t> chain, std::span<const int32_t> ids);
    void publish();
    uint32_t add_node(const Key& key);
    void remove_node(uint32_t node);
    void prune(uint32_t node);
    uint32_t take_page();
    void evict();
    void set_entry(uint32_t i, uint32_t page);

    uint32_t n_ctx_, n_pages_, window_;
    std::vector<int32_t> ids_;
    std::vector<uint32_t> chain_; ///< node of each full page of the sequence
    std::vector<uint32_t> table_; ///< physical page of each logical one
    uint32_t n_logical_ = 0;      ///< logical pages of the sequence so far, reserved ones too
    std::vector<uint32_t> free_;  ///< physical pages
    Index index_;                 ///< the tree: (parent, ids) -> node
    std::vector<Node> nodes_;     ///< slots, those in free_nodes_ are vacant
    std::vector<uint32_t> free_nodes_;
    uint32_t n_cached_ = 0; ///< pages of nodes that are not current
    uint64_t clock_ = 0, version_ = 0, reused_ = 0, evicted_ = 0;
};

} // namespace kvasir
