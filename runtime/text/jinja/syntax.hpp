#pragma once

#include "runtime/text/jinja/value.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// The syntax tree of a template. Source: Jinja 3.1, "Template Designer Documentation".
namespace kvasir::jinja {

struct Expression;
using Node = std::unique_ptr<Expression>;

enum class Operator : uint8_t {
    add,
    subtract,
    join,
    multiply,
    divide,
    floor_divide,
    modulo,
    power,
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
    in,
    not_in
};

struct Argument {
    enum class Kind : uint8_t { plain, list, dict }; ///< x or name=x, *x, **x
    Kind kind = Kind::plain;
    std::string name; ///< empty: by position
    Node value;
};

struct Expression {
    enum class Kind : uint8_t {
        constant,   ///< value
        text,       ///< text
        variable,   ///< name
        list,       ///< parts
        tuple,      ///< parts
        dict,       ///< parts: key, value, key, value, ...
        chain,      ///< parts[0] operators[0] parts[1] operators[1] ..., from left to right
        comparison, ///< the same, as Python compares: a < b and b < c
        all,        ///< parts joined by and
        any,        ///< parts joined by or
        negation,   ///< not parts[0]
        minus,      ///< -parts[0]
        plus,       ///< +parts[0]
        choice,     ///< parts[0] if parts[1] else parts[2], the last of which may be missing
        attribute,  ///< parts[0].name
        item,       ///< parts[0][parts[1]]
        slice,      ///< parts[0][parts[1]:parts[2]:parts[3]], of which the last three may be null
        call,       ///< parts[0](arguments)
        filter,     ///< parts[0] | name(arguments); parts[0] is null in a filter or set block
        test,       ///< parts[0] is name(arguments)
    };
    Kind kind;
    uint32_t line;
    int height = 1; ///< of the tree from here down
    Value value = {};
    Text text = {};
    std::string name = {};
    std::vector<Node> parts = {};
    std::vector<Operator> operators = {};
    std::vector<Argument> arguments = {};
};

/// What a set or for assigns to.
struct Target {
    std::vector<std::string> names; ///< one, or more to be unpacked
    bool unpack = false;
    std::string attribute; ///< of the namespace names[0], where not empty
};

struct Parameter {
    std::string name;
    Node value; ///< the default, may be null
};

struct Statement {
    enum class Kind : uint8_t {
        text,      ///< text
        output,    ///< expression
        choice,    ///< branches
        loop,      ///< for target in expression if condition: body, else: otherwise
        set,       ///< target = expression
        set_block, ///< target = body, through the filters in expression (may be null)
        macro,     ///< name, parameters, body
        call,      ///< expression, a call whose caller() has parameters and body
        filter,    ///< body through the filters in expression
        stop,      ///< break
        next,      ///< continue
    };
    using Body = std::vector<Statement>;
    struct Branch {
        Node condition; ///< null: else
        Body body;
    };
    Kind kind;
    uint32_t line;
    Text text = {};
    std::string name = {};
    Node expression = {}, condition = {};
    Target target = {};
    std::vector<Parameter> parameters = {};
    std::vector<Branch> branches = {};
    Body body = {}, otherwise = {};
};

} // namespace kvasir::jinja
