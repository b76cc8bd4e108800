#include "runtime/page_table.hpp"

#include "runtime/error.hpp"

#include <algorithm>
#include <cassert>
#include <string>

namespace kvasir {

PageTable::PageTable(uint32_t n_ctx, uint32_t n_pages, uint32_t window)
    : n_ctx_(n_ctx), n_pages_(n_pages), window_(window), table_(pages_for(n_ctx), unused) {
    assert(n_ctx > 0 && n_pages > 0);
    for (uint32_t page = n_pages; page-- > 0;) free_.push_back(page); // page 0 is taken first
}

uint32_t PageTable::open(std::span<const int32_t> ids) {
    if (ids.empty()) throw Error("start a sequence", "it has no tokens", "a prompt of at least one token");
    if (ids.size() > n_ctx_)
        throw Error("start a sequence of " + std::to_string(ids.size()) + " tokens",
                    "the context holds " + std::to_string(n_ctx_), "a shorter prompt or a larger --context");
    const auto most = ids.first(ids.size() - 1);
    const auto differs = std::mismatch(most.begin(), most.end(), ids_.begin(), ids_.end());
    const uint32_t kept = keepable(uint32_t(differs.first - most.begin()));
    const std::vector<uint32_t> chain = cached_chain(most);
    if (chain.size() * page_size > kept)
        take_over(chain, ids.first(chain.size() * page_size));
    else
        truncate(kept);
    reused_ += length();
    return length();
}

void PageTable::reserve(uint32_t n) {
    const uint64_t end = uint64_t(length()) + n;
    const std::string asked =
        "continue a sequence of " + std::to_string(length()) + " positions by " + std::to_string(n);
    if (end > n_ctx_)
        throw Error(asked, "the context holds " + std::to_string(n_ctx_),
                    "a shorter text or a larger --context");
    const uint32_t wanted = pages_for(end);
    if (wanted <= n_logical_) return;
    const uint32_t missing = wanted - n_logical_, available = uint32_t(free_.size()) + n_cached_;
    if (missing > available)
        throw Error(asked,
                    std::to_string(missing) + " more pages are needed, " + std::to_string(available) +
                        " of " + std::to_string(n_pages_) + " can be had",
                    "a KV cache with more pages");
    while (n_logical_ < wanted) set_entry(n_logical_++, take_page());
}

void PageTable::append(std::span<const int32_t> ids) {
    reserve(uint32_t(std::min<size_t>(ids.size(), UINT32_MAX)));
    for (int32_t id : ids) {
        ids_.push_back(id);
        if (ids_.size() % page_size == 0) publish();
    }
}

uint32_t PageTable::rewind(uint32_t n) {
    assert(n <= length());
    truncate(keepable(n));
    return length();
}

void PageTable::release_before(uint32_t position) {
    assert(position <= length());
    for (uint32_t i = 0; i < position / page_size; ++i) {
        if (table_[i] == unused) continue;
        free_.push_back(table_[i]);
        nodes_[chain_[i]].page = unused;
        set_entry(i, unused);
    }
}

PageTable::Statistics PageTable::statistics() const {
    Statistics s;
    s.pages = n_pages_;
    s.cached = n_cached_;
    s.free = uint32_t(free_.size());
    s.used = s.pages - s.cached - s.free;
    for (size_t i = 0; i < chain_.size(); ++i) {
        const uint32_t own = i + 1 < chain_.size() ? 1 : 0;
        if (table_[i] != unused && nodes_[chain_[i]].n_children > own) ++s.shared;
    }
    s.reused = reused_;
    s.evicted = evicted_;
    return s;
}

/// The nodes of the longest run of whole cached pages at the start of ids from which a sequence can go on.
std::vector<uint32_t> PageTable::cached_chain(std::span<const int32_t> ids) const {
    std::vector<uint32_t> nodes, pages;
    Key key{root, {}};
    while ((nodes.size() + 1) * page_size <= ids.size()) {
        std::copy_n(ids.begin() + ptrdiff_t(nodes.size() * page_size), page_size, key.ids.begin());
        const auto found = index_.find(key);
        if (found == index_.end()) break;
        key.parent = found->second;
        nodes.push_back(found->second);
        pages.push_back(nodes_[found->second].page);
    }
    while (!complete(pages, uint32_t(pages.size()) * page_size)) pages.pop_back();
    nodes.resize(pages.size());
    return nodes;
}

/// Whether pages has all that position n needs to see, and the page that n itself belongs to where that is
/// begun.
bool PageTable::complete(std::span<const uint32_t> pages, uint32_t n) const {
    const uint32_t oldest = window_ == 0 || n < window_ ? 0 : n - window_ + 1;
    for (uint32_t i = pages_for(n); i-- > oldest / page_size;)
        if (pages[i] == unused) return false;
    return true;
}

/// The longest prefix of the sequence, at most n, that can be kept.
uint32_t PageTable::keepable(uint32_t n) const {
    const uint32_t whole = n / page_size;
    if (n % page_size != 0) {
        // A page is cut in place only where no node stands on it; a full one is a node itself.
        const bool alone = whole >= chain_.size() || nodes_[chain_[whole]].n_children == 0;
        if (alone && complete(table_, n)) return n;
    }
    for (uint32_t i = whole; i > 0; --i)
        if (complete(table_, i * page_size)) return i * page_size;
    return 0;
}

/// Cuts the sequence to n positions, where keepable(n) == n. Whole pages after them stay cached.
void PageTable::truncate(uint32_t n) {
    const uint32_t kept_pages = pages_for(n);
    ++clock_;
    while (n_logical_ > kept_pages) {
        const uint32_t i = --n_logical_;
        if (i >= chain_.size()) {
            free_.push_back(table_[i]);
        } else {
            const uint32_t node = chain_.back();
            chain_.pop_back();
            nodes_[node].current = false;
            nodes_[node].last_used = clock_;
            if (nodes_[node].page != unused) ++n_cached_;
            prune(node);
        }
        set_entry(i, unused);
    }
    if (chain_.size() * page_size > n) { // the last page is no longer full: it is ours alone again
        const uint32_t node = chain_.back();
        chain_.pop_back();
        remove_node(node);
    }
    ids_.resize(n);
}

/// Makes these nodes, whose prefix is ids, the sequence.
void PageTable::take_over(std::span<const uint32_t> chain, std::span<const int32_t> ids) {
    truncate(0); // nodes of the new path without a page have one with a page after them, so none is pruned
    for (uint32_t node : chain) {
        nodes_[node].current = true;
        if (nodes_[node].page != unused) --n_cached_;
        chain_.push_back(node);
        set_entry(n_logical_++, nodes_[node].page);
    }
    ids_.assign(ids.begin(), ids.end());
}

/// Makes the page that has just become full a node.
void PageTable::publish() {
    const uint32_t i = uint32_t(chain_.size());
    Key key{i == 0 ? root : chain_.back(), {}};
    std::copy_n(ids_.end() - page_size, page_size, key.ids.begin());
    const auto found = index_.find(key);
    uint32_t node;
    if (found == index_.end()) {
        node = add_node(key);
    } else { // computed a second time: the newer page, which the device may be reading, takes the place of
             // the older
        node = found->second;
        if (nodes_[node].page != unused) {
            free_.push_back(nodes_[node].page);
            --n_cached_;
        }
    }
    nodes_[node].page = table_[i];
    nodes_[node].current = true;
    chain_.push_back(node);
}

uint32_t PageTable::add_node(const Key& key) {
    if (free_nodes_.empty()) {
        free_nodes_.push_back(uint32_t(nodes_.size()));
        nodes_.emplace_back();
    }
    const uint32_t node = free_nodes_.back();
    free_nodes_.pop_back();
    nodes_[node] = Node{};
    nodes_[node].self = index_.emplace(key, node).first;
    if (key.parent != root) ++nodes_[key.parent].n_children;
    return node;
}

void PageTable::remove_node(uint32_t node) {
    assert(nodes_[node].n_children == 0);
    const uint32_t parent = nodes_[node].self->first.parent;
    if (parent != root) --nodes_[parent].n_children;
    index_.erase(nodes_[node].self);
    free_nodes_.push_back(node);
}

/// Removes a node, and then those before it, as long as they neither hold a page nor a place.
void PageTable::prune(uint32_t node) {
    while (node != root && nodes_[node].page == unused && nodes_[node].n_children == 0 &&
           !nodes_[node].current) {
        const uint32_t parent = nodes_[node].self->first.parent;
        remove_node(node);
        node = parent;
    }
}

uint32_t PageTable::take_page() {
    if (free_.empty()) evict();
    const uint32_t page = free_.back();
    free_.pop_back();
    return page;
}

/// Frees the least recently used page on which nothing stands. A look at every node is cheap: once in 64
/// tokens.
void PageTable::evict() {
    const Node* oldest = nullptr;
    for (const auto& [key, node] : index_) {
        const Node& candidate = nodes_[node];
        if (candidate.current || candidate.n_children > 0) continue;
        if (!oldest || candidate.last_used < oldest->last_used) oldest = &candidate;
    }
    assert(oldest && oldest->page != unused);
    const uint32_t node = oldest->self->second;
    free_.push_back(nodes_[node].page);
    nodes_[node].page = unused;
    --n_cached_;
    ++evicted_;
    prune(node);
}

void PageTable::set_entry(uint32_t i, uint32_t page) {
    if (table_[i] == page) return;
    table_[i] = page;
    ++version_;
}

} // namespace kvasir
