#include "runtime/hf/config.hpp"

#include "runtime/error.hpp"

#include <cmath>

namespace kvasir {

namespace {

std::string shown_json(const nlohmann::json& value) {
    return kvasir::quoted(value.dump());
}

} // namespace

Config::Config(nlohmann::json values, std::string path) : values_(std::move(values)), path_(std::move(path)) {
    if (!values_.is_object()) refuse("it is not a JSON object", "another copy of the model");
}

void Config::refuse(const std::string& found, const std::string& attempt) const {
    throw Error("reading " + path_, found, attempt);
}

const nlohmann::json* Config::find(const Names& names) const {
    for (const char* name : names)
        if (const auto it = values_.find(name); it != values_.end() && !it->is_null()) return &*it;
    return nullptr;
}

std::optional<int64_t> Config::count(const Names& names) const {
    const auto* value = find(names);
    if (!value) return std::nullopt;
    if (value->is_number_integer() && *value >= 0 && *value <= (int64_t{1} << 40))
        return value->get<int64_t>();
    // Some are written as 32768.0.
    if (value->is_number_float() && *value >= 0 && *value <= 1e12 &&
        std::floor(value->get<double>()) == *value)
        return static_cast<int64_t>(value->get<double>());
    refuse(std::string(names.front()) + " is " + shown_json(*value) + ", no count",
           "another copy of the model");
}

std::optional<double> Config::real(const Names& names) const {
    const auto* value = find(names);
    if (!value) return std::nullopt;
    if (!value->is_number())
        refuse(std::string(names.front()) + " is " + shown_json(*value) + ", no number",
               "another copy of the model");
    return value->get<double>();
}

std::optional<bool> Config::flag(const Names& names) const {
    const auto* value = find(names);
    if (!value) return std::nullopt;
    if (!value->is_boolean())
        refuse(std::string(names.front()) + " is " + shown_json(*value) + ", not true or false",
               "another copy of the model");
    return value->get<bool>();
}

std::optional<std::string> Config::text(const Names& names) const {
    const auto* value = find(names);
    if (!value) return std::nullopt;
    if (!value->is_string())
        refuse(std::string(names.front()) + " is " + shown_json(*value) + ", no text",
               "another copy of the model");
    return value->get<std::string>();
}

Config Config::object(const Names& names) const {
    const auto* value = find(names);
    return Config(value ? *value : nlohmann::json::object(), path_);
}

std::optional<std::vector<double>> Config::reals(const Names& names) const {
    const auto* value = find(names);
    if (!value) return std::nullopt;
    std::vector<double> list;
    for (const auto& item : *value) {
        if (!value->is_array() || !item.is_number())
            refuse(std::string(names.front()) + " is no array of numbers", "another copy of the model");
        list.push_back(item.get<double>());
    }
    return list;
}

int64_t Config::need_count(const Names& names) const {
    const auto value = count(names);
    if (!value) refuse(std::string(names.front()) + " is missing", "another copy of the model");
    return *value;
}

void Config::expect(const char* name, const nlohmann::json& expected) const {
    const auto* value = find({name});
    if (value && *value != expected)
        refuse(std::string(name) + " is " + shown_json(*value) + ", and only " + shown_json(expected) +
                   " is supported",
               "a model of the same family without it");
}

} // namespace kvasir
