#include "ui/token_text.hpp"

namespace kvasir::ui {

std::string token_text(std::string_view label) {
    if (label.empty()) return "''";
    std::string text;
    for (size_t i = 0; i < label.size(); ++i) {
        const char c = label[i];
        if (c == '\n')
            text += "\\n";
        else if (c == '\r')
            text += "\\r";
        else if (c == '\t')
            text += "\\t";
        else if (c == ' ' && (i == 0 || i + 1 == label.size()))
            text += "\u00b7";
        else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            text += "\uFFFD";
        else
            text += c;
    }
    return text;
}

} // namespace kvasir::ui
