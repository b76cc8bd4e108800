#include "runtime/text/jinja/print.hpp"

#include "runtime/text/utf8.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace kvasir::jinja {

namespace {

constexpr char hex_digits[] = "0123456789abcdef";

std::string hex(uint32_t value, int n_digits) {
    std::string digits;
    for (int i = n_digits - 1; i >= 0; --i) digits += hex_digits[value >> (4 * i) & 15];
    return digits;
}

void check_depth(Workspace& workspace, int depth) {
    workspace.work();
    if (depth > max_value_depth)
        workspace.fail("a value nested deeper than " + std::to_string(max_value_depth) +
                       " levels is written");
}

/// Writes a text between quotes; escape gives what stands for the character at a place, nothing: itself.
template <class Escape>
void write_quoted(Builder& out, const Text& text, char quote, const Escape& escape) {
    const std::string_view bytes = text.bytes();
    out.append(std::string_view(&quote, 1));
    std::size_t plain = 0; // what is before it is written
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t size = character_size(bytes.substr(at));
        if (const std::string escaped = escape(bytes.substr(at, size)); !escaped.empty()) {
            out.append(text, plain, at);
            out.append(escaped, text.origin_at(at));
            plain = at + size;
        }
        at += size;
    }
    out.append(text, plain, bytes.size());
    out.append(std::string_view(&quote, 1));
}

void write_text_repr(Builder& out, const Text& text) {
    const std::string& bytes = text.bytes();
    const char quote =
        bytes.find('\'') != std::string::npos && bytes.find('"') == std::string::npos ? '"' : '\'';
    write_quoted(out, text, quote, [&](std::string_view character) -> std::string {
        const char c = character[0];
        const auto byte = static_cast<unsigned char>(c);
        if (c == quote || c == '\\') return {'\\', c};
        if (c == '\n') return "\\n";
        if (c == '\r') return "\\r";
        if (c == '\t') return "\\t";
        if (character.size() == 1) return byte < 0x20 || byte >= 0x7F ? "\\x" + hex(byte, 2) : "";
        const char32_t code = code_point(character);
        return code <= 0xA0 || code == 0xAD ? "\\x" + hex(code, 2) : "";
    });
}

/// RFC 8259, section 7; what need not be escaped is not, as in Python.
std::string json_escape(std::string_view character, bool ascii) {
    const char c = character[0];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') return {'\\', c};
    constexpr std::string_view named = "\b\t\n\f\r", names = "btnfr";
    if (const auto at = named.find(c); at != std::string_view::npos) return {'\\', names[at]};
    if (byte < 0x20) return "\\u" + hex(byte, 4);
    if (!ascii || (character.size() == 1 && byte < 0x7F)) return "";
    if (character.size() == 1) return "\\u" + hex(byte < 0x80 ? byte : 0xFFFD, 4);
    const char32_t code = code_point(character);
    if (code < 0x10000) return "\\u" + hex(code, 4);
    return "\\u" + hex(0xD800 + ((code - 0x10000) >> 10), 4) + "\\u" + hex(0xDC00 + (code & 0x3FF), 4);
}

void write_json_key(Builder& out, Workspace& workspace, const Value& key, const JsonStyle& style) {
    if (key.is(Kind::text)) return write_json(out, workspace, key, style);
    if (!key.is_number() && !key.is(Kind::none)) workspace.fail(kind_name(key) + " is no key in JSON");
    out.append("\"");
    write_json(out, workspace, key, style);
    out.append("\"");
}

void write_line(Builder& out, const JsonStyle& style, int depth) {
    if (!style.indent) return;
    out.append("\n");
    for (int i = 0; i < depth; ++i) out.append(*style.indent);
}

void write_json_list(Builder& out, Workspace& workspace, const List& list, const JsonStyle& style,
                     int depth) {
    if (list.items.empty()) return out.append("[]");
    out.append("[");
    for (std::size_t i = 0; i < list.items.size(); ++i) {
        if (i) out.append(style.comma);
        write_line(out, style, depth + 1);
        write_json(out, workspace, list.items[i], style, depth + 1);
    }
    write_line(out, style, depth);
    out.append("]");
}

void write_json_dict(Builder& out, Workspace& workspace, const Dict& dict, const JsonStyle& style,
                     int depth) {
    if (dict.items.empty()) return out.append("{}");
    auto items = dict.items;
    if (style.sorted)
        std::stable_sort(items.begin(), items.end(),
                         [&](const auto& a, const auto& b) { return less(workspace, a.first, b.first); });
    out.append("{");
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (i) out.append(style.comma);
        write_line(out, style, depth + 1);
        write_json_key(out, workspace, items[i].first, style);
        out.append(style.colon);
        write_json(out, workspace, items[i].second, style, depth + 1);
    }
    write_line(out, style, depth);
    out.append("}");
}

void write_list_repr(Builder& out, Workspace& workspace, const List& list, int depth) {
    out.append(list.tuple ? "(" : "[");
    for (std::size_t i = 0; i < list.items.size(); ++i) {
        if (i) out.append(", ");
        write_repr(out, workspace, list.items[i], depth + 1);
    }
    if (list.tuple && list.items.size() == 1) out.append(",");
    out.append(list.tuple ? ")" : "]");
}

void write_dict_repr(Builder& out, Workspace& workspace, const Dict& dict, int depth) {
    out.append("{");
    for (std::size_t i = 0; i < dict.items.size(); ++i) {
        if (i) out.append(", ");
        write_repr(out, workspace, dict.items[i].first, depth + 1);
        out.append(": ");
        write_repr(out, workspace, dict.items[i].second, depth + 1);
    }
    out.append("}");
}

} // namespace

std::string show(double number) {
    if (std::isnan(number)) return "nan";
    if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
    // The shortest digits that read back; Python writes an exponent only below 1e-4 and from 1e16 on.
    const double size = std::fabs(number);
    const bool fixed = size == 0 || (size >= 1e-4 && size < 1e16);
    char buffer[64];
    const auto format = fixed ? std::chars_format::fixed : std::chars_format::scientific;
    std::string text(buffer, std::to_chars(buffer, buffer + sizeof buffer, number, format).ptr);
    if (fixed && text.find('.') == std::string::npos) text += ".0";
    return text;
}

void write_repr(Builder& out, Workspace& workspace, const Value& value, int depth) {
    check_depth(workspace, depth);
    switch (value.kind) {
    case Kind::undefined: return out.append("Undefined");
    case Kind::none: return out.append("None");
    case Kind::boolean: return out.append(value.boolean ? "True" : "False");
    case Kind::integer: return out.append(std::to_string(value.integer));
    case Kind::real: return out.append(show(value.real));
    case Kind::text: return write_text_repr(out, *value.text);
    case Kind::list: return write_list_repr(out, workspace, *value.list, depth);
    case Kind::dict: return write_dict_repr(out, workspace, *value.dict, depth);
    case Kind::name_space:
        out.append("<Namespace ");
        write_dict_repr(out, workspace, *value.dict, depth);
        return out.append(">");
    case Kind::loop:
    case Kind::function: workspace.fail(kind_name(value) + " is written as a text");
    }
}

void write_str(Builder& out, Workspace& workspace, const Value& value) {
    if (value.is(Kind::text))
        out.append(*value.text);
    else if (!value.is(Kind::undefined))
        write_repr(out, workspace, value);
}

Value to_text(Workspace& workspace, const Value& value) {
    if (value.is(Kind::text)) return value;
    Builder out(workspace);
    write_str(out, workspace, value);
    return out.value();
}

void write_json(Builder& out, Workspace& workspace, const Value& value, const JsonStyle& style, int depth) {
    check_depth(workspace, depth);
    switch (value.kind) {
    case Kind::none: return out.append("null");
    case Kind::boolean: return out.append(value.boolean ? "true" : "false");
    case Kind::integer: return out.append(std::to_string(value.integer));
    case Kind::real:
        if (std::isnan(value.real)) return out.append("NaN");
        if (std::isinf(value.real)) return out.append(value.real < 0 ? "-Infinity" : "Infinity");
        return out.append(show(value.real));
    case Kind::text:
        return write_quoted(out, *value.text, '"',
                            [&](std::string_view character) { return json_escape(character, style.ascii); });
    case Kind::list: return write_json_list(out, workspace, *value.list, style, depth);
    case Kind::dict: return write_json_dict(out, workspace, *value.dict, style, depth);
    default: workspace.fail(kind_name(value) + " cannot be written as JSON");
    }
}

} // namespace kvasir::jinja
