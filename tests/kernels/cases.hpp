#pragma once

#include "runtime/sampler.hpp"
#include "tests/kernels/harness.hpp"

#include <string>
#include <vector>

/// The cases of every kernel, one struct a kernel. run() puts one on a device; the files <kernel>_test.cpp
/// say where the bounds of its values come from.
namespace kvasir::kernels {

struct EmbedCase {
    std::string name;
    std::vector<DType> dtypes; ///< the table's rows are shared among them: a part each
    uint32_t n_vocab, d_model, n_tokens;
    uint32_t pos = 0;
    bool learned = false;        ///< position embeddings are added
    uint64_t max_part_bytes = 0; ///< 0: as the device allows
};
std::vector<EmbedCase> embed_cases();
CaseResult run(Device& device, const Tuning& tuning, const EmbedCase& one);

struct NormCase {
    std::string name;
    Norm kind;
    uint32_t width, n_tokens;
    bool beta = false;
    double mean = 0, spread = 1; ///< of the input: uniform in mean +- spread; both 0: rows of zeros
    uint32_t first = 0,
             n_heads = 0; ///< n_heads > 0: norm_heads on those of first + n_heads + 1 heads of `width`
};
std::vector<NormCase> norm_cases();
CaseResult run(Device& device, const Tuning& tuning, const NormCase& one);

struct LinearCase {
    std::string name;
    std::vector<DType> dtypes; ///< the rows are shared among them; gated: of gate and up projection
    uint32_t d_out, d_in, n_tokens;
    Activation activation = Activation::none;
    bool gated = false, bias = false, add = false, last_token = false;
    double x_size = 1;           ///< the input is uniform in +- x_size
    uint64_t max_part_bytes = 0; ///< 0: as the device allows
};
std::vector<LinearCase> linear_cases();
CaseResult run(Device& device, const Tuning& tuning, const LinearCase& one);

struct LinearStackCase {
    std::string name;
    DType dtype;
    uint32_t n_matrices, d_out, d_in, n_tokens, n_slots;
    bool chosen = true; ///< slots choose matrices; else slot i has matrix i
    bool gated = false;
    bool shared_input = false;   ///< all slots of a token read the same
    uint64_t max_part_bytes = 0; ///< 0: as the device allows
};
std::vector<LinearStackCase> linear_stack_cases();
CaseResult run(Device& device, const Tuning& tuning, const LinearStackCase& one);

struct RouteCase {
    std::string name;
    uint32_t n_experts, n_used, n_tokens;
    Router router = Router::softmax;
    bool bias = false, normed = true;
    double scale = 1;
    double score_size = 3; ///< scores are uniform in +- score_size; 0: all equal
};
std::vector<RouteCase> route_cases();
CaseResult run(Device& device, const Tuning& tuning, const RouteCase& one);

struct AddWeightedCase {
    std::string name;
    uint32_t width, n_slots, n_tokens;
    bool add = true;
};
std::vector<AddWeightedCase> add_weighted_cases();
CaseResult run(Device& device, const Tuning& tuning, const AddWeightedCase& one);

struct LimitCase {
    std::string name;
    uint32_t width, n_tokens;
    bool soft;
    double limit, x_size = 1; ///< the input is uniform in +- x_size
};
std::vector<LimitCase> limit_cases();
CaseResult run(Device& device, const Tuning& tuning, const LimitCase& one);

struct RopeStoreCase {
    std::string name;
    KvType type;
    Rope rope;
    uint32_t n_heads, n_kv_heads, head_dim, rope_dim;
    uint32_t n_tokens, pos = 0;
    double x_size = 1; ///< the input is uniform in +- x_size; 0: zeros
};
std::vector<RopeStoreCase> rope_store_cases();
CaseResult run(Device& device, const Tuning& tuning, const RopeStoreCase& one);

/// Serves attention, attention_probs and kv_norms.
struct AttentionCase {
    std::string name;
    KvType type;
    uint32_t n_heads, n_kv_heads, head_dim;
    uint32_t pos, n_tokens;
    uint32_t window = 0;
    bool alibi = false;
    uint32_t n_splits = 1;
    double score_size = 1;  ///< queries are so much larger than keys
    double softcap = 0;     ///< of scores
    uint32_t value_dim = 0; ///< values are so many first entries of keys; 0: they have their own place
};
std::vector<AttentionCase> attention_cases();
CaseResult run(Device& device, const Tuning& tuning, const AttentionCase& one);

struct AttentionMergeCase {
    std::string name;
    uint32_t n_heads, head_dim, n_splits;
    uint32_t n_empty = 0; ///< of the splits, the last ones: they saw no key
};
std::vector<AttentionMergeCase> attention_merge_cases();
CaseResult run(Device& device, const Tuning& tuning, const AttentionMergeCase& one);

std::vector<AttentionCase> attention_probs_cases();
CaseResult run_probs(Device& device, const Tuning& tuning, const AttentionCase& one);

std::vector<AttentionCase> kv_norms_cases();
CaseResult run_kv_norms(Device& device, const Tuning& tuning, const AttentionCase& one);

struct SampleCase {
    std::string name;
    Values logits;
    SamplerOptions options;
    uint32_t n_draws;
    double offset = 0;      ///< added to every logit
    uint32_t n_history = 0; ///< random ids before the first step
    uint32_t n_tokens = 1;  ///< of a step
};
std::vector<SampleCase> sample_cases();
CaseResult run(Device& device, const Tuning& tuning, const SampleCase& one);

} // namespace kvasir::kernels
