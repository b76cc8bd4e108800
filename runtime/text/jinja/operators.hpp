#pragma once

#include "runtime/text/jinja/syntax.hpp"
#include "runtime/text/jinja/workspace.hpp"

namespace kvasir::jinja {

/// a op b of one of the arithmetic operators. Integers have 64 bits; throws Error where one gets
/// longer, and for kinds that the operator has no meaning for.
Value compute(Workspace& workspace, Operator op, const Value& a, const Value& b);
Value add(Workspace& workspace, const Value& a, const Value& b);
Value modulo(Workspace& workspace, const Value& a, const Value& b);
Value negative(Workspace& workspace, const Value& a);

/// a op b of one of the operators that compare, and `in`.
bool compare(Workspace& workspace, Operator op, const Value& a, const Value& b);

} // namespace kvasir::jinja
