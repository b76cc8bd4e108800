#include "runtime/text/special_tokens.hpp"

#include <algorithm>
#include <functional>

namespace kvasir {

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary, bool with_control) {
    for (int32_t id = 0; id < vocabulary.size(); ++id) {
        const bool control = vocabulary.is(id, TokenType::control) || vocabulary.is(id, TokenType::unknown);
        if (!vocabulary.is(id, TokenType::user_defined) && !(control && with_control)) continue;
        const std::string_view label = vocabulary.labels[static_cast<std::size_t>(id)];
        ids_.insert(label, id);
        sizes_[static_cast<unsigned char>(label[0])].push_back(label.size());
    }
    for (auto& sizes : sizes_) {
        std::sort(sizes.begin(), sizes.end(), std::greater<>());
        sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    }
}

} // namespace kvasir
