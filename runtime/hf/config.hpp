#pragma once

#include "runtime/file/model_file.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kvasir {

/// A config.json, or an object in it. Getters take the first of several names that is there and not null;
/// they give nothing where none is, and throw Error, naming the key, where the value has another kind.
class Config {
  public:
    using Names = std::vector<const char*>;

    /// path is for messages.
    Config(nlohmann::json values, std::string path);

    bool has(const char* name) const { return find({name}) != nullptr; }
    std::optional<int64_t> count(const Names& names) const; ///< 0 or more
    std::optional<double> real(const Names& names) const;
    std::optional<bool> flag(const Names& names) const;
    std::optional<std::string> text(const Names& names) const;
    /// The value as it stands; null where there is none.
    const nlohmann::json* find(const Names& names) const;
    /// The object under a name; an empty one where there is none.
    Config object(const Names& names) const;
    std::optional<std::vector<double>> reals(const Names& names) const;

    int64_t need_count(const Names& names) const; ///< absence is an Error too

    /// Throws Error unless the value under name is `expected` or absent.
    void expect(const char* name, const nlohmann::json& expected) const;

    [[noreturn]] void refuse(const std::string& found, const std::string& attempt) const;

    const std::string& path() const { return path_; }

  private:
    nlohmann::json values_;
    std::string path_;
};

} // namespace kvasir
