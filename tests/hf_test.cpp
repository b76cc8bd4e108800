// Hugging Face folders with seeded weights: every model_type against the GGUF form of the same numbers, and
// what is refused.
#include "runtime/architectures.hpp"
#include "runtime/file/json.hpp"
#include "runtime/hf/folder.hpp"
#include "runtime/model.hpp"
#include "runtime/rope.hpp"
#include "runtime/spec_json.hpp"
#include "runtime/text/tokenizer.hpp"
#include "tests/expect_error.hpp"
#include "tests/golden.hpp"
#include "tests/hf_folder.hpp"
#include "tests/reference/forward.hpp"
#include "tests/vocabularies.hpp"

#include <doctest/doctest.h>

#include <set>

namespace kvasir {

namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

std::vector<std::byte> values_of(const TensorInfo& tensor) {
    std::vector<std::byte> storage;
    const auto values = in_order(tensor, storage);
    return {values.begin(), values.end()};
}

/// A folder of the small Llama, whose parts `change` may alter before they are written.
struct Llama {
    HfModel model = hf_model("llama");
    json config = model.config;
    SafetensorsWriter weights = model.safetensors();
    Folder folder;

    ModelFile read() const {
        write_file(folder / "config.json", config.dump());
        weights.save(folder / "model.safetensors");
        ModelFile file = read_hf_folder(folder / "");
        check_tensors(file, read_spec(file));
        return file;
    }
    ModelSpec spec() const { return read_spec(read()); }
};

void refused(auto change, std::initializer_list<std::string> parts) {
    Llama llama;
    change(llama);
    expect_error([&] { llama.read(); }, parts);
}

} // namespace

TEST_CASE("every model_type is the GGUF model of the same numbers") {
    std::set<std::string> types;
    for (const HfModel& model : hf_models()) {
        for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
            CAPTURE(model.type);
            CAPTURE(info(dtype).name);
            types.insert(model.type);
            Folder folder;
            model.save(folder, dtype);
            const auto bytes = model.gguf(dtype).bytes();
            const ModelFile gguf = parse_gguf(bytes, "m.gguf"), hf = read_hf_folder(folder / "");
            CHECK(hf.format == "safetensors");
            ModelSpec expected = read_spec(gguf), found = read_spec(hf);
            check_tensors(hf, found);
            const bool permuted = expected.rope == Rope::pairs && found.rope == Rope::halves;
            CHECK(permuted == (expected.family == "llama"));
            expected.name = found.name;
            expected.rope = found.rope;
            expected.activation = model.m.activation; // which GGUF leaves to the family
            CHECK(found == expected);
            CHECK(hf.tensors.size() == gguf.tensors.size());
            for (const TensorInfo& tensor : gguf.tensors) {
                CAPTURE(tensor.name);
                const TensorInfo* same = hf.find(tensor.name);
                REQUIRE(same);
                CHECK(same->shape == tensor.shape);
                const bool qk = permuted && (tensor.name.find("attn_q") != std::string::npos ||
                                             tensor.name.find("attn_k") != std::string::npos);
                if (!qk) CHECK(values_of(*same) == values_of(tensor));
            }
            if (!permuted || dtype != DType::f32) continue;
            const Ids ids = {3, 17, 44, 1, 0, 8, 8, 20, 31, 5, 7, 9, 11, 13, 2, 49};
            const auto a = reference::forward(reference::Model(gguf), ids).logits,
                       b = reference::forward(reference::Model(hf), ids).logits;
            REQUIRE(a.size() == b.size());
            for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-9));
        }
    }
    CHECK(types.size() == 25);
}

TEST_CASE("names without the module's prefix, buffers that nobody reads, a tied head that is stored too") {
    HfModel model = hf_model("gpt2");
    model.prefix = "";
    model.m.tied = true;
    model.config.erase("tie_word_embeddings");
    SafetensorsWriter weights = model.safetensors();
    weights.add("h.0.attn.bias", "BOOL", {1, 1, 2, 2}, std::vector<std::byte>(4));
    weights.add("h.1.attn.masked_bias", "F32", {}, std::vector<std::byte>(4));
    weights.add("lm_head.weight", "F32", {50, 64},
                std::vector<std::byte>(50 * 64 * 4)); // zeros, not the embedding
    Folder folder;
    write_file(folder / "config.json", model.config.dump());
    weights.save(folder / "model.safetensors");
    const ModelFile file = read_hf_folder(folder / "");
    const ModelSpec spec = read_spec(file);
    check_tensors(file, spec);
    CHECK(spec.tied);
}

TEST_CASE("sharded folders: parts by the index, and what is missing, foreign or outside is named") {
    const HfModel model = hf_model("llama");
    const auto make = [&](const Folder& folder, auto change) {
        SafetensorsWriter all = model.safetensors(), parts[2];
        json map;
        for (const auto& [name, entry] : all.header.items()) {
            const size_t part = map.size() % 2, begin = entry["data_offsets"][0],
                         end = entry["data_offsets"][1];
            parts[part].add(name, entry["dtype"], entry["shape"],
                            std::span(all.data).subspan(begin, end - begin));
            map[name] = "model-0000" + std::to_string(part + 1) + "-of-00002.safetensors";
        }
        write_file(folder / "config.json", model.config.dump());
        for (size_t i = 0; i < 2; ++i)
            parts[i].save(folder / ("model-0000" + std::to_string(i + 1) + "-of-00002.safetensors"));
        json index = {{"metadata", {{"total_size", 1}}}, {"weight_map", map}};
        change(index["weight_map"]);
        write_file(folder / "model.safetensors.index.json", index.dump());
    };
    {
        Folder folder;
        make(folder, [](json&) {});
        const ModelFile file = read_hf_folder(folder / "");
        CHECK(file.format == "safetensors in 2 parts");
        check_tensors(file, read_spec(file));
    }
    const auto refused_index = [&](auto change, std::initializer_list<std::string> parts) {
        Folder folder;
        make(folder, change);
        expect_error([&] { read_hf_folder(folder / ""); }, parts);
    };
    const char* norm = "model.norm.weight";
    {
        Folder folder;
        make(folder, [](json&) {});
        std::filesystem::remove(folder / "model-00002-of-00002.safetensors");
        expect_error([&] { read_hf_folder(folder / ""); }, {"model-00002-of-00002.safetensors"});
    }
    refused_index([&](json& map) { map[norm] = "model-00003-of-00002.safetensors"; },
                  {norm, "the index does not say"});
    refused_index([&](json& map) { map.erase(norm); }, {norm, "index does not say"});
    refused_index([&](json& map) { map["more.weight"] = "model-00001-of-00002.safetensors"; },
                  {"more.weight", "not in it"});
    refused_index([&](json& map) { map[norm] = "../model.safetensors"; },
                  {"../model.safetensors", "not in its folder"});
    refused_index([&](json& map) { map[norm] = "/etc/passwd"; }, {"/etc/passwd"});
    refused_index([&](json& map) { map[norm] = 7; }, {norm});
    refused_index([&](json& map) { map = json::array(); }, {"weight_map"});
}

TEST_CASE("a damaged checkpoint is refused with the tensor's own name") {
    const std::string q = "model.layers.0.self_attn.q_proj.weight";
    const auto rename = [](Llama& llama, const std::string& from, const std::string& to) {
        llama.weights.header[to] = llama.weights.header[from];
        llama.weights.header.erase(from);
    };
    refused([&](Llama& l) { rename(l, q, "model.layers.0.self_attn.q_prox.weight"); },
            {"model.layers.0.self_attn.q_prox.weight"});
    refused([&](Llama& l) { rename(l, q, "model.layers.00.self_attn.q_proj.weight"); },
            {"model.layers.00.self_attn.q_proj.weight"});
    refused([&](Llama& l) { rename(l, q, "model.layers.7.self_attn.q_proj.weight"); }, {"q"});
    refused([&](Llama& l) { rename(l, "lm_head.weight", "lm_head.wait"); }, {"lm_head.wait"});
    refused(
        [&](Llama& l) {
            l.weights.header["model.layers.0.mlp.up_proj.weight"]["shape"] = {48, 128};
        },
        {"model.layers.0.mlp.up_proj.weight", "[96, 64]", "[48, 128]"});
    refused([&](Llama& l) { l.weights.header[q]["dtype"] = "I32"; }, {q, "I32"});
    refused([&](Llama& l) { l.weights.header[q]["data_offsets"][1] = 1 << 30; }, {q});
    refused(
        [&](Llama& l) {
            l.weights.add("model.layers.0.extra.weight", DType::f32, {1}, std::vector<float>(1));
        },
        {"model.layers.0.extra.weight"});
    refused([&](Llama& l) { l.weights.add("norm.weight", DType::f32, {64}, std::vector<float>(64)); },
            {"norm.weight"}); // with and without prefix
}

TEST_CASE("a damaged or foreign config.json is refused by the setting's name") {
    refused([](Llama& l) { l.config["hidden_size"] = -1; }, {"-1", "no count"});
    refused([](Llama& l) { l.config["hidden_size"] = "64"; }, {"64", "no count"});
    refused([](Llama& l) { l.config.erase("num_hidden_layers"); }, {"num_hidden_layers", "missing"});
    refused([](Llama& l) { l.config["num_attention_heads"] = 0; }, {"head"});
    refused([](Llama& l) { l.config["hidden_act"] = "quick_gelu"; }, {"quick_gelu"});
    refused([](Llama& l) { l.config["model_type"] = "bert"; }, {"bert", "llama", "qwen3"});
    refused([](Llama& l) { l.config.erase("model_type"); }, {"model_type"});
    refused(
        [](Llama& l) {
            l.config["quantization_config"] = {{"quant_method", "gptq"}};
        },
        {"quantization_config"});
    refused([](Llama& l) { l.config["is_encoder_decoder"] = true; }, {"is_encoder_decoder"});
    refused([](Llama& l) { l.config["rope_scaling"] = {{"type", "strange"}, {"factor", 2.0}}; }, {"strange"});
    refused([](Llama& l) { l.config["rope_scaling"] = "linear"; }, {"config.json"});
    refused(
        [](Llama& l) {
            l.config["rope_scaling"] = {{"type", "llama3"}, {"factor", 2.0}};
        },
        {"llama3", "original_max_position_embeddings"});
    refused(
        [](Llama& l) {
            l.config["sliding_window"] = 8, l.config["layer_types"] = {"full_attention", "sliding_attention"};
        },
        {"layer_types"});
    refused([](Llama& l) { l.config["vocab_size"] = 51; }, {"model.embed_tokens.weight", "[51, 64]"});
    refused([](Llama& l) { l.config = json::array(); }, {"config.json"});
    refused([](Llama& l) { l.config["tie_word_embeddings"] = "yes"; }, {"tie_word_embeddings"});
    Folder empty;
    expect_error([&] { read_hf_folder(empty / ""); }, {"config.json"});
    write_file(empty / "config.json", R"({"model_type": "llama"})");
    expect_error([&] { read_hf_folder(empty / ""); }, {"model.safetensors"});
    write_file(empty / "pytorch_model.bin", "x");
    expect_error([&] { read_hf_folder(empty / ""); }, {"pytorch_model.bin", "safetensors"});
}

TEST_CASE("windows: used or not, by every way of saying so") {
    const auto window = [](const json& more) {
        Llama llama;
        llama.config.update(more);
        return llama.spec().window;
    };
    CHECK(window({{"sliding_window", 8}}) == 8);
    CHECK(window({{"sliding_window", nullptr}}) == 0);
    CHECK(window({{"sliding_window", 8}, {"use_sliding_window", false}}) == 0);
    CHECK(window({{"sliding_window", 8}, {"use_sliding_window", true}, {"max_window_layers", 2}}) == 0);
    CHECK(window({{"sliding_window", 8}, {"use_sliding_window", true}, {"max_window_layers", 0}}) == 8);
    CHECK(window({{"sliding_window", 8}, {"layer_types", {"full_attention", "full_attention"}}}) == 0);
    CHECK(window({{"sliding_window", 8}, {"layer_types", {"sliding_attention", "sliding_attention"}}}) == 8);
}

TEST_CASE("RoPE scalings of config.json") {
    const auto spec = [](const json& scaling, const char* key = "rope_scaling") {
        Llama llama;
        llama.config["rope_theta"] = 500000.0;
        llama.config[key] = scaling;
        return llama.spec();
    };
    CHECK(spec(nullptr).rope_base == 500000);
    CHECK(spec({{"rope_theta", 7000.0}, {"rope_type", "default"}}, "rope_parameters").rope_base == 7000);
    const ModelSpec linear = spec({{"type", "linear"}, {"factor", 4.0}});
    CHECK(linear.rope_scaling == RopeScaling::linear);
    CHECK(linear.rope_factor == 4);
    // Within the trained length nothing changes; at twice that, NTK's base for 2 * 2 - 1 = 3 times the
    // length.
    const ModelSpec dynamic = spec({{"rope_type", "dynamic"}, {"factor", 2.0}}), plain = spec(nullptr);
    CHECK(rope_table(dynamic, 32).theta == rope_table(plain, 32).theta);
    CHECK(rope_table(dynamic, 64).theta[7] ==
          doctest::Approx(rope_table(plain, 64).theta[7] / 3).epsilon(1e-9)); // the slowest of 8
    const json yarn = {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 8}};
    CHECK(spec(yarn).rope_scaling == RopeScaling::yarn);
    CHECK(rope_table(spec(yarn), 32).magnitude == doctest::Approx(0.1 * std::log(4.0) + 1));
    json with = yarn;
    with.update({{"attention_factor", 1.5}, {"beta_fast", 16.0}});
    CHECK(rope_table(spec(with), 32).magnitude == doctest::Approx(1.5));
    CHECK(spec(with).rope_beta_fast == 16);
    const ModelSpec llama3 = spec({{"rope_type", "llama3"},
                                   {"factor", 8.0},
                                   {"low_freq_factor", 1.0},
                                   {"high_freq_factor", 4.0},
                                   {"original_max_position_embeddings", 32}});
    REQUIRE(llama3.rope_factors.size() == 8);
    CHECK(llama3.rope_factors.front() == 1); // 32 / 2 pi = 5.1 turns: kept
    CHECK(llama3.rope_factors.back() == 8);  // hardly turns: divided
}

TEST_CASE("Phi-3's long and short factors") {
    HfModel model = hf_model("phi3");
    json factors = json::array();
    for (int i = 0; i < 8; ++i) factors.push_back(1.0 + i);
    model.config["original_max_position_embeddings"] = 16;
    model.config["rope_scaling"] = {
        {"type", "longrope"}, {"short_factor", factors}, {"long_factor", factors}};
    Folder folder;
    model.save(folder);
    const ModelFile file = read_hf_folder(folder / "");
    const ModelSpec spec = read_spec(file);
    check_tensors(file, spec);
    CHECK(spec.rope_factors == std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8});
    CHECK(spec.rope_long_factors == spec.rope_factors);
    CHECK(spec.rope_original_ctx == 16);
    CHECK(spec.rope_magnitude == doctest::Approx(std::sqrt(1.25))); // ln 2 / ln 16
    model.config["rope_scaling"]["short_factor"] = "x";
    model.save(folder);
    expect_error([&] { read_hf_folder(folder / ""); }, {"short_factor"});
}

TEST_CASE("a folder's vocabulary: special tokens, ends and template by every file that may tell them") {
    Llama llama;
    llama.read();
    const auto tokenizer = [&] { return Tokenizer(read_hf_folder(llama.folder / "").metadata); };
    CHECK(tokenizer().n_vocab() == 50);
    CHECK(tokenizer().decode(Ids{3, 17}) == "3 17");
    expect_error([&] { tokenizer().encode("3", false, false); }, {"no tokenizer", "--ids"});

    json vocab = json::object();
    for (int i = 0; i < 40; ++i) vocab[std::string(1, char('!' + i))] = i;
    const json file = {{"added_tokens",
                        {{{"id", 40}, {"content", "<s>"}, {"special", true}},
                         {{"id", 41}, {"content", "<e>"}, {"special", true}}}},
                       {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
                       {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", json::array()}}}};
    write_file(llama.folder / "tokenizer.json", file.dump());
    CHECK(tokenizer().n_vocab() == 50); // as the embedding has rows
    CHECK(tokenizer().bos() == -1);
    write_file(llama.folder / "special_tokens_map.json",
               R"({"bos_token": "<s>", "eos_token": {"content": "<e>"}})");
    CHECK(tokenizer().bos() == 40);
    CHECK(tokenizer().is_end(41));
    CHECK(!tokenizer().add_bos());
    write_file(llama.folder / "tokenizer_config.json",
               R"({"add_bos_token": true, "chat_template": [{"name": "default", "template": "T"}]})");
    CHECK(tokenizer().encode("!", true, false) == Ids{40, 0});
    CHECK(read_hf_folder(llama.folder / "").metadata.text("tokenizer.chat_template") == "T");
    write_file(llama.folder / "chat_template.jinja", "J");
    CHECK(read_hf_folder(llama.folder / "").metadata.text("tokenizer.chat_template") == "J");
    write_file(llama.folder / "generation_config.json", R"({"eos_token_id": [5, 41]})");
    CHECK(tokenizer().is_end(5));
    CHECK(tokenizer().is_end(41));
    CHECK(!tokenizer().is_end(6));
    write_file(llama.folder / "generation_config.json", R"({"eos_token_id": ["x"]})");
    expect_error(tokenizer, {"eos_token_id", "generation_config.json"});
    auto sampler = [&](const char* text) {
        write_file(llama.folder / "generation_config.json", text);
        return read_sampler(read_hf_folder(llama.folder / "").metadata).over({.top_p = 0.5f});
    };
    CHECK(
        sampler(
            R"({"do_sample": true, "temperature": 0.25, "top_k": 20, "min_p": 0, "repetition_penalty": 1.5})") ==
        SamplerOptions{.temperature = 0.25f, .top_k = 20, .top_p = 0.5f, .min_p = 0, .repeat_penalty = 1.5f});
    CHECK(sampler(R"({"temperature": 0.25})") == SamplerOptions{.top_p = 0.5f}); // not used by its makers
    CHECK(sampler(R"({"do_sample": true, "top_k": -1})") == SamplerOptions{.top_k = 0, .top_p = 0.5f});
    expect_error([&] { sampler(R"({"do_sample": true, "top_k": 2.5})"); }, {"top_k", "2.5"});
    expect_error([&] { sampler(R"({"do_sample": true, "top_p": 1.5})"); }, {"general.sampling.top_p", "1.5"});
}

TEST_CASE("hf: every cut of the small files is refused") {
    Llama llama;
    llama.read();
    for (const char* name : {"config.json", "model.safetensors"}) {
        const std::string whole = read_file(llama.folder / name);
        for (size_t n = 1; n < whole.size(); n += 1 + n / 40) {
            write_file(llama.folder / name, whole.substr(0, n));
            CHECK_THROWS_AS(read_hf_folder(llama.folder / ""), Error);
        }
        write_file(llama.folder / name, whole);
    }
}

TEST_CASE("a folder with a spec.json: choices that no family makes together") {
    ModelSpec m;
    m.family = stated_family;
    m.n_layers = 2, m.n_heads = 6, m.n_kv_heads = 3, m.d_model = 44, m.head_dim = 10, m.d_ff = 30,
    m.n_vocab = 20, m.n_ctx = 24;
    m.rope = Rope::halves, m.rope_dim = 6,
    m.alibi_max_bias = 8; // both positions, a gated ReLU, norms after each sum
    m.activation = Activation::relu, m.pre_norm = false, m.post_norm = true, m.final_norm = false;
    m.validate();
    const GgufWriter gguf = random_model(m, DType::f32, 3);
    SafetensorsWriter weights;
    for (const GgufWriter::Tensor& tensor : gguf.tensors)
        weights.add(tensor.name, info(*dtype_from_gguf(tensor.type)).name, tensor.shape, tensor.data);
    Folder folder;
    write_file(folder / "spec.json", spec_to_json(m).dump());
    weights.save(folder / "model.safetensors");
    const ModelFile file = read_hf_folder(folder / "");
    ModelSpec spec = read_spec(file);
    check_tensors(file, spec);
    CHECK(Tokenizer(file.metadata).n_vocab() == 20);
    spec.name = m.name;
    CHECK(spec == m);
    json wrong = spec_to_json(m);
    wrong["activation"] = "loud";
    write_file(folder / "spec.json", wrong.dump());
    expect_error([&] { read_hf_folder(folder / ""); }, {"activation", "loud"});
    wrong = spec_to_json(m);
    wrong["d_ff"] = 31;
    write_file(folder / "spec.json", wrong.dump());
    const ModelFile other = read_hf_folder(folder / "");
    expect_error([&] { check_tensors(other, read_spec(other)); },
                 {"blk.0.ffn_gate.weight", "[31, 44]", "[30, 44]"});
}

} // namespace kvasir
