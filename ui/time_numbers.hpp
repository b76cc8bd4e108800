#pragma once

#include "runtime/profile.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace kvasir::ui {

/// An operation's time in a layer, or in all.
struct TimeBar {
    std::string op;
    uint64_t count = 0, bytes = 0;
    double ms = 0;

    double bytes_s() const { return ms > 0 ? double(bytes) / (ms / 1000) : 0; }
};

struct TimeRow {
    int layer = -1; ///< -1: outside the layers, or of all
    double ms = 0;
    std::vector<TimeBar> bars;
};

/// A row for each layer, in order, with its operations in the order they run; what is outside the layers
/// last. Entries without a time (not a number, negative) are left out.
std::vector<TimeRow> times_by_layer(const Profile& profile);

/// Each operation summed over the layers, the longest first.
TimeRow times_by_operation(const Profile& profile);

/// An operation's kind: its first word, "linear" of "linear Q8_0 [1536, 512]".
std::string kind_of(const std::string& op);

} // namespace kvasir::ui
