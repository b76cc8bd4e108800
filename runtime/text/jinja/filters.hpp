#pragma once

#include "runtime/text/jinja/library.hpp"

#include <span>
#include <string_view>

namespace kvasir::jinja {

using Filter = Value (*)(Workspace&, const Value& input, Arguments&);

struct FilterEntry {
    std::string_view name;
    Filter filter;
};

/// The filters that go through the items of a value; is_filter and apply_filter know them too.
std::span<const FilterEntry> list_filters();

} // namespace kvasir::jinja
