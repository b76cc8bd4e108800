// The tokenizer against the ids that other programs publish for real vocabularies.
#include "runtime/text/tokenizer.hpp"
#include "tests/shared_data.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>

using kvasir::Tokenizer;
using Ids = std::vector<int32_t>;

namespace {

constexpr const char* names[] = {"llama-spm", "gpt-2", "falcon", "qwen2", "deepseek-coder"};

std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE(file);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::vector<Ids> id_lines(const std::filesystem::path& path) {
    std::istringstream file(contents(path));
    std::vector<Ids> lines;
    for (std::string line; std::getline(file, line);) {
        std::istringstream numbers(line);
        lines.emplace_back();
        for (int32_t id; numbers >> id;) lines.back().push_back(id);
    }
    return lines;
}

/// The texts of an .inp file: each followed by a line end and a line that separates it from the next.
std::vector<std::string> separated(const std::string& text) {
    const std::string separator = "\n__ggml_vocab_test__\n";
    std::vector<std::string> texts;
    std::size_t at = 0;
    for (std::size_t end; (end = text.find(separator, at)) != std::string::npos; at = end + separator.size())
        texts.push_back(text.substr(at, end - at));
    return texts;
}

Tokenizer tokenizer_of(const std::filesystem::path& path) {
    return Tokenizer(kvasir::read_gguf(path).metadata);
}

void check_ids(const Tokenizer& tokenizer, const std::vector<std::string>& texts,
               const std::vector<Ids>& expected) {
    REQUIRE(texts.size() <= expected.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        CAPTURE(i);
        CAPTURE(texts[i]);
        CHECK(tokenizer.encode(texts[i], false, false) == expected[i]);
        const bool says_u2581 = texts[i].find("▁") != std::string::npos; // a space to SentencePiece
        if (!says_u2581) CHECK(tokenizer.decode(expected[i]) == texts[i]);
    }
}

} // namespace

TEST_CASE("published ids: the .inp and .out pairs of llama.cpp") {
    const auto folder = kvasir::shared_data("vocab", 5 * 48);
    if (!folder) return;
    for (const std::string name : names) {
        CAPTURE(name);
        const std::string stem = "ggml-vocab-" + name + ".gguf";
        const auto texts = separated(contents(*folder / (stem + ".inp")));
        REQUIRE(texts.size() > 40);
        check_ids(tokenizer_of(*folder / stem), texts, id_lines(*folder / (stem + ".out")));
    }
}

TEST_CASE("published ids: 176 strings for six vocabularies") {
    const auto folder = kvasir::shared_data("vocab", 6 * 176);
    const auto minimind = kvasir::shared_data("minimind", 0);
    if (!folder || !minimind) return;
    const auto texts =
        nlohmann::json::parse(contents(*folder / "cases.json")).get<std::vector<std::string>>();
    REQUIRE(texts.size() == 176);
    for (const std::string name : names) {
        CAPTURE(name);
        check_ids(tokenizer_of(*folder / ("ggml-vocab-" + name + ".gguf")), texts,
                  id_lines(*folder / (name + ".ids.txt")));
    }
    check_ids(tokenizer_of(*minimind / "minimind-vocab.gguf"), texts,
              id_lines(*folder / "minimind-vocab.ids.txt"));
}

TEST_CASE("published ids: conversations of MiniMind with their control tokens") {
    const auto folder = kvasir::shared_data("minimind", 12);
    if (!folder) return;
    const Tokenizer tokenizer = tokenizer_of(*folder / "minimind-vocab.gguf");
    int n_cases = 0;
    for (const auto& golden : nlohmann::json::parse(contents(*folder / "chat_token_goldens.json"))) {
        if (golden["vocab"] != "minimind-vocab.gguf") continue; // another vocabulary, which is not at hand
        const auto text = golden["text"].get<std::string>();
        CAPTURE(text);
        CHECK(tokenizer.encode(text, false, true) == golden["ids"].get<Ids>());
        CHECK(tokenizer.encode(text, false, false) != golden["ids"].get<Ids>());
        ++n_cases;
    }
    CHECK(n_cases == 12);
    CHECK(tokenizer.is_end(tokenizer.find("<|im_end|>")));
    CHECK(tokenizer.is_end(tokenizer.find("<|endoftext|>")));
}

TEST_CASE("the Declaration of Human Rights in 33 languages comes back from every vocabulary") {
    const auto vocabularies = kvasir::shared_data("vocab", 7 * 33);
    const auto texts = kvasir::shared_data("text/udhr", 0);
    if (!vocabularies || !texts) return;
    std::vector<std::filesystem::path> files;
    for (const std::string name : names) files.push_back(*vocabularies / ("ggml-vocab-" + name + ".gguf"));
    files.push_back(*vocabularies / ".." / "minimind" / "minimind-vocab.gguf");
    files.push_back(*vocabularies / ".." / "stories260K" / "stories260K.gguf");
    for (const auto& file : files) {
        const Tokenizer tokenizer = tokenizer_of(file);
        int n_texts = 0;
        for (const auto& entry : std::filesystem::directory_iterator(*texts)) {
            const std::string text = contents(entry.path());
            const Ids ids = tokenizer.encode(text, false, false);
            const bool same = tokenizer.decode(ids) == text;
            CHECK_MESSAGE(same, file.filename() << " and " << entry.path().filename());
            std::string streamed;
            kvasir::Utf8Stream stream;
            for (const int32_t id : ids) streamed += stream.push(tokenizer.piece(id));
            CHECK(streamed + stream.finish() == (tokenizer.piece(ids[0]).starts_with(' ') ? " " : "") + text);
            ++n_texts;
        }
        CHECK(n_texts == 33);
    }
}

TEST_CASE("stories260K: special ids that say none are no fault") {
    const auto folder = kvasir::shared_data("stories260K", 1);
    if (!folder) return;
    const Tokenizer tokenizer = tokenizer_of(*folder / "stories260K.gguf");
    CHECK(tokenizer.n_vocab() == 512);
    CHECK(tokenizer.add_bos());
    CHECK(tokenizer.bos() == 1);
    CHECK(tokenizer.is_end(2));
    for (const char* name : {"golden_0", "golden_2"}) {
        const auto golden = nlohmann::json::parse(contents(*folder / (std::string(name) + ".json")));
        const auto ids = golden["ids"].get<Ids>();
        CHECK(tokenizer.decode(ids) + "\n" == contents(*folder / (std::string(name) + ".txt")));
        const auto prompt = golden["prompt_ids"].get<Ids>();
        CHECK(tokenizer.encode(tokenizer.decode(prompt), true, false) == prompt);
    }
}
