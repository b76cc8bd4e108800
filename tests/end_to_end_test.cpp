// The program on a device: what it writes, where it stops, what it does when something goes wrong.
#include "tests/gguf_writer.hpp"
#include "tests/process.hpp"
#include "tests/shared_data.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

namespace kvasir {

namespace {

using nlohmann::json;

json run_json(const std::vector<std::string>& arguments) {
    const Finished end = run_kvasir(arguments);
    CAPTURE(end.err);
    REQUIRE(end.status == 0);
    return json::parse(end.out);
}

std::vector<float> floats(std::string_view bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

struct TinyModel {
    Folder folder;
    std::string path = folder / "m.gguf";
    TinyModel() { write_tiny_model(path); }
};

} // namespace

TEST_CASE("generate: text and JSON are the same run") {
    const TinyModel model;
    const std::vector<std::string> arguments{"generate", model.path, "--raw", "--greedy",
                                             "--prompt", "a b",      "-n",    "12"};
    const Finished text = run_kvasir(arguments);
    CHECK(text.status == 0);
    auto with_json = arguments;
    with_json.push_back("--json");
    const json object = run_json(with_json);
    CHECK(object["text"] == text.out);
    CHECK(object["prompt_ids"][0] == 1); // <s>
    CHECK(object["ids"].size() <= 12);
    CHECK(object["stopped"] == (object["ids"].size() == 12 ? "limit" : "end"));
    CHECK(object["prompt_tokens_per_second"].get<double>() > 0);
    CHECK(!object["device"].get<std::string>().empty());
}

TEST_CASE("generate: equal seeds, equal texts; another seed, another text") {
    const TinyModel model;
    auto generate = [&](const std::string& seed) {
        return run_json({"generate", model.path, "--raw", "--temperature", "2", "--top-k", "0", "--top-p",
                         "1", "--min-p", "0", "--prompt", "a", "-n", "24", "--seed", seed, "--json"})["ids"];
    };
    const json first = generate("7");
    CHECK(first == generate("7"));
    CHECK(first != generate("8"));
}

TEST_CASE("generate: a model's own sampler settings are used, and what is given comes before them") {
    const Folder folder;
    const std::string path = folder / "m.gguf";
    write_tiny_model(path, 2, [](GgufWriter& writer) {
        writer.add_f32("general.sampling.temp", 5);
        writer.add_u32("general.sampling.top_k", 1);
    });
    auto generate = [&](std::vector<std::string> more) {
        std::vector<std::string> arguments{"generate", path,      "--raw",  "--prompt", "a",
                                           "-n",       "12",      "--seed", "7",        "--min-p",
                                           "0",        "--top-p", "1",      "--json"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run_json(arguments)["ids"];
    };
    const json greedy =
        run_json({"generate", path, "--raw", "--prompt", "a", "-n", "12", "--greedy", "--json"})["ids"];
    CHECK(generate({}) == greedy); // of one token there is no choice
    CHECK(generate({"--top-k", "0"}) != greedy);
    CHECK(generate({"--top-k", "0", "--temperature", "0"}) == greedy);
}

TEST_CASE("generate: the prompt from standard input, the answer of the chat format") {
    const TinyModel model;
    const std::vector<std::string> arguments{"generate", model.path, "--greedy", "--prompt",
                                             "-",        "-n",       "8",        "--json"};
    const Finished end = run_kvasir(arguments, "Hello");
    REQUIRE(end.status == 0);
    auto spelled = arguments;
    spelled[4] = "Hello";
    CHECK(json::parse(end.out)["prompt_ids"] == run_json(spelled)["prompt_ids"]);
}

TEST_CASE("a full context ends the text and says so; a context beyond memory is refused") {
    const TinyModel model;
    const Finished end = run_kvasir(
        {"generate", model.path, "--raw", "--greedy", "--prompt", "a", "--context", "16", "--json"});
    REQUIRE(end.status == 0);
    const json object = json::parse(end.out);
    if (object["stopped"] != "end") {
        CHECK(object["stopped"] == "context");
        CHECK(object["prompt_ids"].size() + object["ids"].size() == 16);
        CHECK(end.err.find("--context") != std::string::npos);
    }
    const std::string deep = model.folder / "deep.gguf";
    write_tiny_model(deep, 64); // 16 KiB of keys and values a token: 256 GiB
    const Finished refused =
        run_kvasir({"generate", deep, "--raw", "--prompt", "a", "--context", "16777216", "--kv", "f32"});
    CHECK(refused.status == 1);
    CHECK(refused.out.empty());
    CHECK(refused.err.find("; try ") != std::string::npos);
    const std::string words(4000, 'x');
    const Finished longer =
        run_kvasir({"generate", model.path, "--raw", "--prompt", words, "--context", "16"});
    CHECK(longer.status == 1);
    CHECK(longer.err.find("16") != std::string::npos);
}

TEST_CASE("a device that is not there is refused") {
    const TinyModel model;
    const Finished end = run_kvasir({"generate", model.path, "--prompt", "a", "--device", "no such device"});
    CHECK(end.status == 1);
    CHECK(end.err.find("no such device") != std::string::npos);
}

TEST_CASE("output that is full or closed ends the text") {
    const TinyModel model;
    const std::vector<std::string> arguments{"generate", model.path, "--raw", "--greedy",
                                             "--prompt", "a",        "-n",    "64"};
    const Finished full = run_kvasir(arguments, "", "/dev/full");
    CHECK(full.status == 1);
    CHECK(full.err.find("standard output") != std::string::npos);
    Process process(arguments);
    REQUIRE(process.wait_for_output(1)); // as `| head -c 1`
    process.close_output();
    const Finished closed = process.finish();
    CHECK(closed.status == 0);
    CHECK(closed.err.find("kvasir:") == std::string::npos);
}

TEST_CASE("Ctrl-C ends a text with what was made") {
    const TinyModel model;
    Process process({"generate", model.path, "--raw", "--greedy", "--prompt", "a", "--context", "4096"});
    REQUIRE(process.wait_for_output(1));
    process.interrupt();
    const Finished end = process.finish();
    CHECK(end.status == 130);
    CHECK(end.err.find("stopped by Ctrl-C") != std::string::npos);
}

TEST_CASE("chat: Ctrl-C stops the answer and keeps the chat, whose cache is used again") {
    const TinyModel model;
    Process chat({"chat", model.path, "--greedy", "--context", "4096"});
    for (const char* message : {"hello\n", "once more\n"}) {
        chat.write(message);
        REQUIRE(chat.wait_for_output(200));
        chat.interrupt();
        REQUIRE(chat.wait_for_notice("what was written is kept"));
    }
    chat.write("/stats\n");
    REQUIRE(chat.wait_for_notice("last answer"));
    chat.write("/undo\n");
    REQUIRE(chat.wait_for_notice("1 exchange remains"));
    chat.interrupt(); // nothing is generated now
    const Finished end = chat.finish();
    CHECK(end.status == 0);
    CHECK(end.err.find("more were in the cache") != std::string::npos);
    CHECK(end.err.find("; 0 more were in the cache") == std::string::npos);
}

TEST_CASE("chat: commands, and a conversation that outgrows the context") {
    const TinyModel model;
    const std::string saved = model.folder / "chat.json";
    const Finished end =
        run_kvasir({"chat", model.path, "--greedy", "--context", "96"},
                   "/help\n/nothing\n/undo\n/system be brief\none\n/regenerate\n/stats\n/save " + saved +
                       "\n/save /no/such/folder\n");
    CHECK(end.status == 1); // no person is there to choose another folder
    CHECK(end.err.find("/no/such/folder") != std::string::npos);
    for (const char* part : {"/regenerate", "no command /nothing", "nothing to forget", "KV cache"}) {
        CAPTURE(part);
        CHECK(end.err.find(part) != std::string::npos);
    }
    const json turns = json::parse(read_file(saved))["turns"];
    REQUIRE(turns.size() == 3);
    CHECK(turns[0] == json{{"role", "system"}, {"text", "be brief"}});
    CHECK(turns[1] == json{{"role", "user"}, {"text", "one"}});
    CHECK(turns[2]["role"] == "assistant");
    CHECK(model.folder.names() == std::vector<std::string>{"chat.json", "m.gguf"});

    const Finished full = run_kvasir({"chat", model.path, "--greedy", "--context", "48"},
                                     "one\ntwo\nthree\nfour\n/new\n/quit\n");
    CHECK(full.status == 0);
    CHECK(full.err.find("--context") != std::string::npos);
    const Finished never =
        run_kvasir({"chat", model.path, "--context", "16"}, std::string(500, 'x') + "\n/stats\n");
    CHECK(never.status == 0);
    CHECK(never.err.find("was not sent") != std::string::npos);
}

TEST_CASE("attention: rows sum to 1, and npy, JSON and the table agree") {
    const TinyModel model;
    const std::vector<std::string> arguments{"attention", model.path, "--prompt", "a b c d",
                                             "--layer",   "1",        "--head"};
    auto run = [&](const std::string& head, const std::string& out) {
        auto all = arguments;
        all.insert(all.end(), {head, "--out", out});
        const Finished end = run_kvasir(all);
        CAPTURE(end.err);
        REQUIRE(end.status == 0);
        return read_file(out);
    };
    const json object = json::parse(run("all", model.folder / "map.json"));
    const std::string npy = run("all", model.folder / "map.npy"), one = run("2", model.folder / "one.npy");
    const size_t n = object["tokens"].size();
    REQUIRE(n > 4);
    CHECK(object["tokens"][0] == "<s>");
    const std::string shape = std::to_string(n) + ", " + std::to_string(n) + ")";
    CHECK(npy.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
    CHECK(npy.find("'<f4'") != std::string::npos);
    CHECK(npy.find("(4, " + shape) != std::string::npos);
    CHECK(one.find("(" + shape) != std::string::npos);
    CHECK((npy.size() - 4 * n * n * 4) % 64 == 0);
    const std::vector<float> p = floats(std::string_view(npy).substr(npy.size() - 4 * n * n * 4));
    for (size_t h = 0; h < 4; ++h)
        for (size_t q = 0; q < n; ++q) {
            const auto row = p.begin() + static_cast<ptrdiff_t>((h * n + q) * n);
            CHECK(std::accumulate(row, row + static_cast<ptrdiff_t>(n), 0.0) ==
                  doctest::Approx(1).epsilon(1e-5));
            for (size_t j = 0; j < n; ++j) {
                CHECK(static_cast<float>(object["rows"][h][q][j].get<double>()) ==
                      row[static_cast<ptrdiff_t>(j)]);
                if (j > q) CHECK(row[static_cast<ptrdiff_t>(j)] == 0);
            }
        }
    CHECK(floats(std::string_view(one).substr(one.size() - n * n * 4)) ==
          std::vector<float>(p.begin() + static_cast<ptrdiff_t>(2 * n * n),
                             p.begin() + static_cast<ptrdiff_t>(3 * n * n)));
    CHECK(run("all", model.folder / "map.png").starts_with("\x89PNG\r\n\x1a\n"));

    auto refused = arguments;
    refused.insert(refused.end(), {"4", "--out", model.folder / "none.png"});
    const Finished end = run_kvasir(refused);
    CHECK(end.status == 1);
    CHECK(end.err.find("0 to 3") != std::string::npos);
    CHECK(model.folder.names() ==
          std::vector<std::string>{"m.gguf", "map.json", "map.npy", "map.png", "one.npy"});
}

TEST_CASE("score: ids as given, logits row by row, nothing left of a file that cannot be written") {
    const TinyModel model;
    write_file(model.folder / "ids.txt", "1, 40 41\n42,43");
    const std::string logits = model.folder / "logits.f32";
    const json object =
        run_json({"score", model.path, "--ids", model.folder / "ids.txt", "--logits", logits, "--json"});
    CHECK(object["tokens"] == 4);
    const std::vector<float> rows = floats(read_file(logits));
    REQUIRE(rows.size() == 5 * 288);
    const std::vector<int> ids{1, 40, 41, 42, 43};
    double nll = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
        double sum = 0;
        for (size_t j = 0; j < 288; ++j) sum += std::exp(double{rows[i * 288 + j]});
        nll += std::log(sum) - double{rows[i * 288 + static_cast<size_t>(ids[i + 1])]};
    }
    CHECK(object["nll"].get<double>() == doctest::Approx(nll / 4).epsilon(1e-9));
    CHECK(object["perplexity"].get<double>() == doctest::Approx(std::exp(nll / 4)).epsilon(1e-9));

    const Finished full =
        run_kvasir({"score", model.path, "--ids", model.folder / "ids.txt", "--logits", "/dev/full"});
    CHECK(full.status == 1);
    CHECK(full.err.find("/dev/full") != std::string::npos);
    const Finished nowhere = run_kvasir(
        {"score", model.path, "--ids", model.folder / "ids.txt", "--logits", "/no/such/folder/logits"});
    CHECK(nowhere.status == 1);
    write_file(model.folder / "wrong.txt", "1 2 288");
    const Finished wrong = run_kvasir(
        {"score", model.path, "--ids", model.folder / "wrong.txt", "--logits", model.folder / "x"});
    CHECK(wrong.status == 1);
    CHECK(wrong.err.find("'288'") != std::string::npos);
    CHECK(model.folder.names() == std::vector<std::string>{"ids.txt", "logits.f32", "m.gguf", "wrong.txt"});
}

TEST_CASE("devices: one is chosen; bench: its tests have names and figures") {
    const json devices = run_json({"devices", "--json"})["devices"];
    int chosen = 0;
    for (const json& device : devices) {
        chosen += device["chosen"].get<bool>();
        CHECK(!device["reason"].get<std::string>().empty());
    }
    CHECK(chosen == 1);
    CHECK(run_kvasir({"devices"}).status == 0);

    const TinyModel model;
    const json bench =
        run_json({"bench", model.path, "-p", "8,40", "-n", "4", "-d", "0,16", "-r", "2", "--ops", "--json"});
    CHECK(bench["copy_gb_s"].get<double>() > 0);
    CHECK(bench["load"]["bytes"] == run_json({"inspect", model.path, "--json"})["weight_bytes"]);
    CHECK(bench["load"]["gb_s"].get<double>() > 0);
    std::vector<std::string> names;
    for (const json& test : bench["tests"]) {
        names.push_back(test["name"]);
        const json& speed = test["tokens_per_second"];
        CHECK(speed["min"].get<double>() <= speed["median"].get<double>());
        CHECK(speed["median"].get<double>() <= speed["max"].get<double>());
        CHECK(test["fraction_of_copy"].get<double>() ==
              doctest::Approx(test["gb_s"].get<double>() / bench["copy_gb_s"].get<double>()));
    }
    CHECK(names == std::vector<std::string>{"pp8", "pp40", "tg4", "tg4 @ d16"});
    CHECK(!bench["ops"].empty());

    const json watched = run_json(
        {"bench", model.path, "-p", "8", "-n", "4", "-d", "16", "-r", "2", "--watch", "--ops", "--json"});
    std::map<std::string, double> of_plain;
    for (const json& test : watched["tests"]) of_plain[test["name"]] = test.value("fraction_of_plain", 0.0);
    CHECK(of_plain.size() == 4);
    CHECK(of_plain["pp8"] == 0);
    CHECK(of_plain["tg4 @ d16"] == 0);
    CHECK(of_plain["tg4 @ d16, one layer watched"] > 0);
    CHECK(of_plain["tg4 @ d16, all layers surveyed"] > 0);
    std::map<std::string, int> probes;
    for (const json& op : watched["ops"])
        if (op["op"] == "probe") probes[op["test"]] = op["count"];
    CHECK(probes.count("tg4 @ d16") == 0);
    CHECK(probes["tg4 @ d16, one layer watched"] > 0);
    CHECK(probes["tg4 @ d16, all layers surveyed"] > probes["tg4 @ d16, one layer watched"]);
}

TEST_CASE("stories260K continues every golden prompt with the golden ids, and has the golden likelihood") {
    const auto data = shared_data("stories260K", 3);
    if (!data) return;
    const std::string model = (*data / "stories260K.gguf").string();
    const char* prompts[] = {"", "Lily and Tom went to the"};
    const char* files[] = {"golden_0.json", "golden_2.json"};
    for (size_t i = 0; i < 2; ++i) {
        const json golden = json::parse(read_file((*data / files[i]).string()));
        const size_t n_prompt = golden["prompt_ids"].size();
        const std::string steps = std::to_string(golden["ids"].size() - n_prompt);
        const json made = run_json({"generate", model, "--raw", "--greedy", "--kv", "f32", "--prompt",
                                    prompts[i], "-n", steps, "--json"});
        CHECK(made["prompt_ids"] == golden["prompt_ids"]);
        std::vector<int> ids = made["prompt_ids"];
        for (int id : made["ids"]) ids.push_back(id);
        CHECK(ids == golden["ids"].get<std::vector<int>>());
    }
    const json golden = json::parse(read_file((*data / "golden_nll_self.json").string()));
    const json score = run_json(
        {"score", model, "--text", (*data / "golden_default.txt").string(), "--window", "255", "--json"});
    CHECK(score["tokens"] == golden["tokens"]);
    CHECK(std::abs(score["nll"].get<double>() - golden["mean_nll"].get<double>()) < 1e-3);
    CHECK(std::abs(std::log(score["perplexity"].get<double>()) - score["nll"].get<double>()) < 1e-9);
}

} // namespace kvasir
