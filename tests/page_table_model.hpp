#pragma once

#include "runtime/page_table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

// What PageTable is held to: a device that remembers what was computed where, and its promises said without
// pages.

namespace kvasir {

using Ids = std::vector<int32_t>;
constexpr uint32_t page = PageTable::page_size;

inline Ids repeat(int32_t id, size_t n) {
    return Ids(n, id);
}

inline Ids join(Ids a, const Ids& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

/// Stands for the device: what was computed into each slot of each physical page, as the exact token prefix
/// that the keys and values there depend on. Prefixes are numbered, so that a slot is one number.
class FakeCache {
  public:
    FakeCache(uint32_t n_ctx, uint32_t n_pages, uint32_t window = 0)
        : table(n_ctx, n_pages, window), window_(window), slots_(size_t(n_pages) * page, -1) {}

    /// Starts a sequence and computes what open() did not find, in chunks.
    uint32_t run(const Ids& ids, uint32_t chunk = 50) {
        const uint32_t reused = table.open(ids);
        CHECK(reused < ids.size());
        CHECK(table.length() == reused);
        check();
        feed(Ids(ids.begin() + reused, ids.end()), chunk);
        return reused;
    }

    void feed(const Ids& ids, uint32_t chunk) {
        for (size_t at = 0; at < ids.size(); at += chunk) {
            const Ids part(ids.begin() + ptrdiff_t(at),
                           ids.begin() + ptrdiff_t(std::min(at + chunk, ids.size())));
            table.reserve(uint32_t(part.size()));
            Ids all = join(Ids(table.ids().begin(), table.ids().end()), part);
            const uint32_t pos = table.length();
            check(); // before writing: what the new queries read
            const std::vector<int> prefixes = number(all);
            for (uint32_t i = pos; i < all.size(); ++i) {
                REQUIRE(table.page(i / page) != PageTable::unused);
                slots_.at(size_t(table.page(i / page)) * page + i % page) = prefixes[i];
            }
            table.append(part);
        }
        check();
    }

    /// Every position that the next query sees holds exactly its prefix; no page has two places.
    void check() const {
        const uint32_t n = table.length();
        const std::vector<int> prefixes = number(Ids(table.ids().begin(), table.ids().end()));
        const uint32_t oldest = window_ == 0 || n < window_ ? 0 : n - window_ + 1;
        bool right = true;
        for (uint32_t i = oldest; i < n && right; ++i)
            right = table.page(i / page) != PageTable::unused &&
                    slots_.at(size_t(table.page(i / page)) * page + i % page) == prefixes[i];
        CHECK(right);
        std::set<uint32_t> seen;
        uint32_t used = 0;
        for (uint32_t p : table.table()) {
            if (p == PageTable::unused) continue;
            ++used;
            CHECK_UNARY(seen.insert(p).second);
        }
        const PageTable::Statistics s = table.statistics();
        CHECK(s.used == used);
        CHECK(s.used + s.cached + s.free == s.pages);
        CHECK(s.shared <= s.used);
    }

    PageTable table;

  private:
    std::vector<int> number(const Ids& ids) const {
        std::vector<int> numbers;
        int prefix = -1;
        for (int32_t id : ids) {
            prefix = prefixes_.emplace(std::pair(prefix, id), int(prefixes_.size())).first->second;
            numbers.push_back(prefix);
        }
        return numbers;
    }

    uint32_t window_;
    std::vector<int> slots_;
    mutable std::map<std::pair<int, int32_t>, int> prefixes_;
};

/// What PageTable promises, said over token sequences alone: which whole-page prefixes are cached, and when
/// they were last used. Slow and without pages.
class PageModel {
  public:
    explicit PageModel(uint32_t n_pages) : n_pages_(n_pages) {}

    uint32_t open(const Ids& ids) {
        const Ids most(ids.begin(), ids.end() - 1);
        const auto common =
            size_t(std::mismatch(most.begin(), most.end(), ids_.begin(), ids_.end()).first - most.begin());
        size_t chain = 0;
        while (chain + page <= most.size() && cached_.count(first(most, chain + page))) chain += page;
        if (chain > kept(common)) {
            cut(0);
            ids_ = first(most, chain);
        } else
            cut(kept(common));
        return uint32_t(ids_.size());
    }

    uint32_t rewind(size_t n) {
        cut(kept(n));
        return uint32_t(ids_.size());
    }

    void append(const Ids& ids) {
        const size_t wanted = PageTable::pages_for(ids_.size() + ids.size());
        while (others() + wanted > n_pages_) evict(); // all pages are taken before any is published
        ids_ = join(ids_, ids);
        for (size_t n = page; n <= ids_.size(); n += page) cached_.emplace(first(ids_, n), 0);
    }

    size_t evicted = 0;

  private:
    static Ids first(const Ids& ids, size_t n) { return Ids(ids.begin(), ids.begin() + ptrdiff_t(n)); }

    static bool begins(const Ids& longer, const Ids& prefix) {
        return longer.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), longer.begin());
    }

    bool leaf(const Ids& prefix) const {
        return std::none_of(cached_.begin(), cached_.end(), [&](const auto& other) {
            return other.first != prefix && begins(other.first, prefix);
        });
    }

    size_t kept(size_t n) const {
        if (n % page == 0) return n;
        const size_t end = n / page * page + page;
        const bool alone = end > ids_.size() || leaf(first(ids_, end));
        return alone ? n : n / page * page;
    }

    void cut(size_t n) {
        ++clock_;
        for (auto& [prefix, last_used] : cached_)
            if (prefix.size() > n && begins(ids_, prefix)) last_used = clock_;
        if (n % page != 0 && n / page * page + page <= ids_.size())
            cached_.erase(first(ids_, n / page * page + page));
        ids_.resize(n);
    }

    size_t others() const {
        return size_t(std::count_if(cached_.begin(), cached_.end(),
                                    [&](const auto& entry) { return !begins(ids_, entry.first); }));
    }

    void evict() {
        auto oldest = cached_.end();
        for (auto it = cached_.begin(); it != cached_.end(); ++it) {
            if (begins(ids_, it->first) || !leaf(it->first)) continue;
            if (oldest == cached_.end() || it->second < oldest->second) oldest = it;
        }
        REQUIRE(oldest != cached_.end());
        cached_.erase(oldest);
        ++evicted;
    }

    size_t n_pages_;
    Ids ids_;
    std::map<Ids, uint64_t> cached_;
    uint64_t clock_ = 0;
};

} // namespace kvasir
