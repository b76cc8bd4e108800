#include "app/output.hpp"

#include "app/terminal.hpp"
#include "runtime/error.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

namespace kvasir {

namespace {

using Clock = std::chrono::steady_clock;

bool progress_shown = false;
Clock::time_point progress_time = Clock::now(); ///< of the last line; what is over sooner shows none

/// Columns that a text takes: its characters, counted by their first bytes.
size_t width(std::string_view text) {
    return static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

/// A number, perhaps with its unit.
bool is_number(std::string_view cell) {
    return cell.find_first_of("0123456789") != std::string::npos &&
           cell.find_first_not_of("0123456789.-+ %KMGiB") == std::string::npos;
}

} // namespace

void print(std::string_view text) {
    errno = 0;
    const bool written =
        std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    if (written) return;
    if (errno == EPIPE) throw OutputClosed{};
    throw Error("writing to standard output", std::strerror(errno),
                "freeing space or another place for the output");
}

void notice(std::string_view line) {
    show_progress("");
    std::string text(line);
    text += '\n';
    std::fwrite(text.data(), 1, text.size(), stderr);
}

void show_progress(std::string_view line) {
    if (line.empty() && !progress_shown) return;
    if (!is_terminal(Stream::err)) return;
    const bool too_soon = Clock::now() - progress_time < std::chrono::milliseconds(100);
    if (!line.empty() && too_soon) return;
    progress_time = Clock::now();
    std::fprintf(stderr, "\r\033[K%.*s", static_cast<int>(line.size()), line.data());
    progress_shown = !line.empty();
}

std::string to_text(const nlohmann::json& json) {
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string harmless(std::string_view text) {
    std::string out;
    for (char c : text) {
        const bool control = (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
        control ? out += "\uFFFD" : out += c;
    }
    return out;
}

std::string one_line(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '\n')
            out += "\\n";
        else if (c == '\r')
            out += "\\r";
        else if (c == '\t')
            out += "\\t";
        else
            out += c;
    }
    return harmless(out);
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<size_t> widths;
    std::vector<bool> numbers;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        numbers.resize(widths.size());
        for (size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], width(row[i]));
            numbers[i] = numbers[i] || is_number(row[i]);
        }
    }
    std::string out;
    for (const auto& row : rows) {
        std::string line;
        for (size_t i = 0; i < row.size(); ++i) {
            const std::string space(widths[i] - width(row[i]), ' ');
            line += (i ? "  " : "") + (numbers[i] ? space + row[i] : row[i] + space);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

std::string fields(const std::vector<std::pair<std::string, std::string>>& pairs) {
    size_t widest = 0;
    for (const auto& [name, value] : pairs) widest = std::max(widest, width(name));
    std::string out;
    for (const auto& [name, value] : pairs)
        out += name + std::string(widest - width(name) + 2, ' ') + value + "\n";
    return out;
}

std::string read_text(const std::string& path) {
    const std::string name = path == "-" ? "standard input" : path;
    if (path != "-" && std::filesystem::is_directory(path))
        throw Error("reading " + name, "it is a folder", "a file");
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> opened(
        path == "-" ? nullptr : std::fopen(path.c_str(), "rb"),
        [](std::FILE* f) { return f ? std::fclose(f) : 0; });
    std::FILE* file = path == "-" ? stdin : opened.get();
    if (!file) throw Error("reading " + name, std::strerror(errno), "another path");
    std::string text;
    char block[65536];
    while (const size_t n = std::fread(block, 1, sizeof block, file)) {
        text.append(block, n);
        throw_if_interrupted();
    }
    if (std::ferror(file)) throw Error("reading " + name, std::strerror(errno), "another file");
    return text;
}

OutputFile::OutputFile(const std::string& path) : path_(path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
        throw Error("writing " + path, "it is a folder", "a file name in it");
    const bool direct =
        std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored);
    if (std::filesystem::is_symlink(path, ignored) && !direct)
        path_ = std::filesystem::weakly_canonical(path, ignored);
    partial_ = direct ? path_ : path_ + ".partial";
    file_ = std::fopen(partial_.c_str(), "wb");
    if (!file_)
        throw Error("writing " + path_, std::strerror(errno), "a folder that exists and can be written");
}

OutputFile::~OutputFile() {
    if (!file_) return;
    std::fclose(file_);
    if (partial_ != path_) std::remove(partial_.c_str());
}

void OutputFile::fail() {
    throw Error("writing " + path_, std::strerror(errno),
                "freeing space or another place (no part of it is left)");
}

void OutputFile::write(const void* data, size_t bytes) {
    if (std::fwrite(data, 1, bytes, file_) != bytes) fail();
}

void OutputFile::commit() {
    if (std::fflush(file_) != 0) fail();
    std::error_code error;
    if (partial_ != path_) std::filesystem::rename(partial_, path_, error);
    if (error) throw Error("writing " + path_, error.message(), "another place");
    const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
    if (!closed) fail();
}

} // namespace kvasir
