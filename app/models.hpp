#pragma once

#include "app/options.hpp"
#include "runtime/gpu/device.hpp"
#include "runtime/model.hpp"
#include "runtime/session.hpp"
#include "runtime/text/chat_format.hpp"

#include <string>

namespace kvasir {

/// The file that a MODEL argument names: a built-in model by its bare name ("" is the tutor), else a path,
/// such as ./tutor. Throws Error where there is no such file.
std::string model_path(const std::string& model);

/// A model on its device with one session: what most commands run. Loading shows its progress on a terminal.
struct Running {
    /// context 0: as options say.
    explicit Running(const ModelOptions& options, uint32_t context = 0);

    std::string path;
    std::unique_ptr<Device> device;
    double load_seconds = 0; ///< from opening the file to weights on the device
    Model model;
    Session session;
};

/// The format in which a model reads a conversation: its own template's, with today's date; else the plain
/// one.
ChatFormat chat_format(const Model& model);

/// Tells what a format has to tell, once.
void notice_format(ChatFormat& format);

/// The token ids in a file, separated by white space or commas; - reads standard input. Throws Error for one
/// that is not below n_vocab.
std::vector<int32_t> read_ids(const std::string& path, int32_t n_vocab);

/// Ids of a prompt as it is, control tokens included, after BOS where the vocabulary asks for it. Throws
/// Error where there is nothing to continue.
std::vector<int32_t> encode_raw(const Tokenizer& tokenizer, const std::string& prompt);

} // namespace kvasir
