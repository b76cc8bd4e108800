// The filters that go through items. Source: Jinja 3.1, "List of Builtin Filters".
#include "runtime/error.hpp"
#include "runtime/text/jinja/filters.hpp"
#include "runtime/text/jinja/operators.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace kvasir::jinja {

namespace {

/// The value under a dotted name, "details.priority" or "0.name"; a name may be a number.
Value attribute_of(Workspace& workspace, Value value, const Value& path) {
    if (path.is_whole()) return get_item(workspace, value, path);
    if (!path.is(Kind::text)) workspace.fail(kind_name(path) + " is the name of an attribute");
    std::string_view rest = path.bytes();
    for (;;) {
        const std::string_view name = rest.substr(0, rest.find('.'));
        int64_t index = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
        const bool is_index = error == std::errc{} && end == name.data() + name.size() && name[0] != '-';
        value = get_item(workspace, value, is_index ? Value::of(index) : workspace.text(std::string(name)));
        if (name.size() == rest.size()) return value;
        rest.remove_prefix(name.size() + 1);
    }
}

/// What items are compared by: an attribute where one is named, in lower case unless case matters.
class Key {
  public:
    Key(Workspace& workspace, bool case_sensitive, std::optional<Value> attribute)
        : workspace_(workspace), case_sensitive_(case_sensitive), attribute_(attribute) {}

    Value operator()(const Value& item) const {
        const bool whole = !attribute_ || attribute_->is(Kind::none);
        const Value key = whole ? item : attribute_of(workspace_, item, *attribute_);
        return case_sensitive_ || !key.is(Kind::text) ? key : in_case(workspace_, *key.text, Case::lower);
    }

  private:
    Workspace& workspace_;
    bool case_sensitive_;
    std::optional<Value> attribute_;
};

/// Sorts by keys; equal ones keep their order, and what is equal need not have one.
std::vector<Value> sorted(Workspace& workspace, const std::vector<Value>& items, const auto& key,
                          bool reverse) {
    std::vector<std::pair<Value, Value>> pairs;
    for (const Value& item : items) {
        workspace.spend(4 * sizeof(Value));
        pairs.emplace_back(key(item), item);
    }
    // In reverse too, Python keeps the order of what is equal.
    std::stable_sort(pairs.begin(), pairs.end(), [&](const auto& a, const auto& b) {
        const Value &left = reverse ? b.first : a.first, &right = reverse ? a.first : b.first;
        return !equal(workspace, left, right) && less(workspace, left, right);
    });
    std::vector<Value> result;
    for (const auto& pair : pairs) result.push_back(pair.second);
    return result;
}

Value sort_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    const bool reverse = arguments.flag("reverse", false), cases = arguments.flag("case_sensitive", false);
    const Value attribute = arguments.take("attribute").value_or(Value{});
    if (attribute.is(Kind::text) && attribute.bytes().find(',') != std::string::npos)
        workspace.fail("a sort by several attributes is not known");
    return workspace.list(
        sorted(workspace, items_of(workspace, input), Key(workspace, cases, attribute), reverse));
}

Value dictsort_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    const bool cases = arguments.flag("case_sensitive", false);
    const std::optional<Value> by = arguments.take("by");
    const bool reverse = arguments.flag("reverse", false);
    if (!input.is(Kind::dict)) workspace.fail("dictsort of " + kind_name(input));
    const std::string name = !by ? "key" : by->is(Kind::text) ? by->bytes() : "";
    if (name != "key" && name != "value") workspace.fail("dictsort is by 'key' or by 'value'");
    std::vector<Value> items;
    for (const auto& [key, value] : input.dict->items) {
        workspace.spend(2 * sizeof(Value));
        items.push_back(workspace.list({key, value}, true));
    }
    const Value index = Value::of(int64_t{name == "value"});
    return workspace.list(sorted(workspace, items, Key(workspace, cases, index), reverse));
}

Value unique_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    const bool cases = arguments.flag("case_sensitive", false);
    const Key key(workspace, cases, arguments.take("attribute"));
    std::vector<Value> seen, result;
    for (const Value& item : items_of(workspace, input)) {
        const Value k = key(item);
        if (std::any_of(seen.begin(), seen.end(), [&](const Value& s) { return equal(workspace, s, k); }))
            continue;
        workspace.spend(4 * sizeof(Value));
        seen.push_back(k);
        result.push_back(item);
    }
    return workspace.list(std::move(result));
}

template <bool largest>
Value extreme_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    const bool cases = arguments.flag("case_sensitive", false);
    const Key key(workspace, cases, arguments.take("attribute"));
    std::optional<std::pair<Value, Value>> best;
    for (const Value& item : items_of(workspace, input)) {
        const Value k = key(item);
        if (!best || (largest ? less(workspace, best->first, k) : less(workspace, k, best->first)))
            best.emplace(k, item);
    }
    return best ? best->second : workspace.undefined("the extreme of nothing");
}

Value sum_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    const Value attribute = arguments.take("attribute").value_or(Value{});
    Value sum = arguments.take("start").value_or(Value::of(int64_t{0}));
    for (const Value& item : items_of(workspace, input))
        sum = add(workspace, sum, attribute.is(Kind::none) ? item : attribute_of(workspace, item, attribute));
    return sum;
}

template <bool front>
Value end_filter(Workspace& workspace, const Value& input, Arguments&) {
    const std::vector<Value> items = items_of(workspace, input);
    if (items.empty()) return workspace.undefined(front ? "the first of nothing" : "the last of nothing");
    return front ? items.front() : items.back();
}

Value items_filter(Workspace& workspace, const Value& input, Arguments&) {
    if (input.is(Kind::undefined)) return workspace.list({});
    if (!input.is(Kind::dict)) workspace.fail("items of " + kind_name(input));
    Arguments none(workspace, "items");
    return call_method(workspace, input, "items", none);
}

Value join_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    const Value between = to_text(workspace, arguments.take("d").value_or(workspace.text("")));
    const Value attribute = arguments.take("attribute").value_or(Value{});
    std::vector<Value> items = items_of(workspace, input);
    if (!attribute.is(Kind::none))
        for (Value& item : items) item = attribute_of(workspace, item, attribute);
    return joined(workspace, items, *between.text);
}

Value list_filter(Workspace& workspace, const Value& input, Arguments&) {
    return workspace.list(items_of(workspace, input));
}

Value reverse_filter(Workspace& workspace, const Value& input, Arguments&) {
    std::vector<Value> items = items_of(workspace, input);
    std::reverse(items.begin(), items.end());
    return input.is(Kind::text) ? joined(workspace, items, Text()) : workspace.list(std::move(items));
}

Value map_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    std::vector<Value> items = items_of(workspace, input);
    if (arguments.positional.empty()) {
        const Value attribute = arguments.need("attribute");
        const std::optional<Value> otherwise = arguments.take("default");
        for (Value& item : items) {
            item = attribute_of(workspace, item, attribute);
            if (item.is(Kind::undefined) && otherwise) item = *otherwise;
        }
        return workspace.list(std::move(items));
    }
    const Value filter = arguments.need_text("filter");
    Arguments shared(workspace, filter.bytes());
    shared.positional = arguments.rest();
    shared.named = std::exchange(arguments.named, {});
    for (Value& item : items) {
        Arguments own = shared;
        item = apply_filter(workspace, filter.bytes(), item, own);
    }
    return workspace.list(std::move(items));
}

/// select, reject, selectattr and rejectattr: the items that pass a test, or do not.
template <bool wanted, bool by_attribute>
Value select_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    const Value attribute = by_attribute ? arguments.need("attribute") : Value{};
    const std::optional<Value> test = arguments.take("test");
    if (test && !test->is(Kind::text)) workspace.fail(kind_name(*test) + " is the name of a test");
    Arguments shared(workspace, test ? test->bytes() : "select");
    shared.positional = arguments.rest();
    shared.named = std::exchange(arguments.named, {});
    std::vector<Value> result;
    for (const Value& item : items_of(workspace, input)) {
        const Value value = by_attribute ? attribute_of(workspace, item, attribute) : item;
        Arguments own = shared;
        const bool passes = test ? apply_test(workspace, test->bytes(), value, own) : is_true(value);
        if (passes != wanted) continue;
        workspace.spend(2 * sizeof(Value));
        result.push_back(item);
    }
    return workspace.list(std::move(result));
}

constexpr FilterEntry entries[] = {
    {"dictsort", dictsort_filter},
    {"first", end_filter<true>},
    {"items", items_filter},
    {"join", join_filter},
    {"last", end_filter<false>},
    {"list", list_filter},
    {"map", map_filter},
    {"max", extreme_filter<true>},
    {"min", extreme_filter<false>},
    {"reject", select_filter<false, false>},
    {"rejectattr", select_filter<false, true>},
    {"reverse", reverse_filter},
    {"select", select_filter<true, false>},
    {"selectattr", select_filter<true, true>},
    {"sort", sort_filter},
    {"sum", sum_filter},
    {"unique", unique_filter},
};

} // namespace

std::span<const FilterEntry> list_filters() {
    return entries;
}

} // namespace kvasir::jinja
