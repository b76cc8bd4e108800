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

/// Every case with every tuning: run(device, tuning, case).
template <class Case>
void check_all(const std::vector<Case>& cases, bool has_subgroup_variant,
               CaseResult (*run)(Device&, const Tuning&, const Case&)) {
    REQUIRE(!cases.empty());
    for (const auto& [tuning_name, tuning] : tunings(test_device(), has_subgroup_variant))
        for (const Case& one : cases) {
            CAPTURE(tuning_name);
            CAPTURE(one.name);
            CaseResult result;
            REQUIRE_NOTHROW(result = run(test_device(), tuning, one));
            check(result);
        }
}

} // namespace kvasir::kernels
