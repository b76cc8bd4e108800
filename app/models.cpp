#include "app/models.hpp"

#include "app/built_in.hpp"
#include "app/output.hpp"
#include "app/terminal.hpp"
#include "runtime/error.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <filesystem>

namespace kvasir {

namespace {

void notice_quantised(const Quantised& done, DType dtype) {
    const DTypeInfo& type = info(dtype);
    std::string text = "kvasir: " + std::to_string(done.n_matrices) + " matrices quantised to " + type.name;
    if (done.n_matrices) text += ", " + mebibytes(done.bytes_before) + " to " + mebibytes(done.bytes_after);
    if (done.n_kept)
        text += "; " + std::to_string(done.n_kept) + " kept as they are (quantised in the file, fewer than " +
                std::to_string(least_quantised_values) + " values, or rows that are no multiple of " +
                std::to_string(type.block) + ")";
    notice(text);
}

Model load(Device& device, const std::string& path, std::optional<DType> quantize, double& seconds) {
    const auto start = std::chrono::steady_clock::now();
    auto progress = [&](uint64_t done, uint64_t total) {
        throw_if_interrupted();
        show_progress("loading " + mebibytes(total) + ": " +
                      std::to_string(total ? 100 * done / total : 100) + " %");
    };
    Model model = load_model(device, path, progress, quantize);
    show_progress("");
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (quantize) notice_quantised(model.weights.quantised, *quantize);
    return model;
}

SessionOptions session_options(const ModelOptions& options, uint32_t context) {
    return {.n_ctx = options.context ? options.context : context, .kv = options.kv, .profile = false};
}

} // namespace

std::string model_path(const std::string& model) {
    const std::string named = model.empty() ? std::string(built_in_models().front()) : model;
    if (const auto path = built_in_path(named)) return *path;
    std::error_code error;
    if (std::filesystem::exists(std::filesystem::status(named, error))) return named;
    std::string built_in;
    for (const std::string_view name : built_in_models())
        built_in += (built_in.empty() ? "" : ", ") + std::string(name);
    throw Error("opening the model " + one_line(named), "there is no such file",
                "the path of a .gguf file or of a Hugging Face folder, or a built-in model: " + built_in);
}

Running::Running(const ModelOptions& options, uint32_t context)
    : path(model_path(options.model)),
      device(std::make_unique<Device>(DeviceOptions{.device = options.device})),
      model(load(*device, path, options.quantize, load_seconds)),
      session(*device, model, session_options(options, context)) {}

ChatFormat chat_format(const Model& model) {
    const std::time_t now = std::time(nullptr);
    const std::tm* local = std::localtime(&now);
    return ChatFormat(model.tokenizer, model.chat_template, local ? *local : std::tm{});
}

void notice_format(ChatFormat& format) {
    for (const std::string& line : format.take_notices()) notice("kvasir: " + one_line(line));
}

std::vector<int32_t> encode_raw(const Tokenizer& tokenizer, const std::string& prompt) {
    std::vector<int32_t> ids = tokenizer.encode(prompt, true, true);
    if (ids.empty())
        throw Error("running the prompt", "it is empty and the vocabulary has no BOS", "--prompt TEXT");
    return ids;
}

std::vector<int32_t> read_ids(const std::string& path, int32_t n_vocab) {
    const std::string text = read_text(path);
    constexpr std::string_view space = ", \t\r\n";
    std::vector<int32_t> ids;
    for (size_t at = 0; (at = text.find_first_not_of(space, at)) != std::string::npos;) {
        const size_t end = std::min(text.find_first_of(space, at), text.size());
        int32_t id = -1;
        const auto [rest, error] = std::from_chars(text.data() + at, text.data() + end, id);
        if (error != std::errc{} || rest != text.data() + end || id < 0 || id >= n_vocab)
            throw Error("reading id " + std::to_string(ids.size()) + " of " + path,
                        "'" + text.substr(at, std::min<size_t>(end - at, 40)) + "'",
                        "ids from 0 to " + std::to_string(n_vocab - 1) +
                            ", separated by white space or commas");
        ids.push_back(id);
        at = end;
    }
    return ids;
}

} // namespace kvasir
