#pragma once

#include "runtime/hf/config.hpp"

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace kvasir {

/// How a tensor of a Hugging Face checkpoint becomes one of GGUF.
enum class Layout {
    plain,
    conv1d,   ///< [d_in, d_out], GPT-2's Conv1D, unless the file has c_attn as [3 d_model, d_model]
    grouped,  ///< rows of each KV group's queries, its key, its value: to all q, then k, then v
    halves,   ///< two tensors, one below the other; the GGUF names are separated by '|'
    plus_one, ///< Gemma's RMSNorm multiplies by 1 + w
    skip_two, ///< OPT's positions begin at row 2
    vector,   ///< [1, n] to [n]
};

/// A tensor by its name without the family's prefix and without ".weight" or ".bias"; '%' stands for the
/// layer,
/// '#' for one of several that GGUF stacks (experts, heads).
struct TensorRule {
    const char* name;
    const char* gguf;
    Layout layout = Layout::plain;
};

/// One row a model_type: all that is known about its config.json and checkpoints beyond its Architecture.
struct Family {
    const char* model_type;
    const char* architecture; ///< general.architecture of GGUF
    std::vector<TensorRule> tensors;
    std::vector<const char*> prefixes = {"model."}; ///< of tensor names; they may be absent
    std::vector<const char*> unused = {};           ///< tensors that a checkpoint may hold and nobody reads
    const char* activation = "silu";                ///< where config.json does not say
    Config::Names activation_keys = {"hidden_act"};
    bool tied = false;      ///< where config.json does not say
    double norm_eps = 1e-5; ///< likewise
    int64_t n_ctx = 2048;   ///< likewise
    Config::Names ff_keys = {"intermediate_size"};
    int64_t ff_multiple = 0; ///< d_ff over d_model, where none of these is there
    double rope_base = 10000;
    double rotated_share = 1; ///< of a head, likewise
    const char* rope_layout = "halves";
    std::vector<std::pair<const char*, nlohmann::json>> expected =
        {}; ///< settings with the one value that runs
    /// What a row cannot say: adds keys to metadata (written with the architecture's prefix by `put`).
    void (*more)(const Config& config, Metadata& metadata, const std::string& prefix) = nullptr;
};

/// The row of a model_type. Throws Error, naming those that run, where there is none.
const Family& hf_family(const Config& config, const std::string& model_type);

} // namespace kvasir
