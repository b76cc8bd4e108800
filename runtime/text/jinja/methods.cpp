// The methods of texts, dicts and the loop, and what filters share with them. Source: The Python Standard
// Library 3, "Built-in Types".
#include "runtime/error.hpp"
#include "runtime/text/jinja/library.hpp"

#include <algorithm>
#include <limits>

namespace kvasir::jinja {

namespace {

using Method = Value (*)(Workspace&, const Value& self, Arguments&);

struct Entry {
    Kind kind; ///< of self
    std::string_view name;
    Method method; ///< null: Python has it, this has not
};

template <bool left, bool right>
Value strip_method(Workspace& workspace, const Value& self, Arguments& arguments) {
    return stripped(workspace, *self.text, left, right, arguments.take("chars"));
}

template <Case to>
Value case_method(Workspace& workspace, const Value& self, Arguments&) {
    return in_case(workspace, *self.text, to);
}

/// startswith and endswith, of one text or any of a tuple.
template <bool at_start>
Value affix_method(Workspace& workspace, const Value& self, Arguments& arguments) {
    const Value affix = arguments.need("prefix");
    const std::vector<Value> affixes =
        affix.is(Kind::list) && affix.list->tuple ? affix.list->items : std::vector<Value>{affix};
    bool found = false;
    for (const Value& one : affixes) {
        if (!one.is(Kind::text)) workspace.fail("startswith or endswith of " + kind_name(one));
        workspace.work_bytes(one.text->size());
        found =
            found || (at_start ? self.bytes().starts_with(one.bytes()) : self.bytes().ends_with(one.bytes()));
    }
    return Value::of(found);
}

/// removeprefix and removesuffix.
template <bool at_start>
Value remove_method(Workspace& workspace, const Value& self, Arguments& arguments) {
    const Value affix = arguments.need_text("prefix");
    const std::size_t n = affix.text->size(), size = self.text->size();
    if (at_start && self.bytes().starts_with(affix.bytes())) return part_of(workspace, *self.text, {n, size});
    if (!at_start && self.bytes().ends_with(affix.bytes()))
        return part_of(workspace, *self.text, {0, size - n});
    return self;
}

/// The places of a text in another, none over the one before.
std::vector<std::size_t> places(Workspace& workspace, const Text& text, const Text& needle) {
    workspace.work_bytes(4 * text.size() + 4 * needle.size());
    workspace.spend(needle.size() * sizeof(std::size_t));
    const Search search(needle.bytes());
    std::vector<std::size_t> found;
    for (std::size_t at = 0; (at = search.find(text.bytes(), at)) != std::string_view::npos;
         at += needle.size()) {
        workspace.spend(2 * sizeof(std::size_t));
        found.push_back(at);
    }
    return found;
}

Value split_space(Workspace& workspace, const Text& text, int64_t limit) {
    std::vector<Value> items;
    const std::string_view bytes = text.bytes();
    workspace.work_bytes(4 * bytes.size());
    const auto add = [&](Range range) {
        workspace.spend(2 * sizeof(Value));
        items.push_back(part_of(workspace, text, range));
    };
    for (std::size_t at = 0, size = 0;;) {
        while (at < bytes.size() && is_space(bytes.substr(at), size)) at += size;
        if (at == bytes.size()) break;
        if (limit >= 0 && static_cast<int64_t>(items.size()) == limit) {
            add({at, bytes.size()});
            break;
        }
        const std::size_t begin = at;
        while (at < bytes.size() && !is_space(bytes.substr(at), size)) at += size;
        add({begin, at});
    }
    return workspace.list(std::move(items));
}

template <bool from_left>
Value split_method(Workspace& workspace, const Value& self, Arguments& arguments) {
    const std::optional<Value> separator = arguments.take("sep");
    const int64_t limit = arguments.integer("maxsplit", -1);
    const Text& text = *self.text;
    if (!separator || separator->is(Kind::none)) {
        if (!from_left && limit >= 0) workspace.fail("rsplit at white space with a limit is not known");
        return split_space(workspace, text, limit);
    }
    if (!separator->is(Kind::text) || separator->text->size() == 0)
        workspace.fail("a text is split at " + (separator->is(Kind::text) ? "\"\"" : kind_name(*separator)));
    std::vector<std::size_t> at = places(workspace, text, *separator->text);
    const std::size_t n = limit < 0 ? at.size() : std::min(at.size(), static_cast<std::size_t>(limit));
    at = from_left ? std::vector<std::size_t>(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(n))
                   : std::vector<std::size_t>(at.end() - static_cast<std::ptrdiff_t>(n), at.end());
    std::vector<Value> items;
    std::size_t begin = 0;
    for (const std::size_t end : at) {
        items.push_back(part_of(workspace, text, {begin, end}));
        begin = end + separator->text->size();
    }
    items.push_back(part_of(workspace, text, {begin, text.size()}));
    return workspace.list(std::move(items));
}

Value splitlines_method(Workspace& workspace, const Value& self, Arguments&) {
    std::vector<Value> lines;
    for (const Range& line : lines_of(workspace, *self.text)) {
        workspace.spend(2 * sizeof(Value));
        lines.push_back(part_of(workspace, *self.text, line));
    }
    return workspace.list(std::move(lines));
}

Value replace_method(Workspace& workspace, const Value& self, Arguments& arguments) {
    const Value from = arguments.need_text("old"), to = arguments.need_text("new");
    return replace(workspace, *self.text, *from.text, *to.text, arguments.integer("count", -1));
}

Value join_method(Workspace& workspace, const Value& self, Arguments& arguments) {
    const std::vector<Value> items = items_of(workspace, arguments.need("iterable"));
    for (const Value& item : items)
        if (!item.is(Kind::text)) workspace.fail(kind_name(item) + " is joined as a text");
    return joined(workspace, items, *self.text);
}

Value count_method(Workspace& workspace, const Value& self, Arguments& arguments) {
    const Value needle = arguments.need_text("sub");
    if (needle.text->size() == 0) return Value::of(length_of(workspace, self) + 1);
    return Value::of(static_cast<int64_t>(places(workspace, *self.text, *needle.text).size()));
}

template <bool first>
Value find_method(Workspace& workspace, const Value& self, Arguments& arguments) {
    const Value needle = arguments.need_text("sub");
    const std::string& text = self.bytes();
    std::size_t at = std::string::npos;
    workspace.work_bytes(4 * text.size() + 4 * needle.text->size());
    workspace.spend(needle.text->size() * sizeof(std::size_t));
    const Search search(needle.bytes());
    for (std::size_t next = 0; (next = search.find(text, next)) != std::string::npos; ++next) {
        at = next;
        if (first) break;
        workspace.work_bytes(4 * needle.text->size()); // the next search begins inside of this place
    }
    if (at == std::string::npos) return Value::of(int64_t{-1});
    return Value::of(static_cast<int64_t>(count_characters(std::string_view(text).substr(0, at))));
}

/// isdigit, isalpha, isspace and so on: whether there are characters and each is such. Beyond ASCII only
/// white space is told.
template <class Is>
Value all_characters(Workspace& workspace, const Value& self, const Is& is) {
    const std::string_view text = self.bytes();
    workspace.work_bytes(text.size());
    for (std::size_t at = 0; at < text.size(); at += character_size(text.substr(at)))
        if (!is(text.substr(at))) return Value::of(false);
    return Value::of(!text.empty());
}
Value isdigit_method(Workspace& workspace, const Value& self, Arguments&) {
    return all_characters(workspace, self, [](std::string_view s) { return s[0] >= '0' && s[0] <= '9'; });
}
Value isspace_method(Workspace& workspace, const Value& self, Arguments&) {
    std::size_t size = 0;
    return all_characters(workspace, self, [&](std::string_view s) { return is_space(s, size); });
}

Value get_method(Workspace& workspace, const Value& self, Arguments& arguments) {
    const Value key = arguments.need("key");
    const std::optional<Value> otherwise = arguments.take("default");
    const Value* value = find(workspace, *self.dict, key);
    return value ? *value : otherwise.value_or(Value{});
}

enum class Side { keys, values, items };
template <Side side>
Value dict_method(Workspace& workspace, const Value& self, Arguments&) {
    std::vector<Value> list;
    for (const auto& [key, value] : self.dict->items) {
        workspace.work();
        workspace.spend(2 * sizeof(Value));
        list.push_back(side == Side::keys     ? key
                       : side == Side::values ? value
                                              : workspace.list({key, value}, true));
    }
    return workspace.list(std::move(list));
}

Value cycle_method(Workspace& workspace, const Value& self, Arguments& arguments) {
    const std::vector<Value> items = arguments.rest();
    if (items.empty()) workspace.fail("loop.cycle has nothing to give");
    return items[self.loop->at % items.size()];
}

Value changed_method(Workspace& workspace, const Value& self, Arguments& arguments) {
    const Value now = workspace.list(arguments.rest(), true);
    const bool changed = !self.loop->seen || !equal(workspace, *self.loop->seen, now);
    self.loop->seen = now;
    return Value::of(changed);
}

constexpr Entry entries[] = {
    {Kind::text, "capitalize", case_method<Case::capitalized>},
    {Kind::text, "count", count_method},
    {Kind::text, "endswith", affix_method<false>},
    {Kind::text, "find", find_method<true>},
    {Kind::text, "format", nullptr},
    {Kind::text, "isalpha", nullptr},
    {Kind::text, "isdigit", isdigit_method},
    {Kind::text, "islower", nullptr},
    {Kind::text, "isspace", isspace_method},
    {Kind::text, "isupper", nullptr},
    {Kind::text, "join", join_method},
    {Kind::text, "lower", case_method<Case::lower>},
    {Kind::text, "lstrip", strip_method<true, false>},
    {Kind::text, "partition", nullptr},
    {Kind::text, "removeprefix", remove_method<true>},
    {Kind::text, "removesuffix", remove_method<false>},
    {Kind::text, "replace", replace_method},
    {Kind::text, "rfind", find_method<false>},
    {Kind::text, "rsplit", split_method<false>},
    {Kind::text, "rstrip", strip_method<false, true>},
    {Kind::text, "split", split_method<true>},
    {Kind::text, "splitlines", splitlines_method},
    {Kind::text, "startswith", affix_method<true>},
    {Kind::text, "strip", strip_method<true, true>},
    {Kind::text, "title", case_method<Case::title>},
    {Kind::text, "upper", case_method<Case::upper>},
    {Kind::list, "append", nullptr}, // the sandbox changes nothing
    {Kind::list, "count", nullptr},
    {Kind::list, "extend", nullptr},
    {Kind::list, "index", nullptr},
    {Kind::list, "insert", nullptr},
    {Kind::list, "pop", nullptr},
    {Kind::dict, "clear", nullptr},
    {Kind::dict, "copy", nullptr},
    {Kind::dict, "fromkeys", nullptr},
    {Kind::dict, "get", get_method},
    {Kind::dict, "items", dict_method<Side::items>},
    {Kind::dict, "keys", dict_method<Side::keys>},
    {Kind::dict, "pop", nullptr},
    {Kind::dict, "popitem", nullptr},
    {Kind::dict, "setdefault", nullptr},
    {Kind::dict, "update", nullptr},
    {Kind::dict, "values", dict_method<Side::values>},
    {Kind::loop, "changed", changed_method},
    {Kind::loop, "cycle", cycle_method},
};

const Entry* entry_of(const Value& self, std::string_view name) {
    for (const Entry& entry : entries)
        if (entry.kind == self.kind && entry.name == name) return &entry;
    return nullptr;
}

} // namespace

std::string_view method_name(const Value& self, std::string_view name) {
    const Entry* entry = entry_of(self, name);
    return entry ? entry->name : std::string_view{};
}

Value call_method(Workspace& workspace, const Value& self, std::string_view name, Arguments& arguments) {
    const Entry* entry = entry_of(self, name);
    if (!entry || !entry->method)
        workspace.fail("the method " + quoted(name) + " of " + kind_name(self) + " is not known");
    const Value result = entry->method(workspace, self, arguments);
    arguments.done();
    return result;
}

std::vector<Range> lines_of(Workspace& workspace, const Text& text) {
    const std::string_view bytes = text.bytes();
    workspace.work_bytes(4 * bytes.size());
    std::vector<Range> lines;
    std::size_t begin = 0;
    const auto add = [&](std::size_t end, std::size_t next) {
        workspace.spend(2 * sizeof(Range));
        lines.push_back({begin, end});
        begin = next;
    };
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t size = character_size(bytes.substr(at));
        const std::string_view character = bytes.substr(at, size);
        const char c = character[0];
        std::size_t next = at + size;
        if (c == '\r' && next < bytes.size() && bytes[next] == '\n') ++next;
        // The line ends of Python's str.splitlines
        if ((c >= '\n' && c <= '\r') || (c >= '\x1C' && c <= '\x1E') || character == "\u0085" ||
            character == "\u2028" || character == "\u2029")
            add(at, next);
        at = next;
    }
    if (begin < bytes.size()) add(bytes.size(), bytes.size());
    return lines;
}

Value part_of(Workspace& workspace, const Text& text, Range range) {
    Builder out(workspace);
    out.append(text, range.begin, range.end);
    return out.value();
}

Value replace(Workspace& workspace, const Text& text, const Text& from, const Text& to, int64_t limit) {
    const auto most = limit < 0 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(limit);
    Builder out(workspace);
    std::size_t written = 0, n = 0;
    if (from.size() > 0) {
        for (const std::size_t at : places(workspace, text, from)) {
            if (n++ == most) break;
            out.append(text, written, at);
            out.append(to);
            written = at + from.size();
        }
    } else { // before each character and at the end
        for (; n < most; ++n) {
            out.append(to);
            if (written == text.size()) break;
            const std::size_t size = character_size(std::string_view(text.bytes()).substr(written));
            out.append(text, written, written + size);
            written += size;
        }
    }
    out.append(text, written, text.size());
    return out.value();
}

Value stripped(Workspace& workspace, const Text& text, bool left, bool right,
               const std::optional<Value>& set) {
    if (set && !set->is(Kind::none) && !set->is(Kind::text))
        workspace.fail(kind_name(*set) + " is stripped off");
    const std::string* characters = set && set->is(Kind::text) ? &set->bytes() : nullptr;
    workspace.work_bytes(text.size() * (characters ? characters->size() + 1 : 1));
    return part_of(workspace, text, strip(text.bytes(), left, right, characters));
}

Value in_case(Workspace& workspace, const Text& text, Case to) {
    Builder out(workspace);
    out.append(text);
    Text result = out.take();
    std::string bytes = to == Case::upper ? to_upper(result.bytes()) : to_lower(result.bytes());
    if (to == Case::title || to == Case::capitalized || to == Case::words) {
        bool inside = false; // of a word
        for (char& c : bytes) {
            const bool letter = is_ascii_letter(c) || static_cast<unsigned char>(c) >= 0x80;
            if (letter && !inside && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
            // Jinja's filter has other words than Python's method: bill's is Bill's there and Bill'S here.
            inside =
                to == Case::capitalized || (to == Case::title && letter) ||
                (to == Case::words && std::string_view("-({[< \t\n\v\f\r").find(c) == std::string_view::npos);
        }
    }
    result.rewrite(std::move(bytes));
    return workspace.text(std::move(result));
}

Value joined(Workspace& workspace, const std::vector<Value>& items, const Text& between) {
    Builder out(workspace);
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (i) out.append(between);
        write_str(out, workspace, items[i]);
    }
    return out.value();
}

} // namespace kvasir::jinja
