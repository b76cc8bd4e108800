#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvasir {

/// One operation's share of the device's time.
struct ProfileEntry {
    std::string op;     ///< "linear Q8_0 [1536, 512]"
    int layer = -1;     ///< -1: outside the layers
    uint64_t count = 0; ///< dispatches
    double ms = 0;      ///< summed
    uint64_t bytes = 0; ///< read and written, summed
};

using Profile = std::vector<ProfileEntry>;

} // namespace kvasir
