#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace kvasir {

/// A file mapped read-only. Throws Error where it cannot be opened, is a folder, or is empty.
/// The one place with operating-system calls in runtime/file.
class MappedFile {
  public:
    MappedFile() = default;
    explicit MappedFile(const std::string& path);
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    ~MappedFile();

    std::span<const std::byte> bytes() const { return bytes_; }

    /// Gives the memory of these bytes back, where they lie in this file; they can still be read, then from
    /// the file again.
    void release(std::span<const std::byte> part) const;

  private:
    std::span<const std::byte> bytes_;
};

} // namespace kvasir
