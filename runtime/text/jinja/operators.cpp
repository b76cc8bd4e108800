#include "runtime/text/jinja/operators.hpp"

#include "runtime/error.hpp"

#include <cassert>
#include <cmath>
#include <limits>

namespace kvasir::jinja {

namespace {

[[noreturn]] void no_meaning(Workspace& workspace, const char* op, const Value& a, const Value& b) {
    workspace.fail(kind_name(a) + " " + op + " " + kind_name(b) + " has no meaning");
}

Value whole(Workspace& workspace, bool overflow, int64_t value) {
    if (overflow) workspace.fail("an integer beyond 64 bits");
    return Value::of(value);
}

Value subtract(Workspace& workspace, const Value& a, const Value& b) {
    if (!a.is_number() || !b.is_number()) no_meaning(workspace, "-", a, b);
    if (!a.is_whole() || !b.is_whole()) return Value::of(a.number() - b.number());
    int64_t result = 0;
    const bool overflow = __builtin_sub_overflow(a.whole(), b.whole(), &result);
    return whole(workspace, overflow, result);
}

/// Texts and lists, `times` over.
Value repeat(Workspace& workspace, const Value& value, int64_t times) {
    if (value.is(Kind::text)) {
        Builder out(workspace);
        for (int64_t i = 0; i < times; ++i) out.append(*value.text);
        return out.value();
    }
    std::vector<Value> items;
    for (int64_t i = 0; i < times; ++i) {
        workspace.work(1 + value.list->items.size() / 8);
        workspace.spend(value.list->items.size() * sizeof(Value));
        items.insert(items.end(), value.list->items.begin(), value.list->items.end());
    }
    return workspace.list(std::move(items), value.list->tuple);
}

Value multiply(Workspace& workspace, const Value& a, const Value& b) {
    const auto is_series = [](const Value& v) { return v.is(Kind::text) || v.is(Kind::list); };
    if (is_series(a) && b.is_whole()) return repeat(workspace, a, b.whole());
    if (a.is_whole() && is_series(b)) return repeat(workspace, b, a.whole());
    if (!a.is_number() || !b.is_number()) no_meaning(workspace, "*", a, b);
    if (!a.is_whole() || !b.is_whole()) return Value::of(a.number() * b.number());
    int64_t result = 0;
    const bool overflow = __builtin_mul_overflow(a.whole(), b.whole(), &result);
    return whole(workspace, overflow, result);
}

/// Of two numbers the second of which is not 0.
void check_division(Workspace& workspace, const char* op, const Value& a, const Value& b) {
    if (!a.is_number() || !b.is_number()) no_meaning(workspace, op, a, b);
    if (b.number() == 0) workspace.fail("a division by zero");
}

/// Python rounds down, to minus infinity, and gives the rest the sign of the divisor.
Value floor_divide(Workspace& workspace, const Value& a, const Value& b) {
    check_division(workspace, "//", a, b);
    if (!a.is_whole() || !b.is_whole()) return Value::of(std::floor(a.number() / b.number()));
    const int64_t n = a.whole(), d = b.whole();
    if (d == -1) return negative(workspace, a);
    return Value::of(n / d - (n % d != 0 && (n < 0) != (d < 0)));
}

Value power(Workspace& workspace, const Value& a, const Value& b) {
    if (!a.is_number() || !b.is_number()) no_meaning(workspace, "**", a, b);
    if (!a.is_whole() || !b.is_whole() || b.whole() < 0) {
        if (a.number() == 0 && b.number() < 0) workspace.fail("a division by zero");
        const double result = std::pow(a.number(), b.number());
        if (std::isnan(result)) workspace.fail("a power that is no real number");
        return Value::of(result);
    }
    int64_t result = 1;
    bool overflow = false;
    const int64_t base = a.whole();
    // Beyond 64 factors only -1, 0 and 1 stay inside of 64 bits.
    const int64_t n = b.whole() <= 64 || base < -1 || base > 1 ? b.whole() : b.whole() % 2 + 2;
    for (int64_t i = 0; i < n && !overflow; ++i) overflow = __builtin_mul_overflow(result, base, &result);
    return whole(workspace, overflow, result);
}

bool contains(Workspace& workspace, const Value& value, const Value& container) {
    switch (container.kind) {
    case Kind::undefined: return false;
    case Kind::dict: return find(workspace, *container.dict, value) != nullptr;
    case Kind::list:
        for (const Value& item : container.list->items)
            if (equal(workspace, item, value)) return true;
        return false;
    case Kind::text:
        if (!value.is(Kind::text)) break;
        workspace.work_bytes(4 * container.text->size() + 4 * value.text->size());
        workspace.spend(value.text->size() * sizeof(std::size_t));
        return Search(value.bytes()).find(container.bytes(), 0) != std::string_view::npos;
    default: break;
    }
    no_meaning(workspace, "in", value, container);
}

} // namespace

Value add(Workspace& workspace, const Value& a, const Value& b) {
    if (a.is(Kind::text) && b.is(Kind::text)) {
        Builder out(workspace);
        out.append(*a.text);
        out.append(*b.text);
        return out.value();
    }
    if (a.is(Kind::list) && b.is(Kind::list) && a.list->tuple == b.list->tuple) {
        std::vector<Value> items = items_of(workspace, a);
        const std::vector<Value> more = items_of(workspace, b);
        items.insert(items.end(), more.begin(), more.end());
        return workspace.list(std::move(items), a.list->tuple);
    }
    if (!a.is_number() || !b.is_number()) no_meaning(workspace, "+", a, b);
    if (!a.is_whole() || !b.is_whole()) return Value::of(a.number() + b.number());
    int64_t result = 0;
    const bool overflow = __builtin_add_overflow(a.whole(), b.whole(), &result);
    return whole(workspace, overflow, result);
}

Value modulo(Workspace& workspace, const Value& a, const Value& b) {
    if (a.is(Kind::text)) workspace.fail("the operator % of a text is not known");
    check_division(workspace, "%", a, b);
    if (!a.is_whole() || !b.is_whole()) {
        const double rest = std::fmod(a.number(), b.number());
        if (rest == 0) return Value::of(std::copysign(0.0, b.number()));
        return Value::of((rest < 0) != (b.number() < 0) ? rest + b.number() : rest);
    }
    if (b.whole() == -1) return Value::of(int64_t{0});
    const int64_t rest = a.whole() % b.whole();
    return Value::of(rest != 0 && (rest < 0) != (b.whole() < 0) ? rest + b.whole() : rest);
}

Value negative(Workspace& workspace, const Value& a) {
    if (a.is(Kind::real)) return Value::of(-a.real);
    return subtract(workspace, Value::of(int64_t{0}), a);
}

Value compute(Workspace& workspace, Operator op, const Value& a, const Value& b) {
    workspace.work();
    switch (op) {
    case Operator::add: return add(workspace, a, b);
    case Operator::subtract: return subtract(workspace, a, b);
    case Operator::multiply: return multiply(workspace, a, b);
    case Operator::divide: check_division(workspace, "/", a, b); return Value::of(a.number() / b.number());
    case Operator::floor_divide: return floor_divide(workspace, a, b);
    case Operator::modulo: return modulo(workspace, a, b);
    case Operator::power: return power(workspace, a, b);
    default: assert(!"an arithmetic operator"); return {};
    }
}

bool compare(Workspace& workspace, Operator op, const Value& a, const Value& b) {
    switch (op) {
    case Operator::equal: return equal(workspace, a, b);
    case Operator::not_equal: return !equal(workspace, a, b);
    case Operator::less: return less(workspace, a, b);
    case Operator::greater: return less(workspace, b, a);
    case Operator::less_equal: return less(workspace, a, b) || equal(workspace, a, b);
    case Operator::greater_equal: return less(workspace, b, a) || equal(workspace, a, b);
    case Operator::in: return contains(workspace, a, b);
    case Operator::not_in: return !contains(workspace, a, b);
    default: assert(!"an operator that compares"); return false;
    }
}

} // namespace kvasir::jinja
