#pragma once

#include <charconv>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace kvasir {

/// A fault of the world (file, device, input): what was asked, what was found, what to try. Faults of our own
/// are asserts. `what()` is the one line that is shown: "asked: found; try ...".
class Error : public std::runtime_error {
  public:
    Error(const std::string& asked, const std::string& found, const std::string& attempt)
        : std::runtime_error(asked + ": " + found + "; try " + attempt) {}
};

/// A name taken from a file, fit for one line of a message: in double quotes, with every byte that is not
/// printable ASCII as \xNN, and cut after 80 bytes. Names in files are hostile: they can hold line ends and
/// terminal codes.
inline std::string quoted(std::string_view name) {
    constexpr size_t limit = 80;
    constexpr char digits[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : name.substr(0, limit)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\')
            out += c;
        else
            out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    }
    if (name.size() > limit) out += "...";
    return out + '"';
}

/// The shortest text that reads back as this number: "0.1", "1e-05", "nan".
inline std::string shown(double number) {
    char text[32];
    return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

} // namespace kvasir
