#pragma once

#include "tests/scratch_folder.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace kvasir {

struct GgufWriter;

/// How a run of the program ended. status is 128 + the signal where one killed it, as shells count it.
struct Finished {
    int status = -1;
    std::string out, err;
};

/// The program `kvasir` of this build, running, its standard streams in our hands. Whatever waits gives up
/// after two minutes in which nothing was written, and kills it.
class Process {
  public:
    /// output: where standard output goes instead of to us; "": to us. program: a copy of the program to run
    /// instead of it; "": it itself.
    explicit Process(const std::vector<std::string>& arguments, const std::string& output = "",
                     const std::string& program = "");
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process();

    void write(const std::string& text);
    void close_input();
    void close_output(); ///< as a reader that has seen enough
    void interrupt();    ///< Ctrl-C

    /// Waits until this many bytes were written to standard output, or this text to standard error; false
    /// where the program ended or fell silent before.
    bool wait_for_output(size_t bytes);
    bool wait_for_notice(const std::string& text);

    Finished finish(); ///< closes its input and waits for its end

  private:
    bool read_some();

    int pid_ = -1, in_ = -1, out_ = -1, err_ = -1;
    Finished so_far_;
    size_t seen_out_ = 0, seen_err_ = 0; ///< by the waits
};

/// Runs the program with this standard input to its end.
Finished run_kvasir(const std::vector<std::string>& arguments, const std::string& input = "",
                    const std::string& output = "");

/// The program itself, for tests that copy it.
std::string kvasir_binary();

/// A folder for a test's files, removed with all that is in it.
class Folder {
  public:
    std::string operator/(const std::string& name) const { return (scratch_.path / name).string(); }
    std::vector<std::string> names() const; ///< of the files in it, sorted

  private:
    ScratchFolder scratch_;
};

void write_file(const std::string& path, const std::string& text);
std::string read_file(const std::string& path);

/// Writes the model "tiny" of random_model.hpp with a SentencePiece vocabulary, perhaps with more layers, and
/// with what `more` adds.
void write_tiny_model(const std::string& path, uint32_t n_layers = 2,
                      const std::function<void(GgufWriter&)>& more = {});

} // namespace kvasir
