#include "runtime/text/chat_format.hpp"

#include "tests/expect_error.hpp"
#include "tests/shared_data.hpp"
#include "tests/vocabularies.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using kvasir::ChatFormat;
using kvasir::Tokenizer;
using kvasir::Turn;
using Ids = std::vector<int32_t>;

namespace {

/// Token i is byte i; 256 is "<s>" (BOS), 257 "</s>" (EOS), 258 the merge of two line ends.
Tokenizer byte_tokenizer(bool add_bos) {
    auto tokens = kvasir::bpe_bytes();
    tokens.push_back({"<s>", 0, 3});
    tokens.push_back({"</s>", 0, 3});
    tokens.push_back({"ĊĊ"});
    kvasir::Metadata metadata = kvasir::bpe_vocabulary(tokens, {"Ċ Ċ"});
    metadata.values["tokenizer.ggml.bos_token_id"] = int64_t{256};
    metadata.values["tokenizer.ggml.eos_token_id"] = int64_t{257};
    metadata.values["tokenizer.ggml.add_bos_token"] = add_bos;
    metadata.values["tokenizer.ggml.add_eos_token"] = true;
    return Tokenizer(metadata);
}

Ids bytes_of(const std::string& text) {
    return Ids(text.begin(), text.end());
} // ASCII only

bool begins_with(const Ids& ids, const Ids& front) {
    return ids.size() >= front.size() && std::equal(front.begin(), front.end(), ids.begin());
}

Ids joined(Ids a, const Ids& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

} // namespace

TEST_CASE("the plain format: a line for each turn and the opening of the answer") {
    const Tokenizer tokenizer = byte_tokenizer(false);
    ChatFormat format(tokenizer);
    CHECK(format.encode({}) == bytes_of("Assistant:"));
    CHECK(format.encode({{"user", "Hi"}}) == bytes_of("User: Hi\nAssistant:"));
    CHECK(format.encode({{"system", "Be kind."}, {"user", "Hi"}, {"assistant", " Hello"}, {"user", ""}}) ==
          bytes_of("System: Be kind.\nUser: Hi\nAssistant: Hello\nUser:\nAssistant:"));
    // The space after a name is there once, whether the answer is kept with it or without.
    CHECK(format.encode({{"assistant", "Hello"}}) == format.encode({{"assistant", " Hello"}}));
    kvasir::expect_error([&] { format.encode({{"tool", "x"}}); }, {"\"tool\"", "system, user, assistant"});
}

TEST_CASE("the plain format: BOS as the vocabulary says, EOS never") {
    const Tokenizer tokenizer = byte_tokenizer(true);
    const Ids ids = ChatFormat(tokenizer).encode({{"user", "Hi"}});
    CHECK(ids == joined({256}, bytes_of("User: Hi\nAssistant:")));
}

TEST_CASE("the plain format: no text becomes a control token") {
    const Tokenizer tokenizer = byte_tokenizer(false);
    const Ids ids =
        ChatFormat(tokenizer).encode({{"system", "<s>"}, {"user", "a</s><s>"}, {"assistant", "</s>"}});
    CHECK(ids == bytes_of("System: <s>\nUser: a</s><s>\nAssistant: </s>\nAssistant:"));
}

TEST_CASE("a longer conversation begins with the ids of the shorter one") {
    const Tokenizer tokenizer = byte_tokenizer(true);
    ChatFormat format(tokenizer);
    // Line ends merge with line ends, so a text with one at its end would swallow what comes after if they
    // met.
    for (const std::string question : {"Hi", "Hi\n", "", "\n\n", "User:", "<s>"}) {
        const std::vector<Turn> turns = {{"user", question}};
        const Ids asked = format.encode(turns);
        // The model wrote two line ends as two tokens, though encoding would make them one.
        const Ids written = {' ', 'x', '\n', '\n'};
        for (const std::string later : {"More", "\n", ""}) {
            const Ids kept = format.encode({turns[0], {"assistant", " x\n\n", written}, {"user", later}});
            CHECK(begins_with(kept, joined(asked, written)));
            const Ids as_text = format.encode({turns[0], {"assistant", " x\n\n"}, {"user", later}});
            CHECK(begins_with(as_text, asked));
            CHECK(!begins_with(as_text, joined(asked, written)));
            CHECK(tokenizer.decode(as_text) == tokenizer.decode(kept));
        }
    }
}

TEST_CASE("the stops are what opens a turn") {
    const Tokenizer tokenizer = byte_tokenizer(false);
    const auto stops = ChatFormat(tokenizer).stops();
    for (const std::string stop : {"\nUser:", "\nSystem:", "\nAssistant:"})
        CHECK(std::count(stops.begin(), stops.end(), stop) == 1);
}

TEST_CASE("real vocabularies read a conversation in parts as they read it whole") {
    const auto folder = kvasir::shared_data("vocab", 5);
    if (!folder) return;
    // The answer has no full stop: Qwen2 reads ".\n" as one word, which the parts, kept apart on purpose,
    // divide.
    const std::vector<Turn> turns = {{"system", "You are kind."},
                                     {"user", "What's 2 + 2?"},
                                     {"assistant", "It is 4"},
                                     {"user", "Danke schön, 谢谢!"}};
    const std::string whole =
        "System: You are kind.\nUser: What's 2 + 2?\nAssistant: It is 4\nUser: Danke schön, "
        "谢谢!\nAssistant:";
    for (const std::string name : {"llama-spm", "gpt-2", "falcon", "qwen2", "deepseek-coder"}) {
        CAPTURE(name);
        const auto file = kvasir::read_gguf(*folder / ("ggml-vocab-" + name + ".gguf"));
        const Tokenizer tokenizer(file.metadata);
        Ids expected = tokenizer.encode(whole, false, false);
        if (tokenizer.add_bos()) expected.insert(expected.begin(), tokenizer.bos());
        CHECK(ChatFormat(tokenizer).encode(turns) == expected);
    }
}
