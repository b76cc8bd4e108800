#include "tests/what_runs.hpp"

#include "runtime/quantize.hpp"
#include "tests/family_cases.hpp"
#include "tests/golden.hpp"
#include "tests/hf_folder.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <regex>
#include <set>

namespace kvasir {
namespace {

/// With one digit, rounded up: "8e-07".
std::string one_digit(double error) {
    if (error <= 0) return "0";
    const int exponent = static_cast<int>(std::floor(std::log10(error)));
    const double power = std::pow(10, exponent);
    char text[32];
    std::snprintf(text, sizeof text, "%.0e", std::ceil(error / power - 1e-6) * power);
    return text;
}

std::string joined(const std::vector<std::string>& parts, const char* between) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : between) + part;
    return text;
}

std::string family_row(const std::string& family, const std::map<std::string, double>& errors) {
    std::set<std::string> folders;
    for (const HfModel& model : hf_models())
        if (model.m.family == family) folders.insert(model.type);
    std::vector<std::string> cases, golden;
    for (const auto& list : {gpt_families(), llama_families(), expert_families()})
        for (const FamilyCase& each : list)
            if (each.m.family == family) cases.push_back(each.name);
    for (const auto& [name, of] : arch_models)
        if (of == family)
            golden.push_back(name + " " + one_digit(errors.contains(name) ? errors.at(name) : 0));
    return "| " + family + " | " + joined({folders.begin(), folders.end()}, ", ") + " | " +
           joined(cases, "; ") + " | " + joined(golden, ", ") + " |\n";
}

} // namespace

std::string what_runs(const std::map<std::string, double>& errors) {
    std::string text =
        "| family | model_type of folders | seeded models, against the reference | golden models: "
        "relative error |\n|---|---|---|---|\n";
    for (const std::string& family : families()) text += family_row(family, errors);
    std::vector<std::string> stated;
    for (const FamilyCase& each : stated_models()) stated.push_back(each.name);
    text += "| any | spec.json | " + joined(stated, "; ") + " | |\n\n";
    text += "| type | bits a weight | `--quantize` |\n|---|---|---|\n";
    for (const DTypeInfo& type : all_dtypes()) {
        char bits[32];
        std::snprintf(bits, sizeof bits, "%.4g", 8.0 * type.block_bytes / type.block);
        const bool written = std::ranges::count(quantised_types, type.dtype) > 0;
        text += std::string("| ") + type.name + " | " + bits + " | " + (written ? "yes" : "") + " |\n";
    }
    return text;
}

std::map<std::string, double> stated_errors(const std::string& text) {
    std::map<std::string, double> errors;
    const std::regex each("([a-z][a-z0-9-]*) (\\d(?:\\.\\d+)?e-\\d+|0)(?=[, |])");
    for (std::sregex_iterator i(text.begin(), text.end(), each), end; i != end; ++i)
        errors[(*i)[1]] = std::stod((*i)[2]);
    return errors;
}

std::string readme() {
    std::ifstream file(std::string(KVASIR_SOURCE_DIR) + "/README.md");
    return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace kvasir
