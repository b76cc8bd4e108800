// The tests, what stands after `is`. Source: Jinja 3.1, "List of Builtin Tests".
#include "runtime/error.hpp"
#include "runtime/text/jinja/library.hpp"
#include "runtime/text/jinja/operators.hpp"

namespace kvasir::jinja {

namespace {

using Test = bool (*)(Workspace&, const Value& input, Arguments&);

template <Kind... kinds>
bool is_kind(Workspace&, const Value& input, Arguments&) {
    return (input.is(kinds) || ...);
}

template <bool wanted>
bool is_boolean(Workspace&, const Value& input, Arguments&) {
    return input.is(Kind::boolean) && input.boolean == wanted;
}

int64_t remainder(Workspace& workspace, const Value& input, const Value& by) {
    const Value rest = modulo(workspace, input, by);
    return rest.is_whole() ? rest.whole() : rest.number() != 0;
}
template <int64_t wanted>
bool is_parity(Workspace& workspace, const Value& input, Arguments&) {
    return remainder(workspace, input, Value::of(int64_t{2})) == wanted;
}
bool is_divisible(Workspace& workspace, const Value& input, Arguments& arguments) {
    return remainder(workspace, input, arguments.need("num")) == 0;
}

template <Operator op>
bool compares(Workspace& workspace, const Value& input, Arguments& arguments) {
    return compare(workspace, op, input, arguments.need("other"));
}

/// str.islower and isupper: letters of one case and none of the other.
template <bool upper>
bool is_case(Workspace& workspace, const Value& input, Arguments&) {
    const std::string text = to_text(workspace, input).bytes();
    workspace.work_bytes(text.size());
    return (upper ? to_upper(text) : to_lower(text)) == text &&
           (upper ? to_lower(text) : to_upper(text)) != text;
}

bool is_defined(Workspace&, const Value& input, Arguments&) {
    return !input.is(Kind::undefined);
}

struct Entry {
    std::string_view name;
    Test test;
};
constexpr Entry entries[] = {
    {"!=", compares<Operator::not_equal>},
    {"<", compares<Operator::less>},
    {"<=", compares<Operator::less_equal>},
    {"==", compares<Operator::equal>},
    {">", compares<Operator::greater>},
    {">=", compares<Operator::greater_equal>},
    {"boolean", is_kind<Kind::boolean>},
    {"callable", is_kind<Kind::function>},
    {"defined", is_defined},
    {"divisibleby", is_divisible},
    {"eq", compares<Operator::equal>},
    {"equalto", compares<Operator::equal>},
    {"even", is_parity<0>},
    {"false", is_boolean<false>},
    {"float", is_kind<Kind::real>},
    {"ge", compares<Operator::greater_equal>},
    {"greaterthan", compares<Operator::greater>},
    {"gt", compares<Operator::greater>},
    {"in", compares<Operator::in>},
    {"integer", is_kind<Kind::integer>},
    {"iterable", is_kind<Kind::text, Kind::list, Kind::dict, Kind::loop, Kind::undefined>},
    {"le", compares<Operator::less_equal>},
    {"lessthan", compares<Operator::less>},
    {"lower", is_case<false>},
    {"lt", compares<Operator::less>},
    {"mapping", is_kind<Kind::dict>},
    {"ne", compares<Operator::not_equal>},
    {"none", is_kind<Kind::none>},
    {"number", is_kind<Kind::boolean, Kind::integer, Kind::real>},
    {"odd", is_parity<1>},
    {"sequence", is_kind<Kind::text, Kind::list, Kind::dict, Kind::undefined>},
    {"string", is_kind<Kind::text>},
    {"true", is_boolean<true>},
    {"undefined", is_kind<Kind::undefined>},
    {"upper", is_case<true>},
};

Test find_test(std::string_view name) {
    for (const Entry& entry : entries)
        if (entry.name == name) return entry.test;
    return nullptr;
}

} // namespace

bool is_test(std::string_view name) {
    return find_test(name) != nullptr;
}

bool apply_test(Workspace& workspace, std::string_view name, const Value& input, Arguments& arguments) {
    const Test test = find_test(name);
    if (!test) workspace.fail("the test " + quoted(name) + " is not known");
    workspace.work();
    const bool passes = test(workspace, input, arguments);
    arguments.done();
    return passes;
}

} // namespace kvasir::jinja
