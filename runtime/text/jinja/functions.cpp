// The functions that a template can call by name: Jinja's, and those that Hugging Face adds.
#include "runtime/error.hpp"
#include "runtime/text/jinja/library.hpp"

#include <array>

namespace kvasir::jinja {

namespace {

/// As Jinja's sandbox has it.
constexpr int64_t max_range = 100000;

Value range_function(Workspace& workspace, Arguments& arguments) {
    int64_t begin = 0, end = arguments.integer("start", 0);
    const std::optional<Value> stop = arguments.take("stop");
    if (stop) {
        if (!stop->is_whole()) workspace.fail("range up to " + kind_name(*stop));
        begin = end;
        end = stop->whole();
    }
    const int64_t step = arguments.integer("step", 1);
    if (step == 0) workspace.fail("the step of a range is 0");
    // In 128 bits: the difference of two integers may need 65.
    __extension__ using Wide = __int128;
    const Wide distance = step > 0 ? Wide{end} - begin : Wide{begin} - end;
    const Wide stride = step > 0 ? Wide{step} : -Wide{step};
    const Wide n = distance <= 0 ? Wide{0} : (distance + stride - 1) / stride;
    if (n > max_range) workspace.fail("a range of more than " + std::to_string(max_range) + " items");
    std::vector<Value> items;
    for (int64_t i = 0; i < static_cast<int64_t>(n); ++i) {
        workspace.spend(sizeof(Value));
        items.push_back(Value::of(begin + i * step));
    }
    workspace.work(1 + items.size() / 8);
    return workspace.list(std::move(items));
}

/// dict(...) and namespace(...): what a dict holds, and named arguments.
Dict named_items(Workspace& workspace, Arguments& arguments) {
    Dict dict;
    if (const std::optional<Value> from = arguments.take("")) {
        if (!from->is(Kind::dict)) workspace.fail("a dict made of " + kind_name(*from));
        for (const auto& [key, value] : from->dict->items) put(workspace, dict, key, value);
    }
    for (const auto& [name, value] : arguments.named) put(workspace, dict, workspace.text(name), value);
    arguments.named.clear();
    return dict;
}
Value dict_function(Workspace& workspace, Arguments& arguments) {
    return workspace.dict(named_items(workspace, arguments).items);
}
Value namespace_function(Workspace& workspace, Arguments& arguments) {
    return workspace.name_space(named_items(workspace, arguments));
}

Value raise_exception_function(Workspace& workspace, Arguments& arguments) {
    workspace.fail("the template says " + quoted(to_text(workspace, arguments.need("message")).bytes()));
}

Value strftime_now_function(Workspace& workspace, Arguments& arguments) {
    const std::string format = arguments.need_text("format").bytes();
    Builder out(workspace);
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%') {
            out.append(std::string_view(&format[i], 1));
            continue;
        }
        const char conversion = ++i < format.size() ? format[i] : '\0';
        if (conversion == '\0' ||
            std::string_view("aAbBdHIjmMpSyY%").find(conversion) == std::string_view::npos)
            workspace.fail("strftime_now: the conversion " + quoted("%" + std::string(1, conversion)) +
                           " is not known");
        const char one[] = {'%', conversion, '\0'};
        std::array<char, 64> text;
        const std::size_t size = std::strftime(text.data(), text.size(), one, &workspace.now());
        out.append(std::string_view(text.data(), size));
    }
    return out.value();
}

struct Entry {
    std::string_view name;
    Value (*function)(Workspace&, Arguments&);
};
constexpr Entry entries[] = {
    {"dict", dict_function},
    {"namespace", namespace_function},
    {"raise_exception", raise_exception_function},
    {"range", range_function},
    {"strftime_now", strftime_now_function},
};

const Entry* entry_of(std::string_view name) {
    for (const Entry& entry : entries)
        if (entry.name == name) return &entry;
    return nullptr;
}

} // namespace

std::string_view function_name(std::string_view name) {
    const Entry* entry = entry_of(name);
    return entry ? entry->name : std::string_view{};
}

Value call_function(Workspace& workspace, std::string_view name, Arguments& arguments) {
    const Entry* entry = entry_of(name);
    if (!entry) workspace.fail("the function " + quoted(name) + " is not known");
    const Value result = entry->function(workspace, arguments);
    arguments.done();
    return result;
}

} // namespace kvasir::jinja
