// Hugging Face folders on the device against what other programs computed from them. The files lie outside
// the repository; without them these cases say that they were skipped.
#include "runtime/file/json.hpp"
#include "runtime/file/safetensors.hpp"
#include "runtime/session.hpp"
#include "tests/golden.hpp"
#include "tests/process.hpp"
#include "tests/reference/forward.hpp"
#include "tests/shared_data.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace kvasir {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;
namespace fs = std::filesystem;

const SamplerOptions greedy{.temperature = 0};

/// The tensors of a file of goldens.
struct Goldens {
    explicit Goldens(const fs::path& path)
        : map(path.string()), tensors(parse_safetensors(map.bytes(), path.string())) {}

    std::span<const float> floats(const std::string& name) const { return values<float>(name, "F32"); }
    Ids ids(const std::string& name) const {
        const auto list = values<int64_t>(name, "I64");
        return {list.begin(), list.end()};
    }

  private:
    template <class T>
    std::span<const T> values(const std::string& name, const std::string& type) const {
        for (const SafeTensor& t : tensors)
            if (t.name == name && t.type == type)
                return {reinterpret_cast<const T*>(t.data.data()), t.data.size() / sizeof(T)};
        FAIL("no tensor " << name);
        return {};
    }

    MappedFile map;
    std::vector<SafeTensor> tensors;
};

/// A folder that holds links to the files of another, and of files beside them under other names.
void link_all(const Folder& to, const fs::path& from, const std::map<std::string, fs::path>& others = {}) {
    for (const auto& entry : fs::directory_iterator(from))
        if (!others.contains(entry.path().filename().string()))
            fs::create_symlink(fs::absolute(entry.path()), to / entry.path().filename().string());
    for (const auto& [name, path] : others)
        if (!path.empty()) fs::create_symlink(fs::absolute(path), to / name);
}

std::vector<float> evaluate(Session& session, std::span<const int32_t> ids) {
    std::vector<float> logits;
    session.rewind(0);
    session.evaluate(ids, [&](uint32_t, std::span<const float> row) {
        logits.insert(logits.end(), row.begin(), row.end());
    });
    return logits;
}

Ids go_on(Session& session, const Ids& prompt, size_t n) {
    session.rewind(0);
    session.prompt(prompt);
    Ids ids;
    while (ids.size() < n) ids.push_back(session.next(greedy).value());
    return ids;
}

} // namespace

TEST_CASE("stories260K is the same model as GGUF and as a folder") {
    const auto stories = shared_data("stories260K", 2);
    if (!stories) return;
    Device device;
    const Model model = load_model(device, (*stories / "hf").string());
    CHECK(model.spec.rope == Rope::halves); // never permuted
    Session session(device, model, {.kv = KvType::f32});
    for (const std::string name : {"golden_0", "golden_2"}) {
        const json golden = read_json((*stories / (name + ".json")).string());
        const Ids ids = golden["ids"], prompt = golden["prompt_ids"];
        CHECK(go_on(session, prompt, ids.size() - prompt.size()) ==
              Ids(ids.begin() + ptrdiff_t(prompt.size()), ids.end()));
        const auto logits = read_floats(*stories / (name + ".logits.f32"));
        check_logits<float, float>(evaluate(session, std::span(ids).first(ids.size() - 1)), logits, 512,
                                   1e-4);
    }
}

TEST_CASE("MiniMind with its tokenizer.json: golden ids, logits and likelihood") {
    const auto minimind = shared_data("minimind", 4);
    if (!minimind) return;
    Folder folder;
    link_all(folder, *minimind / "tiny-dense",
             {{"tokenizer.json", *minimind / "tokenizer.json"},
              {"tokenizer_config.json", *minimind / "tokenizer_config.json"}});
    Device device;
    const Model model = load_model(device, folder / "");
    Session session(device, model, {.kv = KvType::f32});
    const json goldens = read_json((*minimind / "tiny-dense/golden.json").string());
    int n_prompts = 0;
    for (const json& golden : goldens) {
        if (!golden.contains("prompt")) continue;
        CAPTURE(n_prompts);
        const Ids prompt = golden["prompt_ids"], expected = golden["greedy_ids"];
        CHECK(model.tokenizer.encode(golden["prompt"].get<std::string>(), false, false) == prompt);
        CHECK(go_on(session, prompt, expected.size()) == expected);
        const Goldens file(*minimind / "tiny-dense" /
                           ("golden_" + std::to_string(n_prompts++) + ".safetensors"));
        const auto logits = evaluate(session, file.ids("input_ids"));
        const auto first = file.floats("logits_prompt"), last = file.floats("logits_last16");
        check_logits<float, float>(std::span(logits).first(first.size()), first, 6400, 1e-4);
        check_logits<float, float>(std::span(logits).last(last.size()), last, 6400, 1e-4);
    }
    CHECK(n_prompts == 3);
    std::ifstream text(*minimind / "../text/tinyshakespeare.txt", std::ios::binary);
    REQUIRE(text);
    const Ids all =
        model.tokenizer.encode(std::string(std::istreambuf_iterator<char>(text), {}), false, false);
    double sum = 0;
    for (size_t row = 0; row < 20; ++row) { // the last 2000 tokens in rows of 100
        const Ids ids(all.end() - 2000 + ptrdiff_t(row * 100), all.end() - 1900 + ptrdiff_t(row * 100));
        session.rewind(0);
        session.evaluate(ids, [&](uint32_t i, std::span<const float> logits) {
            if (i + 1 == ids.size()) return;
            double total = 0;
            const double most = *std::max_element(logits.begin(), logits.end());
            for (const float logit : logits) total += std::exp(logit - most);
            sum += std::log(total) - (logits[size_t(ids[i + 1])] - most);
        });
    }
    CHECK(sum / (20 * 99) == doctest::Approx(goldens.back()["mean_nll"].get<double>()).epsilon(1e-5));
}

TEST_CASE("MiniMind with YaRN: golden logits") {
    const auto minimind = shared_data("minimind", 1);
    if (!minimind) return;
    Folder folder;
    link_all(folder, *minimind / "tiny-dense", {{"config.json", {}}});
    json config = read_json((*minimind / "tiny-dense/config.json").string());
    config["inference_rope_scaling"] = true; // the numbers are the model code's own: 16, 2048, 32 and 1
    write_file(folder / "config.json", config.dump());
    const Goldens file(*minimind / "tiny-dense/golden_yarn.safetensors");
    Device device;
    const Model model = load_model(device, folder / "");
    Session session(device, model, {.kv = KvType::f32});
    const auto logits = evaluate(session, file.ids("input_ids")),
               expected = std::vector(file.floats("logits_last4").begin(), file.floats("logits_last4").end());
    check_logits<float, float>(std::span(logits).last(expected.size()), expected, 6400, 1e-4);
}

TEST_CASE("tiny-random-gpt2: published ids and logits") {
    const auto data = shared_data("tiny-random-gpt2", 2);
    if (!data) return;
    Folder folder;
    link_all(folder, *data,
             {{"tokenizer.json", *data / "tokenizer.1000.json"},
              {"tokenizer_config.json", *data / "tokenizer_config.1000.json"}});
    const json expected = read_json((*data / "expected.json").string());
    Device device;
    const Model model = load_model(device, folder / "");
    CHECK(model.tokenizer.decode(model.tokenizer.encode("the cat", false, false)) == "the cat");
    Session session(device, model, {.kv = KvType::f32});
    const auto prompts = expected["prompts"].get<std::vector<Ids>>(),
               texts = expected["greedy_max_length_10"].get<std::vector<Ids>>();
    const auto at_prompt = expected["prompt_logits_every_200th_of_1000"].get<std::vector<double>>(),
               after = expected["logits_after_one_generated_token_every_200th"].get<std::vector<double>>();
    REQUIRE(prompts.size() == 2);
    REQUIRE(at_prompt.size() == 40);
    for (size_t p = 0; p < 2; ++p) {
        CHECK(go_on(session, prompts[p], 6) == Ids(texts[p].begin() + 4, texts[p].end()));
        const auto logits = evaluate(session, std::span(texts[p]).first(5));
        for (size_t i = 0; i < 20; ++i)
            CHECK(logits[i / 5 * 1000 + i % 5 * 200] == doctest::Approx(at_prompt[p * 20 + i]).epsilon(1e-4));
        for (size_t i = 0; i < 5; ++i)
            CHECK(logits[4000 + i * 200] == doctest::Approx(after[p * 5 + i]).epsilon(1e-4));
    }
}

TEST_CASE("gpt-nano-sort sorts all 729 inputs on the device") {
    const auto data = shared_data("gpt-nano-sort", 729);
    if (!data) return;
    Device device;
    const Model model = load_model(device, data->string());
    Session session(device, model, {.kv = KvType::f32});
    int n = 0;
    for (const json& golden : read_json((*data / "golden_greedy_sort.json").string())) {
        Ids ids = golden["input"];
        const Ids sorted = golden["greedy"];
        REQUIRE(std::is_sorted(sorted.begin(), sorted.end()));
        ids.insert(ids.end(), sorted.begin(), sorted.end() - 1); // what the model has written before the last
        const auto logits = evaluate(session, ids);
        Ids written;
        for (size_t i = 5; i < 11; ++i)
            written.push_back(int32_t(argmax(std::span(logits).subspan(i * 3, 3))));
        CHECK(written == sorted);
        ++n;
    }
    CHECK(n == 729);
    const Goldens file(*data / "golden_activations.safetensors");
    const Ids ids = file.ids("idx");
    for (size_t i = 0; i < 3; ++i) {
        const auto expected = file.floats("lm_head").subspan(i * 33, 33);
        const auto logits = evaluate(session, std::span(ids).subspan(i * 11, 11));
        for (size_t j = 0; j < 33; ++j) CHECK(std::abs(logits[j] - expected[j]) < 1e-4);
    }
}

TEST_CASE("gpt-nano-sort: the reference's activations are the golden ones") {
    const auto data = shared_data("gpt-nano-sort", 3);
    if (!data) return;
    const reference::Model model(read_model(data->string()));
    const Goldens file(*data / "golden_activations.safetensors");
    const Ids ids = file.ids("idx");
    const auto near = [](std::span<const double> found, std::span<const float> expected) {
        REQUIRE(found.size() == expected.size());
        double worst = 0;
        for (size_t i = 0; i < found.size(); ++i)
            worst = std::max(worst, std::abs(found[i] - double(expected[i])));
        CHECK(worst < 1e-4);
    };
    for (size_t i = 0; i < 3; ++i) {
        const auto trace = reference::forward(model, std::span(ids).subspan(i * 11, 11));
        const auto row = [&](const char* name, size_t n) { return file.floats(name).subspan(i * n, n); };
        near(trace.embedding, row("x", 11 * 48));
        near(trace.layers[0].attention.o, row("y", 11 * 48));
        for (size_t l = 0; l < 3; ++l)
            near(trace.layers[l].x, row(("block" + std::to_string(l)).c_str(), 11 * 48));
        near(trace.logits, row("lm_head", 33));
        // Heads come first there, and positions here.
        const auto keys = row("k", 3 * 11 * 16), values = row("v", 3 * 11 * 16),
                   probabilities = row("attSm", 3 * 11 * 11);
        double worst = 0;
        for (size_t h = 0; h < 3; ++h)
            for (size_t t = 0; t < 11; ++t) {
                for (size_t d = 0; d < 16; ++d) {
                    worst = std::max(worst, std::abs(trace.layers[0].k[(t * 3 + h) * 16 + d] -
                                                     double(keys[(h * 11 + t) * 16 + d])));
                    worst = std::max(worst, std::abs(trace.layers[0].v[(t * 3 + h) * 16 + d] -
                                                     double(values[(h * 11 + t) * 16 + d])));
                }
                for (size_t j = 0; j < 11; ++j)
                    worst = std::max(worst,
                                     std::abs(trace.layers[0].attention.probabilities[(t * 3 + h) * 11 + j] -
                                              double(probabilities[(h * 11 + t) * 11 + j])));
            }
        CHECK(worst < 1e-4);
    }
}

TEST_CASE("a split GGUF model gives the golden logits of the whole") {
    const auto arch = shared_data("arch", 1);
    if (!arch) return;
    Device device;
    const Model model = load_model(device, (*arch / "split/llama-gqa-00001-of-00002.gguf").string());
    Session session(device, model, {.kv = KvType::f32});
    check_logits<float, float>(evaluate(session, read_ids(*arch / "ids.txt")),
                               read_floats(*arch / "llama-gqa.logits.f32"), 512, 1e-4);
}

} // namespace kvasir
