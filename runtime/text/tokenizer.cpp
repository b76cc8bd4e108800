#include "runtime/text/tokenizer.hpp"

#include "runtime/error.hpp"
#include "runtime/text/bpe.hpp"
#include "runtime/text/nfc.hpp"
#include "runtime/text/special_tokens.hpp"
#include "runtime/text/spm.hpp"
#include "runtime/text/vocabulary.hpp"

#include <algorithm>
#include <functional>

namespace kvasir {

namespace {

// What stands for a token that stands for any text: the default of SentencePiece's TrainerSpec.unk_surface.
constexpr const char* unknown_surface = " \xE2\x81\x87 ";

constexpr std::string_view space_mark = "\xE2\x96\x81"; // U+2581

/// The tokens of a model without a vocabulary: their ids, with a space between.
class NumberCodec : public TextCodec {
  public:
    explicit NumberCodec(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

    void encode(std::string_view, bool, std::vector<int32_t>&) const override {
        throw Error("encoding a text", "the model has no tokenizer, only token ids",
                    "ids (--ids FILE), or the model with its tokenizer.json");
    }
    std::string piece(int32_t id) const override {
        return " " + vocabulary_.labels[static_cast<std::size_t>(id)];
    }
    Space space() const override { return Space::first; }

  private:
    const Vocabulary& vocabulary_;
};

std::unique_ptr<TextCodec> make_codec(const Vocabulary& vocabulary, const Metadata& metadata) {
    if (vocabulary.model == "llama") return std::make_unique<SpmCodec>(vocabulary, metadata);
    if (vocabulary.model == "gpt2") return std::make_unique<BpeCodec>(vocabulary, metadata);
    if (vocabulary.model == "no_vocab") return std::make_unique<NumberCodec>(vocabulary);
    const std::string& model = vocabulary.model;
    const char* kind = model == "t5"     ? ", SentencePiece Unigram, is not supported"
                       : model == "bert" ? ", WordPiece, is not supported"
                                         : " is unknown";
    throw Error("reading the vocabulary", "the tokenizer model " + quoted(model) + kind,
                "a model with one of llama, gpt2");
}

/// A text with its spaces written as SentencePiece does, and one more before it where asked for.
std::string marked(std::string_view text, bool space_before) {
    std::string out(space_before && !text.empty() ? space_mark : "");
    for (const char c : text) c == ' ' ? out += space_mark : out += c;
    return out;
}

} // namespace

struct Tokenizer::Impl {
    explicit Impl(const Metadata& metadata)
        : vocabulary(metadata), codec(make_codec(vocabulary, metadata)),
          nfc(metadata.flag("tokenizer.json.nfc").value_or(false)),
          prepends(metadata.flag("tokenizer.json.normalizer_prepends").value_or(false)),
          user_defined(vocabulary, false), special(vocabulary, true),
          normalized_user_defined(vocabulary, false, true, written()),
          normalized_special(vocabulary, true, true, written()) {}

    std::function<std::string(const std::string&)> written() const {
        return [this](const std::string& label) { return normal_form(label, true); };
    }

    std::string normal_form(std::string_view text, bool after_break) const {
        if (vocabulary.model == "llama") return marked(text, prepends && after_break);
        return nfc ? to_nfc(text) : std::string(text);
    }

    void append(std::string_view text, bool after_break, bool parse_special,
                std::vector<int32_t>& ids) const {
        const SpecialTokens& tokens = parse_special ? special : user_defined;
        append(text, after_break, parse_special, ids, [&](std::size_t at) { return tokens.find(text, at); });
    }

    /// next(at): the token that is read as it is written, at or after `at`.
    template <class Next>
    void append(std::string_view text, bool after_break, bool parse_special, std::vector<int32_t>& ids,
                const Next& next) const {
        if (text.size() > UINT32_MAX) // positions inside a word are 32 bits
            throw Error("encoding a text", "it has " + std::to_string(text.size()) + " bytes, 4 GiB or more",
                        "parts of it");
        ids.reserve(ids.size() + text.size() / 3);
        for (std::size_t at = 0; at < text.size();) {
            const SpecialTokens::Match match = next(at);
            if (match.begin > at)
                append_normalized(text.substr(at, match.begin - at), after_break, parse_special, ids);
            if (match.size > 0) ids.push_back(match.id);
            after_break = codec->space() != Space::first;
            at = match.begin + match.size;
        }
    }

    /// A text without tokens that are found as they are written.
    void append_normalized(std::string_view text, bool after_break, bool parse_special,
                           std::vector<int32_t>& ids) const {
        const SpecialTokens& tokens = parse_special ? normalized_special : normalized_user_defined;
        if (tokens.empty() && !nfc) return codec->encode(text, after_break, ids);
        const std::string normal = normal_form(text, after_break);
        for (std::size_t at = 0; at < normal.size();) {
            const SpecialTokens::Match match = tokens.find(normal, at);
            if (match.begin > at)
                codec->encode(std::string_view(normal).substr(at, match.begin - at), after_break && !prepends,
                              ids);
            if (match.size > 0) ids.push_back(match.id);
            after_break = codec->space() != Space::first;
            at = match.begin + match.size;
        }
    }

    std::size_t checked(int32_t id) const {
        if (id < 0 || id >= vocabulary.size())
            throw Error("looking up a token",
                        "id " + std::to_string(id) + " in a vocabulary of " +
                            std::to_string(vocabulary.size()),
                        "ids from 0 on below that");
        return static_cast<std::size_t>(id);
    }

    /// Whether the text after this token is encoded as one that begins anew. Tokens that are found in the
    /// text as they are written are such; one whose label has U+2581 is not written so, and is merged like
    /// any piece.
    bool breaks(int32_t id) const {
        if (vocabulary.is(id, TokenType::control)) return true;
        const std::string& label = vocabulary.labels[static_cast<std::size_t>(id)];
        return vocabulary.is(id, TokenType::user_defined) && label.find("\xE2\x96\x81") == std::string::npos;
    }

    /// Whether the text after such a token is one with the text before it, and has no space put before it.
    bool goes_on_after(int32_t id) const {
        return codec->space() == Space::first || (prepends && vocabulary.rule(id).normalized);
    }

    std::string piece(int32_t id) const {
        const TokenType type = vocabulary.types[checked(id)];
        if (type == TokenType::control) return "";
        if (type == TokenType::unknown) return unknown_surface;
        return codec->piece(id);
    }

    const Vocabulary vocabulary;
    const std::unique_ptr<TextCodec> codec;
    const bool nfc; ///< texts are brought into Normalization Form C
    const bool
        prepends; ///< the space before a text is put there before tokens are looked for in normalised text
    const SpecialTokens user_defined, special, normalized_user_defined, normalized_special;
};

Tokenizer::Tokenizer(const Metadata& metadata) : impl_(std::make_unique<Impl>(metadata)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special, bool parse_special) const {
    std::vector<int32_t> ids;
    if (add_special && impl_->vocabulary.add_bos) ids.push_back(impl_->vocabulary.bos);
    impl_->append(text, true, parse_special, ids);
    if (add_special && impl_->vocabulary.add_eos) ids.push_back(impl_->vocabulary.eos);
    return ids;
}

std::vector<int32_t> Tokenizer::encode_inside(std::string_view text) const {
    std::vector<int32_t> ids;
    impl_->append(text, false, false, ids);
    return ids;
}

std::vector<int32_t> Tokenizer::encode_around(std::string_view text, std::span<const Range> plain,
                                              bool inside) const {
    std::vector<int32_t> ids;
    const auto may = [&](const SpecialTokens::Match& match) {
        if (impl_->vocabulary.is(match.id, TokenType::user_defined)) return true;
        const auto after =
            std::upper_bound(plain.begin(), plain.end(), match.begin,
                             [](std::size_t at, const Range& range) { return at < range.end; });
        return after == plain.end() || after->begin >= match.begin + match.size;
    };
    impl_->append(text, !inside, false, ids,
                  [&](std::size_t at) { return impl_->special.find(text, at, may); });
    return ids;
}

int32_t Tokenizer::special_at_front(std::string_view text) const {
    const SpecialTokens::Match match = impl_->special.find(text, 0);
    return match.size > 0 && match.begin == 0 ? match.id : -1;
}

std::string Tokenizer::piece(int32_t id) const {
    return impl_->piece(id);
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
    std::string text;
    bool after_break = true;
    for (const int32_t id : ids) {
        const std::string piece = impl_->piece(id);
        const bool breaks = impl_->breaks(id);
        const bool put_before =
            after_break && !breaks && impl_->codec->space() != Space::none && piece.starts_with(' ');
        text.append(piece, put_before ? 1 : 0);
        if (!breaks)
            after_break = false;
        else if (!impl_->goes_on_after(id))
            after_break = true;
    }
    return text;
}

const std::string& Tokenizer::label(int32_t id) const {
    return impl_->vocabulary.labels[impl_->checked(id)];
}
int32_t Tokenizer::n_vocab() const {
    return impl_->vocabulary.size();
}
int32_t Tokenizer::bos() const {
    return impl_->vocabulary.bos;
}
int32_t Tokenizer::eos() const {
    return impl_->vocabulary.eos;
}
bool Tokenizer::add_bos() const {
    return impl_->vocabulary.add_bos;
}

bool Tokenizer::is_end(int32_t id) const {
    const auto& ends = impl_->vocabulary.ends;
    return std::find(ends.begin(), ends.end(), id) != ends.end();
}

int32_t Tokenizer::find(std::string_view label) const {
    return impl_->vocabulary.find(label);
}

} // namespace kvasir
