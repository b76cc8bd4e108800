#include "ui/conversation_store.hpp"

#include "runtime/error.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <stdexcept>
#include <system_error>
#include <tuple>

namespace kvasir::ui {
namespace {

using Json = nlohmann::json;

int64_t now() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::string line_of(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string message_line(const Conversation& c, uint32_t n) {
    const Message& m = c.at(n);
    Json json{{"message", n}, {"role", m.role}, {"text", m.tokens.empty() ? m.text : ""}, {"model", m.model}};
    json["parent"] = m.parent == Message::none ? Json() : Json(m.parent);
    return line_of(json);
}

std::string token_line(uint32_t n, const AnswerToken& token) {
    return line_of({{"token", {n, token.choice.id, token.text, token.choice.p, token.choice.entropy}}});
}

std::string end_line(const Conversation& c, uint32_t n) {
    const Message& m = c.at(n);
    return line_of({{"end", n},
                    {"why", m.why},
                    {"tokens_per_second", m.tokens_per_second},
                    {"prompt_tokens_per_second", m.prompt_tokens_per_second}});
}

/// A whole number of 32 bits: Json::get would cut a larger one.
uint32_t number(const Json& json) {
    const auto n = json.is_number_integer() ? json.get<int64_t>() : -1;
    if (n < 0 || n >= Message::none) throw std::out_of_range("number");
    return static_cast<uint32_t>(n);
}

/// JSON has no NaN, which a broken model makes: it is written as null, and its token is kept.
float real(const Json& json) {
    return json.is_null() ? std::numeric_limits<float>::quiet_NaN() : json.get<float>();
}

/// Fills a conversation from its lines. Lines that are damaged are refused by exceptions and change nothing.
struct Reader {
    Conversation& c;
    std::map<uint32_t, uint32_t> known; ///< a message's number in the file -> in the conversation, which
                                        ///< differ after a line is lost

    uint32_t message(const Json& json) const { return known.at(number(json)); }

    void read_message(const Json& json) {
        const uint32_t n = number(json.at("message"));
        if (!known.empty() && n <= known.rbegin()->first) throw std::out_of_range("message");
        uint32_t parent = Message::none;
        if (!json.at("parent").is_null()) {
            const uint32_t named = number(json.at("parent"));
            if (named >= n) throw std::out_of_range("parent");
            // Where the parent's line is lost, what was said before stands in for it.
            const auto after = known.upper_bound(named);
            if (after != known.begin()) parent = std::prev(after)->second;
        }
        auto role = json.at("role").get<std::string>(), text = json.at("text").get<std::string>();
        auto model = json.value("model", "");
        known[n] = c.add(parent, std::move(role), std::move(text));
        c.at(known[n]).model = std::move(model);
    }

    void read_token(const Json& t) {
        Message& m = c.at(message(t.at(0)));
        AnswerToken token;
        token.choice.id = t.at(1).get<int32_t>();
        token.text = t.at(2).get<std::string>();
        token.choice.p = real(t.at(3)), token.choice.entropy = real(t.at(4));
        m.text += token.text;
        m.tokens.push_back(std::move(token));
    }

    void read(const Json& json) {
        if (json.contains("message"))
            read_message(json);
        else if (json.contains("token"))
            read_token(json.at("token"));
        else if (json.contains("is"))
            c.at(message(json.at("text"))).text = json.at("is").get<std::string>();
        else if (json.contains("end")) {
            Message& m = c.at(message(json.at("end")));
            const double speed = json.value("tokens_per_second", 0.0),
                         prompt = json.value("prompt_tokens_per_second", 0.0);
            m.why = json.at("why").get<std::string>();
            m.tokens_per_second = speed, m.prompt_tokens_per_second = prompt;
        } else if (json.contains("chosen"))
            c.choose(message(json.at("chosen")));
        else if (json.contains("title"))
            c.title = json.at("title").get<std::string>();
        else
            c.system = json.at("system").get<std::string>();
    }
};

std::string whole(const Conversation& c) {
    std::string text = line_of({{"kvasir", 1}, {"system", c.system}});
    if (!c.title.empty()) text += line_of({{"title", c.title}});
    for (uint32_t n = 0; n < c.messages().size(); ++n) {
        text += message_line(c, n);
        const Message& m = c.at(n);
        for (const AnswerToken& token : m.tokens) text += token_line(n, token);
        if (!m.tokens.empty()) text += line_of({{"text", n}, {"is", m.text}});
        if (!m.why.empty()) text += end_line(c, n);
    }
    // What was shown last at every fork, the innermost first: a choice changes those on the way to it.
    for (auto n = static_cast<uint32_t>(c.messages().size()); n-- > 0;)
        if (const Message& m = c.at(n); m.children.size() > 1)
            text += line_of({{"chosen", m.children[std::min<size_t>(m.chosen, m.children.size() - 1)]}});
    if (c.last() != Message::none) text += line_of({{"chosen", c.last()}});
    return text;
}

/// What a conversation is called, from the beginning of its file: its title, which stands before the
/// messages, or its first words. Empty where nothing was said.
std::string name_in(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    Conversation c;
    Reader reader{c, {}};
    for (std::string line; (c.messages().empty() || c.name().empty()) && std::getline(file, line);) try {
            reader.read(Json::parse(line));
        } catch (const std::exception&) { // told of when it is opened
        }
    return c.messages().empty() ? "" : c.name().empty() ? path.stem().string() : c.name();
}

int64_t time_of(const std::filesystem::path& path) {
    std::error_code error;
    const auto time = std::filesystem::last_write_time(path, error);
    const auto age = std::filesystem::file_time_type::clock::now() - time;
    return now() - std::chrono::duration_cast<std::chrono::seconds>(age).count();
}

} // namespace

ConversationStore::ConversationStore(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    if (error)
        throw Error("making the folder of conversations " + folder_.string(), error.message(),
                    "making room there, or setting XDG_DATA_HOME to another place");
    for (std::filesystem::directory_iterator file(folder_, error), end; !error && file != end;
         file.increment(error)) {
        const auto& path = file->path();
        if (path.extension() != ".jsonl") continue;
        const std::string name = name_in(path);
        if (!name.empty()) entries_.push_back({path.stem().string(), name, time_of(path)});
    }
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
        return std::tie(a.changed, a.id) > std::tie(b.changed, b.id); // an id begins with its time
    });
}

ConversationStore::~ConversationStore() = default;

std::filesystem::path ConversationStore::file_of(const std::string& id) const {
    return folder_ / (id + ".jsonl");
}

Conversation ConversationStore::create() {
    Conversation c;
    const std::time_t time = std::time(nullptr);
    char name[32];
    std::strftime(name, sizeof name, "%Y%m%d-%H%M%S", std::gmtime(&time));
    c.id = name;
    for (int n = 2; std::filesystem::exists(file_of(c.id)); ++n)
        c.id = std::string(name) + "-" + std::to_string(n);
    c.changed = now();
    return c;
}

Conversation ConversationStore::open(const std::string& id, std::string* damage) const {
    std::ifstream file(file_of(id), std::ios::binary);
    if (!file)
        throw Error("opening the conversation " + file_of(id).string(), std::strerror(errno), "another one");
    Conversation c;
    c.id = id;
    c.changed = time_of(file_of(id));
    uint32_t n = 0, damaged = 0;
    Reader reader{c, {}};
    for (std::string line; std::getline(file, line); ++n) {
        try {
            reader.read(Json::parse(line));
        } catch (const std::exception&) {
            // The last line may have been cut when the program was killed.
            if (!file.eof()) ++damaged;
        }
    }
    if (damage && damaged) {
        // The next change writes the file anew, without those lines: its owner may want to look at them.
        const std::filesystem::path kept = file_of(id).string() + ".broken";
        std::error_code error;
        std::filesystem::copy_file(file_of(id), kept, std::filesystem::copy_options::overwrite_existing,
                                   error);
        *damage = file_of(id).string() + ": " + std::to_string(damaged) + " of " + std::to_string(n) +
                  " lines are damaged and left out";
        if (!error) *damage += "; the file as it was is kept as " + kept.filename().string();
    }
    return c;
}

void ConversationStore::remove(const std::string& id) {
    if (open_id_ == id) file_.reset(), open_id_.clear();
    std::error_code error;
    std::filesystem::remove(file_of(id), error);
    if (error)
        throw Error("removing the conversation " + file_of(id).string(), error.message(),
                    "its folder's rights");
    std::erase_if(entries_, [&](const Entry& entry) { return entry.id == id; });
}

std::vector<ConversationStore::Entry> ConversationStore::search(const std::string& words) const {
    auto lower = [](std::string text) {
        for (char& c : text)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 'a' - 'A');
        return text;
    };
    const std::string wanted = lower(words);
    std::vector<Entry> found;
    for (const Entry& entry : entries_) {
        bool hit = lower(entry.name).find(wanted) != std::string::npos;
        if (!hit) {
            try {
                const Conversation c = open(entry.id);
                hit = std::any_of(c.messages().begin(), c.messages().end(), [&](const Message& m) {
                    return lower(m.text).find(wanted) != std::string::npos;
                });
            } catch (const Error&) { // it has no text to find
            }
        }
        if (hit) found.push_back(entry);
    }
    return found;
}

void ConversationStore::touch(const Conversation& c) {
    const auto known =
        std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.id == c.id; });
    if (known == entries_.end())
        entries_.insert(entries_.begin(), Entry{c.id, "", 0});
    else
        std::rotate(entries_.begin(), known, known + 1);
    entries_.front().name = c.name().empty() ? c.id : c.name();
    entries_.front().changed = now();
}

/// All of it into a new file, which then takes the old one's place.
std::string ConversationStore::rewrite(const Conversation& c) {
    file_.reset();
    const auto path = file_of(c.id), fresh = std::filesystem::path(path.string() + ".new");
    const std::string text = whole(c);
    std::unique_ptr<std::FILE, Closer> file(std::fopen(fresh.c_str(), "wb"));
    bool good = file && std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() &&
                std::fflush(file.get()) == 0;
    std::error_code why(good ? 0 : errno, std::generic_category()), error;
    file.reset();
    if (good) std::filesystem::rename(fresh, path, why);
    if (why) {
        std::filesystem::remove(fresh, error);
        behind_ = true;
        open_id_ = c.id;
        return "saving the conversation in " + path.string() + ": " + why.message() +
               "; it goes on unsaved, and the next change tries again; try making room there";
    }
    file_.reset(std::fopen(path.c_str(), "ab"));
    open_id_ = c.id, behind_ = !file_;
    return "";
}

std::string ConversationStore::append(const Conversation& c, const std::string& line) {
    touch(c);
    if (open_id_ != c.id || !file_ || behind_) return rewrite(c);
    if (std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size() && std::fflush(file_.get()) == 0)
        return "";
    return rewrite(c);
}

std::string ConversationStore::save_message(const Conversation& c, uint32_t message) {
    return append(c, message_line(c, message));
}
std::string ConversationStore::save_token(const Conversation& c, uint32_t message) {
    return append(c, token_line(message, c.at(message).tokens.back()));
}
std::string ConversationStore::save_text(const Conversation& c, uint32_t message) {
    return append(c, line_of({{"text", message}, {"is", c.at(message).text}}));
}
std::string ConversationStore::save_end(const Conversation& c, uint32_t message) {
    return append(c, end_line(c, message));
}
std::string ConversationStore::save_choice(const Conversation& c, uint32_t message) {
    return append(c, line_of({{"chosen", message}}));
}
std::string ConversationStore::save_title(const Conversation& c) {
    touch(c);
    return rewrite(c); // it stands before the messages, so that a list is read quickly
}
std::string ConversationStore::save_system(const Conversation& c) {
    return append(c, line_of({{"system", c.system}}));
}

} // namespace kvasir::ui
