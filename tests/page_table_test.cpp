#include "runtime/error.hpp"
#include "tests/page_table_model.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>

namespace kvasir {
namespace {

TEST_CASE("a fresh table computes all, a second run of the same text all but its last position or page") {
    FakeCache cache(1000, 16);
    const Ids ids = join(repeat(1, 100), repeat(2, 100));
    CHECK(cache.run(ids) == 0);
    CHECK(cache.run(ids) == 199); // in place
    CHECK(cache.run(repeat(9, 10)) == 0);
    CHECK(cache.run(ids) == 192); // whole pages only, once the sequence was left
    CHECK(cache.table.statistics().reused == 199 + 192);
}

TEST_CASE("an identical text of whole pages leaves one token to compute") {
    FakeCache cache(1000, 16);
    const Ids ids = repeat(1, 2 * page);
    cache.run(ids);
    CHECK(cache.run(ids) == 2 * page - 1);
    cache.run({5});
    CHECK(cache.run(ids) == page);
}

TEST_CASE("the longer of the current sequence and the cached pages is taken") {
    FakeCache cache(1000, 16);
    const Ids longer = repeat(1, 300);
    cache.run(longer);
    cache.run(join(repeat(1, 70), repeat(2, 30)));
    CHECK(cache.run(join(repeat(1, 70), repeat(3, 30))) == 70);   // in place, inside page 1
    CHECK(cache.run(join(repeat(1, 290), repeat(4, 30))) == 256); // taken over
}

TEST_CASE("rewind keeps every position unless a cached page stands on the one that is cut") {
    FakeCache cache(1000, 16);
    cache.run(repeat(1, 200)); // pages 0, 1, 2 are full, 3 has 8 positions
    CHECK(cache.table.rewind(199) == 199);
    CHECK(cache.table.rewind(192) == 192);
    CHECK(cache.table.rewind(191) == 191); // page 2 is full, but nothing stands on it
    CHECK(cache.table.rewind(128) == 128);
    CHECK(cache.table.rewind(128) == 128);
    cache.check();
    CHECK(cache.table.rewind(64) == 64); // page 1 stays cached
    CHECK(cache.table.rewind(63) == 0);  // and stands on page 0
    CHECK(cache.table.statistics().cached == 2);
    CHECK(cache.run(repeat(1, 200)) == 128);
    cache.table.rewind(0);
    CHECK(cache.table.length() == 0);
    CHECK(cache.table.statistics().used == 0);
}

TEST_CASE("a page that is computed a second time replaces the first") {
    FakeCache cache(1000, 16);
    cache.run(repeat(1, 200));
    CHECK(cache.table.rewind(60) == 0);
    cache.feed(repeat(1, 200), 7);
    CHECK(cache.table.statistics().used == 4);
    CHECK(cache.table.statistics().cached == 0);
    CHECK(cache.table.statistics().free == 12);
}

TEST_CASE("shared counts pages of the sequence that other cached ones stand on") {
    FakeCache cache(1000, 16);
    cache.run(join(repeat(1, 2 * page), repeat(2, page)));
    CHECK(cache.table.statistics().shared == 0);
    cache.run(join(repeat(1, 2 * page), repeat(3, page)));
    CHECK(cache.table.statistics().shared == 1); // the second page: two follow it
    CHECK(cache.table.statistics().used == 3);
    CHECK(cache.table.statistics().cached == 1);
}

TEST_CASE("the least recently used leaf goes first, its parent after it") {
    FakeCache cache(6 * page, 6);
    const Ids a = repeat(1, 2 * page), b = repeat(2, 2 * page), c = repeat(3, page);
    cache.run(a);
    cache.run(b);
    cache.run(join(a, {7})); // a is used again; pages a a' (a's own 7) b b'
    cache.run(c);
    CHECK(cache.table.statistics().free == 1);
    CHECK(cache.table.statistics().evicted == 0);
    cache.run(join(repeat(4, page), {7})); // one more than free: b's last page
    CHECK(cache.table.statistics().evicted == 1);
    CHECK(cache.run(join(c, {7})) == page);
    CHECK(cache.run(join(a, {7})) == 2 * page);
    CHECK(cache.run(join(b, {7})) == page);
}

TEST_CASE("pages of the sequence are never evicted, and a full pool says so with numbers") {
    FakeCache cache(10 * page, 4);
    cache.run(repeat(1, 3 * page));
    cache.feed(repeat(2, page), page);
    try {
        cache.table.append(Ids{1});
        FAIL("a fifth page of four");
    } catch (const Error& error) {
        const std::string text = error.what();
        CHECK(text.find("256 positions by 1") != std::string::npos);
        CHECK(text.find("0 of 4") != std::string::npos);
    }
    CHECK(cache.table.length() == 4 * page);
    cache.check();
    CHECK(cache.run(repeat(3, 4 * page)) == 0);
    CHECK(cache.table.statistics().evicted == 4);
}

TEST_CASE("the context's length is a limit of its own") {
    PageTable table(100, 16);
    CHECK(table.table().size() == 2);
    table.append(repeat(1, 100));
    CHECK_THROWS_WITH_AS(
        table.reserve(1),
        "continue a sequence of 100 positions by 1: the context holds 100; try a shorter text or a "
        "larger --context",
        Error);
    CHECK_THROWS_AS(table.open(repeat(1, 101)), Error);
    CHECK_THROWS_AS(table.open({}), Error);
    CHECK(table.length() == 100);
}

TEST_CASE("the version changes exactly when the table does") {
    PageTable table(1000, 16);
    uint64_t version = table.version();
    const auto changed = [&] {
        const uint64_t before = std::exchange(version, table.version());
        return before != version;
    };
    table.append(repeat(1, 10));
    CHECK(changed());
    table.append(repeat(1, page - 10));
    CHECK_FALSE(changed());
    table.reserve(1);
    CHECK(changed());
    table.append(Ids{2});
    CHECK_FALSE(changed());
    table.rewind(page);
    CHECK(changed());
}

TEST_CASE("a window returns its pages, and what is left of them is not reused") {
    const uint32_t window = 100;
    FakeCache cache(100 * page, 8, window);
    const Ids ids = [&] {
        Ids x;
        for (int32_t i = 0; i < 40 * int32_t(page); ++i) x.push_back(i);
        return x;
    }();
    for (size_t at = 0; at < ids.size(); at += 32) { // 40 pages through a pool of 8
        cache.feed(Ids(ids.begin() + ptrdiff_t(at), ids.begin() + ptrdiff_t(at) + 32), 32);
        if (cache.table.length() > window + page)
            cache.table.release_before(cache.table.length() - window - page);
        cache.check();
    }
    CHECK(cache.table.page(0) == PageTable::unused);
    CHECK(cache.table.statistics().used <= PageTable::pages_for(window + page) + 1);
    const uint32_t n = cache.table.length();
    CHECK(cache.table.rewind(n - 10) == n - 10);
    cache.check();
    cache.table.append(Ids(ids.end() - 10, ids.end()));
    CHECK(cache.table.open(join(ids, {1})) == n);
    // Left and taken over again: the last pages suffice, though those before them are gone.
    cache.run({7, 7, 7});
    CHECK(cache.table.open(join(ids, {1})) == n);
    CHECK(cache.table.rewind(n / 2) == 0);
    CHECK(cache.table.statistics().used == 0);
}

/// A random text made of few different pages and a ragged end, so that texts often share prefixes.
Ids random_text(std::mt19937& random, uint32_t longest) {
    Ids ids;
    while (ids.size() < longest && random() % 5 != 0)
        ids = join(ids, repeat(int32_t(random() % 3), random() % 4 == 0 ? random() % page : page));
    ids.push_back(int32_t(random() % 3));
    ids.resize(std::min<size_t>(ids.size(), longest));
    return ids;
}

TEST_CASE("random operations agree with the model over sequences, and every page holds what it stands for") {
    for (uint32_t n_pages : {8, 11, 40}) {
        const uint32_t n_ctx = 8 * page;
        FakeCache cache(n_ctx, n_pages);
        PageModel model(n_pages);
        std::mt19937 random(n_pages);
        for (int step = 0; step < 400; ++step) {
            CAPTURE(n_pages);
            CAPTURE(step);
            const uint32_t length = cache.table.length();
            if (random() % 3 == 0) {
                const Ids ids = random_text(random, n_ctx);
                const uint32_t expected = model.open(ids);
                REQUIRE(cache.table.open(ids) == expected);
                cache.check();
                const Ids rest(ids.begin() + expected, ids.end());
                cache.feed(rest, n_ctx);
                model.append(rest);
            } else if (random() % 2 == 0) {
                const uint32_t n = uint32_t(random() % (length + 1));
                REQUIRE(cache.table.rewind(n) == model.rewind(n));
                cache.check();
            } else {
                Ids more = random_text(random, 3 * page);
                more.resize(std::min<size_t>(more.size(), n_ctx - length));
                cache.feed(more, n_ctx);
                model.append(more);
            }
            REQUIRE(cache.table.statistics().evicted == model.evicted);
        }
        CHECK((n_pages == 40 || model.evicted > 0));
        CHECK(cache.table.statistics().reused > 0);
    }
}

TEST_CASE("random operations with a window: what is visible is always right, and no page is lost") {
    for (uint32_t window : {1, 30, 64, 65, 150}) {
        const uint32_t n_ctx = 16 * page;
        FakeCache cache(n_ctx, 20, window);
        std::mt19937 random(window);
        for (int step = 0; step < 400; ++step) {
            CAPTURE(window);
            CAPTURE(step);
            const uint32_t length = cache.table.length();
            switch (random() % 4) {
            case 0: cache.run(random_text(random, n_ctx), 1 + uint32_t(random() % 200)); break;
            case 1:
                CHECK(cache.table.rewind(length - uint32_t(random() % (length / 3 + 1))) <= length);
                break;
            case 2:
                cache.table.release_before(length - std::min(length, window - 1 + uint32_t(random() % 100)));
                break;
            default: {
                Ids more = random_text(random, 3 * page);
                more.resize(std::min<size_t>(more.size(), n_ctx - length));
                cache.feed(more, 100);
            }
            }
            cache.check();
        }
        CHECK(cache.table.statistics().reused > 0);
        cache.table.rewind(0);
        const PageTable::Statistics s = cache.table.statistics();
        CHECK(s.used == 0);
        CHECK(s.cached + s.free == 20);
    }
}

} // namespace
} // namespace kvasir
