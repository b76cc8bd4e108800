#pragma once

#include "runtime/text/jinja/value.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <ctime>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace kvasir::jinja {

/// What one rendering may spend: a template comes from a stranger's file.
struct Limits {
    uint64_t steps = 2'000'000;   ///< one a node of the template that is evaluated, one a 64 bytes handled
    uint64_t bytes = 32ull << 20; ///< of all texts, lists and variables made, the output included

    /// The limits for a conversation of so many bytes in so many messages: as above, and more for a long one.
    static Limits for_input(std::size_t bytes, std::size_t n_messages);
};

/// A template that cannot be rendered: throws Error, "line N: found" where line is not 0.
[[noreturn]] void refuse(uint32_t line, const std::string& found);

/// The values of one rendering and what it has spent. Values live as long as it does: what a template makes
/// is given back in one piece, however deep or circular it is.
class Workspace {
  public:
    /// now: the local time that the template may ask for.
    explicit Workspace(Limits limits = {}, const std::tm& now = {}) : limits_(limits), now_(now) {}
    Workspace(const Workspace&) = delete;

    /// Counts work done, in steps; throws Error when there were too many.
    void work(uint64_t steps = 1);
    void work_bytes(uint64_t bytes) { work(1 + bytes / 64); } ///< of handling so many bytes
    /// Counts memory; throws Error when it is too much. To be called before the memory is asked for.
    void spend(uint64_t bytes);

    const std::tm& now() const { return now_; }

    /// Where in the template the rendering is, for messages.
    uint32_t line = 0;
    [[noreturn]] void fail(const std::string& found) const { refuse(line, found); }

    Value text(Text text); ///< already counted, by a Builder
    Value text(std::string bytes, int origin = 0);
    Value list(std::vector<Value> items, bool tuple = false);
    Value dict(std::vector<std::pair<Value, Value>> items); ///< the keys differ
    Value undefined(std::string name);                      ///< what it was looked up by, for messages
    Value name_space(Dict items);
    Value loop(Loop loop);
    Value function(Function function);
    Value from_json(const nlohmann::ordered_json& json, int origin = 0); ///< every text in it of that origin

  private:
    Limits limits_;
    std::tm now_;
    uint64_t steps_ = 0, bytes_ = 0;
    std::deque<Text> texts_;
    std::deque<List> lists_;
    std::deque<Dict> dicts_;
    std::deque<std::string> names_;
    std::deque<Loop> loops_;
    std::deque<Function> functions_;
};

/// Makes a text, counting each byte as it comes.
class Builder {
  public:
    explicit Builder(Workspace& workspace) : workspace_(workspace) {}
    void append(std::string_view bytes, int origin = 0);
    void append(const Text& text) { append(text, 0, text.size()); }
    void append(const Text& text, std::size_t begin, std::size_t end);
    std::size_t size() const { return text_.size(); }
    Text take() { return std::move(text_); }
    Value value() { return workspace_.text(std::move(text_)); }

  private:
    Workspace& workspace_;
    Text text_;
};

} // namespace kvasir::jinja
