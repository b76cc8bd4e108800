#pragma once

#include "app/options.hpp"
#include "runtime/gpu/device.hpp"
#include "runtime/model.hpp"
#include "runtime/session.hpp"

#include <string>

namespace kvasir {

/// The file that a MODEL argument names. Throws Error where none was given, or it is no file.
std::string model_path(const std::string& model);

/// A model on its device with one session: what most commands run. Loading shows its progress on a terminal.
struct Running {
    /// context 0: as options say.
    explicit Running(const ModelOptions& options, uint32_t context = 0);

    std::string path;
    std::unique_ptr<Device> device;
    Model model;
    Session session;
};

/// Says so where the file has a chat template of its own, which the plain format is not.
void notice_template(const std::string& path);

/// The token ids in a file, separated by white space or commas; - reads standard input. Throws Error for one
/// that is not below n_vocab.
std::vector<int32_t> read_ids(const std::string& path, int32_t n_vocab);

/// Ids of a prompt as it is, control tokens included, after BOS where the vocabulary asks for it. Throws
/// Error where there is nothing to continue.
std::vector<int32_t> encode_raw(const Tokenizer& tokenizer, const std::string& prompt);

} // namespace kvasir
