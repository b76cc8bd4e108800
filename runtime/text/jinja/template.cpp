#include "runtime/text/jinja/template.hpp"

#include "runtime/text/jinja/interpreter.hpp"
#include "runtime/text/jinja/parser.hpp"

namespace kvasir::jinja {

Template::Template(std::string_view source) {
    if (source.size() > max_source)
        refuse(0, "it has " + std::to_string(source.size()) + " bytes, and " + std::to_string(max_source) +
                      " are the most");
    body_ = std::make_shared<const Statement::Body>(Parser(tokenize(source)).run());
}

Text Template::render(Workspace& workspace,
                      const std::vector<std::pair<std::string, Value>>& variables) const {
    Builder out(workspace);
    Interpreter(workspace, out).run(*body_, variables);
    return out.take();
}

} // namespace kvasir::jinja
