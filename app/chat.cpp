#include "app/answer.hpp"
#include "app/commands.hpp"
#include "app/models.hpp"
#include "app/output.hpp"
#include "app/terminal.hpp"
#include "runtime/error.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace kvasir {

namespace {

constexpr const char* make_room =
    "/undo drops the last exchange, /new begins anew, --context N starts with more";

/// Ids of an answer that a stop string ended, without that string; none where it ends inside a token.
std::vector<int32_t> without_stop(const Tokenizer& tokenizer, const Answer& answer) {
    std::vector<int32_t> ids = answer.ids;
    std::string text;
    std::vector<size_t> ends; ///< of each piece in `text`
    for (int32_t id : ids) ends.push_back((text += tokenizer.piece(id)).size());
    const size_t begin = std::min(text.find_first_not_of(" \n\r\t"), text.size());
    const auto end = std::find(ends.begin(), ends.end(), begin + answer.text.size());
    ids.resize(end == ends.end() ? 0 : static_cast<size_t>(end - ends.begin()) + 1);
    return ids;
}

/// A conversation in the terminal. Its turns are pairs: what the user wrote, what the model answered.
class Chat {
  public:
    explicit Chat(const ChatOptions& options)
        : running_(options.model), format_(chat_format(running_.model)),
          sampler_(options.answer.with(running_.model.sampler)), interactive_(is_terminal(Stream::in)) {}

    int run();

  private:
    /// A command and what it does with the rest of its line.
    struct Command {
        const char *name, *argument, *help;
        void (Chat::*act)(const std::string& argument);
    };
    static const Command commands[];

    void obey(const std::string& line);
    void say(const std::string& text);
    void respond();
    void keep(const Answer& answer);
    std::vector<Turn> with_system() const;

    void help(const std::string&);
    void begin_anew(const std::string&);
    void set_system(const std::string& text);
    void regenerate(const std::string&);
    void undo(const std::string&);
    void stats(const std::string&);
    void save(const std::string& path);
    void quit(const std::string&) { status_ = 0; }

    Running running_;
    ChatFormat format_;
    SamplerOptions sampler_;
    bool interactive_;
    std::string system_;
    std::vector<Turn> turns_;
    std::optional<Answer> last_;
    std::optional<int> status_; ///< of the program; nothing: the chat goes on
};

const Chat::Command Chat::commands[] = {
    {"/help", "", "this list", &Chat::help},
    {"/new", "", "begin a new conversation", &Chat::begin_anew},
    {"/system", " TEXT", "what the model should be; without TEXT nothing", &Chat::set_system},
    {"/regenerate", "", "answer the last message again", &Chat::regenerate},
    {"/undo", "", "forget the last message and its answer", &Chat::undo},
    {"/stats", "", "speed, context and memory", &Chat::stats},
    {"/save", " FILE", "write the conversation: .json, else text", &Chat::save},
    {"/quit", "", "leave; so do Ctrl-D, and Ctrl-C while nothing is generated", &Chat::quit},
};

int Chat::run() {
    notice_format(format_);
    if (interactive_)
        notice(one_line(running_.path) + " on " + running_.device->info().name + ", context " +
               std::to_string(running_.session.n_ctx()) +
               "; /help lists the commands, Ctrl-C stops an answer");
    while (!status_) {
        if (interactive_) std::fputs("> ", stderr);
        std::string line;
        const LineRead read = read_line(line);
        if (read != LineRead::line) {
            if (interactive_) notice("");
            return 0;
        }
        try {
            if (line.starts_with('/'))
                obey(line);
            else if (!line.empty())
                say(line);
        } catch (const Error& error) {
            // A person can save the conversation or try again; a script is told by the exit status.
            if (!interactive_) throw;
            notice("kvasir: " + one_line(error.what()));
        }
    }
    return *status_;
}

void Chat::obey(const std::string& line) {
    const std::string called = line.substr(0, line.find(' '));
    std::string argument = line.substr(called.size());
    argument.erase(0, argument.find_first_not_of(' '));
    argument.erase(argument.find_last_not_of(' ') + 1);
    for (const Command& command : commands)
        if (called == command.name) return (this->*command.act)(argument);
    notice("there is no command " + one_line(called) +
           "; /help lists them, a space before / makes it a message");
}

void Chat::say(const std::string& text) {
    turns_.push_back({"user", text, {}});
    try {
        respond();
    } catch (const Error&) {
        turns_.pop_back();
        throw;
    }
}

std::vector<Turn> Chat::with_system() const {
    std::vector<Turn> turns = turns_;
    if (!system_.empty()) turns.insert(turns.begin(), Turn{"system", system_, {}});
    return turns;
}

/// Answers the last turn, which is the user's; forgets it where there is no room for it or nothing was
/// answered.
void Chat::respond() {
    AnswerRequest request{.prompt = format_.encode(with_system()),
                          .sampler = sampler_,
                          .limit = {},
                          .stops = format_.stops(),
                          .ends = format_.ends(),
                          .trim = true};
    notice_format(format_);
    const uint32_t n_ctx = running_.session.n_ctx();
    if (request.prompt.size() >= n_ctx) {
        turns_.pop_back();
        notice("this conversation needs " + std::to_string(request.prompt.size()) +
               " tokens, the context holds " + std::to_string(n_ctx) + ": the message was not sent; " +
               make_room);
        return;
    }
    const bool terminal = is_terminal(Stream::out);
    request.show = [&](const std::string& text) { print(terminal ? harmless(text) : text); };
    forget_interrupts();
    const Answer result = answer(running_.session, running_.model.tokenizer, request);
    if (!result.text.empty()) print("\n");
    keep(result);
    if (interrupts() >= 2) status_ = 130;
    forget_interrupts();
}

void Chat::keep(const Answer& answer) {
    last_ = answer;
    if (answer.stop == Stop::interrupt && answer.ids.empty()) {
        turns_.pop_back();
        notice("stopped before the answer began; the message was not kept");
        return;
    }
    const Tokenizer& tokenizer = running_.model.tokenizer;
    turns_.push_back({"assistant", answer.text,
                      answer.stop == Stop::stop_string ? without_stop(tokenizer, answer) : answer.ids});
    if (answer.text.empty()) notice("(an empty answer)");
    const uint32_t used = running_.session.length(), n_ctx = running_.session.n_ctx();
    if (answer.stop == Stop::interrupt) notice("stopped; what was written is kept");
    if (answer.stop == Stop::context)
        notice(std::string("the context is full, the answer was cut; ") + make_room);
    else if (uint64_t{used} * 4 > uint64_t{n_ctx} * 3)
        notice("context: " + std::to_string(used) + " of " + std::to_string(n_ctx) + " tokens are used; " +
               make_room);
}

void Chat::help(const std::string&) {
    std::vector<std::pair<std::string, std::string>> lines;
    for (const Command& command : commands)
        lines.emplace_back(std::string(command.name) + command.argument, command.help);
    std::string text = fields(lines);
    text.pop_back();
    notice(text);
}

void Chat::begin_anew(const std::string&) {
    turns_.clear();
    notice("a new conversation");
}

void Chat::set_system(const std::string& text) {
    system_ = text;
    notice(text.empty() ? "no system text" : "the system text is set");
}

void Chat::regenerate(const std::string&) {
    if (turns_.empty()) return notice("there is nothing to answer yet");
    const Turn answered = turns_.back();
    turns_.pop_back();
    ++sampler_.seed; // the same one would give the same answer
    const size_t asked = turns_.size();
    try {
        respond();
    } catch (const Error&) {
        turns_.push_back(answered);
        throw;
    }
    if (turns_.size() < asked) notice("the earlier answer is gone with it");
}

void Chat::undo(const std::string&) {
    if (turns_.empty()) return notice("there is nothing to forget");
    turns_.resize(turns_.size() - 2);
    const size_t left = turns_.size() / 2;
    notice("forgotten; " + std::to_string(left) + (left == 1 ? " exchange remains" : " exchanges remain"));
}

void Chat::stats(const std::string&) {
    auto speed = [](const std::optional<double>& s) {
        return s ? fixed(*s, 1) + " tokens/s" : std::string("-");
    };
    const Session& session = running_.session;
    std::vector<std::pair<std::string, std::string>> lines{
        {"device", running_.device->info().name},
        {"context", std::to_string(session.length()) + " of " + std::to_string(session.n_ctx()) + " tokens"},
        {"KV cache", mebibytes(session.kv_bytes())},
        {"seed", std::to_string(sampler_.seed)}};
    if (last_) {
        lines.emplace_back("last prompt", std::to_string(last_->computed) + " tokens, " +
                                              speed(last_->prompt_tokens_per_second()) + "; " +
                                              std::to_string(last_->reused) + " more were in the cache");
        lines.emplace_back("last answer", std::to_string(last_->ids.size()) + " tokens, " +
                                              speed(last_->tokens_per_second()));
    }
    std::string text = fields(lines);
    text.pop_back();
    notice(text);
}

void Chat::save(const std::string& path) {
    if (path.empty()) return notice("/save needs the name of a file");
    OutputFile file(path);
    if (path.ends_with(".json")) {
        nlohmann::json turns = nlohmann::json::array();
        for (const Turn& turn : with_system()) turns.push_back({{"role", turn.role}, {"text", turn.text}});
        file.write(to_text({{"model", running_.path}, {"turns", turns}}));
    } else {
        for (const Turn& turn : with_system()) file.write(turn.role + ": " + turn.text + "\n\n");
    }
    file.commit();
    notice("saved in " + one_line(path));
}

} // namespace

int run(const ChatOptions& options) {
    return Chat(options).run();
}

} // namespace kvasir
