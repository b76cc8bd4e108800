#include "runtime/cache_folder.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

namespace kvasir {
namespace {

namespace fs = std::filesystem;

fs::path folder() {
    if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache) return fs::path(cache) / "kvasir";
    if (const char* home = std::getenv("HOME"); home && *home) return fs::path(home) / ".cache" / "kvasir";
    if (const char* local = std::getenv("LOCALAPPDATA"); local && *local) return fs::path(local) / "kvasir";
    return {};
}

} // namespace

std::vector<std::byte> read_cache_file(const std::string& name) {
    std::ifstream file(folder() / name, std::ios::binary | std::ios::ate);
    if (!file) return {};
    std::vector<std::byte> bytes(static_cast<size_t>(file.tellg()));
    file.seekg(0);
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!file) return {};
    return bytes;
}

void write_cache_file(const std::string& name, std::span<const std::byte> bytes) {
    std::error_code ignored;
    const fs::path target = folder() / name;
    fs::create_directories(target.parent_path(), ignored);
    const fs::path part = target.string() + "." + std::to_string(std::random_device{}());
    {
        std::ofstream file(part, std::ios::binary);
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        if (!file.flush()) {
            fs::remove(part, ignored);
            return;
        }
    }
    fs::rename(part, target, ignored);
    if (ignored) fs::remove(part, ignored);
}

} // namespace kvasir
