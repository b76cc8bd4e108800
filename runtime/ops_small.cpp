#include "runtime/ops_dispatch.hpp"
#include "shaders/push.h"

#include <array>
#include <cassert>

namespace kvasir::ops {

void route(const Step& step, const Buffer& chosen, const Rows& weights, const Rows& scores,
           const Buffer& bias, const ModelSpec& m) {
    assert(scores.width == m.n_experts && weights.width == m.n_experts_used &&
           weights.stride == weights.width);
    const uint32_t workgroup = step.tuning.plain_workgroup;
    const push::Route push{step.n_tokens,
                           m.n_experts,
                           m.n_experts_used,
                           scores.stride,
                           m.router == Router::sigmoid,
                           static_cast<bool>(bias),
                           m.router_norm,
                           static_cast<float>(m.router_scale)};
    const std::array<const Buffer*, 4> buffers{&scores.buffer, &or_none(step, bias), &chosen,
                                               &weights.buffer};
    step.gpu.dispatch(
        step.gpu.device().pipeline("route", {workgroup}), buffers, push,
        {groups_of(step.n_tokens, workgroup), 1, 1}, "route",
        {double(step.n_tokens) * m.n_experts * m.n_experts_used, uint64_t(step.n_tokens) * m.n_experts * 4});
}

void add_weighted(const Step& step, const Rows& x, const Rows& y, const Rows& weights, bool add) {
    const uint32_t workgroup = step.tuning.plain_workgroup, n_slots = weights.width;
    assert(x.width * n_slots == y.width);
    const push::AddWeighted push{step.n_tokens, x.width, n_slots,       x.stride,
                                 y.stride,      x.width, weights.stride};
    const std::array<const Buffer*, 3> buffers{&y.buffer, &weights.buffer, &x.buffer};
    step.gpu.dispatch(
        step.gpu.device().pipeline("add_weighted", {workgroup, add}), buffers, push,
        {groups_of(x.width, workgroup), step.n_tokens, 1}, "add experts",
        {double(step.n_tokens) * y.width, uint64_t(step.n_tokens) * (y.width + x.width * 2) * 4});
}

namespace {

void dispatch_limit(const Step& step, const Rows& x, double limit, uint32_t n_rows, bool soft) {
    const uint32_t workgroup = step.tuning.plain_workgroup;
    const push::Limit push{x.width, x.stride, static_cast<float>(limit)};
    const std::array<const Buffer*, 1> buffers{&x.buffer};
    step.gpu.dispatch(step.gpu.device().pipeline("limit", {workgroup, soft}), buffers, push,
                      {groups_of(x.width, workgroup), n_rows, 1}, soft ? "softcap" : "clamp",
                      {double(n_rows) * x.width, uint64_t(n_rows) * x.width * 8});
}

} // namespace

void clamp(const Step& step, const Rows& x, double limit) {
    dispatch_limit(step, x, limit, step.n_tokens, false);
}

void softcap(const Step& step, const Rows& x, double cap, uint32_t n_rows) {
    dispatch_limit(step, x, cap, n_rows, true);
}

} // namespace kvasir::ops
