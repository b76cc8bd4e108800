#pragma once

#include "runtime/ops.hpp"

namespace kvasir::ops {

/// Workgroups of `size` that cover so many items.
inline uint32_t groups_of(uint64_t items, uint32_t size) {
    return static_cast<uint32_t>((items + size - 1) / size);
}

/// What is bound where an operation has no such buffer.
inline const Buffer& or_none(const Step& step, const Buffer& buffer) {
    return buffer ? buffer : step.none;
}

} // namespace kvasir::ops
