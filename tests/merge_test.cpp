#include "runtime/text/merge.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

using kvasir::Merge;
using kvasir::Merger;
using kvasir::MergeTable;

namespace {

/// The definition, word for word: while there is a pair in the table, merge the one of lowest rank, leftmost
/// of equals.
std::vector<int32_t> merged_slowly(std::vector<int32_t> ids, const MergeTable& table) {
    for (;;) {
        const Merge* best = nullptr;
        std::size_t at = 0;
        for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
            const bool known = ids[i] >= 0 && ids[i + 1] >= 0;
            const Merge* merge = known ? table.find(ids[i], ids[i + 1]) : nullptr;
            if (merge && (!best || merge->rank < best->rank)) best = merge, at = i;
        }
        if (!best) return ids;
        ids[at] = best->symbol;
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
}

std::vector<int32_t> merged(const std::vector<int32_t>& ids, const MergeTable& table, Merger& merger) {
    merger.clear();
    for (uint32_t i = 0; i < ids.size(); ++i) merger.push(ids[i], i, i + 1);
    std::vector<int32_t> result;
    uint32_t end = 0;
    for (const Merger::Symbol& symbol : merger.run(table)) {
        CHECK(symbol.begin == end); // the symbols cover the word without gap
        end = symbol.end;
        result.push_back(symbol.id);
    }
    CHECK(end == ids.size());
    return result;
}

} // namespace

TEST_CASE("merging over a heap gives what the definition gives") {
    std::mt19937 random(7);
    Merger merger;
    for (int trial = 0; trial < 300; ++trial) {
        // Symbols 0 to 4 are letters; each merge makes a new one of two made before; few ranks, so that many
        // tie.
        MergeTable table;
        int32_t n_symbols = 5;
        for (int i = 0; i < 40; ++i) {
            const auto pick = [&] {
                return static_cast<int32_t>(random() % static_cast<unsigned>(n_symbols));
            };
            if (table.add(pick(), pick(), {static_cast<uint32_t>(random() % 12), n_symbols})) ++n_symbols;
        }
        std::vector<int32_t> word(random() % 60);
        for (int32_t& id : word) id = static_cast<int32_t>(random() % 6) - (random() % 9 == 0 ? 6 : 0);
        for (int32_t& id : word) id = id < 0 ? -1 : id; // an unknown symbol now and then
        CHECK(merged(word, table, merger) == merged_slowly(word, table));
    }
}

TEST_CASE("a merge table keeps the first of two equal pairs") {
    MergeTable table;
    CHECK(table.add(1, 2, {5, 3}));
    CHECK(!table.add(1, 2, {4, 9}));
    REQUIRE(table.find(1, 2));
    CHECK(table.find(1, 2)->symbol == 3);
    CHECK(!table.find(2, 1));
    for (int32_t i = 0; i < 1000; ++i) table.add(i, 7, {0, i}); // growing loses nothing
    for (int32_t i = 0; i < 1000; ++i) CHECK(table.find(i, 7)->symbol == i);
    CHECK(table.find(1, 2)->symbol == 3);
}
