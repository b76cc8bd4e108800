#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace kvasir {

/// The bytes of a file in the user's cache folder ($XDG_CACHE_HOME/kvasir, else ~/.cache/kvasir); empty where
/// there is none or it cannot be read.
std::vector<std::byte> read_cache_file(const std::string& name);

/// Replaces such a file in one step (a reader sees the old or the new one). Does nothing where it cannot.
void write_cache_file(const std::string& name, std::span<const std::byte> bytes);

} // namespace kvasir
