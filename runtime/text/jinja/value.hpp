#pragma once

#include "runtime/text/jinja/text.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvasir::jinja {

class Builder;
class Workspace;
struct Statement;
struct Frame;
struct List;
struct Dict;
struct Loop;
struct Function;

/// Values may stand this deep in one another where they are written, compared or copied.
constexpr int max_value_depth = 100;

enum class Kind : uint8_t {
    undefined,
    none,
    boolean,
    integer,
    real,
    text,
    list,
    dict,
    name_space,
    loop,
    function
};

/// A value of Python, as far as templates use them. What it points to belongs to the Workspace (or, a text,
/// to the template) and does not change, except a namespace and a loop.
struct Value {
    Kind kind = Kind::none;
    union {
        bool boolean;
        int64_t integer = 0;
        double real;
        const Text* text;
        const List* list;
        Dict* dict; ///< of a dict, which does not change, and of a namespace, which does
        Loop* loop;
        const Function* function;
        const std::string* name; ///< of what is undefined
    };

    static Value of(bool boolean);
    static Value of(int64_t integer);
    static Value of(double real);
    static Value of(const Text* text);

    bool is(Kind k) const { return kind == k; }
    bool is_number() const { return kind == Kind::boolean || kind == Kind::integer || kind == Kind::real; }
    bool is_whole() const { return kind == Kind::boolean || kind == Kind::integer; }
    int64_t whole() const { return kind == Kind::boolean ? boolean : integer; } ///< of is_whole()
    double number() const {
        return kind == Kind::real ? real : static_cast<double>(whole());
    }                                                          ///< of is_number()
    const std::string& bytes() const { return text->bytes(); } ///< of a text
};

struct List {
    std::vector<Value> items;
    bool tuple = false; ///< differs from a list in how it is written and in equality
};

struct Dict {
    std::vector<std::pair<Value, Value>> items; ///< in the order of insertion; no two keys are equal
};

/// The variable `loop` in a for loop.
struct Loop {
    const List* items = nullptr;
    std::size_t at = 0;
    std::optional<Value> seen = {}; ///< by loop.changed
};

/// What can be called.
struct Function {
    std::string_view name; ///< of a function or method that is built in
    std::optional<Value> self = {};
    const Statement* macro = nullptr; ///< instead of a name: a macro or the body of a call block
    Frame* frame = nullptr;           ///< where the macro was defined
};

/// The kind as a message names it: "a text", "a list".
std::string kind_name(const Value& value);

bool is_true(const Value& value);

/// a == b as in Python: 1 == 1.0 == true; a list is no tuple.
bool equal(Workspace& workspace, const Value& a, const Value& b, int depth = 0);

/// a < b as in Python; throws Error for kinds that have no order.
bool less(Workspace& workspace, const Value& a, const Value& b, int depth = 0);

/// The value under an equal key, null where there is none.
const Value* find(Workspace& workspace, const Dict& dict, const Value& key);
const Value* find(Workspace& workspace, const Dict& dict, std::string_view key);

/// Puts a value under a key, over what was there.
void put(Workspace& workspace, Dict& dict, const Value& key, const Value& value);

/// What `for` goes through: items, keys, characters; nothing for what is undefined. Throws Error for others.
std::vector<Value> items_of(Workspace& workspace, const Value& value);

/// len() of a value; throws Error where it has none.
int64_t length_of(Workspace& workspace, const Value& value);

/// str() and repr() of Python.
void write_str(Builder& out, Workspace& workspace, const Value& value);
void write_repr(Builder& out, Workspace& workspace, const Value& value, int depth = 0);
Value to_text(Workspace& workspace, const Value& value); ///< str(); a text is itself

/// repr() of a float: "0.1", "1e-05", "2.0".
std::string show(double number);

} // namespace kvasir::jinja
