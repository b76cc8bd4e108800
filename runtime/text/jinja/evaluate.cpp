// The expressions.
#include "runtime/error.hpp"
#include "runtime/text/jinja/interpreter.hpp"
#include "runtime/text/jinja/operators.hpp"

namespace kvasir::jinja {

using Form = Expression::Kind;

Value Interpreter::evaluate(const Expression& node, Frame& frame) {
    const Level level(*this);
    workspace_.work();
    switch (node.kind) {
    case Form::constant: return node.value;
    case Form::text: return Value::of(&node.text);
    case Form::variable: return evaluate_variable(node, frame);
    case Form::list:
    case Form::tuple: return evaluate_series(node, frame);
    case Form::dict: return evaluate_dict(node, frame);
    case Form::chain: return evaluate_chain(node, frame);
    case Form::comparison: return Value::of(evaluate_comparison(node, frame));
    case Form::all:
    case Form::any: return evaluate_junction(node, frame);
    case Form::negation: return Value::of(!is_true(evaluate(*node.parts[0], frame)));
    case Form::minus:
    case Form::plus: return evaluate_sign(node, frame);
    case Form::choice: return evaluate_choice(node, frame);
    case Form::attribute: return get_attribute(workspace_, evaluate(*node.parts[0], frame), node.name);
    case Form::item: {
        const Value object = evaluate(*node.parts[0], frame);
        return get_item(workspace_, object, evaluate(*node.parts[1], frame));
    }
    case Form::slice: return evaluate_slice(node, frame);
    case Form::call: return evaluate_call(node, frame, nullptr);
    case Form::filter:
    case Form::test: return evaluate_filter(node, frame);
    }
    return {};
}

Value Interpreter::evaluate_variable(const Expression& node, Frame& frame) {
    if (const Value* value = look_up(node.name, frame)) return *value;
    if (const std::string_view name = function_name(node.name); !name.empty())
        return workspace_.function({.name = name});
    for (const char* name : {"varargs", "kwargs", "self", "super"}) // Jinja's own, which would be something
        if (node.name == name) workspace_.fail("the variable " + quoted(name) + " is not known");
    return workspace_.undefined(node.name);
}

Value Interpreter::evaluate_series(const Expression& node, Frame& frame) {
    std::vector<Value> items;
    for (const Node& part : node.parts) items.push_back(evaluate(*part, frame));
    return workspace_.list(std::move(items), node.kind == Form::tuple);
}

Value Interpreter::evaluate_dict(const Expression& node, Frame& frame) {
    Dict dict;
    for (std::size_t i = 0; i < node.parts.size(); i += 2) {
        const Value key = evaluate(*node.parts[i], frame);
        put(workspace_, dict, key, evaluate(*node.parts[i + 1], frame));
    }
    return workspace_.dict(std::move(dict.items));
}

Value Interpreter::evaluate_chain(const Expression& node, Frame& frame) {
    if (node.operators[0] == Operator::join) { // all of them are; in one piece, for long chains
        Builder out(workspace_);
        for (const Node& part : node.parts) write_str(out, workspace_, evaluate(*part, frame));
        return out.value();
    }
    Value value = evaluate(*node.parts[0], frame);
    for (std::size_t i = 0; i < node.operators.size(); ++i)
        value = compute(workspace_, node.operators[i], value, evaluate(*node.parts[i + 1], frame));
    return value;
}

bool Interpreter::evaluate_comparison(const Expression& node, Frame& frame) {
    Value left = evaluate(*node.parts[0], frame);
    for (std::size_t i = 0; i < node.operators.size(); ++i) {
        const Value right = evaluate(*node.parts[i + 1], frame);
        if (!compare(workspace_, node.operators[i], left, right)) return false;
        left = right;
    }
    return true;
}

/// The operand that decides, as in Python.
Value Interpreter::evaluate_junction(const Expression& node, Frame& frame) {
    Value value;
    for (const Node& part : node.parts) {
        value = evaluate(*part, frame);
        if (is_true(value) != (node.kind == Form::all)) break;
    }
    return value;
}

Value Interpreter::evaluate_sign(const Expression& node, Frame& frame) {
    const Value value = evaluate(*node.parts[0], frame);
    if (!value.is_number()) workspace_.fail("the sign of " + kind_name(value));
    if (node.kind == Form::minus) return negative(workspace_, value);
    return value.is_whole() ? Value::of(value.whole()) : value;
}

Value Interpreter::evaluate_choice(const Expression& node, Frame& frame) {
    if (is_true(evaluate(*node.parts[1], frame))) return evaluate(*node.parts[0], frame);
    if (node.parts.size() == 3) return evaluate(*node.parts[2], frame);
    return workspace_.undefined("an if without else");
}

Value Interpreter::evaluate_slice(const Expression& node, Frame& frame) {
    Value parts[4];
    for (std::size_t i = 0; i < 4; ++i)
        if (node.parts[i]) parts[i] = evaluate(*node.parts[i], frame);
    return get_slice(workspace_, parts[0], parts[1], parts[2], parts[3]);
}

Value Interpreter::evaluate_filter(const Expression& node, Frame& frame) {
    const Value input = node.parts[0] ? evaluate(*node.parts[0], frame) : filter_input_;
    Arguments arguments(workspace_, node.name);
    evaluate_arguments(node, frame, arguments);
    if (node.kind == Form::filter) return apply_filter(workspace_, node.name, input, arguments);
    return Value::of(apply_test(workspace_, node.name, input, arguments));
}

void Interpreter::evaluate_arguments(const Expression& node, Frame& frame, Arguments& arguments) {
    for (const Argument& argument : node.arguments) {
        const Value value = evaluate(*argument.value, frame);
        if (argument.kind == Argument::Kind::plain && argument.name.empty()) {
            arguments.positional.push_back(value);
        } else if (argument.kind == Argument::Kind::plain) {
            arguments.named.emplace_back(argument.name, value);
        } else if (argument.kind == Argument::Kind::list) {
            for (const Value& item : items_of(workspace_, value)) arguments.positional.push_back(item);
        } else {
            if (!value.is(Kind::dict)) workspace_.fail("** of " + kind_name(value));
            for (const auto& [key, item] : value.dict->items) {
                if (!key.is(Kind::text)) workspace_.fail("** of a dict with " + kind_name(key) + " as a key");
                workspace_.spend(sizeof(arguments.named[0]) + key.text->size());
                arguments.named.emplace_back(key.bytes(), item);
            }
        }
    }
}

Value Interpreter::evaluate_call(const Expression& node, Frame& frame, const Value* caller) {
    const Value callee = evaluate(*node.parts[0], frame);
    if (callee.is(Kind::undefined)) workspace_.fail("the function " + quoted(*callee.name) + " is not known");
    if (callee.is(Kind::loop)) workspace_.fail("a recursive loop is not known");
    if (!callee.is(Kind::function)) workspace_.fail(kind_name(callee) + " is called");
    const Function& function = *callee.function;
    Arguments arguments(workspace_, function.macro ? "a macro" : function.name);
    evaluate_arguments(node, frame, arguments);
    if (function.macro) return call_macro(function, arguments, caller);
    if (caller) workspace_.fail("a call block of something that is no macro");
    if (function.self) return call_method(workspace_, *function.self, function.name, arguments);
    return call_function(workspace_, function.name, arguments);
}

Value Interpreter::call_macro(const Function& function, Arguments& arguments, const Value* caller) {
    Frame& frame = new_frame(function.frame);
    const Statement& macro = *function.macro;
    const uint32_t line = workspace_.line;
    // The body of a call block sees the caller of the macro that it stands in.
    if (macro.kind == Statement::Kind::macro)
        define(frame, "caller", caller ? *caller : workspace_.undefined("caller"));
    for (const Parameter& parameter : macro.parameters) {
        const std::optional<Value> given = arguments.take(parameter.name);
        define(frame, parameter.name,
               given             ? *given
               : parameter.value ? evaluate(*parameter.value, frame)
                                 : workspace_.undefined(parameter.name));
    }
    arguments.done();
    const Value result = capture(macro.body, frame);
    workspace_.line = line;
    return result;
}

} // namespace kvasir::jinja
