#include "runtime/text/tokenizer.hpp"

#include "runtime/text/pre_tokenizer.hpp"
#include "tests/expect_error.hpp"
#include "tests/vocabularies.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

using namespace std::string_literals;
using kvasir::Metadata;
using kvasir::Tokenizer;
using Ids = std::vector<int32_t>;
using Words = std::vector<std::string_view>;

namespace {

Ids encode(const Tokenizer& tokenizer, std::string_view text) {
    return tokenizer.encode(text, false, false);
}

Metadata with(Metadata metadata, const std::string& key, kvasir::MetaValue value) {
    metadata.values["tokenizer.ggml." + key] = std::move(value);
    return metadata;
}

Metadata without(Metadata metadata, const std::string& key) {
    metadata.values.erase("tokenizer.ggml." + key);
    return metadata;
}

// ids:                          3        4        5         6          7          8          9
Metadata small_spm() {
    return kvasir::spm_vocabulary(
        {{"a", -4}, {"b", -5}, {"▁", -6}, {"ab", -1}, {"▁a", -2}, {"▁ab", -3}, {"aa", -1}});
}

Metadata byte_spm() {
    auto tokens = kvasir::spm_bytes(); // ids 3 to 258
    for (const kvasir::TestToken& more : {kvasir::TestToken{"▁", -2}, {"a", -3}, {"▁a", -1}})
        tokens.push_back(more);
    return kvasir::spm_vocabulary(tokens); // "▁" 259, "a" 260, "▁a" 261
}

} // namespace

TEST_CASE("SentencePiece: the best score is merged first, the leftmost of equals") {
    const Tokenizer t(small_spm());
    // "ab" is ▁ a b: (a, b) scores -1 and (▁, a) -2, so "ab" is made first, then ▁ + ab scores -3 and is made
    // too.
    CHECK(encode(t, "ab") == Ids{8});
    // ▁ a a: (a, a) at -1 before (▁, a); no piece "▁aa".
    CHECK(encode(t, "aa") == Ids{5, 9});
    // ▁ a a b: (a, a) and (a, b) both score -1: the left one; then nothing joins "aa" and b.
    CHECK(encode(t, "aab") == Ids{5, 9, 4});
    // a space in the text is a piece of its own here: ▁ b ▁ b.
    CHECK(encode(t, "b b") == Ids{5, 4, 5, 4});
    CHECK(encode(t, "") == Ids{});
    CHECK(t.encode("", true, false) == Ids{1});
    CHECK(t.encode("ab", true, false) == Ids{1, 8});
    CHECK(t.encode_inside("ab") == Ids{6});
    CHECK(encode(Tokenizer(with(small_spm(), "add_space_prefix", false)), "ab") == Ids{6});
}

TEST_CASE("SentencePiece: a character that is no token may be part of one") {
    // "n" and "o" are no tokens; n + o is.
    const Tokenizer t(kvasir::spm_vocabulary({{"▁", -1}, {"no", -2}}));
    CHECK(encode(t, "no") == Ids{3, 4});
    CHECK(encode(t, "on") == Ids{3, 0}); // two unknown characters in a row: one unknown token
}

TEST_CASE("SentencePiece: control, unknown and byte tokens are never made from text") {
    auto tokens = kvasir::spm_bytes();
    for (const char* piece : {"▁",  "<",   "s",  ">", "<s", "/", "</", "u",  "n",  "k",
                              "<u", "nk>", "k>", "0", "x",  "4", "1",  "<0", "x4", "1>"})
        tokens.push_back({piece, -1});
    const Tokenizer t(kvasir::spm_vocabulary(tokens));
    for (const std::string text : {"<s>", "</s>", "<unk>", "<0x41>"}) {
        const Ids ids = encode(t, text);
        CHECK(std::all_of(ids.begin(), ids.end(), [](int32_t id) { return id >= 259; }));
        CHECK(t.decode(ids) == text);
    }
    CHECK(t.encode("<s>", false, true) == Ids{1});
}

TEST_CASE("SentencePiece: what is no piece becomes its bytes") {
    const Tokenizer t(byte_spm());
    const auto byte = [](int b) { return 3 + b; };
    CHECK(encode(t, "a") == Ids{261});
    CHECK(encode(t, "é") == Ids{259, byte(0xC3), byte(0xA9)});
    CHECK(encode(t, "a\n") == Ids{261, byte(0x0A)});
    CHECK(encode(t, "\0"s) == Ids{259, byte(0)});
    // not UTF-8: an unfinished character, a surrogate, a byte that never occurs
    CHECK(encode(t, "a\xC3") == Ids{261, byte(0xC3)});
    CHECK(encode(t, "\xED\xA0\x80"
                    "a") == Ids{259, byte(0xED), byte(0xA0), byte(0x80), 260});
    CHECK(encode(t, "\xFF") == Ids{259, byte(0xFF)});
    std::string all;
    for (int b = 0; b < 256; ++b) all += static_cast<char>(b);
    CHECK(t.decode(encode(t, all)) == all);
    CHECK(t.piece(byte(0xC3)) == "\xC3");
    CHECK(t.label(byte(0xC3)) == "<0xC3>");
}

TEST_CASE("SentencePiece: without bytes a text becomes the unknown token, or is refused") {
    const Tokenizer with_unknown(kvasir::spm_vocabulary({{"▁a", -1}, {"a", -2}, {"▁", -3}}));
    CHECK(encode(with_unknown, "a☃☃a") == Ids{3, 0, 4});
    CHECK(with_unknown.decode(Ids{3, 0, 4}) == "a \xE2\x81\x87 a");
    const Tokenizer bare(kvasir::vocabulary_of("llama", {{"▁a", -1}, {"a", -2}, {"▁", -3}}));
    CHECK(encode(bare, "a") == Ids{0});
    kvasir::expect_error([&] { encode(bare, "a☃"); },
                         {"no token for \"\\xe2\\x98\\x83\"", "no unknown token"});
    const Tokenizer spaceless(kvasir::vocabulary_of("llama", {{"a", -1}}));
    kvasir::expect_error([&] { encode(spaceless, "a"); }, {"no token for \" \""});
    CHECK(spaceless.encode_inside("aa") == Ids{0, 0});
}

TEST_CASE("SentencePiece: cutting a text into words changes nothing") {
    // The definition on whole texts: merge the neighbours whose union has the best score, leftmost of equals.
    std::mt19937 random(11);
    const std::vector<std::string> letters = {"a", "b", "▁", "é", ".", "☃"};
    for (int trial = 0; trial < 200; ++trial) {
        std::map<std::string, std::pair<double, int32_t>> pieces;
        std::vector<kvasir::TestToken> tokens = kvasir::spm_bytes();
        const auto add = [&](const std::string& label) {
            const double score = -static_cast<double>(random() % 8);
            if (pieces.emplace(label, std::pair{score, static_cast<int32_t>(tokens.size()) + 3}).second)
                tokens.push_back({label, score});
        };
        for (const std::string& letter : letters) add(letter);
        for (int i = 0; i < 12; ++i) {
            std::string label;
            for (auto n = 2 + random() % 3; n > 0; --n) label += letters[random() % letters.size()];
            add(label);
        }
        const Tokenizer t(kvasir::spm_vocabulary(tokens));
        std::vector<std::string> symbols = {"▁"};
        std::string text;
        for (auto n = random() % 50; n > 0; --n) {
            symbols.push_back(letters[random() % letters.size()]);
            text += symbols.back() == "▁" ? " " : symbols.back();
        }
        for (bool merged = true; merged;) {
            merged = false;
            double best = 0;
            std::size_t at = 0;
            for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
                const auto piece = pieces.find(symbols[i] + symbols[i + 1]);
                if (piece == pieces.end() || (merged && piece->second.first <= best)) continue;
                merged = true, best = piece->second.first, at = i;
            }
            if (!merged) break;
            symbols[at] += symbols[at + 1];
            symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        }
        Ids expected;
        if (!text.empty())
            for (const std::string& symbol : symbols) expected.push_back(pieces.at(symbol).second);
        CAPTURE(text);
        CHECK(encode(t, text) == expected);
        CHECK(t.decode(encode(t, text)) == text);
    }
}

TEST_CASE("byte-level BPE: the earliest merge first") {
    // ids: a 0, b 1, c 2, Ġ 3, ab 4, bc 5, abc 6, Ġa 7
    const std::vector<kvasir::TestToken> tokens = {{"a"},  {"b"},  {"c"},   {"Ġ"},
                                                   {"ab"}, {"bc"}, {"abc"}, {"Ġa"}};
    // a b c: (a, b) is merge 0, then (ab, c) merge 2.
    CHECK(encode(Tokenizer(kvasir::bpe_vocabulary(tokens, {"a b", "b c", "ab c"})), "abc") == Ids{6});
    // (b, c) is merge 0; nothing joins a and bc.
    const Tokenizer t(kvasir::bpe_vocabulary(tokens, {"b c", "a b", "ab c", "Ġ a"}));
    CHECK(encode(t, "abc") == Ids{0, 5});
    // Words are "a" and " a": the space belongs to the second.
    CHECK(encode(t, "a a") == Ids{0, 7});
    CHECK(t.decode(Ids{0, 7}) == "a a");
    // No BOS unless asked for; no space before a text.
    CHECK(t.encode("a", true, false) == Ids{0});
    kvasir::expect_error([&] { encode(t, "d"); }, {"no token for the byte \"d\"", "no unknown token"});
}

TEST_CASE("byte-level BPE: every text of bytes comes back") {
    const Tokenizer t(kvasir::bpe_vocabulary(kvasir::bpe_bytes(), {}));
    std::string all;
    Ids ids;
    for (int b = 0; b < 256; ++b) {
        all += static_cast<char>(b);
        ids.push_back(b); // token i is byte i
    }
    CHECK(encode(t, all) == ids);
    CHECK(t.decode(ids) == all);
    CHECK(t.piece(0xC3) == "\xC3");
    CHECK(t.label(0x20) == "Ġ");
}

TEST_CASE("special tokens: control ones when asked for, user-defined ones always, the longest of several") {
    auto tokens = kvasir::bpe_bytes();
    for (const kvasir::TestToken& more :
         {kvasir::TestToken{"<x>", 0, 3}, {"<x>y", 0, 3}, {"<u>", 0, 4}, {"<u><u>", 0, 4}, {"<unk>", 0, 2}})
        tokens.push_back(more);
    const Tokenizer t(kvasir::bpe_vocabulary(tokens, {}));
    CHECK(t.encode("a<x>b", false, true) == Ids{'a', 256, 'b'});
    CHECK(t.encode("<x>y<x><unk>", false, true) == Ids{257, 256, 260});
    CHECK(t.encode("<x>", false, false) == Ids{'<', 'x', '>'});
    CHECK(t.encode("<u><u><u>!", false, false) == Ids{259, 258, '!'});
    CHECK(t.encode("<x", false, true) == Ids{'<', 'x'});
    CHECK(t.decode(Ids{'a', 256, 258, 'b'}) == "a<u>b");
    CHECK(t.piece(256) == "");
    CHECK(t.label(256) == "<x>");
    CHECK(t.find("<x>y") == 257);
    CHECK(t.find("absent") == -1);
    // A SentencePiece vocabulary puts its space after each of them, and takes it off again.
    const Tokenizer s(kvasir::spm_vocabulary({{"▁", -1}, {"a", -2}, {"▁a", -1}, {"<u>", 0, 4}}));
    CHECK(s.encode("a<u>a a<s>a", false, true) == Ids{5, 6, 5, 5, 1, 5});
    CHECK(s.decode(Ids{5, 6, 5, 5}) == "a<u>a a");
    // A user-defined token with U+2581 is made by merging, and its space is the text's.
    const Tokenizer marked(kvasir::spm_vocabulary({{"▁", -2}, {"a", -2}, {"▁a", -1, 4}}));
    CHECK(encode(marked, "a a") == Ids{5, 5});
    CHECK(marked.decode(Ids{5, 5}) == "a a");
    // In a byte-level vocabulary a user-defined label is text as it stands: "Ġa" is that, not " a".
    auto plain = kvasir::bpe_bytes();
    plain.push_back({"Ġa", 0, 4});
    const Tokenizer b(kvasir::bpe_vocabulary(plain, {"Ġ a"}));
    CHECK(encode(b, " a") == Ids{' ', 'a'});
    CHECK(encode(b, "Ġa") == Ids{256});
    CHECK(b.decode(Ids{256, ' ', 'a'}) == "Ġa a");
}

TEST_CASE("BOS, EOS and the ends of generation") {
    const Tokenizer t(small_spm());
    CHECK(t.bos() == 1);
    CHECK(t.eos() == 2);
    CHECK(t.add_bos());
    CHECK(t.is_end(2));
    CHECK(!t.is_end(1));
    CHECK(!t.is_end(-1));
    CHECK(t.n_vocab() == 10);
    const Tokenizer both(with(small_spm(), "add_eos_token", true));
    CHECK(both.encode("ab", true, false) == Ids{1, 8, 2});
    CHECK(Tokenizer(with(small_spm(), "add_bos_token", false)).encode("ab", true, false) == Ids{8});
    // 4294967295 is -1 as converters write it: none. Roles that nothing uses may hold anything.
    const Tokenizer none(
        with(with(small_spm(), "bos_token_id", int64_t{0xFFFFFFFF}), "padding_token_id", int64_t{99}));
    CHECK(none.bos() == -1);
    CHECK(none.encode("ab", true, false) == Ids{8});
    const Tokenizer turns(with(with(small_spm(), "eot_token_id", int64_t{3}), "eom_token_id", int64_t{4}));
    CHECK((turns.is_end(2) && turns.is_end(3) && turns.is_end(4) && !turns.is_end(5)));
    // A published name of an end counts where the token is a control token, not where it is text.
    CHECK(Tokenizer(kvasir::spm_vocabulary({{"<|im_end|>", 0, 3}})).is_end(3));
    CHECK(!Tokenizer(kvasir::spm_vocabulary({{"<|im_end|>", 0, 1}})).is_end(3));
}

TEST_CASE("a vocabulary without token types: the ids and names tell them") {
    const Tokenizer t(without(byte_spm(), "token_type"));
    CHECK(t.piece(1) == "");
    CHECK(t.piece(3 + 0x41) == "A");
    CHECK(encode(t, "é").size() == 3);
}

TEST_CASE("long texts of one letter") {
    // No space before, so 2^20 letters are pairs, and pairs of pairs: 2^18 tokens of four.
    const Tokenizer spm(
        with(kvasir::spm_vocabulary({{"a", -3}, {"aa", -1}, {"aaaa", -2}}), "add_space_prefix", false));
    const std::string text(1 << 20, 'a');
    CHECK(encode(spm, text) == Ids(1 << 18, 5));
    const Tokenizer bpe(kvasir::bpe_vocabulary({{"a"}, {"aa"}, {"aaaa"}}, {"a a", "aa aa"}));
    CHECK(encode(bpe, text) == Ids(1 << 18, 2));
    const std::string spaces(1 << 20, ' ');
    const Tokenizer blank(kvasir::bpe_vocabulary({{"Ġ"}, {"x"}}, {}));
    CHECK(encode(blank, spaces).size() == spaces.size());
    CHECK(encode(blank, spaces + "x").size() == spaces.size() + 1);
}

TEST_CASE("pre-tokenizers cut texts into words") {
    const auto words = [](const char* name, std::string_view text) {
        Words result;
        kvasir::PreTokenizer(name).split(text, result);
        return result;
    };
    CHECK(words("gpt-2", "").empty());
    CHECK(words("gpt-2", "I'll say: it's 42!") == Words{"I", "'ll", " say", ":", " it", "'s", " 42", "!"});
    CHECK(words("gpt-2", "I'LL") == Words{"I", "'", "LL"});
    // The last blank of a run goes with the word after it if it is a space; at the end the run is whole.
    CHECK(words("gpt-2", "a   b\n\tc  ") == Words{"a", "  ", " b", "\n", "\t", "c", "  "});
    // U+0085 and U+3000 are white space, U+180E has not been since Unicode 6.3; a combining mark is no
    // letter.
    CHECK(words("gpt-2", "a\xC2\x85z") == Words{"a", "\xC2\x85", "z"});
    CHECK(words("gpt-2", "a\xE3\x80\x80\xE3\x80\x80z") == Words{"a", "\xE3\x80\x80", "\xE3\x80\x80", "z"});
    CHECK(words("gpt-2", "a.\xE1\xA0\x8E.") == Words{"a", ".\xE1\xA0\x8E."});
    CHECK(words("gpt-2", "e\xCC\x81") == Words{"e", "\xCC\x81"});
    CHECK(words("gpt-2", "Привет 你好") == Words{"Привет", " 你好"});
    CHECK(words("qwen2", "I'LL 42\n\n x") == Words{"I", "'LL", " ", "4", "2", "\n\n", " x"});
    CHECK(words("falcon", "a`b") == Words{"a", "`", "b"});
    CHECK(words("falcon", "12345") == Words{"123", "45"});
    CHECK(words("default", "a 1234") == Words{"a", " ", "123", "4"});
    CHECK(words("deepseek-coder", "x=12\n") == Words{"x", "=", "1", "2", "\n"});
    kvasir::expect_error([&] { words("llama-bpe", "a"); },
                         {"\"llama-bpe\"", "gpt-2, default, falcon, qwen2, deepseek-coder"});
}

TEST_CASE("metadata that is no vocabulary is refused") {
    const auto refused = [](const Metadata& metadata, std::initializer_list<std::string> parts) {
        kvasir::expect_error([&] { Tokenizer t(metadata); }, parts);
    };
    const Metadata spm = small_spm();
    refused(without(spm, "model"), {"tokenizer.ggml.model"});
    refused(with(spm, "model", "rwkv"s), {"\"rwkv\"", "llama, gpt2"});
    refused(without(spm, "tokens"), {"tokenizer.ggml.tokens"});
    refused(with(spm, "tokens", std::vector<std::string>{}), {"tokenizer.ggml.tokens"});
    refused(with(spm, "tokens", int64_t{1}), {"tokenizer.ggml.tokens"});
    refused(without(spm, "scores"), {"no scores for 10 tokens"});
    refused(with(spm, "scores", std::vector<double>(9)), {"9 scores for 10 tokens"});
    std::vector<double> scores(10);
    scores[4] = std::numeric_limits<double>::quiet_NaN();
    refused(with(spm, "scores", scores), {"score of token 4"});
    refused(with(spm, "token_type", std::vector<int64_t>(11, 1)), {"11 token types for 10 tokens"});
    refused(with(spm, "token_type", std::vector<int64_t>(10, 7)), {"token 0", "unknown type 7"});
    refused(with(spm, "token_type", std::vector<int64_t>(10, 6)), {"type of a byte", "\"<unk>\""});
    refused(with(spm, "bos_token_id", int64_t{10}), {"bos_token_id is 10", "10 tokens"});
    refused(with(spm, "eos_token_id", int64_t{-2}), {"eos_token_id is -2"});
    refused(with(spm, "unknown_token_id", int64_t{1000}), {"unknown_token_id is 1000"});
    refused(with(spm, "eot_token_id", int64_t{10}), {"eot_token_id"});
    refused(with(with(spm, "bos_token_id", int64_t{-1}), "add_bos_token", true), {"add_bos_token"});
    refused(kvasir::spm_vocabulary({{"a"}, {""}}), {"token 4 is empty"});
    refused(kvasir::spm_vocabulary({{"a"}, {"b"}, {"a"}}), {"tokens 3 and 5 are both \"a\""});
    refused(kvasir::spm_vocabulary({{std::string(513, 'a')}}), {"513 bytes"});

    const std::vector<kvasir::TestToken> tokens = {{"a"}, {"b"}, {"ab"}, {"aa", 0, 3}};
    const auto merges = [&](const char* line) { return kvasir::bpe_vocabulary(tokens, {"a b", line}); };
    refused(merges("ab"), {"merge 1", "two parts"});
    refused(merges(" ab"), {"merge 1", "two parts"});
    refused(merges("a "), {"merge 1", "two parts"});
    refused(merges(""), {"merge 1", "two parts"});
    refused(merges("a c"), {"merge 1", "part that is no token"});
    refused(merges("b a"), {"merge 1", "\"ba\"", "no token"});
    refused(merges("a a"), {"merge 1", "control token"});
    refused(without(kvasir::bpe_vocabulary(tokens, {}), "merges"), {"tokenizer.ggml.merges"});
    refused(without(kvasir::bpe_vocabulary(tokens, {}), "pre"), {"tokenizer.ggml.pre"});
    refused(with(kvasir::bpe_vocabulary(tokens, {}), "pre", "x\ny"s), {"\"x\\x0ay\""});
}

TEST_CASE("ids outside a vocabulary are refused") {
    const Tokenizer t(small_spm());
    for (const int32_t id : {-1, 10, INT32_MAX, INT32_MIN}) {
        kvasir::expect_error([&] { t.piece(id); }, {std::to_string(id), "10"});
        kvasir::expect_error([&] { t.label(id); }, {std::to_string(id)});
        kvasir::expect_error([&] { t.decode(Ids{3, id}); }, {std::to_string(id)});
    }
}
