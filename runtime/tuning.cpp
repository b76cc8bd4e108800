#include "runtime/tuning.hpp"

namespace kvasir {

Tuning tuning_for(const DeviceTraits& traits) {
    // A software device runs a workgroup on one core: one subgroup, no barriers, as much arithmetic a load as
    // registers allow. A GPU hides latency with many lanes instead.
    if (traits.software)
        return {.subgroup = traits.subgroup_arithmetic,
                .subgroup_size = traits.subgroup,
                .lanes = 8,
                .token_workgroup = 8,
                .tiles = 2,
                .columns = 8,
                .row_workgroup = traits.subgroup,
                .vocab_workgroup = traits.subgroup,
                .rows_workgroup = traits.subgroup,
                .keys_workgroup = traits.subgroup,
                .split_keys = 0,
                .probe_keys = 32,
                .probe_values = 256,
                .plain_workgroup = 32,
                .chunk = 64,
                .submit_macs = 2e8};
    return {.subgroup = traits.subgroup_arithmetic,
            .subgroup_size = traits.subgroup_fixed ? traits.subgroup : 0,
            .lanes = 16,
            .token_workgroup = 128,
            .tiles = 1,
            .columns = 8,
            .row_workgroup = 128,
            .vocab_workgroup = 128,
            .rows_workgroup = 64,
            .keys_workgroup = 64,
            .split_keys = 256,
            .probe_keys = 4,
            .probe_values = 128,
            .plain_workgroup = 64,
            .chunk = 512,
            .submit_macs = 2e10};
}

} // namespace kvasir
