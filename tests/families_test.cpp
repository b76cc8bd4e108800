#include "runtime/spec_json.hpp"
#include "tests/family_cases.hpp"
#include "tests/model_check.hpp"
#include "tests/random_model.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>

// Small models with seeded weights of every family, and of choices that no family makes together, on the
// device against the reference. The 45 tokens of a check go beyond windows, and beyond
// the trained length of 24.

namespace kvasir {
namespace {

void check_family(Device& device, const FamilyCase& family, KvType kv, double limit) {
    CAPTURE(family.name);
    GgufWriter writer = random_model(family.m, DType::f32, 7, family.row);
    add_spm_vocabulary(writer, family.m.n_vocab);
    const auto bytes = writer.bytes();
    const ModelFile file = parse_gguf(bytes, family.name);
    family.m.validate();
    if (family.from_file) {
        ModelSpec found = read_spec(file);
        if (family.m.attention_scale > 0) // a float32 in the file
            CHECK(std::exchange(found.attention_scale, family.m.attention_scale) ==
                  doctest::Approx(family.m.attention_scale).epsilon(1e-6));
        CHECK(found == family.m);
    }
    CHECK(spec_from_json(spec_to_json(family.m)) == family.m);
    check_tensors(file, family.m);
    check_on_device(device, file, family.m, kv, limit);
}

void check_all(const std::vector<FamilyCase>& families) {
    Device device;
    for (const FamilyCase& family : families) check_family(device, family, KvType::f32, 1e-4);
}

} // namespace

TEST_CASE("GPT-2 and its descendants, on the device as in the reference") {
    check_all(gpt_families());
}

TEST_CASE("LLaMA and its descendants, on the device as in the reference") {
    check_all(llama_families());
}

TEST_CASE("experts and latent attention, on the device as in the reference") {
    check_all(expert_families());
}

TEST_CASE("choices that no released model combines, on the device as in the reference") {
    check_all(stated_models());
}

TEST_CASE("a latent cache rounds as other caches do") {
    Device device;
    const auto families = expert_families();
    const auto lite = std::find_if(families.begin(), families.end(), [](auto& f) { return f.m.latent(); });
    // One entry rounded the other way changes a key or value by 2^-11, or by 1/127, of its size.
    check_family(device, *lite, KvType::f16, 1e-3);
    check_family(device, *lite, KvType::q8_0, 1e-2);
}

TEST_CASE("every family has a case here") {
    std::vector<FamilyCase> all;
    for (const auto& list : {gpt_families(), llama_families(), expert_families()})
        all.insert(all.end(), list.begin(), list.end());
    for (const std::string& family : families())
        CHECK_MESSAGE(std::any_of(all.begin(), all.end(), [&](auto& f) { return f.m.family == family; }),
                      family);
}

} // namespace kvasir
