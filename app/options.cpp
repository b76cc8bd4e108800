#include "app/options.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iomanip>
#include <map>
#include <random>
#include <sstream>

namespace kvasir {

namespace {

const std::map<std::string, KvType> kv_types{
    {"f16", KvType::f16}, {"f32", KvType::f32}, {"q8_0", KvType::q8_0}};
const std::map<std::string, DType> weight_types{
    {"q8_0", DType::q8_0}, {"q4_0", DType::q4_0}, {"q4_k", DType::q4_k}};

/// A finite number from low to high. (CLI11's own Range lets "nan" through.)
CLI::Validator between(double low, double high) {
    std::ostringstream range;
    range << std::setprecision(10) << low << " to " << high;
    auto check = [low, high, range = range.str()](std::string& text) {
        double value = 0;
        const bool number = CLI::detail::lexical_cast(text, value) && std::isfinite(value);
        return number && value >= low && value <= high ? "" : "'" + text + "' is not a number from " + range;
    };
    return CLI::Validator(check, "", "between");
}

/// Comma-separated counts into `target`; at most 2^24, which no context reaches.
CLI::Option* add_counts(CLI::App& command, const std::string& flag, std::vector<uint32_t>& target,
                        uint32_t low, const std::string& help) {
    auto parse = [&target, low, flag](const std::string& text) {
        std::vector<uint32_t> counts;
        for (const char *at = text.data(), *end = at + text.size();;) {
            uint32_t count = 0;
            const auto [rest, error] = std::from_chars(at, end, count);
            if (error != std::errc{} || count < low || count > (1u << 24) || (rest != end && *rest != ','))
                throw CLI::ValidationError(flag, "'" + text + "' is not a list of counts such as 128,512");
            counts.push_back(count);
            if (rest == end) break;
            at = rest + 1;
        }
        target = counts;
    };
    std::string given;
    for (uint32_t count : target) given += (given.empty() ? "" : ",") + std::to_string(count);
    return command.add_option_function<std::string>(flag, parse, help)
        ->type_name("COUNTS")
        ->default_str(given)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void add_model(CLI::App& command, std::string& model) {
    command
        .add_option(
            "MODEL", model,
            "A built-in model (tutor, shakespeare-learned, -rope or -alibi), a .gguf file, or a folder with "
            "config.json and model.safetensors; the tutor where there is none")
        ->type_name("");
}

void add_model(CLI::App& command, ModelOptions& options) {
    add_model(command, options.model);
    command
        .add_option("--device", options.device,
                    "Index or part of the name of a Vulkan device (kvasir devices)")
        ->type_name("N|NAME");
    command
        .add_option("--context", options.context,
                    "Positions of the KV cache (the trained length, at most 4096)")
        ->type_name("N")
        ->check(between(1, 1 << 24));
    command
        .add_option_function<std::string>(
            "--kv", [&](const std::string& text) { options.kv = kv_types.at(text); },
            "Type of the KV cache: f16, f32, q8_0")
        ->type_name("TYPE")
        ->default_str("f16")
        ->check(CLI::Validator(
            [](std::string& text) {
                return kv_types.contains(text) ? "" : "'" + text + "' is not f16, f32 or q8_0";
            },
            "", "kv"));
    command
        .add_option_function<std::string>(
            "--quantize", [&](const std::string& text) { options.quantize = weight_types.at(text); },
            "Quantise F32, F16 and BF16 matrices on load: q8_0, q4_0, q4_k")
        ->type_name("TYPE")
        ->check(CLI::Validator(
            [](std::string& text) {
                return weight_types.contains(text) ? "" : "'" + text + "' is not q8_0, q4_0 or q4_k";
            },
            "", "quantize"));
}

void add_sampler(CLI::App& command, AnswerOptions& options) {
    SamplerChoice& sampler = options.sampler;
    const SamplerOptions usual;
    auto* greedy = command.add_flag_callback(
        "--greedy", [&] { sampler.temperature = 0; }, "Always the most probable token");
    auto add = [&](const std::string& flag, auto& value, auto otherwise, const std::string& help, double low,
                   double high) {
        std::ostringstream text;
        text << otherwise << ", or what the model's file advises";
        return command.add_option(flag, value, help)
            ->default_str(text.str())
            ->type_name("X")
            ->check(between(low, high));
    };
    greedy->excludes(add("--temperature", sampler.temperature, usual.temperature, "0 is greedy", 0, 100));
    greedy->excludes(
        add("--top-k", sampler.top_k, usual.top_k, "Keep the K most probable; 0: all", 0, 1 << 24));
    greedy->excludes(
        add("--top-p", sampler.top_p, usual.top_p, "Keep the most probable up to this sum; 1: all", 0, 1));
    greedy->excludes(
        add("--min-p", sampler.min_p, usual.min_p, "Keep what has this share of the best; 0: all", 0, 1));
    add("--repeat-penalty", sampler.repeat_penalty, usual.repeat_penalty, "Of the last 64 tokens; 1: none",
        0.1, 10);
    options.seed = std::random_device{}();
    command.add_option("--seed", options.seed, "Equal seeds give equal texts; a random one otherwise")
        ->type_name("N");
}

void add_chat(CLI::App& command, auto& options) {
    add_model(command, options.model);
    add_sampler(command, options.answer);
}

void add_generate(CLI::App& command, GenerateOptions& options) {
    add_model(command, options.model);
    auto* prompt = command.add_option("--prompt", options.prompt, "What to answer; - reads standard input")
                       ->type_name("TEXT");
    auto* ids = command.add_option("--ids", options.ids, "Token ids to continue, exactly as given")
                    ->type_name("FILE");
    prompt->excludes(ids);
    command.add_option("-n", options.n, "Tokens at most; else until the model ends or the context is full")
        ->type_name("N");
    add_sampler(command, options.answer);
    command.add_flag("--raw", options.raw, "Continue the prompt as it is, without a chat format");
    command.add_flag("--json", options.json, "One JSON object at the end instead of the text as it is made");
}

void add_score(CLI::App& command, ScoreOptions& options) {
    add_model(command, options.model);
    auto* text = command.add_option("--text", options.text, "A text to score; - reads standard input")
                     ->type_name("FILE");
    auto* ids =
        command.add_option("--ids", options.ids, "Token ids to score, exactly as given")->type_name("FILE");
    text->excludes(ids);
    command
        .add_option("--window", options.window,
                    "Predictions a window; each begins anew (the context less one)")
        ->type_name("N")
        ->check(between(1, 1 << 24));
    command
        .add_option("--logits", options.logits,
                    "Write float32 [n, n_vocab], row i after the i-th token that was fed")
        ->type_name("FILE");
    command.add_flag("--json", options.json, "One JSON object");
}

void add_tokenize(CLI::App& command, TokenizeOptions& options) {
    add_model(command, options.model);
    auto* text =
        command.add_option("--text", options.text, "A text; - reads standard input")->type_name("FILE");
    auto* cases =
        command.add_option("--cases", options.cases, "A JSON array of strings")->type_name("FILE.json");
    text->excludes(cases);
    command.add_flag("--json", options.json, "An array of ids (with --cases: of arrays)");
}

void add_attention(CLI::App& command, AttentionOptions& options) {
    add_model(command, options.model);
    command.add_option("--prompt", options.prompt, "Read as it is, after BOS; - reads standard input")
        ->type_name("TEXT")
        ->required();
    command.add_option("--layer", options.layer, "From 0")->type_name("L")->required();
    auto parse = [&options](const std::string& text) {
        uint32_t head = 0;
        if (text == "all") return options.head.reset();
        if (!CLI::detail::lexical_cast(text, head))
            throw CLI::ValidationError("--head", "'" + text + "' is neither a number nor 'all'");
        options.head = head;
    };
    command.add_option_function<std::string>("--head", parse, "From 0, or all")
        ->type_name("H|all")
        ->required();
    command
        .add_option("--out", options.out,
                    "A .png picture, .npy float32 or .json; else a table of the strongest keys")
        ->type_name("FILE")
        ->check(CLI::Validator(
            [](std::string& path) {
                for (const char* end : {".png", ".npy", ".json"})
                    if (path.ends_with(end)) return std::string{};
                return "'" + path + "' ends neither in .png nor .npy nor .json";
            },
            "", "ending"));
}

void add_bench(CLI::App& command, BenchOptions& options) {
    add_model(command, options.model);
    add_counts(command, "-p", options.prompts, 1, "Lengths of the prompt tests");
    command.add_option("-n", options.n, "Tokens a generation test; 0: none")
        ->capture_default_str()
        ->type_name("N")
        ->check(between(0, 1 << 20));
    add_counts(command, "-d", options.depths, 0, "Tokens in the cache before a generation test");
    command.add_option("-r", options.repetitions, "Repetitions after a warm-up")
        ->capture_default_str()
        ->type_name("N")
        ->check(between(1, 10000));
    command.add_flag("--watch", options.watch, "Each generation also with attention watched, in turns");
    command.add_flag("--ops", options.ops, "Times of every operation, in a run of their own");
    command.add_flag("--json", options.json, "One JSON object");
}

/// CLI11's own commands and the options they fill.
struct Parser {
    CLI::App app{"Kvasir runs language models on any Vulkan device and shows what happens inside.", "kvasir"};
    WindowOptions bare, window;
    ChatOptions chat;
    GenerateOptions generate;
    ScoreOptions score;
    TokenizeOptions tokenize;
    AttentionOptions attention;
    InspectOptions inspect;
    DevicesOptions devices;
    BenchOptions bench;
    std::vector<std::pair<CLI::App*, std::function<Options()>>> commands;

    Parser() {
        app.set_version_flag("--version", "kvasir " KVASIR_VERSION, "The version");
        app.footer("Exit status: 0 done; 1 the file, the device or the input is at fault; 2 wrong usage; "
                   "130 stopped by Ctrl-C.");
        app.require_subcommand(0, 1);
        add_chat(app, bare);
        CLI::App& shown = command("window", "The window; without a display the chat in the terminal", window);
        add_chat(shown, window);
        auto* script =
            shown.add_option("--script", window.script, "Play a file of actions; needs no display")
                ->type_name("FILE");
        shown.add_option("--shot", window.shot, "Save the script's last picture")
            ->type_name("FILE.png")
            ->needs(script);
        shown.add_option("--width", window.width, "Of a script's picture")
            ->check(between(320, 8192))
            ->needs(script);
        shown.add_option("--height", window.height, "Of a script's picture")
            ->check(between(240, 8192))
            ->needs(script);
        shown.add_option("--scale", window.scale, "Of a script's display: 2 is 200 %")
            ->check(between(0.5, 4))
            ->needs(script);
        add_chat(command("chat", "Chat in the terminal", chat), chat);
        add_generate(command("generate", "Answer one prompt, or continue it with --raw", generate), generate);
        add_score(command("score", "Mean negative log-likelihood and perplexity of a text", score), score);
        add_tokenize(command("tokenize", "Token ids of a text, without BOS; needs no device", tokenize),
                     tokenize);
        add_attention(command("attention", "What the heads of one layer look at", attention), attention);
        CLI::App& shape = command("inspect", "What a model is, whether it runs, and what it needs", inspect);
        add_model(shape, inspect.model);
        shape.add_flag("--json", inspect.json, "One JSON object");
        command("devices", "Every Vulkan device, and which one is chosen", devices)
            .add_flag("--json", devices.json, "One JSON object");
        add_bench(command("bench", "Tokens/s, GB/s and their share of the device's copy bandwidth", bench),
                  bench);
    }

    CLI::App& command(const std::string& name, const std::string& help, const auto& options) {
        commands.emplace_back(app.add_subcommand(name, help), [&options] { return Options(options); });
        return *commands.back().first;
    }

    const CLI::App& chosen() const {
        for (const auto& [command, options] : commands)
            if (command->parsed()) return *command;
        return app;
    }

    Options options() const {
        for (const auto& [command, options] : commands)
            if (command->parsed()) return options();
        return bare;
    }
};

/// What CLI11 cannot say: exactly one of two options.
void check_inputs(const Options& options) {
    const auto* generate = std::get_if<GenerateOptions>(&options);
    if (generate && !generate->prompt && generate->ids.empty())
        throw CLI::RequiredError("--prompt TEXT or --ids FILE");
    const auto* score = std::get_if<ScoreOptions>(&options);
    if (score && score->text.empty() && score->ids.empty())
        throw CLI::RequiredError("--text FILE or --ids FILE");
    const auto* tokenize = std::get_if<TokenizeOptions>(&options);
    if (tokenize && tokenize->text.empty() && tokenize->cases.empty())
        throw CLI::RequiredError("--text FILE or --cases FILE.json");
}

} // namespace

std::variant<Options, Usage> parse_options(int argc, const char* const* argv) {
    Parser parser;
    try {
        parser.app.parse(argc, argv);
        Options options = parser.options();
        check_inputs(options);
        return options;
    } catch (const CLI::CallForHelp&) {
        const CLI::App& command = parser.chosen();
        return Usage{0, command.help(&command == &parser.app ? "" : "kvasir")};
    } catch (const CLI::CallForVersion& version) {
        return Usage{0, version.what() + std::string("\n")};
    } catch (const CLI::ParseError& error) {
        const CLI::App& command = parser.chosen();
        const std::string called = &command == &parser.app ? "kvasir" : "kvasir " + command.get_name();
        return Usage{2, error.what() + ("; try `" + called + " --help`")};
    }
}

const char* name(KvType type) {
    for (const auto& [text, value] : kv_types)
        if (value == type) return text.c_str();
    return "";
}

} // namespace kvasir
