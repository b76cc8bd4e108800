#include "ui/words.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

// Every text that the interface shows has a translation, and one that takes the same values.

namespace kvasir::ui {
namespace {

std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string unescaped(const std::string& literal) {
    std::string out;
    for (size_t i = 0; i < literal.size(); ++i) {
        if (literal[i] != '\\') {
            out += literal[i];
            continue;
        }
        ++i;
        out += literal[i] == 'n' ? '\n' : literal[i];
    }
    return out;
}

/// Every literal that is passed to tr(), its parts joined.
std::set<std::string> keys() {
    const std::regex part(R"re("((?:[^"\\]|\\.)*)")re");
    std::set<std::string> found;
    for (const auto& file : std::filesystem::directory_iterator(std::string(KVASIR_SOURCE_DIR) + "/ui")) {
        if (file.path().extension() != ".cpp") continue;
        const std::string text = contents(file.path());
        for (size_t at = text.find("tr(\""); at != std::string::npos; at = text.find("tr(\"", at + 1)) {
            if (at > 0 && (std::isalnum(static_cast<unsigned char>(text[at - 1])) || text[at - 1] == '_'))
                continue;
            std::string key;
            std::smatch match;
            auto from = text.begin() + ptrdiff_t(at) + 3;
            while (std::regex_search(from, text.end(), match, part, std::regex_constants::match_continuous)) {
                key += match[1];
                from =
                    std::find_if(match[0].second, text.end(), [](char c) { return c != ' ' && c != '\n'; });
            }
            found.insert(unescaped(key));
        }
    }
    return found;
}

/// The conversions of a printf pattern, in order.
std::vector<std::string> conversions(const std::string& pattern) {
    const std::regex regex("%(%|[-+0-9.]*(?:ll|z)?[a-zA-Z])");
    std::vector<std::string> found;
    for (std::sregex_iterator i(pattern.begin(), pattern.end(), regex), end; i != end; ++i)
        found.push_back((*i)[0]);
    return found;
}

} // namespace

TEST_CASE("words: every text of the interface has its Chinese, with the same values in it") {
    const auto all = keys();
    REQUIRE(all.size() > 100);
    set_language(Language::chinese);
    for (const std::string& key : all) {
        CAPTURE(key);
        const char* translated = tr(key.c_str());
        CHECK(translated != key.c_str()); // an unknown text comes back itself
        CHECK(conversions(translated) == conversions(key));
        const size_t id = key.find("##");
        if (id != std::string::npos) CHECK(std::string(translated).ends_with(key.substr(id)));
    }
    set_language(Language::english);
    CHECK(std::string(tr("Stop")) == "Stop");
}

} // namespace kvasir::ui
