#include "runtime/file/json.hpp"

#include "runtime/error.hpp"
#include "runtime/file/mapped_file.hpp"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include <nlohmann/json.hpp>

namespace kvasir {

namespace {

/// "line 3, column 14", both from 1, of a byte; columns count bytes.
std::string place(std::string_view text, size_t at) {
    const std::string_view before = text.substr(0, at);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t line_start = before.rfind('\n') + 1; // 0 where there is none: npos + 1
    return "line " + std::to_string(line) + ", column " + std::to_string(before.size() - line_start + 1);
}

} // namespace

nlohmann::json parse_json(std::string_view text, const std::string& path) {
    using nlohmann::json;
    const std::string asked = "reading " + path;
    std::vector<std::unordered_set<std::string>> keys; // of the objects that are open
    const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
        if (depth > json_max_depth)
            throw Error(asked, "it is nested deeper than " + std::to_string(json_max_depth) + " levels",
                        "another copy of the file");
        if (event == json::parse_event_t::object_start) keys.emplace_back();
        if (event == json::parse_event_t::object_end) keys.pop_back();
        if (event == json::parse_event_t::key &&
            !keys.back().insert(parsed.get_ref<const std::string&>()).second)
            throw Error(asked,
                        "it has the key " + kvasir::quoted(parsed.get_ref<const std::string&>()) +
                            " twice in one object",
                        "another copy of the file");
        return true;
    };
    try {
        return json::parse(text, check);
    } catch (const json::parse_error& error) {
        // The parser counts the bytes it has taken; the last of them is the one that does not fit.
        const size_t at = std::min(text.size(), error.byte > 0 ? error.byte - 1 : 0);
        const std::string found = at < text.size() ? quoted(text.substr(at, 12)) : "the end of the text";
        throw Error(asked, "it is not JSON at " + place(text, at) + ", which is " + found,
                    "getting the file again, it is cut short or damaged");
    } catch (const json::exception&) { // out of double's range: the parser does not say where
        throw Error(asked, "it has a number that no double can hold", "another copy of the file");
    }
}

nlohmann::json read_json(const std::string& path) {
    const MappedFile map(path);
    return parse_json({reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()}, path);
}

} // namespace kvasir
