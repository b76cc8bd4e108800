#include "runtime/error.hpp"
#include "runtime/session.hpp"
#include "shaders/push.h"
#include "tests/kernels/cases.hpp"
#include "tests/random_model.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>

// Everything under the Khronos validation layer with synchronisation validation, which must have nothing to
// say.

namespace kvasir {
namespace {

/// A device with the layer; nothing, after saying so, where it is not installed.
std::unique_ptr<Device> validated() {
    try {
        return std::make_unique<Device>(DeviceOptions{.validation = true});
    } catch (const Error& error) {
        if (std::string(error.what()).find("LAYER_NOT_PRESENT") == std::string::npos) throw;
    }
    MESSAGE("skipped: the Vulkan validation layer is not installed");
    return nullptr;
}

void check_silence(const Device& device) {
    for (const std::string& message : device.validation_messages()) FAIL_CHECK(message);
}

TEST_CASE("validation: a mistake and a missing barrier are heard") {
    const auto device = validated();
    if (!device) return;
    {
        const Buffer small(*device, 16, Memory::device, "small"), parts(*device, 64, Memory::device, "parts"),
            stats(*device, 64, Memory::device, "stats"), o(*device, 64, Memory::device, "o"),
            merged(*device, 64, Memory::device, "merged");
        Commands commands(*device, false);
        const std::array<const Buffer*, 4> first{&parts, &stats, &o, &merged},
            second{&o, &stats, &parts, &merged};
        const push::AttentionMerge push{1, 1, 4, 4, 1};
        for (const auto& buffers : {first, second}) {
            commands.overlap(); // although the second reads what the first writes
            commands.dispatch(device->pipeline("attention_merge", {32}), buffers, push, {1, 1, 1}, "merge",
                              {});
        }
        const auto hazards = device->validation_messages();
        CHECK(std::any_of(hazards.begin(), hazards.end(),
                          [](const std::string& text) { return text.find("HAZARD") != std::string::npos; }));
        commands.copy(small, 0, parts, 0, 1 << 20); // beyond the ends of both
        CHECK(device->validation_messages().size() > hazards.size());
    }
}

/// Every n-th case, with the two tunings that differ most.
template <class Case>
void run_some(Device& device, const std::vector<Case>& cases, size_t every,
              kernels::CaseResult (*run)(Device&, const Tuning&, const Case&)) {
    const auto all = kernels::tunings(device, true);
    for (const auto& [name, tuning] : {all.front(), all.back()})
        for (size_t i = 0; i < cases.size(); i += every) {
            CAPTURE(name);
            CAPTURE(cases[i].name);
            CHECK(run(device, tuning, cases[i]).holds());
        }
}

TEST_CASE("validation: every kernel") {
    const auto device = validated();
    if (!device) return;
    using namespace kernels;
    run_some<EmbedCase>(*device, embed_cases(), 4, &run);
    run_some<NormCase>(*device, norm_cases(), 5, &run);
    run_some<LinearCase>(*device, linear_cases(), 15, &run);
    run_some<RopeStoreCase>(*device, rope_store_cases(), 7, &run);
    std::vector<AttentionCase> attention;
    for (const AttentionCase& one : attention_cases())
        if (one.head_dim <= 20) attention.push_back(one);
    run_some<AttentionCase>(*device, attention, 9, &run);
    run_some<AttentionMergeCase>(*device, attention_merge_cases(), 5, &run);
    run_some<AttentionCase>(*device, attention_probs_cases(), 5, &run_probs);
    run_some<AttentionCase>(*device, kv_norms_cases(), 7, &run_kv_norms);
    run_some<SampleCase>(*device, sample_cases(), 9, &run);
    check_silence(*device);
}

TEST_CASE("validation: a session with prompt, decode, rewind, probes and a profile") {
    const auto device = validated();
    if (!device) return;
    const ModelSpec m = model_shape("tiny");
    GgufWriter writer = random_model(m, DType::q8_0);
    add_spm_vocabulary(writer, m.n_vocab);
    const auto bytes = writer.bytes();
    const ModelFile file = parse_gguf(bytes, "tiny");
    {
        const Model model = load_model(*device, file);
        std::vector<int32_t> ids(100);
        std::iota(ids.begin(), ids.end(), 3);
        for (const KvType kv : {KvType::f16, KvType::q8_0}) {
            Session session(*device, model, {.n_ctx = 200, .kv = kv, .profile = true});
            session.prompt(ids);
            for (int i = 0; i < 12; ++i) CHECK(session.next({}).has_value());
            session.rewind(70);
            session.watch({0, 1});
            uint32_t n_rows = 0;
            session.on_attention = [&](const AttentionRows& rows) { n_rows += rows.n_queries; };
            session.prompt(std::span(ids).first(90));
            for (int i = 0; i < 5; ++i) session.next({.temperature = 0});
            session.watch({});
            session.next({});
            CHECK(n_rows > 0);
            CHECK(session.logits().size() == m.n_vocab);
            session.evaluate(
                std::span(ids).first(10), [](uint32_t, std::span<const float>) {}, 4);
            CHECK(session.kv_norms(1).k.size() == m.n_kv_heads * session.length());
            CHECK(!session.take_profile().empty());
        }
    }
    CHECK(device->copy_bandwidth() > 0);
    check_silence(*device);
}

} // namespace
} // namespace kvasir
