#include "app/models.hpp"

#include "app/output.hpp"
#include "app/terminal.hpp"
#include "runtime/error.hpp"

#include <ctime>
#include <filesystem>

namespace kvasir {

namespace {

Model load(Device& device, const std::string& path) {
    auto progress = [&](uint64_t done, uint64_t total) {
        throw_if_interrupted();
        show_progress("loading " + mebibytes(total) + ": " +
                      std::to_string(total ? 100 * done / total : 100) + " %");
    };
    Model model = load_model(device, path, progress);
    show_progress("");
    return model;
}

SessionOptions session_options(const ModelOptions& options, uint32_t context) {
    return {.n_ctx = options.context ? options.context : context, .kv = options.kv, .profile = false};
}

} // namespace

std::string model_path(const std::string& model) {
    if (model.empty()) throw Error("opening a model", "no MODEL was given", "`kvasir chat MODEL.gguf`");
    std::error_code error;
    const auto status = std::filesystem::status(model, error);
    if (!std::filesystem::exists(status))
        throw Error("opening the model " + one_line(model), "there is no such file",
                    "the path of a .gguf file, or `kvasir --help`");
    if (std::filesystem::is_directory(status))
        throw Error("opening the model " + one_line(model), "it is a folder", "a .gguf file");
    return model;
}

Running::Running(const ModelOptions& options, uint32_t context)
    : path(model_path(options.model)),
      device(std::make_unique<Device>(DeviceOptions{.device = options.device})), model(load(*device, path)),
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

} // namespace kvasir
