// libFuzzer target: any bytes are JSON or an Error, and JSON survives being written and read again.

#include "runtime/error.hpp"
#include "runtime/file/json.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        const auto value = kvasir::parse_json({reinterpret_cast<const char*>(data), size}, "fuzz.json");
        if (kvasir::parse_json(value.dump(), "again.json") != value) std::abort();
    } catch (const kvasir::Error&) {
    }
    return 0;
}
