#include "runtime/text/jinja/workspace.hpp"

#include "runtime/error.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace kvasir::jinja {

namespace {

/// Beside its bytes: the object itself, and what the allocator adds.
constexpr uint64_t text_overhead = sizeof(Text) + 32;

} // namespace

void refuse(uint32_t line, const std::string& found) {
    throw Error("using the model's chat template",
                line ? "line " + std::to_string(line) + ": " + found : found,
                "another version of the model file, or go on in the plain format");
}

Limits Limits::for_input(std::size_t bytes, std::size_t n_messages) {
    Limits limits;
    // A template may go through all messages at each of them, up to about a thousand.
    const uint64_t pairs = std::min<uint64_t>(uint64_t{n_messages} * n_messages, 1 << 20);
    limits.steps += 4 * uint64_t{bytes} + 64 * pairs;
    limits.bytes += 64 * uint64_t{bytes} + 256 * pairs;
    return limits;
}

void Workspace::work(uint64_t steps) {
    steps_ += steps;
    if (steps_ > limits_.steps) fail("it takes more than " + std::to_string(limits_.steps) + " steps");
}

void Workspace::spend(uint64_t bytes) {
    bytes_ += bytes;
    if (bytes > limits_.bytes || bytes_ > limits_.bytes)
        fail("it takes more than " + std::to_string(limits_.bytes >> 20) + " MiB of memory");
}

Value Workspace::text(Text text) {
    spend(text_overhead);
    return Value::of(&texts_.emplace_back(std::move(text)));
}

Value Workspace::text(std::string bytes, int origin) {
    Builder builder(*this);
    builder.append(bytes, origin);
    return builder.value();
}

Value Workspace::list(std::vector<Value> items, bool tuple) {
    spend(sizeof(List) + 32 + items.size() * sizeof(Value));
    Value value;
    value.kind = Kind::list;
    value.list = &lists_.emplace_back(List{std::move(items), tuple});
    return value;
}

Value Workspace::dict(std::vector<std::pair<Value, Value>> items) {
    spend(sizeof(Dict) + 32 + items.size() * sizeof(items[0]));
    Value value;
    value.kind = Kind::dict;
    value.dict = &dicts_.emplace_back(Dict{std::move(items)});
    return value;
}

Value Workspace::undefined(std::string name) {
    spend(sizeof(std::string) + 32 + name.size());
    Value value;
    value.kind = Kind::undefined;
    value.name = &names_.emplace_back(std::move(name));
    return value;
}

Value Workspace::name_space(Dict items) {
    Value value = dict(std::move(items.items));
    value.kind = Kind::name_space;
    return value;
}

Value Workspace::loop(Loop loop) {
    spend(sizeof(Loop) + 32);
    Value value;
    value.kind = Kind::loop;
    value.loop = &loops_.emplace_back(loop);
    return value;
}

Value Workspace::function(Function function) {
    spend(sizeof(Function) + 32);
    Value value;
    value.kind = Kind::function;
    value.function = &functions_.emplace_back(function);
    return value;
}

Value Workspace::from_json(const nlohmann::ordered_json& json, int origin) {
    using Type = nlohmann::ordered_json::value_t;
    switch (json.type()) {
    case Type::boolean: return Value::of(json.get<bool>());
    case Type::number_unsigned:
        if (json.get<uint64_t>() > INT64_MAX) fail("an integer of the input is beyond 64 bits");
        [[fallthrough]];
    case Type::number_integer: return Value::of(json.get<int64_t>());
    case Type::number_float: return Value::of(json.get<double>());
    case Type::string: return text(json.get_ref<const std::string&>(), origin);
    case Type::array: {
        std::vector<Value> items;
        for (const auto& item : json) items.push_back(from_json(item, origin));
        return list(std::move(items));
    }
    case Type::object: {
        std::vector<std::pair<Value, Value>> items;
        for (const auto& item : json.items())
            items.emplace_back(text(item.key()), from_json(item.value(), origin));
        return dict(std::move(items));
    }
    default: return {};
    }
}

void Builder::append(std::string_view bytes, int origin) {
    workspace_.work_bytes(bytes.size());
    workspace_.spend(bytes.size() + (origin ? sizeof(Span) : 0));
    text_.append(bytes, origin);
}

void Builder::append(const Text& text, std::size_t begin, std::size_t end) {
    workspace_.work_bytes(end - begin);
    // No more spans than bytes; most texts have a few, however long they are.
    workspace_.spend(end - begin + std::min(end - begin, text.spans().size()) * sizeof(Span));
    text_.append(text, begin, end);
}

} // namespace kvasir::jinja
