#pragma once

#include "runtime/text/jinja/workspace.hpp"

#include <optional>
#include <string>

namespace kvasir::jinja {

/// What json.dumps of Python takes, with the default that Hugging Face's tojson has.
struct JsonStyle {
    bool ascii = false;
    std::optional<std::string> indent = {}; ///< of one level; nothing: all on one line
    std::string comma = ", ", colon = ": ";
    bool sorted = false;
};

/// A value as JSON; throws Error for what JSON cannot hold.
void write_json(Builder& out, Workspace& workspace, const Value& value, const JsonStyle& style,
                int depth = 0);

} // namespace kvasir::jinja
