// libFuzzer: bytes make a vocabulary and a text. Building it must end in a tokenizer or an Error; so must
// encoding; what is encoded must decode to the same bytes where the vocabulary has a token for each byte.
#include "runtime/error.hpp"
#include "runtime/text/tokenizer.hpp"
#include "tests/vocabularies.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

/// Takes the input apart: small numbers, and short strings over few letters, so that merges often fit.
class Input {
  public:
    Input(const uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

    bool empty() const { return rest_.empty(); }
    unsigned number() {
        if (rest_.empty()) return 0;
        const auto byte = static_cast<unsigned char>(rest_.front());
        rest_.remove_prefix(1);
        return byte;
    }
    std::string_view bytes(std::size_t n) {
        const std::string_view taken = rest_.substr(0, n);
        rest_.remove_prefix(taken.size());
        return taken;
    }
    std::string_view rest() const { return rest_; }

  private:
    std::string_view rest_;
};

kvasir::TestToken token_of(Input& in) {
    static const char* const letters[] = {"a", "b", "▁", "Ġ", "é", "<", ">", "\n"};
    const unsigned shape = in.number();
    kvasir::TestToken token;
    token.score = static_cast<double>(in.number() % 16);
    token.type = shape % 8 == 7 ? static_cast<int64_t>(in.number() % 9) - 1 : 1 + 3 * (shape % 8 == 6);
    if (shape & 8)
        token.label = in.bytes(shape >> 4);
    else
        for (unsigned n = 1 + (shape >> 4) % 6; n > 0; --n) token.label += letters[in.number() % 8];
    return token;
}

kvasir::Metadata metadata_of(Input& in, bool& byte_complete) {
    const unsigned flags = in.number();
    const bool spm = flags & 1;
    byte_complete = flags & 2;
    std::vector<kvasir::TestToken> tokens;
    if (byte_complete) tokens = spm ? kvasir::spm_bytes() : kvasir::bpe_bytes();
    if (byte_complete && spm) tokens.push_back({"▁", -1});
    const std::size_t first = tokens.size();
    for (unsigned n = in.number() % 24; n > 0 && !in.empty(); --n) {
        const kvasir::TestToken token = token_of(in);
        bool known = false; // mostly the duplicates are dropped, else hardly any vocabulary would be accepted
        for (const kvasir::TestToken& other : tokens) known = known || other.label == token.label;
        if (!known || flags & 4) tokens.push_back(token);
    }
    std::vector<std::string> merges;
    if (!spm) // every way to cut a token whose parts are tokens, and now and then one of any bytes
        for (std::size_t i = first; i < tokens.size(); ++i)
            for (std::size_t cut = 1; cut < tokens[i].label.size(); ++cut) {
                const std::string left = tokens[i].label.substr(0, cut), right = tokens[i].label.substr(cut);
                bool has_left = flags & 8 && in.number() == 255, has_right = has_left;
                for (const kvasir::TestToken& other : tokens) {
                    has_left = has_left || other.label == left;
                    has_right = has_right || other.label == right;
                }
                if (has_left && has_right && tokens[i].type == 1) merges.push_back(left + " " + right);
            }
    kvasir::Metadata metadata =
        spm ? kvasir::vocabulary_of("llama", tokens) : kvasir::bpe_vocabulary(tokens, merges);
    static const char* const pre[] = {"gpt-2",          "default", "falcon", "qwen2",
                                      "deepseek-coder", "gpt-2",   "none",   "qwen2"};
    metadata.values["tokenizer.ggml.pre"] = std::string(pre[in.number() % 8]);
    if (flags & 16) metadata.values["tokenizer.ggml.bos_token_id"] = static_cast<int64_t>(in.number()) - 1;
    if (flags & 32)
        metadata.values["tokenizer.ggml.unknown_token_id"] = static_cast<int64_t>(in.number()) - 1;
    if (flags & 64) metadata.values["tokenizer.ggml.add_space_prefix"] = in.number() % 2 == 0;
    if (flags & 128) metadata.values.erase("tokenizer.ggml.token_type");
    return metadata;
}

/// Whether decoding must give the text again, in a vocabulary with a token for each byte: not where the file
/// gives no types, since BOS may then be one of those tokens, not for U+2581, which SentencePiece cannot
/// tell from a space, and not for a byte-level vocabulary that puts a space before the text: it stays there.
bool comes_back(const kvasir::Metadata& metadata, std::string_view text) {
    if (!metadata.integers("tokenizer.ggml.token_type")) return false;
    if (*metadata.text("tokenizer.ggml.model") == "llama") return text.find("▁") == std::string_view::npos;
    return !metadata.flag("tokenizer.ggml.add_space_prefix").value_or(false);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    Input in(data, size);
    bool byte_complete = false;
    const kvasir::Metadata metadata = metadata_of(in, byte_complete);
    try {
        const kvasir::Tokenizer tokenizer(metadata);
        const std::string_view text = in.rest();
        for (const bool special : {false, true}) {
            const std::vector<int32_t> ids = tokenizer.encode(text, special, special);
            for (const int32_t id : ids)
                if (id < 0 || id >= tokenizer.n_vocab()) std::abort();
            const std::string back = tokenizer.decode(ids);
            if (!special && byte_complete && comes_back(metadata, text) && back != text) std::abort();
        }
        tokenizer.encode_inside(text);
    } catch (const kvasir::Error&) {
    }
    return 0;
}
