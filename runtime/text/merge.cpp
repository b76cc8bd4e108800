#include "runtime/text/merge.hpp"

#include <algorithm>

namespace kvasir {

namespace {

constexpr uint32_t none = UINT32_MAX;
constexpr int32_t consumed =
    -2; // the id of a symbol that its left neighbour has taken in; -1 is an unknown one

} // namespace

void Merger::push(int32_t id, uint32_t begin, uint32_t end) {
    const auto at = static_cast<uint32_t>(links_.size());
    if (at > 0) links_.back().next = at;
    links_.push_back({{id, begin, end}, at > 0 ? at - 1 : none, none});
}

bool Merger::candidate(const MergeTable& table, uint32_t left, Candidate& found) const {
    const Link& link = links_[left];
    if (link.next == none) return false;
    const int32_t left_id = link.symbol.id;
    const int32_t right_id = links_[link.next].symbol.id;
    if (left_id < 0 || right_id < 0) return false;
    const Merge* merge = table.find(left_id, right_id);
    if (!merge) return false;
    found = {static_cast<uint64_t>(merge->rank) << 32 | left, left_id, right_id, merge->symbol};
    return true;
}

std::span<const Merger::Symbol> Merger::run(const MergeTable& table) {
    const auto later = [](const Candidate& a, const Candidate& b) { return a.order > b.order; };
    heap_.clear();
    Candidate found;
    for (uint32_t i = 0; i + 1 < links_.size(); ++i)
        if (candidate(table, i, found)) heap_.push_back(found);
    std::make_heap(heap_.begin(), heap_.end(), later);

    const auto offer = [&](uint32_t left) {
        if (!candidate(table, left, found)) return;
        heap_.push_back(found);
        std::push_heap(heap_.begin(), heap_.end(), later);
    };
    while (!heap_.empty()) {
        std::pop_heap(heap_.begin(), heap_.end(), later);
        const Candidate best = heap_.back();
        heap_.pop_back();
        Link& left = links_[best.left()];
        if (left.symbol.id != best.left_id || left.next == none) continue;
        Link& right = links_[left.next];
        if (right.symbol.id != best.right_id) continue;
        left.symbol.id = best.merged_id;
        left.symbol.end = right.symbol.end;
        left.next = right.next;
        right.symbol.id = consumed;
        if (left.next != none) links_[left.next].prev = best.left();
        if (left.prev != none) offer(left.prev);
        offer(best.left());
    }
    result_.clear();
    for (uint32_t i = links_.empty() ? none : 0; i != none; i = links_[i].next)
        result_.push_back(links_[i].symbol);
    return result_;
}

} // namespace kvasir
