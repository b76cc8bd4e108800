#pragma once

#include "runtime/error.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace kvasir {

/// Reads little-endian values one after another and never past the end: a read that does not fit throws Error
/// with the file, what was being read, and the offset. `what` completes "in FILE, WHAT at byte N needs ...".
class Cursor {
  public:
    Cursor(std::span<const std::byte> bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {}

    uint64_t offset() const { return offset_; }
    uint64_t left() const { return bytes_.size() - offset_; }
    const std::string& file() const { return file_; }

    template <typename T>
    T number(std::string_view what) {
        static_assert(std::endian::native == std::endian::little,
                      "values are taken from the file as they are");
        need(sizeof(T), what);
        T value;
        std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
        offset_ += sizeof(T);
        return value;
    }

    /// A number of things that follow, each at least item_bytes long: refused where the rest of the file
    /// cannot hold them, so that nothing is ever allocated for a count that is not backed by bytes.
    template <typename T>
    uint64_t count(uint64_t item_bytes, std::string_view what) {
        const uint64_t at = offset_;
        const uint64_t n = number<T>(what);
        if (n > left() / item_bytes)
            throw Error("reading " + file_,
                        std::string(what) + " at byte " + std::to_string(at) + " says " + std::to_string(n) +
                            ", at least " + std::to_string(item_bytes) + " bytes each, and " +
                            std::to_string(left()) + " bytes are left",
                        "getting the file again, it is cut short or damaged");
        return n;
    }

    /// A string: its length as uint64, then its bytes.
    std::string text(std::string_view what) {
        const uint64_t n = count<uint64_t>(1, what);
        std::string value(reinterpret_cast<const char*>(bytes_.data() + offset_), n);
        offset_ += n;
        return value;
    }

  private:
    void need(uint64_t n, std::string_view what) const {
        if (n <= left()) return;
        throw Error("reading " + file_,
                    std::string(what) + " at byte " + std::to_string(offset_) + " needs " +
                        std::to_string(n) + " bytes, and " + std::to_string(left()) + " of the file's " +
                        std::to_string(bytes_.size()) + " bytes are left",
                    "getting the file again, it is cut short");
    }

    std::span<const std::byte> bytes_;
    std::string file_;
    uint64_t offset_ = 0;
};

} // namespace kvasir
