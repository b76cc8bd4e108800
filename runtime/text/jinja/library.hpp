#pragma once

#include "runtime/text/jinja/workspace.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What is built in: the filters, tests, functions and methods that published chat templates use, as Jinja 3.1
// and Python 3 define them, in the immutable sandbox that Hugging Face renders chat templates in. Where Jinja
// gives a generator there is a list.
namespace kvasir::jinja {

/// The arguments of one call, taken in the order of the parameters, by position or by name.
class Arguments {
  public:
    Arguments(Workspace& workspace, std::string_view callee) : workspace_(workspace), callee_(callee) {}

    std::vector<Value> positional;
    std::vector<std::pair<std::string, Value>> named;

    std::optional<Value> take(std::string_view name); ///< the next parameter, which has this name
    Value need(std::string_view name);                ///< as take; throws Error where it is not given
    Value need_text(std::string_view name);
    bool flag(std::string_view name, bool otherwise);
    int64_t integer(std::string_view name, int64_t otherwise);
    std::vector<Value> rest(); ///< all by position that are left
    void done();               ///< throws Error where an argument was not taken

  private:
    [[noreturn]] void fail(const std::string& found) const;

    Workspace& workspace_;
    std::string_view callee_;
    std::size_t taken_ = 0;
};

bool is_filter(std::string_view name);
Value apply_filter(Workspace& workspace, std::string_view name, const Value& input, Arguments& arguments);

bool is_test(std::string_view name);
bool apply_test(Workspace& workspace, std::string_view name, const Value& input, Arguments& arguments);

/// The name in the library's own memory, empty where no function has it.
std::string_view function_name(std::string_view name);
Value call_function(Workspace& workspace, std::string_view name, Arguments& arguments);

/// The method's name in the library's own memory, empty where the value has none of that name. Python's dicts
/// show their methods before their keys: x.items is the method, x['items'] the value.
std::string_view method_name(const Value& self, std::string_view name);
Value call_method(Workspace& workspace, const Value& self, std::string_view name, Arguments& arguments);

/// x[key] and x.key of Python's objects; an undefined value where there is none. Throws Error where x is
/// undefined.
Value get_item(Workspace& workspace, const Value& object, const Value& key);
Value get_attribute(Workspace& workspace, const Value& object, std::string_view name);

/// x[begin:end:step]; each may be none.
Value get_slice(Workspace& workspace, const Value& object, const Value& begin, const Value& end,
                const Value& step);

/// The lines of a text, without their ends (str.splitlines).
std::vector<Range> lines_of(Workspace& workspace, const Text& text);

/// str.replace, at most `limit` times where it is not negative.
Value replace(Workspace& workspace, const Text& text, const Text& from, const Text& to, int64_t limit);

/// A part of a text, as a new one.
Value part_of(Workspace& workspace, const Text& text, Range range);

/// str.strip and its kin.
Value stripped(Workspace& workspace, const Text& text, bool left, bool right,
               const std::optional<Value>& set);

/// str.upper, lower, capitalize and title of Python, and title of Jinja. Letters beyond ASCII stay as they
/// are.
enum class Case { upper, lower, capitalized, title, words };
Value in_case(Workspace& workspace, const Text& text, Case to);

/// The texts of items, with another between them.
Value joined(Workspace& workspace, const std::vector<Value>& items, const Text& between);

} // namespace kvasir::jinja
