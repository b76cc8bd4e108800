#pragma once

#include "runtime/file/model_file.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

/// What becomes of an expression's matches; the names are those of tokenizer.json.
enum class SplitBehavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };

/// One step: each word of the step before is cut at the matches of a PCRE2 expression; inverted, at what lies
/// between them.
struct SplitStep {
    std::string pattern;
    SplitBehavior behavior = SplitBehavior::isolated;
    bool inverted = false;
};

/// Cuts a text into the words inside which byte-level BPE merges, as the named vocabulary's training did. The
/// names are those of GGUF key tokenizer.ggml.pre; another is an Error that lists them.
class PreTokenizer {
  public:
    explicit PreTokenizer(const std::string& name);
    explicit PreTokenizer(const std::vector<SplitStep>& steps);
    PreTokenizer(PreTokenizer&&) noexcept;
    ~PreTokenizer();

    /// Appends the words of a text that is valid UTF-8, in order; where no step removes any, joined they are
    /// the text again.
    void split(std::string_view text, std::vector<std::string_view>& words) const;

    /// What splitting works in, for one thread at a time.
    class Scratch {
      public:
        Scratch();
        Scratch(Scratch&&) noexcept;
        ~Scratch();

      private:
        friend PreTokenizer;
        struct Impl;
        std::unique_ptr<Impl> impl_;
    };

    /// Steps there are, and what one of them makes of a word that the steps before it left: it depends on
    /// nothing but that word.
    std::size_t steps() const { return expressions_.size(); }
    void split_step(std::size_t step, std::string_view word, Scratch& scratch,
                    std::vector<std::string_view>& words) const;

  private:
    class Expression;
    std::vector<std::unique_ptr<Expression>> expressions_;
};

/// Steps as keys tokenizer.json.split_patterns, split_behaviors (names of tokenizer.json) and split_inverted
/// hold them, arrays of equal length. Throws Error.
std::vector<SplitStep> split_steps(const Metadata& metadata);

} // namespace kvasir
