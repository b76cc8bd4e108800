#pragma once

#include "tests/kernels/harness.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace kvasir::kernels {

inline void check(const CaseResult& result) {
    CAPTURE(result.name);
    CAPTURE(result.error);
    CAPTURE(result.bound);
    CHECK(result.stray == 0);
    CHECK(result.worst <= 1);
    CHECK(result.nmse <= result.nmse_limit);
    CHECK(result.bytes > 0);
}

/// Every case with every tuning: run(device, tuning, case); where `slow` says that a case's pipeline takes a
/// software driver seconds to compile, only with the first and the last, which differ in everything.
template <class Case>
void check_all(const std::vector<Case>& cases, bool has_subgroup_variant,
               CaseResult (*run)(Device&, const Tuning&, const Case&), bool (*slow)(const Case&) = nullptr) {
    REQUIRE(!cases.empty());
    const auto all = tunings(test_device(), has_subgroup_variant);
    for (const auto& [tuning_name, tuning] : all)
        for (const Case& one : cases) {
            if (slow && slow(one) && tuning_name != all.front().name && tuning_name != all.back().name)
                continue;
            CAPTURE(tuning_name);
            CAPTURE(one.name);
            CaseResult result;
            REQUIRE_NOTHROW(result = run(test_device(), tuning, one));
            check(result);
        }
}

} // namespace kvasir::kernels
