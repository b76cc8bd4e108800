#pragma once

#include "runtime/gpu/device.hpp"

#include <cstdint>

namespace kvasir {

/// The numbers by which kernels are shaped for a device. Results agree between any two tunings within
/// rounding.
struct Tuning {
    bool subgroup;            ///< use subgroup arithmetic
    uint32_t subgroup_size;   ///< 0: a workgroup is never known to be one subgroup
    uint32_t lanes;           ///< linear: lanes over the 32 rows of a tile
    uint32_t token_workgroup; ///< linear, one token: invocations, lanes times the split of d_in
    uint32_t tiles, columns;  ///< linear, many tokens: tiles of a lane, tokens of a workgroup
    uint32_t row_workgroup;   ///< norm, one row
    uint32_t vocab_workgroup; ///< sample
    uint32_t rows_workgroup;  ///< attention, rows over lanes
    uint32_t keys_workgroup;  ///< attention, keys over lanes
    uint32_t split_keys;      ///< attention of one token: keys a split has at least; 0: never split
    uint32_t probe_keys;      ///< probe: keys that a lane takes, with
    uint32_t probe_values;    ///< so many entries of q at most, of heads that share their keys
    uint32_t plain_workgroup; ///< everything else
    uint32_t chunk;           ///< tokens of a prompt's step
    double submit_macs;       ///< multiply-adds of one submit: about 50 ms on a slow device of its kind
};

Tuning tuning_for(const DeviceTraits& traits);

} // namespace kvasir
