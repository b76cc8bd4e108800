#include "runtime/error.hpp"
#include "runtime/text/jinja/library.hpp"

namespace kvasir::jinja {

void Arguments::fail(const std::string& found) const {
    workspace_.fail(std::string(callee_) + ": " + found);
}

std::optional<Value> Arguments::take(std::string_view name) {
    const std::size_t at = taken_++;
    for (std::size_t i = 0; i < named.size(); ++i) {
        if (named[i].first != name) continue;
        if (at < positional.size()) fail("the argument " + quoted(name) + " is given twice");
        const Value value = named[i].second;
        named.erase(named.begin() + static_cast<std::ptrdiff_t>(i));
        return value;
    }
    if (at < positional.size()) return positional[at];
    return std::nullopt;
}

Value Arguments::need(std::string_view name) {
    const std::optional<Value> value = take(name);
    if (!value) fail("the argument " + quoted(name) + " is missing");
    return *value;
}

Value Arguments::need_text(std::string_view name) {
    const Value value = need(name);
    if (!value.is(Kind::text))
        fail("the argument " + quoted(name) + " is " + kind_name(value) + ", not a text");
    return value;
}

bool Arguments::flag(std::string_view name, bool otherwise) {
    const std::optional<Value> value = take(name);
    return value ? is_true(*value) : otherwise;
}

int64_t Arguments::integer(std::string_view name, int64_t otherwise) {
    const std::optional<Value> value = take(name);
    if (!value) return otherwise;
    if (!value->is_whole())
        fail("the argument " + quoted(name) + " is " + kind_name(*value) + ", not an integer");
    return value->whole();
}

std::vector<Value> Arguments::rest() {
    const std::size_t from = std::min(taken_, positional.size());
    taken_ = std::max(taken_, positional.size());
    return {positional.begin() + static_cast<std::ptrdiff_t>(from), positional.end()};
}

void Arguments::done() {
    if (positional.size() > taken_)
        fail(std::to_string(positional.size()) + " arguments where it takes " + std::to_string(taken_));
    if (!named.empty()) fail("the argument " + quoted(named[0].first) + " is not known");
}

} // namespace kvasir::jinja
