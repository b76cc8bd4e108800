// The filters that work on one value. Source: Jinja 3.1, "List of Builtin Filters"; tojson as Hugging Face
// has it (transformers, utils/chat_template_utils.py).
#include "runtime/text/jinja/filters.hpp"
#include "runtime/error.hpp"
#include "runtime/text/jinja/print.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

namespace kvasir::jinja {

namespace {

/// The text of a value, for filters that take any.
const Text& text_of(Workspace& workspace, const Value& value) {
    return *to_text(workspace, value).text;
}

Value abs_filter(Workspace& workspace, const Value& input, Arguments&) {
    if (input.is(Kind::real)) return Value::of(std::fabs(input.real));
    if (!input.is_whole()) workspace.fail(kind_name(input) + " has no absolute value");
    if (input.whole() == std::numeric_limits<int64_t>::min()) workspace.fail("an integer beyond 64 bits");
    return Value::of(std::abs(input.whole()));
}

template <Case to>
Value case_filter(Workspace& workspace, const Value& input, Arguments&) {
    return in_case(workspace, text_of(workspace, input), to);
}

Value default_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    const std::optional<Value> otherwise = arguments.take("default_value");
    const bool falsy_too = arguments.flag("boolean", false);
    if (!input.is(Kind::undefined) && (!falsy_too || is_true(input))) return input;
    return otherwise ? *otherwise : workspace.text("");
}

/// A number at the whole of a text, as Python's int() and float() read it.
std::optional<double> read_real(std::string_view text) {
    const Range range = strip(text, true, true);
    text = text.substr(range.begin, range.end - range.begin);
    if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}
std::optional<int64_t> read_integer(std::string_view text) {
    const Range range = strip(text, true, true);
    text = text.substr(range.begin, range.end - range.begin);
    if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

Value float_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    const std::optional<Value> otherwise = arguments.take("default");
    if (input.is(Kind::undefined)) workspace.fail("float of " + kind_name(input));
    if (input.is_number()) return Value::of(input.number());
    if (input.is(Kind::text)) {
        workspace.work_bytes(input.text->size());
        if (const auto value = read_real(input.bytes())) return Value::of(*value);
    }
    return otherwise.value_or(Value::of(0.0));
}

Value int_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    const Value otherwise = arguments.take("default").value_or(Value::of(int64_t{0}));
    if (arguments.integer("base", 10) != 10) workspace.fail("int of a base other than 10 is not known");
    if (input.is(Kind::undefined)) workspace.fail("int of " + kind_name(input));
    if (input.is_whole()) return Value::of(input.whole());
    std::optional<double> value;
    if (input.is(Kind::real)) value = input.real;
    if (input.is(Kind::text)) {
        workspace.work_bytes(input.text->size());
        if (const auto whole = read_integer(input.bytes())) return Value::of(*whole);
        value = read_real(input.bytes());
    }
    if (!value || !std::isfinite(*value)) return otherwise;
    if (std::fabs(*value) >= 0x1p63) workspace.fail("an integer beyond 64 bits");
    return Value::of(static_cast<int64_t>(*value));
}

Value indent_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    const Value width = arguments.take("width").value_or(Value::of(int64_t{4}));
    const bool first = arguments.flag("first", false), blank = arguments.flag("blank", false);
    std::string indent;
    if (width.is(Kind::text)) {
        indent = width.bytes();
    } else {
        if (!width.is_whole() || width.whole() > 1000) workspace.fail("indent by " + kind_name(width));
        indent.assign(static_cast<std::size_t>(std::max<int64_t>(width.whole(), 0)), ' ');
    }
    // One more line end, so that one at the end makes an empty last line.
    Builder copy(workspace);
    copy.append(text_of(workspace, input));
    copy.append("\n");
    const Value text = copy.value();
    Builder out(workspace);
    bool is_first = true;
    for (const Range& line : lines_of(workspace, *text.text)) {
        if (!is_first) out.append("\n");
        if (is_first ? first : blank || line.begin < line.end) out.append(indent);
        out.append(*text.text, line.begin, line.end);
        is_first = false;
    }
    return out.value();
}

Value length_filter(Workspace& workspace, const Value& input, Arguments&) {
    return Value::of(length_of(workspace, input));
}

Value replace_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    const Value from = arguments.need("old"), to = arguments.need("new");
    const Value count = arguments.take("count").value_or(Value{});
    if (!count.is_whole() && !count.is(Kind::none)) workspace.fail("replace " + kind_name(count) + " times");
    return replace(workspace, text_of(workspace, input), text_of(workspace, from), text_of(workspace, to),
                   count.is(Kind::none) ? -1 : count.whole());
}

Value round_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    const int64_t precision = arguments.integer("precision", 0);
    const std::optional<Value> method = arguments.take("method");
    const std::string name = method && method->is(Kind::text) ? method->bytes() : method ? "" : "common";
    if (!input.is_number()) workspace.fail(kind_name(input) + " is rounded");
    if (precision < 0 || precision > 15) workspace.fail("round to " + std::to_string(precision) + " digits");
    const double scale = std::pow(10.0, static_cast<double>(precision));
    if (name == "ceil") return Value::of(std::ceil(input.number() * scale) / scale);
    if (name == "floor") return Value::of(std::floor(input.number() * scale) / scale);
    if (name != "common") workspace.fail("round: the method " + quoted(name) + " is not known");
    if (input.is_whole()) return Value::of(input.whole());
    char digits[400]; // printf rounds the exact binary value, half to even, as Python does
    std::snprintf(digits, sizeof digits, "%.*f", static_cast<int>(precision), input.real);
    return Value::of(read_real(digits).value_or(input.real));
}

Value same_filter(Workspace&, const Value& input, Arguments&) {
    return input;
}

Value string_filter(Workspace& workspace, const Value& input, Arguments&) {
    return to_text(workspace, input);
}

Value tojson_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    JsonStyle style;
    style.ascii = arguments.flag("ensure_ascii", false);
    const Value indent = arguments.take("indent").value_or(Value{});
    const Value separators = arguments.take("separators").value_or(Value{});
    style.sorted = arguments.flag("sort_keys", false);
    if (indent.is(Kind::text)) {
        style.indent = indent.bytes();
    } else if (!indent.is(Kind::none)) {
        if (!indent.is_whole() || indent.whole() > 1000)
            workspace.fail("tojson: indent is " + kind_name(indent));
        style.indent = std::string(static_cast<std::size_t>(std::max<int64_t>(indent.whole(), 0)), ' ');
    }
    if (style.indent) style.comma = ",";
    if (!separators.is(Kind::none)) {
        const bool pair = separators.is(Kind::list) && separators.list->items.size() == 2 &&
                          separators.list->items[0].is(Kind::text) &&
                          separators.list->items[1].is(Kind::text);
        if (!pair) workspace.fail("tojson: separators are two texts");
        style.comma = separators.list->items[0].bytes();
        style.colon = separators.list->items[1].bytes();
    }
    Builder out(workspace);
    write_json(out, workspace, input, style);
    return out.value();
}

Value trim_filter(Workspace& workspace, const Value& input, Arguments& arguments) {
    return stripped(workspace, text_of(workspace, input), true, true, arguments.take("chars"));
}

constexpr FilterEntry entries[] = {
    {"abs", abs_filter},
    {"capitalize", case_filter<Case::capitalized>},
    {"count", length_filter},
    {"d", default_filter},
    {"default", default_filter},
    {"float", float_filter},
    {"indent", indent_filter},
    {"int", int_filter},
    {"length", length_filter},
    {"lower", case_filter<Case::lower>},
    {"replace", replace_filter},
    {"round", round_filter},
    {"safe", same_filter}, // nothing is escaped, so nothing has to be kept from it
    {"string", string_filter},
    {"title", case_filter<Case::words>},
    {"tojson", tojson_filter},
    {"trim", trim_filter},
    {"upper", case_filter<Case::upper>},
};

Filter find_filter(std::string_view name) {
    for (const FilterEntry& entry : entries)
        if (entry.name == name) return entry.filter;
    for (const FilterEntry& entry : list_filters())
        if (entry.name == name) return entry.filter;
    return nullptr;
}

} // namespace

bool is_filter(std::string_view name) {
    return find_filter(name) != nullptr;
}

Value apply_filter(Workspace& workspace, std::string_view name, const Value& input, Arguments& arguments) {
    const Filter filter = find_filter(name);
    if (!filter) workspace.fail("the filter " + quoted(name) + " is not known");
    workspace.work();
    const Value result = filter(workspace, input, arguments);
    arguments.done();
    return result;
}

} // namespace kvasir::jinja
