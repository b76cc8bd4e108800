// The program's commands and errors that need no device.
#include "runtime/error.hpp"
#include "tests/process.hpp"
#include "tests/random_model.hpp"
#include "tests/safetensors_writer.hpp"
#include "tests/shared_data.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <sstream>

namespace kvasir {

namespace {

using Arguments = std::vector<std::string>;

/// One line on standard error that begins with the program's name and holds these parts; nothing on standard
/// output.
void check_refused(const Arguments& arguments, int status, const Arguments& parts) {
    const Finished end = run_kvasir(arguments);
    std::string called;
    for (const std::string& argument : arguments) called += " " + argument;
    CAPTURE(called);
    CAPTURE(end.err);
    CHECK(end.status == status);
    CHECK(end.out.empty());
    CHECK(std::count(end.err.begin(), end.err.end(), '\n') == 1);
    CHECK(end.err.starts_with("kvasir: "));
    CHECK(end.err.find("; try ") != std::string::npos);
    for (const std::string& part : parts) {
        CAPTURE(part);
        CHECK(end.err.find(part) != std::string::npos);
    }
}

} // namespace

TEST_CASE("wrong usage: status 2, what was wrong and where the help is") {
    check_refused({"--nonsense"}, 2, {"--nonsense", "kvasir --help"});
    check_refused({"generate", "m.gguf"}, 2, {"--prompt", "kvasir generate --help"});
    check_refused({"generate", "m.gguf", "--prompt", "a", "--top-p", "2"}, 2, {"--top-p", "2", "0 to 1"});
    check_refused({"generate", "m.gguf", "--prompt", "a", "--temperature", "nan"}, 2, {"--temperature"});
    check_refused({"generate", "m.gguf", "--prompt", "a", "--temperature", "-1"}, 2, {"--temperature"});
    check_refused({"generate", "m.gguf", "--prompt", "a", "--greedy", "--top-k", "3"}, 2,
                  {"--greedy", "--top-k"});
    check_refused({"generate", "m.gguf", "--prompt", "a", "-n", "-3"}, 2, {"-n"});
    check_refused({"generate", "m.gguf", "--prompt", "a", "--seed", "4294967296"}, 2, {"--seed"});
    check_refused({"generate", "m.gguf", "--prompt", "a", "--kv", "q4"}, 2, {"--kv", "q8_0"});
    check_refused({"generate", "m.gguf", "--prompt", "a", "--quantize", "q6_k"}, 2, {"--quantize", "q4_k"});
    check_refused({"generate", "m.gguf", "--prompt", "a", "--context", "0"}, 2, {"--context"});
    check_refused({"generate", "m.gguf", "n.gguf", "--prompt", "a"}, 2, {"n.gguf"});
    check_refused({"score", "m.gguf"}, 2, {"--text", "--ids"});
    check_refused({"score", "m.gguf", "--text", "a", "--ids", "b"}, 2, {"--text", "--ids"});
    check_refused({"tokenize", "m.gguf"}, 2, {"--text", "--cases"});
    check_refused({"attention", "m.gguf", "--prompt", "a", "--layer", "0", "--head", "x"}, 2,
                  {"--head", "all"});
    check_refused({"attention", "m.gguf", "--prompt", "a", "--layer", "0", "--head", "0", "--out", "a.gif"},
                  2, {"a.gif", ".png"});
    check_refused({"bench", "m.gguf", "-p", "128,,512"}, 2, {"-p", "128,,512"});
    check_refused({"bench", "m.gguf", "-r", "0"}, 2, {"-r"});
    check_refused({"devices", "--device", "0"}, 2, {"--device"});
}

TEST_CASE("help and version go to standard output") {
    const Finished version = run_kvasir({"--version"});
    CHECK(version.status == 0);
    CHECK(version.out == "kvasir " KVASIR_VERSION "\n");
    const Finished help = run_kvasir({"--help"});
    CHECK(help.status == 0);
    CHECK(help.err.empty());
    for (const char* command :
         {"chat", "generate", "score", "tokenize", "attention", "inspect", "devices", "bench"}) {
        CAPTURE(command);
        CHECK(help.out.find(std::string("\n  ") + command + " ") != std::string::npos);
        const Finished own = run_kvasir({command, "--help"});
        CHECK(own.status == 0);
        CHECK(own.out.find(std::string("kvasir ") + command) != std::string::npos);
    }
}

TEST_CASE("a MODEL that is none: status 1 and one line, in every command that takes one") {
    const Folder folder;
    write_file(folder / "garbage.gguf", "this is no model, whatever its name says");
    write_file(folder / "empty.gguf", "");
    write_tiny_model(folder / "whole.gguf");
    const std::string whole = read_file(folder / "whole.gguf");
    write_file(folder / "truncated.gguf", whole.substr(0, whole.size() / 2));
    write_file(folder / "header.gguf", whole.substr(0, 1000));
    for (const char* file :
         {"garbage.gguf", "empty.gguf", "truncated.gguf", "header.gguf", "missing.gguf", ""}) {
        CAPTURE(file);
        check_refused({"inspect", folder / file}, 1, {folder / file});
        check_refused({"tokenize", folder / file, "--text", folder / "garbage.gguf"}, 1, {folder / file});
    }
    for (const char* path : {"tuto", "./tutor", "Tutor", "/tutor"})
        check_refused({"inspect", path}, 1,
                      {path, "tutor, shakespeare-learned, shakespeare-rope, shakespeare-alibi"});
    check_refused({"generate", folder / "line\nend.gguf", "--prompt", "a"}, 1, {"line\\nend"});
}

TEST_CASE("without a display the window is the chat, and says so") {
    for (const Arguments& arguments :
         std::vector<Arguments>{{"/missing.gguf"}, {"window", "/missing.gguf"}}) {
        const Finished end = run_kvasir(arguments);
        CHECK(end.status == 1);
        CHECK(end.err.find("this is the chat in the terminal") != std::string::npos);
        CHECK(end.err.find("/missing.gguf") != std::string::npos);
    }
}

TEST_CASE("tokenize gives ids of a text and of cases") {
    const Folder folder;
    write_tiny_model(folder / "m.gguf");
    // The vocabulary has <unk>, <s>, </s> and then the 256 bytes: U+4E2D is no piece of it.
    const std::string text = "\u4e2d";
    const Finished plain = run_kvasir({"tokenize", folder / "m.gguf", "--text", "-"}, text);
    const Finished json = run_kvasir({"tokenize", folder / "m.gguf", "--text", "-", "--json"}, text);
    REQUIRE(plain.status == 0);
    REQUIRE(json.status == 0);
    const auto ids = nlohmann::json::parse(json.out).get<std::vector<int>>();
    REQUIRE(ids.size() >= 3);
    CHECK(std::vector<int>(ids.end() - 3, ids.end()) == std::vector<int>{3 + 0xe4, 3 + 0xb8, 3 + 0xad});
    std::istringstream line(plain.out);
    CHECK(std::vector<int>(std::istream_iterator<int>(line), {}) == ids);

    write_file(folder / "cases.json", R"(["中", "", "中"])");
    const Finished cases = run_kvasir({"tokenize", folder / "m.gguf", "--cases", folder / "cases.json"});
    CHECK(cases.out == plain.out + "\n" + plain.out);
    const Finished arrays =
        run_kvasir({"tokenize", folder / "m.gguf", "--cases", folder / "cases.json", "--json"});
    CHECK(nlohmann::json::parse(arrays.out) == nlohmann::json::array({ids, nlohmann::json::array(), ids}));

    write_file(folder / "wrong.json", R"({"text": 1})");
    check_refused({"tokenize", folder / "m.gguf", "--cases", folder / "wrong.json"}, 1, {"wrong.json"});
    write_file(folder / "cut.json", R"(["a", )");
    check_refused({"tokenize", folder / "m.gguf", "--cases", folder / "cut.json"}, 1, {"cut.json"});
    check_refused({"tokenize", folder / "m.gguf", "--text", folder / "none.txt"}, 1, {"none.txt"});
}

TEST_CASE("tokenize gives the published ids of other programs") {
    const auto data = shared_data("vocab", 2);
    if (!data) return;
    for (const char* name : {"llama-spm", "gpt-2"}) {
        const Finished end =
            run_kvasir({"tokenize", (*data / ("ggml-vocab-" + std::string(name) + ".gguf")).string(),
                        "--cases", (*data / "cases.json").string()});
        CHECK(end.status == 0);
        CHECK(end.out == read_file((*data / (std::string(name) + ".ids.txt")).string()));
    }
}

TEST_CASE("inspect counts parameters and bytes") {
    const Folder folder;
    write_tiny_model(folder / "m.gguf");
    const Finished end = run_kvasir({"inspect", folder / "m.gguf", "--json"});
    REQUIRE(end.status == 0);
    const auto json = nlohmann::json::parse(end.out);
    // 2 layers, 4 heads of 16 on 2 KV heads, d_model 64, d_ff 96, 288 tokens, a head of its own.
    const int attention = 2 * (64 * 64 + 64 * 32 + 64 * 32 + 64 * 64), ffn = 2 * 3 * 64 * 96,
              norms = (2 * 2 + 1) * 64;
    CHECK(json["parameters_by_role"]["attention"] == attention);
    CHECK(json["parameters_by_role"]["ffn"] == ffn);
    CHECK(json["parameters_by_role"]["norms"] == norms);
    CHECK(json["parameters_by_role"]["embeddings"] == 288 * 64);
    CHECK(json["parameters_by_role"]["head"] == 288 * 64);
    const int all = attention + ffn + norms + 2 * 288 * 64;
    CHECK(json["parameters"] == all);
    CHECK(json["weight_bytes"] == 4 * all);
    CHECK(json["weight_bytes_by_type"]["F32"] == 4 * all);
    const int kv = 2 * 2 * 16; // keys and values of one head, two layers
    CHECK(json["kv"]["as_is"]["bytes_per_token"]["f32"] == kv * 2 * 4);
    CHECK(json["kv"]["as_is"]["bytes_per_token"]["f16"] == kv * 2 * 2);
    CHECK(json["kv"]["mha"]["bytes_per_token"]["f16"] == kv * 4 * 2);
    CHECK(json["kv"]["mqa"]["bytes_per_token"]["f16"] == kv * 1 * 2);
    CHECK(json["kv"]["mqa"]["bytes_at_n_ctx"]["f16"] == kv * 1 * 2 * json["n_ctx"].get<int>());
    CHECK(json["n_kv_heads"] == 2);

    CHECK(json["runs"] == true);
    // Two layers, keys and values of 2 heads of 16 halves, at all 256 positions, the table of 4 pages, and an
    // empty buffer a layer, which has 16 bytes, in place of scales.
    const auto& needs = json["needs"];
    const auto f16 =
        std::find_if(needs.begin(), needs.end(), [](auto& row) { return row["kv_type"] == "f16"; });
    REQUIRE(f16 != needs.end());
    CHECK((*f16)["n_ctx"] == 256);
    CHECK((*f16)["kv"] == 2 * 2 * 2 * 16 * 2 * 256 + 16 + 2 * 16);
    CHECK((*f16)["weights"].get<int>() >= 4 * all);
    CHECK((*f16)["total"].get<int>() ==
          (*f16)["weights"].get<int>() + (*f16)["kv"].get<int>() + (*f16)["scratch"].get<int>());

    const Finished text = run_kvasir({"inspect", folder / "m.gguf"});
    CHECK(text.status == 0);
    CHECK(text.out.find(std::to_string(all)) != std::string::npos);
    CHECK(text.out.find("--context 256 --kv q8_0") != std::string::npos);
}

TEST_CASE("inspect says of a file that does not run what it is and why") {
    const Folder folder;
    const auto refused = [&](const std::function<void(GgufWriter&)>& change, const Arguments& parts) {
        ModelSpec spec = model_shape("tiny");
        GgufWriter writer = random_model(spec, DType::f32);
        add_spm_vocabulary(writer, spec.n_vocab);
        change(writer);
        writer.save(folder / "m.gguf");
        const Finished text = run_kvasir({"inspect", folder / "m.gguf"}),
                       json = run_kvasir({"inspect", folder / "m.gguf", "--json"});
        CHECK(text.status == 1);
        CHECK(json.status == 1);
        CHECK(text.out.find("GGUF v3") != std::string::npos);
        CHECK(text.out.find("weight bytes") != std::string::npos);
        const auto object = nlohmann::json::parse(json.out);
        CHECK(object["runs"] == false);
        CHECK(object["weight_bytes"].get<int>() >= 0);
        for (const std::string& part : parts) {
            CAPTURE(part);
            CAPTURE(text.err);
            CHECK(text.err.find(part) != std::string::npos);
            CHECK(object["refusal"].get<std::string>().find(part) != std::string::npos);
        }
    };
    const auto family = [](const char* name) {
        return [name](GgufWriter& writer) {
            writer.remove("general.architecture");
            writer.add_text("general.architecture", name);
        };
    };
    refused(family("bert"), {"\"bert\"", "encoder"});
    refused(family("clip"), {"\"clip\"", "vision"});
    refused(family("qwen2vl"), {"\"qwen2vl\"", "vision"});
    refused(family("whisper"), {"\"whisper\"", "speech"});
    refused(family("mamba"), {"\"mamba\"", "state-space"});
    refused(family("rwkv7"), {"\"rwkv7\"", "recurrent"});
    refused(family("unheard-of"), {"\"unheard-of\"", "not supported"});
    for (const char* model : {"t5", "bert"})
        refused(
            [&](GgufWriter& writer) {
                writer.remove("tokenizer.ggml.model");
                writer.add_text("tokenizer.ggml.model", model);
            },
            {"tokenizer", kvasir::quoted(model), model == std::string("t5") ? "Unigram" : "WordPiece"});
    refused([](GgufWriter& writer) { writer.tensors.clear(); }, {"no tensors"});
    refused([](GgufWriter& writer) { writer.tensors.erase(writer.tensors.begin()); },
            {"token_embd.weight", "is missing"});
}

TEST_CASE("a Hugging Face folder of another kind is refused by its name") {
    for (const auto& [type, kind] :
         std::vector<std::pair<std::string, std::string>>{{"bert", "encoder"},
                                                          {"vit", "vision"},
                                                          {"llava", "vision"},
                                                          {"wav2vec2", "audio"},
                                                          {"whisper", "speech"},
                                                          {"mamba", "state-space"},
                                                          {"t5", "encoder and a decoder"}}) {
        const Folder folder;
        write_file(folder / "config.json", "{\"model_type\": \"" + type + "\"}");
        SafetensorsWriter weights;
        weights.add("x", DType::f32, {1}, std::vector<float>{1});
        weights.save(folder / "model.safetensors");
        check_refused({"inspect", folder / "."}, 1, {kvasir::quoted(type), kind});
    }
}

TEST_CASE("inspect tells what a file says of the model and of how it was made") {
    const Folder folder;
    write_tiny_model(folder / "m.gguf");
    CHECK(nlohmann::json::parse(run_kvasir({"inspect", folder / "m.gguf", "--json"}).out)["general"].empty());
    GgufWriter writer = random_model(model_shape("tiny"), DType::f32);
    add_spm_vocabulary(writer, 288);
    writer.add_text("general.description", "Two lines,\nand \x1b[31mred ones");
    writer.add_texts("general.languages", {"en", "zh"});
    writer.add_u32("general.training.steps", 4000);
    writer.add_text("general.training.command", "make it");
    writer.add_text("general.url", "not shown");
    writer.save(folder / "told.gguf");
    const auto told =
        nlohmann::json::parse(run_kvasir({"inspect", folder / "told.gguf", "--json"}).out)["general"];
    CHECK(told == nlohmann::json{{"description", "Two lines,\nand \x1b[31mred ones"},
                                 {"languages", {"en", "zh"}},
                                 {"training.command", "make it"},
                                 {"training.steps", 4000}});
    const Finished text = run_kvasir({"inspect", folder / "told.gguf"});
    CHECK(text.status == 0);
    for (const char* line :
         {"\ndescription       Two lines,\\nand \ufffd[31mred ones\n", "\nlanguages         en, zh\n",
          "\ntraining.command  make it\n", "\ntraining.steps    4000\n"})
        CHECK_MESSAGE(text.out.find(line) != std::string::npos, text.out);
}

TEST_CASE("a built-in model is found beside the program, wherever both are moved; a path is a path") {
    namespace fs = std::filesystem;
    const Folder folder;
    const auto path_of = [](const std::string& program, const Arguments& arguments) {
        Process process(arguments, "", program);
        const Finished end = process.finish();
        CAPTURE(end.err);
        REQUIRE(end.status == 0);
        return nlohmann::json::parse(end.out)["path"].get<std::string>();
    };
    // As installed, and as built in a checkout.
    for (const auto& [bin, assets] : std::vector<std::pair<std::string, std::string>>{
             {"bin", "share/kvasir/assets"}, {"checkout/build/release", "checkout/assets"}}) {
        fs::create_directories(folder / bin);
        fs::create_directories(folder / assets);
        const std::string program = folder / (bin + "/kvasir");
        fs::copy_file(kvasir_binary(), program);
        const std::string tutor = folder / (assets + "/tutor.gguf"),
                          alibi = folder / (assets + "/shakespeare-alibi.gguf");
        write_tiny_model(tutor);
        write_tiny_model(alibi);
        CHECK(fs::equivalent(path_of(program, {"inspect", "--json"}), tutor));
        CHECK(fs::equivalent(path_of(program, {"inspect", "tutor", "--json"}), tutor));
        CHECK(fs::equivalent(path_of(program, {"inspect", "shakespeare-alibi", "--json"}), alibi));
    }
    write_tiny_model(folder / "tutor");
    CHECK(path_of("", {"inspect", folder / "tutor", "--json"}) == folder / "tutor");
}

TEST_CASE("an output that is full is an error, one that is closed is none") {
    const Folder folder;
    write_tiny_model(folder / "m.gguf");
    const Finished full = run_kvasir({"inspect", folder / "m.gguf"}, "", "/dev/full");
    CHECK(full.status == 1);
    CHECK(full.err.find("standard output") != std::string::npos);
    Process closed({"inspect", folder / "m.gguf"});
    closed.close_output();
    const Finished end = closed.finish();
    CHECK(end.status == 0);
    CHECK(end.err.empty());
}

} // namespace kvasir
