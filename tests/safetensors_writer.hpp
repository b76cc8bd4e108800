#pragma once

#include "runtime/dtype.hpp"
#include "tests/gguf_writer.hpp"

#include <nlohmann/json.hpp>

#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <vector>

namespace kvasir {

/// A safetensors file in the making. The header is open, so that a test can also write what no program would.
struct SafetensorsWriter {
    nlohmann::json header = nlohmann::json::object();
    std::vector<std::byte> data{};

    void add(const std::string& name, const std::string& type, const std::vector<uint64_t>& shape,
             std::span<const std::byte> bytes) {
        header[name] = {
            {"dtype", type}, {"shape", shape}, {"data_offsets", {data.size(), data.size() + bytes.size()}}};
        data.insert(data.end(), bytes.begin(), bytes.end());
    }

    void add(const std::string& name, DType dtype, const std::vector<uint64_t>& shape,
             std::span<const float> values) {
        add(name, info(dtype).name, shape, encode(dtype, values));
    }

    std::vector<std::byte> bytes() const { return bytes(header.dump()); }
    std::vector<std::byte> bytes(const std::string& text) const {
        std::vector<std::byte> all(8 + text.size());
        const uint64_t size = text.size();
        std::memcpy(all.data(), &size, 8);
        std::memcpy(all.data() + 8, text.data(), text.size());
        all.insert(all.end(), data.begin(), data.end());
        return all;
    }

    void save(const std::string& path) const {
        const auto all = bytes();
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char*>(all.data()), std::streamsize(all.size()));
    }
};

} // namespace kvasir
