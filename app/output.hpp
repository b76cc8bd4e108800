#pragma once

#include "runtime/numbers.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

/// Thrown where the reader of standard output has gone (`kvasir ... | head`): the program ends quietly,
/// status 0.
struct OutputClosed {};

/// Writes to standard output at once. Throws OutputClosed, or Error where it cannot be written.
void print(std::string_view text);

/// Writes one line to standard error.
void notice(std::string_view line);

/// A line of standard error that the next one replaces, ten times a second at most; "" removes it. Nothing
/// where standard error is no terminal.
void show_progress(std::string_view line);

/// As one line of indented JSON text with a line end; bytes that are not UTF-8 become U+FFFD.
std::string to_text(const nlohmann::json& json);

/// Text from a file for a terminal: control characters (escape sequences) but line ends and tabs become
/// U+FFFD.
std::string harmless(std::string_view text);

/// As harmless, on one line: line ends and tabs are written as \n, \r and \t.
std::string one_line(std::string_view text);

/// Rows of cells in aligned columns, two spaces apart; cells that begin with a digit to the right, others to
/// the left.
std::string table(const std::vector<std::vector<std::string>>& rows);

/// Names and what they are, a line each.
std::string fields(const std::vector<std::pair<std::string, std::string>>& pairs);

/// A file, or with "-" standard input, whole. Throws Error.
std::string read_text(const std::string& path);

/// A file that appears under its name only when it is complete: written beside it, renamed by commit(). A
/// path that is no regular file (a pipe, a device) is written directly. Throws Error, at once where it cannot
/// be written.
class OutputFile {
  public:
    explicit OutputFile(const std::string& path);
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;
    ~OutputFile();

    void write(const void* data, size_t bytes);
    void write(std::string_view text) { write(text.data(), text.size()); }
    void commit();

  private:
    [[noreturn]] void fail();

    std::string path_, partial_; ///< partial_ is path_ where it is written directly
    std::FILE* file_ = nullptr;
};

} // namespace kvasir
