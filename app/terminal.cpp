#include "app/terminal.hpp"

#include "runtime/error.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace kvasir {

namespace {

std::atomic<int> count{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

// The handler may run on a driver's thread, so that a read in the main thread is not cut short by it: it
// writes to this pipe, which read_line waits for beside standard input.
int wake[2] = {-1, -1};

extern "C" void on_interrupt(int) {
    const int saved = errno;
    if (++count >= 3) _exit(130);
    [[maybe_unused]] const ssize_t written = write(wake[1], "", 1);
    errno = saved;
}

Error input_error() {
    return Error("reading standard input", std::strerror(errno), "a file or a terminal as input");
}

/// Waits until standard input can be read; false on Ctrl-C.
bool wait_for_input() {
    pollfd files[2] = {{STDIN_FILENO, POLLIN, 0}, {wake[0], POLLIN, 0}};
    while (interrupts() == 0) {
        if (poll(files, 2, -1) < 0 && errno != EINTR) throw input_error();
        if (interrupts() == 0 && files[0].revents != 0) return true;
    }
    return false;
}

} // namespace

bool is_terminal(Stream stream) {
    constexpr int files[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    return isatty(files[static_cast<int>(stream)]) == 1;
}

void prepare_signals() {
    if (pipe(wake) != 0) throw Error("preparing for Ctrl-C", std::strerror(errno), "closing other programs");
    for (int end : wake) {
        fcntl(end, F_SETFL, O_NONBLOCK);
        fcntl(end, F_SETFD, FD_CLOEXEC);
    }
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

int interrupts() {
    return count;
}

void forget_interrupts() {
    char drained[16];
    while (read(wake[0], drained, sizeof drained) > 0) {
    }
    count = 0;
}

void throw_if_interrupted() {
    if (interrupts() > 0) throw Interrupted{};
}

LineRead read_line(std::string& line) {
    static std::string buffer; // read, but after the last line's end
    for (size_t searched = 0;;) {
        if (const size_t end = buffer.find('\n', searched); end != std::string::npos) {
            line = buffer.substr(0, end > 0 && buffer[end - 1] == '\r' ? end - 1 : end);
            buffer.erase(0, end + 1);
            return LineRead::line;
        }
        searched = buffer.size();
        if (!wait_for_input()) return LineRead::interrupted;
        char block[4096];
        const ssize_t n = read(STDIN_FILENO, block, sizeof block);
        if (n < 0 && errno != EINTR && errno != EAGAIN) throw input_error();
        if (n > 0) buffer.append(block, static_cast<size_t>(n));
        if (n == 0) {
            line.swap(buffer);
            buffer.clear();
            return line.empty() ? LineRead::end : LineRead::line;
        }
    }
}

} // namespace kvasir
