// libFuzzer target: any bytes are a template that renders or an Error, within small limits; and what the
// template did not write is known to come from the messages.

#include "runtime/error.hpp"
#include "runtime/text/jinja/template.hpp"

#include <cstdint>
#include <cstdlib>

namespace jinja = kvasir::jinja;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view source(reinterpret_cast<const char*>(data), size);
    try {
        const jinja::Template chat(source);
        jinja::Workspace workspace({.steps = 20000, .bytes = 1 << 20});
        std::vector<jinja::Value> messages;
        int origin = 0;
        for (const char* role : {"system", "user", "assistant", "user"})
            messages.push_back(workspace.dict(
                {{workspace.text("role"), workspace.text(role)},
                 {workspace.text("content"), workspace.text(" ~A b~\n\xC3\xA9~ ", ++origin)}}));
        const jinja::Text text = chat.render(workspace, {{"messages", workspace.list(messages)},
                                                         {"add_generation_prompt", jinja::Value::of(true)},
                                                         {"tools", jinja::Value{}},
                                                         {"bos_token", workspace.text("<s>")},
                                                         {"eos_token", workspace.text("</s>")}});
        size_t end = 0;
        for (const jinja::Span& span : text.spans()) {
            if (span.begin < end || span.end <= span.begin || span.end > text.size() || span.origin < 1)
                std::abort();
            end = span.end;
        }
        if (source.find_first_of("~\\") != std::string_view::npos) return 0;
        for (size_t i = 0; i < text.size(); ++i)
            if (text.bytes()[i] == '~' && text.origin_at(i) == 0) std::abort();
    } catch (const kvasir::Error&) {
    }
    return 0;
}
