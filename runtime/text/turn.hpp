#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvasir {

/// One part of a conversation.
struct Turn {
    std::string role; ///< "system", "user" or "assistant"
    std::string text;
    /// An answer as the model wrote it, up to what ended it: read instead of text where not empty.
    std::vector<int32_t> ids = {};
};

} // namespace kvasir
