#include "runtime/spec_json.hpp"

#include "runtime/architectures.hpp"
#include "tests/expect_error.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace kvasir {
namespace {

nlohmann::json shape() {
    return nlohmann::json::parse(R"({"n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_model": 64, "d_ff": 96,
        "n_vocab": 259, "n_ctx": 128, "rope": "halves", "alibi_max_bias": 8, "activation": "relu",
        "pre_norm": false, "post_norm": true, "rope_base": 500})");
}

void refused(const char* name, const nlohmann::json& value, std::initializer_list<std::string> parts) {
    nlohmann::json json = shape();
    json[name] = value;
    expect_error([&] { spec_from_json(json); }, parts);
}

} // namespace

TEST_CASE("a shape stated in JSON: what is given, and what follows") {
    ModelSpec expected;
    expected.family = "spec";
    expected.n_layers = 2, expected.n_heads = 4, expected.n_kv_heads = 2, expected.head_dim = 16;
    expected.d_model = 64, expected.d_ff = 96, expected.n_vocab = 259, expected.n_ctx = 128;
    expected.rope = Rope::halves, expected.rope_dim = 16, expected.rope_base = 500;
    expected.alibi_max_bias = 8, expected.activation = Activation::relu;
    expected.pre_norm = false, expected.post_norm = true;
    CHECK(spec_from_json(shape()) == expected);
    nlohmann::json json = shape();
    json.erase("n_kv_heads");
    CHECK(spec_from_json(json).n_kv_heads == 4);
    json = shape();
    json.update({{"kv_lora_rank", 32},
                 {"rope_dim", 8},
                 {"mla_key_dim", 24},
                 {"mla_value_dim", 16},
                 {"attention_scale", 0.25},
                 {"n_kv_heads", 1}});
    CHECK(spec_from_json(json).head_dim == 40);
}

TEST_CASE("every family's choices go through JSON unchanged") {
    auto all = families();
    all.push_back(stated_family);
    for (const std::string& family : all) {
        CAPTURE(family);
        ModelSpec m = architecture(family).choices;
        m.name = "\"quoted\" name";
        m.n_layers = 3, m.n_heads = 6, m.n_kv_heads = 2, m.head_dim = 20, m.d_model = 44, m.d_ff = 52;
        m.n_vocab = 259, m.n_ctx = 24, m.norm_eps = 1e-6;
        m.shared_gate = false;
        if (m.rope != Rope::none) {
            m.rope_dim = 4, m.rope_scaling = RopeScaling::factors;
            m.rope_factors = {1.5, 2}, m.rope_long_factors = {3, 4.25};
        }
        CHECK(spec_from_json(spec_to_json(m)) == m);
        CHECK(spec_from_json(nlohmann::json::parse(spec_to_json(m).dump())) == m);
    }
}

TEST_CASE("JSON that states no shape is refused by the field's name") {
    refused("n_layer", 2, {"\"n_layer\"", "unknown"});
    refused("n_layers", -2, {"\"n_layers\"", "-2", "count"});
    refused("n_layers", 4294967296u, {"\"n_layers\"", "4294967296"});
    refused("n_layers", 2.5, {"\"n_layers\"", "2.5"});
    refused("n_layers", 0, {"n_layers is 0"});
    refused("n_kv_heads", 3, {"n_heads 4", "n_kv_heads 3"});
    refused("rope", "thirds", {"\"rope\"", "\"thirds\"", "none, halves, pairs"});
    refused("rope", 1, {"\"rope\"", "is 1"});
    refused("tied", 1, {"\"tied\"", "true or false"});
    refused("rope_base", "x", {"\"rope_base\"", "a number"});
    refused("rope_factors", {1, "x"}, {"\"rope_factors\"", "a number"});
    refused("rope_factors", {1, 2}, {"2 RoPE factors", "8 frequencies"});
    refused("branch_norm", true, {"both before and after"});
    refused("parallel", true, {"parallel"});
    refused("d_model", 63, {"d_model 63", "n_heads 4"});
    refused("family", 7, {"\"family\"", "a text"});
    expect_error([] { spec_from_json(nlohmann::json::array({1})); }, {"[1]", "not an object"});
    expect_error([] { spec_from_json(nlohmann::json::object()); }, {"n_heads 0"});
}

} // namespace kvasir
