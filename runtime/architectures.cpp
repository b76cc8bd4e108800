#include "runtime/architectures.hpp"

#include "runtime/error.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace kvasir {

namespace {

/// Source: GGUF specification, "Standardized tensor names".
constexpr std::array all_gguf_names = std::to_array<RoleName>({
    {Role::token_embedding, "token_embd"},
    {Role::position_embedding, "position_embd"},
    {Role::embedding_norm, "token_embd_norm"},
    {Role::final_norm, "output_norm"},
    {Role::head, "output"},
    {Role::rope_factors, "rope_freqs"},
    {Role::rope_long_factors, "rope_factors_long"},
    {Role::attn_norm, "blk.%.attn_norm"},
    {Role::qkv, "blk.%.attn_qkv"},
    {Role::q, "blk.%.attn_q"},
    {Role::k, "blk.%.attn_k"},
    {Role::v, "blk.%.attn_v"},
    {Role::q_norm, "blk.%.attn_q_norm"},
    {Role::k_norm, "blk.%.attn_k_norm"},
    {Role::o, "blk.%.attn_output"},
    {Role::attn_post_norm, "blk.%.post_attention_norm"},
    {Role::q_a, "blk.%.attn_q_a"},
    {Role::q_a_norm, "blk.%.attn_q_a_norm"},
    {Role::q_b, "blk.%.attn_q_b"},
    {Role::kv_a, "blk.%.attn_kv_a_mqa"},
    {Role::kv_a_norm, "blk.%.attn_kv_a_norm"},
    {Role::kv_b, "blk.%.attn_kv_b"},
    {Role::k_b, "blk.%.attn_k_b"},
    {Role::v_b, "blk.%.attn_v_b"},
    {Role::ffn_norm, "blk.%.ffn_norm"},
    {Role::gate, "blk.%.ffn_gate"},
    {Role::up, "blk.%.ffn_up"},
    {Role::down, "blk.%.ffn_down"},
    {Role::ffn_post_norm, "blk.%.post_ffw_norm"},
    {Role::router, "blk.%.ffn_gate_inp"},
    {Role::router_bias, "blk.%.exp_probs_b"},
    {Role::expert_gates, "blk.%.ffn_gate_exps"},
    {Role::expert_ups, "blk.%.ffn_up_exps"},
    {Role::expert_downs, "blk.%.ffn_down_exps"},
    {Role::shared_router, "blk.%.ffn_gate_inp_shexp"},
    {Role::shared_gate, "blk.%.ffn_gate_shexp"},
    {Role::shared_up, "blk.%.ffn_up_shexp"},
    {Role::shared_down, "blk.%.ffn_down_shexp"},
});

/// The same names but for those of `others`.
template <size_t n>
constexpr auto renamed(const std::array<RoleName, n>& names, std::initializer_list<RoleName> others) {
    auto result = names;
    for (RoleName& name : result)
        for (const RoleName& other : others)
            if (name.role == other.role) name.pattern = other.pattern;
    return result;
}

/// With two norms a block, Falcon's converter calls that of the feed-forward branch attn_norm.
constexpr auto falcon_names =
    renamed(all_gguf_names, {{Role::attn_norm, "blk.%.attn_norm_2"}, {Role::ffn_norm, "blk.%.attn_norm"}});
/// Phi-3's factors come in two lists, for contexts up to the original length and beyond it.
constexpr auto phi3_names = renamed(all_gguf_names, {{Role::rope_factors, "rope_factors_short"}});

/// The choices of GPT-2's descendants and of LLaMA's, from which rows differ.
ModelSpec gpt(const char* family) {
    ModelSpec m;
    m.family = family;
    m.norm = Norm::layer;
    m.activation = Activation::gelu_tanh;
    m.gated = false;
    return m;
}
ModelSpec llama(const char* family, Rope rope) {
    ModelSpec m;
    m.family = family;
    m.rope = rope;
    return m;
}

template <class Change>
Architecture row(ModelSpec choices, Change change) {
    Architecture result{.choices = std::move(choices)};
    change(result, result.choices);
    return result;
}
Architecture row(ModelSpec choices) {
    return {.choices = std::move(choices)};
}

/// Which halves or pairs a family rotates is told by how its converter leaves or permutes the rows of Q and
/// K. GELU is the tanh form wherever GGUF runs, whatever the original had.
std::vector<Architecture> make_table() {
    using A = Architecture&;
    using M = ModelSpec&;
    return {
        row(llama("llama", Rope::pairs)), // Mistral and Mixtral too
        row(gpt("gpt2"), [](A, M m) { m.learned_positions = true; }),
        row(gpt("gptj"), [](A, M m) { m.rope = Rope::pairs, m.parallel = true; }),
        row(gpt("gptneox"), [](A a, M m) { m.rope = Rope::halves, a.parallel = ParallelSign::key; }),
        row(gpt("bloom"), [](A, M m) { m.alibi_max_bias = 8, m.embedding_norm = true; }),
        row(gpt("mpt")), // ALiBi where its key says so, else learned positions
        row(gpt("falcon"),
            [](A a, M m) {
                m.rope = Rope::halves, m.parallel = true;
                a.two_norms_sign = "blk.0.attn_norm_2.weight", a.two_norms_names = falcon_names;
            }),
        row(gpt("starcoder"), [](A, M m) { m.learned_positions = true; }),
        row(gpt("starcoder2"), [](A, M m) { m.rope = Rope::halves; }),
        row(llama("refact", Rope::none), [](A, M m) { m.alibi_max_bias = 8; }),
        row(llama("llama-learned", Rope::none), [](A, M m) { m.learned_positions = true; }), // assets/train
        row(llama("stablelm", Rope::halves),
            [](A a, M m) { m.norm = Norm::layer, a.parallel = ParallelSign::no_norm; }),
        row(gpt("phi2"), [](A, M m) { m.rope = Rope::halves, m.parallel = true; }),
        row(llama("phi3", Rope::halves), [](A a, M) { a.fused_gate = true, a.names = phi3_names; }),
        row(llama("qwen2", Rope::halves)),
        row(llama("qwen3", Rope::halves), [](A, M m) { m.qk_norm = QkNorm::head; }),
        row(llama("qwen2moe", Rope::halves), [](A, M m) { m.router_norm = false, m.shared_gate = true; }),
        row(llama("qwen3moe", Rope::halves), [](A, M m) { m.qk_norm = QkNorm::head; }),
        row(llama("gemma", Rope::halves),
            [](A a, M m) { m.activation = Activation::gelu_tanh, a.scaled_embedding = true; }),
        row(llama("gemma2", Rope::halves),
            [](A a, M m) {
                m.activation = Activation::gelu_tanh, m.branch_norm = true, m.window_period = 2;
                m.window = 4096, m.attention_softcap = 50, m.logit_softcap = 30;
                a.scaled_embedding = true, a.layers_of_model_scaled_scores = 46; // the 27B model
            }),
        row(llama("deepseek2", Rope::pairs), [](A, M m) { m.router_norm = false; }),
        row(llama(stated_family, Rope::none)),
    };
}

const std::vector<Architecture>& table() {
    static const std::vector<Architecture> rows = make_table();
    return rows;
}

/// Kinds of models whose files people have beside those that write text, by GGUF's family or by model_type.
constexpr std::pair<const char*, const char*> other_kinds[] = {
    {"bert", "an encoder, which gives embeddings"},
    {"nomic-bert", "an encoder, which gives embeddings"},
    {"nomic-bert-moe", "an encoder, which gives embeddings"},
    {"jina-bert-v2", "an encoder, which gives embeddings"},
    {"neo-bert", "an encoder, which gives embeddings"},
    {"gemma-embedding", "an encoder, which gives embeddings"},
    {"t5", "an encoder and a decoder, for translation"},
    {"t5encoder", "an encoder, which gives embeddings"},
    {"clip", "a vision or audio encoder, one part of a larger model"},
    {"whisper", "a speech recogniser"},
    {"wavtokenizer-dec", "a speech synthesiser"},
    {"mamba", "a state-space model without attention"},
    {"mamba2", "a state-space model without attention"},
    {"jamba", "a state-space model with some attention layers"},
    {"falcon-h1", "a state-space model beside attention"},
    {"nemotron_h", "a state-space model with some attention layers"},
    {"granitehybrid", "a state-space model with some attention layers"},
    {"rwkv6", "a recurrent model without attention"},
    {"rwkv6qwen2", "a recurrent model without attention"},
    {"rwkv7", "a recurrent model without attention"},
    {"dream", "a diffusion model, whose tokens see later ones"},
    {"llada", "a diffusion model, whose tokens see later ones"},
    {"flux", "an image generator"},
    {"sd1", "an image generator"},
    {"sd3", "an image generator"},
    {"sdxl", "an image generator"},
    {"control_vector", "a change to another model, not a model"},
    {"albert", "an encoder, which gives embeddings"},
    {"camembert", "an encoder, which gives embeddings"},
    {"deberta-v2", "an encoder, which gives embeddings"},
    {"distilbert", "an encoder, which gives embeddings"},
    {"electra", "an encoder, which gives embeddings"},
    {"modernbert", "an encoder, which gives embeddings"},
    {"mpnet", "an encoder, which gives embeddings"},
    {"nomic_bert", "an encoder, which gives embeddings"},
    {"roberta", "an encoder, which gives embeddings"},
    {"xlm-roberta", "an encoder, which gives embeddings"},
    {"bart", "an encoder and a decoder, for translation"},
    {"m2m_100", "an encoder and a decoder, for translation"},
    {"marian", "an encoder and a decoder, for translation"},
    {"mt5", "an encoder and a decoder, for translation"},
    {"pegasus", "an encoder and a decoder, for translation"},
    {"blip", "a vision model"},
    {"blip-2", "a vision model"},
    {"convnext", "a vision encoder"},
    {"detr", "a vision model"},
    {"dinov2", "a vision encoder"},
    {"idefics3", "a vision model around a text model"},
    {"llava", "a vision model around a text model"},
    {"llava_next", "a vision model around a text model"},
    {"mllama", "a vision model around a text model"},
    {"mistral3", "a vision model around a text model"},
    {"paligemma", "a vision model around a text model"},
    {"qwen2_5_vl", "a vision model around a text model"},
    {"qwen2_vl", "a vision model around a text model"},
    {"qwen2vl", "a vision model around a text model"},
    {"qwen3_vl", "a vision model around a text model"},
    {"qwen3vl", "a vision model around a text model"},
    {"qwen3vlmoe", "a vision model around a text model"},
    {"resnet", "a vision encoder"},
    {"siglip", "a vision encoder"},
    {"swin", "a vision encoder"},
    {"vit", "a vision encoder"},
    {"chameleon", "a vision model around a text model"},
    {"cogvlm", "a vision model around a text model"},
    {"hubert", "an audio encoder"},
    {"musicgen", "a music generator"},
    {"qwen2_audio", "an audio model around a text model"},
    {"speecht5", "a speech synthesiser"},
    {"ultravox", "an audio model around a text model"},
    {"wav2vec2", "an audio encoder"},
    {"falcon_mamba", "a state-space model without attention"},
    {"bamba", "a state-space model with some attention layers"},
    {"zamba2", "a state-space model with some attention layers"},
    {"granitemoehybrid", "a state-space model with some attention layers"},
    {"rwkv", "a recurrent model without attention"},
    {"arwkv7", "a recurrent model without attention"},
};

} // namespace

std::string other_kind(const std::string& family) {
    const auto kind = std::find_if(std::begin(other_kinds), std::end(other_kinds),
                                   [&](const auto& each) { return each.first == family; });
    return kind == std::end(other_kinds) ? "" : kind->second;
}

std::span<const RoleName> gguf_names() {
    return all_gguf_names;
}

std::vector<std::string> families() {
    std::vector<std::string> names;
    for (const Architecture& each : table())
        if (each.choices.family != stated_family) names.push_back(each.choices.family);
    return names;
}

const Architecture& architecture(const std::string& family) {
    for (const Architecture& each : table())
        if (each.choices.family == family) return each;
    std::string names;
    for (const std::string& name : families()) names += (names.empty() ? "" : ", ") + name;
    const std::string kind = other_kind(family);
    throw Error("running a model of the family " + quoted(family),
                kind.empty() ? "it is not supported" : "it is " + kind, "one of these: " + names);
}

Architecture architecture_of(const ModelFile& file, const std::string& family) {
    Architecture result = architecture(family);
    const auto has = [&](Role role) { return file.find(tensor_name(result, role)) != nullptr; };
    if (result.two_norms_sign && file.find(result.two_norms_sign)) result.names = result.two_norms_names;
    result.fused_qkv = has(Role::qkv);
    result.split_kv_b = has(Role::k_b);
    return result;
}

} // namespace kvasir
