#include "runtime/text/pre_tokenizer.hpp"

#include "runtime/error.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cassert>

namespace kvasir {

namespace {

// White_Space as Unicode defines it (PropList.txt), for use inside [ ]: PCRE2's own \s adds U+180E.
#define WHITE "\\t-\\r\\x{85}\\p{Z}"

// GPT-2's expression (Radford et al., 2019; encoder.py of its release): contractions, words, numbers and the
// rest with one space before them, white space without the one before a word.
constexpr const char* gpt2 = "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^" WHITE "\\p{L}\\p{N}]+|[" WHITE
                             "]+(?![^" WHITE "])|[" WHITE "]+";

// Qwen2's (tokenizer.json of Qwen/Qwen2-7B): contractions in both cases, digits one by one, line ends apart.
constexpr const char* qwen2 =
    "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^" WHITE
    "\\p{L}\\p{N}]+[\\r\\n]*|[" WHITE "]*[\\r\\n]+|[" WHITE "]+(?![^" WHITE "])|[" WHITE "]+";

/// The expressions of one pre-tokenizer, applied one after another, each inside the words that the ones
/// before left. A match is a word, and so is what lies between two matches.
struct Row {
    std::string_view name;
    std::vector<const char*> expressions;
};

const std::vector<Row>& rows() {
    static const std::vector<Row> table = {
        {"gpt-2", {gpt2}},
        // What llama.cpp uses for files that name nothing else: Falcon's, with numbers apart.
        {"default", {"[\\p{P}$+<=>^|~]+", gpt2, "\\p{N}+", "[0-9]{3}"}},
        // tokenizer.json of tiiuae/falcon-7b: Punctuation (which counts all of ASCII's), ByteLevel, Split.
        {"falcon", {"[\\p{P}$+<=>^`|~]+", gpt2, "[0-9]{3}"}},
        {"qwen2", {qwen2}},
        // tokenizer.json of deepseek-ai/deepseek-coder-6.7b: four Splits and Digits.
        {"deepseek-coder",
         {"[\\r\\n]", "[" WHITE "]?\\p{L}+", "[" WHITE "]?\\p{P}+",
          "[\\x{4E00}-\\x{9FA5}\\x{0800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+", "\\p{N}"}},
    };
    return table;
}

struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

std::string pcre2_message(int code) {
    PCRE2_UCHAR text[256];
    if (pcre2_get_error_message(code, text, sizeof text) < 0) return "error " + std::to_string(code);
    return reinterpret_cast<const char*>(text);
}

} // namespace

struct PreTokenizer::Scratch::Impl {
    std::unique_ptr<pcre2_match_data, Free> match{
        pcre2_match_data_create(1, nullptr)}; // the whole match alone
    std::unique_ptr<pcre2_match_context, Free> context{pcre2_match_context_create(nullptr)};

    Impl() {
        if (!match || !context) throw std::bad_alloc();
    }
};

PreTokenizer::Scratch::Scratch() : impl_(std::make_unique<Impl>()) {}
PreTokenizer::Scratch::Scratch(Scratch&&) noexcept = default;
PreTokenizer::Scratch::~Scratch() = default;

class PreTokenizer::Expression {
  public:
    explicit Expression(const SplitStep& step) : behavior_(step.behavior), inverted_(step.inverted) {
        int error = 0;
        PCRE2_SIZE offset = 0;
        code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(step.pattern.data()), step.pattern.size(),
                                  PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr));
        if (!code_)
            throw Error("compiling the pre-tokenizer's expression " + quoted(step.pattern),
                        "the PCRE2 library says " + pcre2_message(error), "another copy of the model");
        // Where the machine has no JIT compiler this fails and the interpreter matches, several times slower.
        match_ = pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE) == 0 ? pcre2_jit_match : pcre2_match;
    }

    void split(std::string_view text, Scratch& scratch, std::vector<std::string_view>& words) const {
        // The expressions backtrack at most once over a run of characters; this catches one that does not.
        const std::size_t limit = 1000 + 16 * text.size();
        pcre2_match_context* context = scratch.impl_->context.get();
        pcre2_set_match_limit(context, static_cast<uint32_t>(std::min<std::size_t>(limit, UINT32_MAX)));
        split_one(text, words, scratch.impl_->match.get(), context);
    }

  private:
    /// Takes the stretches of one text, matches and what lies between, and makes words of them.
    struct Joiner {
        const Expression& step;
        std::vector<std::string_view>& words;
        const std::size_t first; ///< word of the text
        bool before = false;     ///< whether the stretch before was a match

        void add(std::string_view stretch, bool match) {
            match = match != step.inverted_;
            const bool any = words.size() > first;
            bool join = false;
            switch (step.behavior_) {
            case SplitBehavior::isolated: break;
            case SplitBehavior::removed:
                if (match) return;
                break;
            case SplitBehavior::contiguous: join = any && match == before; break;
            case SplitBehavior::merged_with_previous: join = any && match && !before; break;
            case SplitBehavior::merged_with_next: join = any && before && !match; break;
            }
            before = match;
            if (join)
                words.back() = {words.back().data(), words.back().size() + stretch.size()};
            else
                words.push_back(stretch);
        }
    };

    void split_one(std::string_view text, std::vector<std::string_view>& words, pcre2_match_data* match,
                   pcre2_match_context* context) const {
        Joiner joiner{*this, words, words.size()};
        std::size_t done = 0;
        while (done < text.size()) {
            const int found = match_(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                     done, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, match, context);
            if (found == PCRE2_ERROR_NOMATCH) break;
            if (found < 0)
                throw Error("splitting a text of " + std::to_string(text.size()) + " bytes into words",
                            "the PCRE2 library says " + pcre2_message(found), "a shorter text");
            const PCRE2_SIZE* span = pcre2_get_ovector_pointer(match);
            if (span[0] < done || span[1] <= span[0]) // \K in a look-around
                throw Error("splitting a text into words",
                            "an expression of the pre-tokenizer matches backwards",
                            "another copy of the model");
            if (span[0] > done) joiner.add(text.substr(done, span[0] - done), false);
            joiner.add(text.substr(span[0], span[1] - span[0]), true);
            done = span[1];
        }
        if (done < text.size()) joiner.add(text.substr(done), false);
    }

    std::unique_ptr<pcre2_code, Free> code_;
    decltype(&pcre2_match) match_; ///< the JIT compiler's own entry checks less at each call
    SplitBehavior behavior_;
    bool inverted_;
};

PreTokenizer::PreTokenizer(const std::string& name) {
    const auto row = std::find_if(rows().begin(), rows().end(), [&](const Row& r) { return r.name == name; });
    if (row == rows().end()) {
        std::string known;
        for (const Row& r : rows()) known += (known.empty() ? "" : ", ") + std::string(r.name);
        throw Error("reading the vocabulary", "unknown pre-tokenizer " + quoted(name),
                    "a model with one of " + known);
    }
    for (const char* pattern : row->expressions)
        expressions_.push_back(std::make_unique<Expression>(SplitStep{pattern}));
}

PreTokenizer::PreTokenizer(const std::vector<SplitStep>& steps) {
    for (const SplitStep& step : steps) expressions_.push_back(std::make_unique<Expression>(step));
}

PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer::~PreTokenizer() = default;

void PreTokenizer::split(std::string_view text, std::vector<std::string_view>& words) const {
    if (text.empty()) return;
    Scratch scratch;
    std::vector<std::string_view> parts = {text};
    std::vector<std::string_view> next;
    for (const auto& expression : expressions_) {
        next.clear();
        for (const std::string_view part : parts) expression->split(part, scratch, next);
        parts.swap(next);
    }
    words.insert(words.end(), parts.begin(), parts.end());
}

void PreTokenizer::split_step(std::size_t step, std::string_view word, Scratch& scratch,
                              std::vector<std::string_view>& words) const {
    expressions_[step]->split(word, scratch, words);
}

std::vector<SplitStep> split_steps(const Metadata& metadata) {
    constexpr const char* names[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext",
                                     "Contiguous"};
    const auto& patterns = *metadata.texts("tokenizer.json.split_patterns");
    const auto* behaviors = metadata.texts("tokenizer.json.split_behaviors");
    const auto* inverted = metadata.integers("tokenizer.json.split_inverted");
    if (!behaviors || !inverted || behaviors->size() != patterns.size() ||
        inverted->size() != patterns.size())
        throw Error("reading the vocabulary", "its split steps are not whole", "another copy of the model");
    std::vector<SplitStep> steps;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
        const auto at = std::find(std::begin(names), std::end(names), (*behaviors)[i]);
        if (at == std::end(names))
            throw Error("reading the vocabulary", "unknown split behavior " + quoted((*behaviors)[i]),
                        "another copy of the model");
        steps.push_back(
            {patterns[i], static_cast<SplitBehavior>(at - std::begin(names)), (*inverted)[i] != 0});
    }
    return steps;
}

} // namespace kvasir
