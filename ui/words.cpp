#include "ui/words.hpp"

#include <string_view>
#include <unordered_map>

namespace kvasir::ui {
namespace {

Language current = Language::english;

struct Word {
    const char *english, *chinese;
};
constexpr Word words[] = {
    {"Send", "发送"},
    {"Stop", "停止"},
};

} // namespace

void set_language(Language language) {
    current = language;
}

Language language() {
    return current;
}

const char* tr(const char* english) {
    if (current == Language::english) return english;
    static const auto table = [] {
        std::unordered_map<std::string_view, const char*> map;
        for (const Word& word : words) map.emplace(word.english, word.chinese);
        return map;
    }();
    const auto found = table.find(english);
    return found == table.end() ? english : found->second;
}

} // namespace kvasir::ui
