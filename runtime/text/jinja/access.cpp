// Items, attributes and slices.
#include "runtime/error.hpp"
#include "runtime/text/jinja/library.hpp"

#include <algorithm>

namespace kvasir::jinja {

namespace {

/// Where the character of this number begins in a text, counted from the end where it is negative.
std::optional<std::size_t> find_character(Workspace& workspace, const Text& text, int64_t index) {
    const std::string_view bytes = text.bytes();
    workspace.work_bytes(bytes.size());
    if (index < 0) index += static_cast<int64_t>(count_characters(bytes));
    if (index < 0) return std::nullopt;
    for (std::size_t at = 0; at < bytes.size(); at += character_size(bytes.substr(at)))
        if (index-- == 0) return at;
    return std::nullopt;
}

Value undefined_in(Workspace& workspace, const Value& key) {
    if (key.is(Kind::text)) return workspace.undefined(key.bytes().substr(0, 80));
    return workspace.undefined(key.is_whole() ? std::to_string(key.whole()) : kind_name(key));
}

Value loop_attribute(Workspace& workspace, const Value& self, std::string_view name) {
    const Loop& loop = *self.loop;
    const auto at = static_cast<int64_t>(loop.at), n = static_cast<int64_t>(loop.items->items.size());
    if (name == "index") return Value::of(at + 1);
    if (name == "index0") return Value::of(at);
    if (name == "revindex") return Value::of(n - at);
    if (name == "revindex0") return Value::of(n - at - 1);
    if (name == "first") return Value::of(at == 0);
    if (name == "last") return Value::of(at == n - 1);
    if (name == "length") return Value::of(n);
    if (name == "depth") return Value::of(int64_t{1}); // of recursive loops, which there are none
    if (name == "depth0") return Value::of(int64_t{0});
    if (name == "previtem" && at > 0) return loop.items->items[loop.at - 1];
    if (name == "nextitem" && at < n - 1) return loop.items->items[loop.at + 1];
    return workspace.undefined(std::string(name));
}

/// Python's slice.indices: which of n items a slice has.
struct Indices {
    int64_t begin, end, step;
};
Indices indices_of(Workspace& workspace, const Value& begin, const Value& end, const Value& step, int64_t n) {
    for (const Value* value : {&begin, &end, &step})
        if (!value->is_whole() && !value->is(Kind::none))
            workspace.fail(kind_name(*value) + " is no bound of a slice");
    Indices slice = {0, 0, step.is(Kind::none) ? 1 : step.whole()};
    if (slice.step == 0) workspace.fail("the step of a slice is 0");
    const bool back = slice.step < 0;
    const auto place = [&](const Value& value, int64_t otherwise) {
        if (value.is(Kind::none)) return otherwise;
        const int64_t at = value.whole() < 0 ? value.whole() + n : value.whole();
        return std::clamp(at, back ? int64_t{-1} : int64_t{0}, back ? n - 1 : n);
    };
    slice.begin = place(begin, back ? n - 1 : 0);
    slice.end = place(end, back ? -1 : n);
    // Beyond n items no step differs from another, and sums with it stay small.
    slice.step = std::clamp(slice.step, -n - 1, n + 1);
    return slice;
}

Value slice_text(Workspace& workspace, const Text& text, const Indices& slice) {
    const std::string_view bytes = text.bytes();
    workspace.work_bytes(4 * bytes.size());
    workspace.spend((bytes.size() + 1) * sizeof(std::size_t));
    std::vector<std::size_t> starts; // of each character, and the end
    for (std::size_t at = 0; at < bytes.size(); at += character_size(bytes.substr(at))) starts.push_back(at);
    starts.push_back(bytes.size());
    Builder out(workspace);
    const auto start = [&](int64_t i) { return starts[static_cast<std::size_t>(i)]; };
    if (slice.step == 1) {
        if (slice.begin < slice.end) out.append(text, start(slice.begin), start(slice.end));
    } else {
        for (int64_t i = slice.begin; slice.step > 0 ? i < slice.end : i > slice.end; i += slice.step)
            out.append(text, start(i), start(i + 1));
    }
    return out.value();
}

} // namespace

Value get_item(Workspace& workspace, const Value& object, const Value& key) {
    workspace.work();
    switch (object.kind) {
    case Kind::undefined: workspace.fail("an item of " + kind_name(object));
    case Kind::dict:
        if (const Value* value = find(workspace, *object.dict, key)) return *value;
        break;
    case Kind::list:
        if (key.is_whole()) {
            const auto n = static_cast<int64_t>(object.list->items.size());
            const int64_t at = key.whole() < 0 ? key.whole() + n : key.whole();
            if (at >= 0 && at < n) return object.list->items[static_cast<std::size_t>(at)];
            return undefined_in(workspace, key);
        }
        break;
    case Kind::text:
        if (key.is_whole()) {
            const auto at = find_character(workspace, *object.text, key.whole());
            if (!at) return undefined_in(workspace, key);
            const std::size_t size = character_size(std::string_view(object.bytes()).substr(*at));
            return part_of(workspace, *object.text, {*at, *at + size});
        }
        break;
    default: break;
    }
    // An item that is not there is looked for among the attributes.
    if (key.is(Kind::text) && !method_name(object, key.bytes()).empty())
        return get_attribute(workspace, object, key.bytes());
    if (key.is(Kind::text) && (object.is(Kind::name_space) || object.is(Kind::loop)))
        return get_attribute(workspace, object, key.bytes());
    return undefined_in(workspace, key);
}

Value get_attribute(Workspace& workspace, const Value& object, std::string_view name) {
    workspace.work();
    if (object.is(Kind::undefined))
        workspace.fail("the attribute " + quoted(name) + " of " + kind_name(object));
    if (object.is(Kind::name_space)) {
        const Value* value = find(workspace, *object.dict, name);
        return value ? *value : workspace.undefined(std::string(name));
    }
    if (const std::string_view method = method_name(object, name); !method.empty())
        return workspace.function({.name = method, .self = object});
    if (object.is(Kind::loop)) return loop_attribute(workspace, object, name);
    if (object.is(Kind::dict))
        if (const Value* value = find(workspace, *object.dict, name)) return *value;
    return workspace.undefined(std::string(name));
}

Value get_slice(Workspace& workspace, const Value& object, const Value& begin, const Value& end,
                const Value& step) {
    const bool is_text = object.is(Kind::text);
    if (!is_text && !object.is(Kind::list)) workspace.fail("a slice of " + kind_name(object));
    const Indices slice = indices_of(workspace, begin, end, step, length_of(workspace, object));
    if (is_text) return slice_text(workspace, *object.text, slice);
    std::vector<Value> items;
    for (int64_t i = slice.begin; slice.step > 0 ? i < slice.end : i > slice.end; i += slice.step) {
        workspace.work();
        workspace.spend(sizeof(Value));
        items.push_back(object.list->items[static_cast<std::size_t>(i)]);
    }
    return workspace.list(std::move(items), object.list->tuple);
}

} // namespace kvasir::jinja
