#pragma once

#include "runtime/dtype.hpp"
#include "runtime/model_spec.hpp"
#include "runtime/sampler.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace kvasir {

/// What every command that runs a model takes.
struct ModelOptions {
    std::string model;    ///< "": none was given, the tutor
    std::string device;   ///< as in DeviceOptions
    uint32_t context = 0; ///< 0: the session's choice
    KvType kv = KvType::f16;
    std::optional<DType> quantize = {}; ///< one of quantised_types
};

/// How answers are sampled: as is given, else as the model's file advises, else as usual.
struct AnswerOptions {
    SamplerChoice sampler = {};
    uint32_t seed = 0;

    SamplerOptions with(const SamplerChoice& advised) const {
        return sampler.over(advised.over({.seed = seed}));
    }
};

struct ChatOptions {
    ModelOptions model = {};
    AnswerOptions answer = {};
};

struct WindowOptions {
    ModelOptions model = {};
    AnswerOptions answer = {}; ///< of the chat in the terminal, where there is no display
    std::string script;        ///< a file to play; empty: a person uses it
    std::string shot;          ///< PNG of the last frame of a script
    int width = 1280, height = 800;
    float scale = 1; ///< of a script's display: 2 is 200 %
};

struct GenerateOptions {
    ModelOptions model;
    AnswerOptions answer;
    std::optional<std::string> prompt; ///< "-": standard input; exactly one of this and ids is given
    std::string ids;                   ///< a file of token ids, "-" is standard input
    std::optional<uint32_t> n;         ///< nothing: until the model ends or the context is full
    bool raw = false, json = false;
};

struct ScoreOptions {
    ModelOptions model;
    std::string text, ids; ///< files, "-" is standard input; exactly one is given
    uint32_t window = 0;   ///< predictions a window; 0: the context less one
    std::string logits;
    bool json = false;
};

struct TokenizeOptions {
    std::string model;
    std::string text, cases; ///< files, "-" is standard input; exactly one is given
    bool json = false;
};

struct AttentionOptions {
    ModelOptions model;
    std::string prompt;
    uint32_t layer = 0;
    std::optional<uint32_t> head; ///< nothing: all
    std::string out;              ///< "": a table on standard output
};

struct InspectOptions {
    std::string model;
    bool json = false;
};

struct DevicesOptions {
    bool json = false;
};

struct BenchOptions {
    ModelOptions model;
    std::vector<uint32_t> prompts{128, 512}; ///< lengths of the prompt tests
    uint32_t n = 64;                         ///< tokens a generation test; 0: none
    std::vector<uint32_t> depths{0, 512};    ///< tokens in the cache before a generation test
    uint32_t repetitions = 5;
    bool ops = false, watch = false, json = false;
};

using Options = std::variant<WindowOptions, ChatOptions, GenerateOptions, ScoreOptions, TokenizeOptions,
                             AttentionOptions, InspectOptions, DevicesOptions, BenchOptions>;

/// A command line that runs nothing: help or the version (status 0, for standard output), or a wrong usage
/// (status 2, one line for standard error).
struct Usage {
    int status = 0;
    std::string text;
};

std::variant<Options, Usage> parse_options(int argc, const char* const* argv);

const char* name(KvType type); ///< as --kv takes it

} // namespace kvasir
