#include "runtime/session.hpp"
#include "tests/golden.hpp"
#include "tests/shared_data.hpp"
#include "tests/what_runs.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <fstream>
#include <map>

// Whole models on the device against logits and texts that other programs computed (llama.cpp, llama2.c). The
// files lie outside the repository; without them these cases say that they were skipped.

namespace kvasir {
namespace {

const SamplerOptions greedy{.temperature = 0};

/// Logits after each of ids, in chunks of these sizes, the last one repeated.
std::vector<float> evaluate(Session& session, std::span<const int32_t> ids, std::vector<uint32_t> chunks) {
    session.rewind(0);
    std::vector<float> logits;
    for (uint32_t done = 0, i = 0; done < ids.size(); ++i) {
        const uint32_t n =
            std::min<uint32_t>(chunks[std::min<size_t>(i, chunks.size() - 1)], ids.size() - done);
        session.evaluate(ids.subspan(done, n), [&](uint32_t, std::span<const float> row) {
            logits.insert(logits.end(), row.begin(), row.end());
        });
        done += n;
    }
    return logits;
}

double check_model(Device& device, const std::filesystem::path& path, std::span<const int32_t> ids,
                   const std::vector<float>& golden, double limit) {
    const Model model = load_model(device, path.string());
    Session session(device, model, {.kv = KvType::f32});
    double worst = 0;
    for (const std::vector<uint32_t>& chunks : {std::vector<uint32_t>{4096}, {1}, {5, 1, 64, 3, 1, 1, 17}}) {
        CAPTURE(chunks.size());
        worst = std::max(worst, check_logits<float, float>(evaluate(session, ids, chunks), golden,
                                                           model.spec.n_vocab, limit));
    }
    return worst;
}

namespace {

/// The largest relative error of each of arch_models; empty without the data.
std::map<std::string, double> golden_errors() {
    std::map<std::string, double> errors;
    const auto arch = shared_data("arch", int(arch_models.size()));
    if (!arch) return errors;
    Device device;
    for (const auto& [name, family] : arch_models) {
        CAPTURE(name);
        errors[name] = check_model(device, *arch / (name + ".gguf"), arch_ids(*arch, name),
                                   read_floats(*arch / (name + ".logits.f32")), 1e-4);
    }
    return errors;
}

} // namespace

TEST_CASE("every family gives the golden logits from one prompt, single steps and mixed chunks") {
    const auto stated = stated_errors(readme());
    for (const auto& [name, error] : golden_errors()) {
        CAPTURE(name);
        REQUIRE(stated.contains(name));
        CHECK(error < 10 * stated.at(name)); // another driver's rounding, not another order of magnitude
    }
}

TEST_CASE("print what runs" * doctest::skip()) {
    std::printf("%s", what_runs(golden_errors()).c_str());
}

TEST_CASE("every family goes on greedily with the golden ids") {
    const auto arch = shared_data("arch", 17);
    if (!arch) return;
    Device device;
    const auto all = nlohmann::json::parse(std::ifstream(*arch / "greedy.json"));
    size_t n_compared = 0;
    for (const auto& [name, prompts] : all.items()) {
        CAPTURE(name);
        const Model model = load_model(device, (*arch / (name + ".gguf")).string());
        for (const auto& golden : prompts) {
            const auto prompt = golden.at("prompt_ids").get<std::vector<int32_t>>();
            const auto ids = golden.at("greedy_ids").get<std::vector<int32_t>>();
            Session session(device, model, {.kv = KvType::f32});
            session.prompt(prompt);
            std::vector<int32_t> found;
            while (found.size() < ids.size()) found.push_back(session.next(greedy).value());
            CHECK(found == ids);
            ++n_compared;
        }
    }
    CHECK(n_compared > 0);
}

TEST_CASE("each weight type gives the golden logits of its dequantised weights") {
    const auto quant = shared_data("quant", 7);
    if (!quant) return;
    Device device;
    const auto ids = read_ids(*quant / ".." / "arch" / "ids.txt");
    for (const std::string stem : {"llama-256.F16", "llama-256.BF16", "llama-256.Q8_0", "llama-256.Q4_0",
                                   "llama-256.Q4_K_S", "llama-256.Q6_K", "llama-256-mix.Q4_K_M"}) {
        CAPTURE(stem);
        check_model(device, *quant / (stem + ".gguf"), ids, read_floats(*quant / (stem + ".logits.f32")),
                    2e-3);
    }
}

TEST_CASE("stories260K goes on as llama2.c does, greedily, in every cache type") {
    const auto stories = shared_data("stories260K", 2);
    if (!stories) return;
    Device device;
    const Model model = load_model(device, (*stories / "stories260K.gguf").string());
    for (const std::string name : {"golden_0", "golden_2"}) {
        CAPTURE(name);
        const auto golden = nlohmann::json::parse(std::ifstream(*stories / (name + ".json")));
        const auto ids = golden["ids"].get<std::vector<int32_t>>();
        const auto prompt = golden["prompt_ids"].get<std::vector<int32_t>>();
        const auto logits = read_floats(*stories / (name + ".logits.f32"));
        for (const KvType kv : {KvType::f32, KvType::f16}) {
            CAPTURE(int(kv));
            Session session(device, model, {.kv = kv});
            session.prompt(prompt);
            size_t same = prompt.size();
            while (same < ids.size() && session.next(greedy) == ids[same]) ++same;
            if (same < ids.size()) { // a rounded cache may turn a near tie, an exact one nothing
                auto row = std::vector(logits.begin() + ptrdiff_t((same - 1) * 512),
                                       logits.begin() + ptrdiff_t(same * 512));
                std::sort(row.begin(), row.end());
                CHECK(kv == KvType::f16);
                CHECK(row[511] - row[510] < 1e-2);
            }
        }
        Session session(device, model, {.kv = KvType::f32});
        const auto forwarded = std::span(ids).first(ids.size() - 1);
        check_logits<float, float>(evaluate(session, forwarded, {4096}), logits, 512, 1e-3);
    }
}

} // namespace
} // namespace kvasir
