// The statements.
#include "runtime/error.hpp"
#include "runtime/text/jinja/interpreter.hpp"

namespace kvasir::jinja {

using Form = Statement::Kind;

Interpreter::Level::Level(Interpreter& interpreter) : interpreter_(interpreter) {
    if (interpreter_.depth_ == max_run_depth)
        interpreter_.workspace_.fail("it runs deeper than " + std::to_string(max_run_depth) +
                                     " levels, as a macro that calls itself does");
    ++interpreter_.depth_;
}

void Interpreter::run(const Statement::Body& body,
                      const std::vector<std::pair<std::string, Value>>& variables) {
    Frame& globals = new_frame(nullptr);
    for (const auto& [name, value] : variables) define(globals, name, value);
    execute(body, new_frame(&globals));
}

Interpreter::Flow Interpreter::execute(const Statement::Body& body, Frame& frame) {
    const Level level(*this);
    for (const Statement& statement : body)
        if (const Flow flow = execute(statement, frame); flow != Flow::on) return flow;
    return Flow::on;
}

Interpreter::Flow Interpreter::execute(const Statement& statement, Frame& frame) {
    workspace_.work();
    workspace_.line = statement.line;
    switch (statement.kind) {
    case Form::text: out_->append(statement.text); break;
    case Form::output: write_str(*out_, workspace_, evaluate(*statement.expression, frame)); break;
    case Form::choice: return execute_choice(statement, frame);
    case Form::loop: return execute_loop(statement, frame);
    case Form::set: assign(statement.target, evaluate(*statement.expression, frame), frame); break;
    case Form::set_block: assign(statement.target, captured_through(statement, frame), frame); break;
    case Form::macro:
        define(frame, statement.name,
               workspace_.function({.name = {}, .macro = &statement, .frame = &frame}));
        break;
    case Form::call: execute_call(statement, frame); break;
    case Form::filter: write_str(*out_, workspace_, captured_through(statement, frame)); break;
    case Form::stop: return Flow::stop;
    case Form::next: return Flow::next;
    }
    return Flow::on;
}

Interpreter::Flow Interpreter::execute_choice(const Statement& statement, Frame& frame) {
    for (const Statement::Branch& branch : statement.branches)
        if (!branch.condition || is_true(evaluate(*branch.condition, frame)))
            return execute(branch.body, frame);
    return Flow::on;
}

std::vector<Value> Interpreter::loop_items(const Statement& statement, Frame& frame) {
    std::vector<Value> items = items_of(workspace_, evaluate(*statement.expression, frame));
    if (!statement.condition) return items;
    std::vector<Value> chosen;
    for (const Value& item : items) {
        Frame& inner = new_frame(&frame);
        assign(statement.target, item, inner);
        if (!is_true(evaluate(*statement.condition, inner))) continue;
        workspace_.spend(2 * sizeof(Value));
        chosen.push_back(item);
    }
    return chosen;
}

Interpreter::Flow Interpreter::execute_loop(const Statement& statement, Frame& frame) {
    const Value items = workspace_.list(loop_items(statement, frame));
    const Value loop = workspace_.loop({.items = items.list});
    for (std::size_t i = 0; i < items.list->items.size(); ++i) {
        workspace_.work();
        loop.loop->at = i;
        Frame& inner = new_frame(&frame); // what the body sets is gone with the next item
        define(inner, "loop", loop);
        assign(statement.target, items.list->items[i], inner);
        if (execute(statement.body, inner) == Flow::stop) break;
    }
    if (items.list->items.empty()) return execute(statement.otherwise, frame);
    return Flow::on;
}

/// A macro call with the body of the block as caller().
void Interpreter::execute_call(const Statement& statement, Frame& frame) {
    const Value caller = workspace_.function({.name = {}, .macro = &statement, .frame = &frame});
    write_str(*out_, workspace_, evaluate_call(*statement.expression, frame, &caller));
}

/// What a body writes, as a text.
Value Interpreter::capture(const Statement::Body& body, Frame& frame) {
    Builder inner(workspace_);
    Builder* const outer = std::exchange(out_, &inner);
    try {
        execute(body, frame);
    } catch (...) {
        out_ = outer;
        throw;
    }
    out_ = outer;
    return inner.value();
}

Value Interpreter::captured_through(const Statement& statement, Frame& frame) {
    const Value text = capture(statement.body, new_frame(&frame));
    if (!statement.expression) return text;
    filter_input_ = text;
    return evaluate(*statement.expression, frame);
}

Frame& Interpreter::new_frame(Frame* parent) {
    workspace_.spend(sizeof(Frame));
    return frames_.emplace_back(Frame{parent});
}

void Interpreter::define(Frame& frame, std::string_view name, const Value& value) {
    workspace_.work(1 + frame.names.size() / 8);
    for (auto& known : frame.names)
        if (known.first == name) {
            known.second = value;
            return;
        }
    workspace_.spend(2 * sizeof(frame.names[0]));
    frame.names.emplace_back(name, value);
}

void Interpreter::assign(const Target& target, const Value& value, Frame& frame) {
    if (!target.attribute.empty()) {
        const Value* object = look_up(target.names[0], frame);
        if (!object || !object->is(Kind::name_space))
            workspace_.fail("an attribute of " + quoted(target.names[0]) + ", which is no namespace, is set");
        const Value name = workspace_.text(target.attribute);
        return put(workspace_, *object->dict, name, value);
    }
    if (!target.unpack) return define(frame, target.names[0], value);
    const std::vector<Value> items = items_of(workspace_, value);
    if (items.size() != target.names.size())
        workspace_.fail(std::to_string(items.size()) + " values for " + std::to_string(target.names.size()) +
                        " names");
    for (std::size_t i = 0; i < items.size(); ++i) define(frame, target.names[i], items[i]);
}

/// Null where there is none.
const Value* Interpreter::look_up(std::string_view name, Frame& frame) {
    for (Frame* at = &frame; at; at = at->parent) {
        workspace_.work(1 + at->names.size() / 8);
        for (const auto& known : at->names)
            if (known.first == name) return &known.second;
    }
    return nullptr;
}

} // namespace kvasir::jinja
