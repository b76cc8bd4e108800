#pragma once

#include "runtime/file/model_file.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace kvasir {

/// Throws Error about the shape of a model file.
[[noreturn]] void refuse_shape(const ModelFile& file, const std::string& found, const std::string& attempt);

/// Metadata of one family: keys are written without its prefix "<family>.". Getters throw Error where the
/// value has another kind.
class FamilyKeys {
  public:
    FamilyKeys(const ModelFile& file, const std::string& family) : file_(file), prefix_(family + ".") {}

    bool has(const char* key) const { return file_.metadata.values.contains(prefix_ + key); }
    /// A count that fits uint32; a per-layer array must have the same value everywhere.
    std::optional<uint32_t> count(const char* key) const;
    std::optional<double> real(const char* key) const { return file_.metadata.real(prefix_ + key); }
    std::optional<bool> flag(const char* key) const { return file_.metadata.flag(prefix_ + key); }
    std::optional<std::string> text(const char* key) const { return file_.metadata.text(prefix_ + key); }

    /// As above, but absence is an Error that names the key.
    uint32_t need_count(const char* key) const;
    double need_real(const char* key) const;

    /// Refuses every key of the family that Kvasir does not understand.
    void check_all_known() const;

  private:
    [[noreturn]] void absent(const char* key) const;

    const ModelFile& file_;
    std::string prefix_;
};

} // namespace kvasir
