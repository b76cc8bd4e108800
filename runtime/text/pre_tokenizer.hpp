#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

/// Cuts a text into the words inside which byte-level BPE merges, as the named vocabulary's training did. The
/// names are those of GGUF key tokenizer.ggml.pre; another is an Error that lists them.
class PreTokenizer {
  public:
    explicit PreTokenizer(const std::string& name);
    ~PreTokenizer();

    /// Appends the words of a text that is valid UTF-8, in order; joined they are the text again.
    void split(std::string_view text, std::vector<std::string_view>& words) const;

  private:
    class Expression;
    std::vector<std::unique_ptr<Expression>> expressions_;
};

} // namespace kvasir
