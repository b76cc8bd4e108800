#pragma once

#include <string>

namespace kvasir {

/// The terminal and its signals: the one place with operating-system calls in app.

enum class Stream { in, out, err };

bool is_terminal(Stream stream);

/// From here on Ctrl-C is counted instead of ending the program, and a closed pipe is an error of the write.
/// The third Ctrl-C that nobody looked at ends the program at once (status 130), whatever the device is
/// doing.
void prepare_signals();

int interrupts();         ///< Ctrl-C pressed since forget_interrupts()
void forget_interrupts(); ///< what was stopped has ended

/// Thrown where work stops on Ctrl-C and has nothing to show: exit status 130.
struct Interrupted {};

void throw_if_interrupted();

enum class LineRead { line, end, interrupted };

/// The next line of standard input, without its line end. Ctrl-C while it waits gives `interrupted`. Throws
/// Error where standard input cannot be read.
LineRead read_line(std::string& line);

} // namespace kvasir
