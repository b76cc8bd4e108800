#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kvasir {

/// The names of the models that come with the program; the first is the one that runs where no MODEL is
/// given.
std::span<const std::string_view> built_in_models();

/// The file of a built-in model; nothing where `name` is none of theirs. Looked for beside the executable as
/// installed (../share/kvasir/assets) and as built (../../assets), so that either may be moved, then in the
/// checkout it was built from. Throws Error, naming these folders, where none has it.
std::optional<std::string> built_in_path(std::string_view name);

} // namespace kvasir
