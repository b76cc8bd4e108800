#pragma once

#include "runtime/text/jinja/syntax.hpp"
#include "runtime/text/jinja/workspace.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvasir::jinja {

/// A chat template: the part of Jinja 3.1 that published templates use, with the white space, the filters and
/// the functions that Hugging Face gives it. What is not known is refused by name. A template is hostile: it
/// reaches nothing but the variables it is given, and rendering ends at the workspace's limits.
class Template {
  public:
    /// Longer ones are refused; the longest published ones have a tenth of it.
    static constexpr std::size_t max_source = 256 << 10;

    /// Throws Error, naming the line, where the source is no template.
    explicit Template(std::string_view source);

    /// The text that it makes of these variables, with the origins that their texts have. Throws Error where
    /// the template raises one, does what has no meaning, or spends more than the workspace allows.
    Text render(Workspace& workspace, const std::vector<std::pair<std::string, Value>>& variables) const;

  private:
    std::shared_ptr<const Statement::Body> body_;
};

} // namespace kvasir::jinja
