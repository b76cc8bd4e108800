#include "tests/golden.hpp"
#include "tests/reference/forward.hpp"
#include "tests/shared_data.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

// The whole reference model against logits that other programs computed (llama.cpp, llama2.c). The files lie
// outside the repository; without them these cases say that they were skipped.

namespace kvasir::reference {
namespace {

const std::filesystem::path data = std::filesystem::path(KVASIR_SOURCE_DIR) / ".." / "shared" / "data";

bool have_data() {
    return shared_data("arch", 1).has_value();
}

TEST_CASE("the reference gives the golden logits of quantised models") {
    if (!have_data()) return;
    const std::vector<int32_t> ids = read_ids(data / "arch" / "ids.txt");
    for (const std::string type : {"F16", "BF16", "Q8_0", "Q4_0"}) {
        CAPTURE(type);
        const auto path = data / "quant" / ("llama-256." + type + ".gguf");
        if (!std::filesystem::exists(path)) {
            MESSAGE("skipped 1 case: no ", path.string());
            continue;
        }
        const Model model(read_gguf(path.string()));
        const Trace trace = forward(model, ids);
        check_logits<double, float>(trace.logits,
                                    read_floats(data / "quant" / ("llama-256." + type + ".logits.f32")),
                                    model.spec().n_vocab, 1e-4);
    }
}

TEST_CASE("the reference follows a trained model, greedily, for 200 tokens") {
    if (!have_data()) return;
    const Model model(read_gguf((data / "stories260K" / "stories260K.gguf").string()));
    for (const std::string name : {"golden_0", "golden_2"}) {
        CAPTURE(name);
        std::ifstream file(data / "stories260K" / (name + ".json"));
        const auto golden = nlohmann::json::parse(file);
        std::vector<int32_t> ids = golden.at("ids");
        const std::vector<float> logits = read_floats(data / "stories260K" / (name + ".logits.f32"));
        const size_t n_vocab = model.spec().n_vocab, n = logits.size() / n_vocab;
        REQUIRE(n <= ids.size());
        const Trace trace = forward(model, std::span(ids).first(n));
        check_logits<double, float>(trace.logits, logits, n_vocab, 1e-4);
        for (size_t i = golden.at("prompt_ids").size() - 1; i + 1 < ids.size() && i < n; ++i)
            CHECK(argmax(View(trace.logits).subspan(i * n_vocab, n_vocab)) == size_t(ids[i + 1]));
    }
}

TEST_CASE("cache types round keys and values, and nothing else; finer types change the logits less") {
    if (!have_data()) return;
    const Model model(read_gguf((data / "stories260K" / "stories260K.gguf").string()));
    std::ifstream file(data / "stories260K" / "golden_0.json");
    std::vector<int32_t> ids = nlohmann::json::parse(file).at("ids");
    ids.resize(64);
    const Trace exact = forward(model, ids);
    const size_t head_dim = model.spec().head_dim;
    double last = 0;
    for (KvType type : {KvType::f16, KvType::q8_0}) {
        const Trace rounded = forward(model, ids, type);
        CHECK(rounded.embedding == exact.embedding);
        // f32 comes first: rounding twice differs from rounding once only at ties, which these values do not
        // meet.
        CHECK(rounded.layers[0].k == through_cache(exact.layers[0].k, type, head_dim));
        CHECK(rounded.layers[0].v == through_cache(exact.layers[0].v, type, head_dim));
        double difference = 0;
        for (size_t i = 0; i < exact.logits.size(); ++i)
            difference += std::pow(exact.logits[i] - rounded.logits[i], 2);
        CHECK(difference > last);
        last = difference;
    }
}

TEST_CASE("the reference gives the golden logits of every family") {
    if (!have_data()) return;
    for (const auto& [name, family] : arch_models) {
        CAPTURE(name);
        const Model model(read_gguf((data / "arch" / (name + ".gguf")).string()));
        const Trace trace = forward(model, arch_ids(data / "arch", name));
        check_logits<double, float>(trace.logits, read_floats(data / "arch" / (name + ".logits.f32")),
                                    model.spec().n_vocab, 1e-4);
    }
}

} // namespace
} // namespace kvasir::reference
