#include "runtime/file/mapped_file.hpp"

#include "runtime/error.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kvasir {

namespace {

/// Closes on every way out of the constructor; the mapping outlives its descriptor.
struct Descriptor {
    int fd;
    ~Descriptor() {
        if (fd >= 0) close(fd);
    }
};

} // namespace

MappedFile::MappedFile(const std::string& path) {
    const std::string asked = "opening " + path;
    // O_NONBLOCK: a named pipe without a writer would otherwise wait for ever before it can be refused.
    const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (file.fd < 0) {
        const int fault = errno;
        throw Error(asked, std::strerror(fault),
                    fault == EACCES ? "giving yourself the right to read it"
                                    : "another path, or check its spelling");
    }
    struct stat status = {};
    if (fstat(file.fd, &status) != 0) throw Error(asked, std::strerror(errno), "another file");
    if (S_ISDIR(status.st_mode)) throw Error(asked, "it is a folder", "the path of a .gguf file inside it");
    if (!S_ISREG(status.st_mode)) throw Error(asked, "it is not a regular file", "the path of a .gguf file");
    if (status.st_size == 0) throw Error(asked, "it is empty (0 bytes)", "getting the file again");
    const auto size = static_cast<size_t>(status.st_size);
    void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (address == MAP_FAILED)
        throw Error(asked, "mapping its " + std::to_string(size) + " bytes failed: " + std::strerror(errno),
                    "a smaller model, or raise the limit of address space (ulimit -v)");
    bytes_ = {static_cast<const std::byte*>(address), size};
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
}

void MappedFile::release(std::span<const std::byte> part) const {
    if (part.empty() || part.data() < bytes_.data() ||
        part.data() + part.size() > bytes_.data() + bytes_.size())
        return;
    // Pages that begin in the part; the one that it ends in belongs to what follows, which may be read next.
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto first = reinterpret_cast<uintptr_t>(part.data()) / page * page,
               end = reinterpret_cast<uintptr_t>(part.data() + part.size()) / page * page;
    // A mere hint: a system that does not take it keeps the pages for as long as it has room.
    if (end > first) madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
    if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

} // namespace kvasir
