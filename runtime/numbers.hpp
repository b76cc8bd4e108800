#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace kvasir {

/// A number with `digits` after the point.
inline std::string fixed(double value, int digits) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

/// Bytes as "12.3 MiB".
inline std::string mebibytes(uint64_t bytes) {
    const auto n = static_cast<double>(bytes);
    if (bytes < 1024) return std::to_string(bytes) + " B";
    if (bytes < 1024 * 1024) return fixed(n / 1024, 1) + " KiB";
    if (bytes < 1024 * 1024 * 1024) return fixed(n / (1024 * 1024), 1) + " MiB";
    return fixed(n / (1024.0 * 1024 * 1024), 2) + " GiB";
}

} // namespace kvasir
