#include "runtime/text/jinja/value.hpp"

#include "runtime/error.hpp"
#include "runtime/text/jinja/workspace.hpp"

#include <algorithm>
#include <cassert>

namespace kvasir::jinja {

namespace {

void check_depth(const Workspace& workspace, int depth) {
    if (depth > max_value_depth)
        workspace.fail("values nested deeper than " + std::to_string(max_value_depth) + " levels");
}

bool equal_numbers(const Value& a, const Value& b) {
    return a.is_whole() && b.is_whole() ? a.whole() == b.whole() : a.number() == b.number();
}

bool equal_dicts(Workspace& workspace, const Dict& a, const Dict& b, int depth) {
    if (a.items.size() != b.items.size()) return false;
    for (const auto& [key, value] : a.items) {
        const Value* other = find(workspace, b, key);
        if (!other || !equal(workspace, value, *other, depth + 1)) return false;
    }
    return true;
}

std::size_t index_of(Workspace& workspace, const Dict& dict, std::string_view key) {
    workspace.work(1 + dict.items.size() / 8);
    std::size_t at = 0;
    for (; at < dict.items.size(); ++at) {
        const Value& other = dict.items[at].first;
        if (!other.is(Kind::text) || other.text->size() != key.size()) continue;
        workspace.work_bytes(key.size());
        if (other.bytes() == key) break;
    }
    return at;
}

/// The number of items where there is none.
std::size_t index_of(Workspace& workspace, const Dict& dict, const Value& key) {
    if (key.is(Kind::text)) return index_of(workspace, dict, key.bytes());
    if (key.is(Kind::dict) || (key.is(Kind::list) && !key.list->tuple))
        workspace.fail(kind_name(key) + " is no key of a dict");
    std::size_t at = 0;
    while (at < dict.items.size() && !equal(workspace, dict.items[at].first, key)) ++at;
    return at;
}

bool less_lists(Workspace& workspace, const List& a, const List& b, int depth) {
    for (std::size_t i = 0; i < std::min(a.items.size(), b.items.size()); ++i)
        if (!equal(workspace, a.items[i], b.items[i], depth + 1))
            return less(workspace, a.items[i], b.items[i], depth + 1);
    return a.items.size() < b.items.size();
}

} // namespace

Value Value::of(bool boolean) {
    Value value;
    value.kind = Kind::boolean;
    value.boolean = boolean;
    return value;
}
Value Value::of(int64_t integer) {
    Value value;
    value.kind = Kind::integer;
    value.integer = integer;
    return value;
}
Value Value::of(double real) {
    Value value;
    value.kind = Kind::real;
    value.real = real;
    return value;
}
Value Value::of(const Text* text) {
    Value value;
    value.kind = Kind::text;
    value.text = text;
    return value;
}

std::string kind_name(const Value& value) {
    switch (value.kind) {
    case Kind::undefined: return "the undefined value " + quoted(*value.name);
    case Kind::none: return "none";
    case Kind::boolean: return "a boolean";
    case Kind::integer: return "an integer";
    case Kind::real: return "a float";
    case Kind::text: return "a text";
    case Kind::list: return value.list->tuple ? "a tuple" : "a list";
    case Kind::dict: return "a dict";
    case Kind::name_space: return "a namespace";
    case Kind::loop: return "the loop";
    case Kind::function: return "a function";
    }
    return "";
}

bool is_true(const Value& value) {
    switch (value.kind) {
    case Kind::undefined:
    case Kind::none: return false;
    case Kind::boolean: return value.boolean;
    case Kind::integer: return value.integer != 0;
    case Kind::real: return value.real != 0;
    case Kind::text: return value.text->size() > 0;
    case Kind::list: return !value.list->items.empty();
    case Kind::dict: return !value.dict->items.empty();
    default: return true;
    }
}

bool equal(Workspace& workspace, const Value& a, const Value& b, int depth) {
    check_depth(workspace, depth);
    workspace.work();
    if (a.is_number() && b.is_number()) return equal_numbers(a, b);
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case Kind::text: workspace.work_bytes(a.text->size()); return a.bytes() == b.bytes();
    case Kind::list:
        if (a.list->tuple != b.list->tuple || a.list->items.size() != b.list->items.size()) return false;
        for (std::size_t i = 0; i < a.list->items.size(); ++i)
            if (!equal(workspace, a.list->items[i], b.list->items[i], depth + 1)) return false;
        return true;
    case Kind::dict: return equal_dicts(workspace, *a.dict, *b.dict, depth);
    case Kind::name_space: return a.dict == b.dict;
    case Kind::loop: return a.loop == b.loop;
    case Kind::function: return a.function == b.function;
    default: return true; // none, and all that is undefined
    }
}

bool less(Workspace& workspace, const Value& a, const Value& b, int depth) {
    check_depth(workspace, depth);
    workspace.work();
    if (a.is_whole() && b.is_whole()) return a.whole() < b.whole();
    if (a.is_number() && b.is_number()) return a.number() < b.number();
    if (a.is(Kind::text) && b.is(Kind::text)) {
        workspace.work_bytes(a.text->size());
        return a.bytes() < b.bytes(); // UTF-8 has the order of the code points
    }
    if (a.is(Kind::list) && b.is(Kind::list) && a.list->tuple == b.list->tuple)
        return less_lists(workspace, *a.list, *b.list, depth);
    workspace.fail(kind_name(a) + " and " + kind_name(b) + " have no order");
}

const Value* find(Workspace& workspace, const Dict& dict, const Value& key) {
    const std::size_t at = index_of(workspace, dict, key);
    return at < dict.items.size() ? &dict.items[at].second : nullptr;
}

const Value* find(Workspace& workspace, const Dict& dict, std::string_view key) {
    const std::size_t at = index_of(workspace, dict, key);
    return at < dict.items.size() ? &dict.items[at].second : nullptr;
}

void put(Workspace& workspace, Dict& dict, const Value& key, const Value& value) {
    const std::size_t at = index_of(workspace, dict, key);
    if (at < dict.items.size()) {
        dict.items[at].second = value;
        return;
    }
    workspace.spend(2 * sizeof(dict.items[0])); // a vector may have room for twice what is in it
    dict.items.emplace_back(key, value);
}

std::vector<Value> items_of(Workspace& workspace, const Value& value) {
    std::vector<Value> items;
    switch (value.kind) {
    case Kind::undefined: break;
    case Kind::list:
        workspace.work(1 + value.list->items.size() / 8);
        workspace.spend(value.list->items.size() * sizeof(Value));
        items = value.list->items;
        break;
    case Kind::dict:
        workspace.work(1 + value.dict->items.size() / 8);
        workspace.spend(value.dict->items.size() * sizeof(Value));
        for (const auto& item : value.dict->items) items.push_back(item.first);
        break;
    case Kind::text:
        for (std::size_t at = 0; at < value.text->size();) {
            const std::size_t size = character_size(std::string_view(value.bytes()).substr(at));
            Builder character(workspace);
            character.append(*value.text, at, at + size);
            workspace.spend(2 * sizeof(Value));
            items.push_back(character.value());
            at += size;
        }
        break;
    default: workspace.fail(kind_name(value) + " has no items to go through");
    }
    return items;
}

int64_t length_of(Workspace& workspace, const Value& value) {
    switch (value.kind) {
    case Kind::undefined: return 0;
    case Kind::text:
        workspace.work_bytes(value.text->size());
        return static_cast<int64_t>(count_characters(value.bytes()));
    case Kind::list: return static_cast<int64_t>(value.list->items.size());
    case Kind::dict: return static_cast<int64_t>(value.dict->items.size());
    default: workspace.fail(kind_name(value) + " has no length");
    }
}

} // namespace kvasir::jinja
