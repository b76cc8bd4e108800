#include "app/commands.hpp"
#include "app/models.hpp"
#include "app/output.hpp"
#include "runtime/error.hpp"
#include "runtime/text/tokenizer.hpp"

#include <nlohmann/json.hpp>

namespace kvasir {

namespace {

std::vector<std::string> read_cases(const std::string& path) {
    const std::string text = read_text(path);
    try {
        return nlohmann::json::parse(text).get<std::vector<std::string>>();
    } catch (const nlohmann::json::exception& error) {
        throw Error("reading the cases in " + path, error.what(), "a JSON array of strings");
    }
}

std::string line(const std::vector<int32_t>& ids) {
    std::string out;
    for (int32_t id : ids) out += (out.empty() ? "" : " ") + std::to_string(id);
    return out + "\n";
}

} // namespace

int run(const TokenizeOptions& options) {
    const Tokenizer tokenizer(read_model(model_path(options.model)).metadata);
    auto encode = [&](const std::string& text) { return tokenizer.encode(text, false, false); };
    if (options.cases.empty()) {
        const std::vector<int32_t> ids = encode(read_text(options.text));
        print(options.json ? to_text(ids) : line(ids));
        return 0;
    }
    nlohmann::json all = nlohmann::json::array();
    for (const std::string& text : read_cases(options.cases)) {
        const std::vector<int32_t> ids = encode(text);
        if (options.json)
            all.push_back(ids);
        else
            print(line(ids));
    }
    if (options.json) print(to_text(all));
    return 0;
}

} // namespace kvasir
