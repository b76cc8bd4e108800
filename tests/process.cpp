#include "tests/process.hpp"

#include "tests/random_model.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kvasir {

namespace {

constexpr int patience_ms = 120'000;

std::array<int, 2> new_pipe() {
    std::array<int, 2> ends{};
    REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0);
    return ends;
}

void close_once(int& file) {
    if (file >= 0) close(file);
    file = -1;
}

[[noreturn]] void become(const std::string& program, std::vector<std::string> arguments, int in, int out,
                         int err) {
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    arguments.insert(arguments.begin(), program);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    execv(program.c_str(), pointers.data());
    _exit(127);
}

} // namespace

Process::Process(const std::vector<std::string>& arguments, const std::string& output,
                 const std::string& program) {
    std::signal(SIGPIPE, SIG_IGN);
    auto in = new_pipe(), out = new_pipe(), err = new_pipe();
    const int target =
        output.empty() ? out[1] : open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(target >= 0);
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
        std::signal(SIGPIPE, SIG_DFL); // an ignored signal would stay ignored in the program
        become(program.empty() ? kvasir_binary() : program, arguments, in[0], target, err[1]);
    }
    if (target != out[1]) close(target);
    for (int end : {in[0], out[1], err[1]}) close(end);
    in_ = in[1];
    out_ = out[0];
    err_ = err[0];
}

Process::~Process() {
    for (int* file : {&in_, &out_, &err_}) close_once(*file);
    if (pid_ > 0) {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
}

void Process::write(const std::string& text) {
    for (size_t done = 0; done < text.size();) {
        const ssize_t n = ::write(in_, text.data() + done, text.size() - done);
        if (n <= 0) return; // it has ended; its status says why
        done += static_cast<size_t>(n);
    }
}

void Process::close_input() {
    close_once(in_);
}
void Process::close_output() {
    close_once(out_);
}
void Process::interrupt() {
    kill(pid_, SIGINT);
}

bool Process::read_some() {
    pollfd files[2] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}};
    if ((out_ < 0 && err_ < 0) || poll(files, 2, patience_ms) <= 0) return false;
    auto take = [](const pollfd& from, int& file, std::string& to) {
        if (from.revents == 0) return;
        char block[65536];
        const ssize_t n = read(file, block, sizeof block);
        if (n > 0)
            to.append(block, static_cast<size_t>(n));
        else
            close_once(file);
    };
    take(files[0], out_, so_far_.out);
    take(files[1], err_, so_far_.err);
    return true;
}

bool Process::wait_for_output(size_t bytes) {
    while (so_far_.out.size() < seen_out_ + bytes)
        if (!read_some()) return false;
    seen_out_ = so_far_.out.size();
    return true;
}

bool Process::wait_for_notice(const std::string& text) {
    size_t at;
    while ((at = so_far_.err.find(text, seen_err_)) == std::string::npos)
        if (!read_some()) return false;
    seen_err_ = at + text.size();
    seen_out_ = so_far_.out.size();
    return true;
}

Finished Process::finish() {
    close_input();
    while (read_some()) {
    }
    if (out_ >= 0 || err_ >= 0) kill(pid_, SIGKILL); // it fell silent
    int status = 0;
    REQUIRE(waitpid(pid_, &status, 0) == pid_);
    pid_ = -1;
    so_far_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return so_far_;
}

Finished run_kvasir(const std::vector<std::string>& arguments, const std::string& input,
                    const std::string& output) {
    Process process(arguments, output);
    process.write(input);
    return process.finish();
}

std::string kvasir_binary() {
    return KVASIR_BINARY;
}

std::vector<std::string> Folder::names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(scratch_.path))
        names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

void write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    REQUIRE(file.flush());
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    CAPTURE(path);
    REQUIRE(file);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_tiny_model(const std::string& path, uint32_t n_layers,
                      const std::function<void(GgufWriter&)>& more) {
    ModelSpec spec = model_shape("tiny");
    spec.n_layers = n_layers;
    GgufWriter writer = random_model(spec, DType::f32);
    add_spm_vocabulary(writer, spec.n_vocab);
    if (more) more(writer);
    writer.save(path);
}

} // namespace kvasir
