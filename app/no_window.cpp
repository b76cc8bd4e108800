#include "app/commands.hpp"
#include "app/terminal.hpp"
#include "runtime/error.hpp"

namespace kvasir {

int run(const WindowOptions& options) {
    if (!options.script.empty())
        throw Error("playing " + options.script,
                    "this program was built without its window (Dear ImGui 1.92 was not there)",
                    "building it where that can be had");
    notice("kvasir: this program was built without its window; this is the chat in the terminal");
    return run(ChatOptions{.model = options.model, .answer = options.answer});
}

} // namespace kvasir
