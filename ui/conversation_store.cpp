#include "ui/conversation_store.hpp"

#include "runtime/error.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <fstream>

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
    return line_of({{"end", n}, {"why", m.why}, {"tokens_per_second", m.tokens_per_second}});
}

/// A message that the file has: hostile values are refused by the exceptions of json and at().
void read_line(Conversation& c, const Json& json) {
    if (json.contains("message")) {
        const uint32_t parent =
            json.at("parent").is_null() ? Message::none : json.at("parent").get<uint32_t>();
        if (parent != Message::none && parent >= c.messages().size()) throw std::out_of_range("parent");
        if (json.at("message").get<uint32_t>() != c.messages().size()) throw std::out_of_range("message");
        const uint32_t n =
            c.add(parent, json.at("role").get<std::string>(), json.at("text").get<std::string>());
        c.at(n).model = json.value("model", "");
        return;
    }
    auto message = [&](const Json& n) -> Message& {
        if (n.get<uint32_t>() >= c.messages().size()) throw std::out_of_range("message");
        return c.at(n.get<uint32_t>());
    };
    if (json.contains("token")) {
        const Json& t = json.at("token");
        Message& m = message(t.at(0));
        AnswerToken token;
        token.choice.id = t.at(1).get<int32_t>();
        token.text = t.at(2).get<std::string>();
        token.choice.p = t.at(3).get<float>(), token.choice.entropy = t.at(4).get<float>();
        m.text += token.text;
        m.tokens.push_back(std::move(token));
    } else if (json.contains("is")) {
        message(json.at("text")).text = json.at("is").get<std::string>();
    } else if (json.contains("end")) {
        Message& m = message(json.at("end"));
        m.why = json.at("why").get<std::string>();
        m.tokens_per_second = json.value("tokens_per_second", 0.0);
    } else if (json.contains("chosen")) {
        message(json.at("chosen"));
        c.choose(json.at("chosen").get<uint32_t>());
    } else {
        if (json.contains("title")) c.title = json.at("title").get<std::string>();
        if (json.contains("system")) c.system = json.at("system").get<std::string>();
    }
}

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
    if (c.last() != Message::none) text += line_of({{"chosen", c.last()}});
    return text;
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
    for (const auto& file : std::filesystem::directory_iterator(folder_, error)) {
        if (file.path().extension() != ".jsonl") continue;
        const std::string id = file.path().stem().string();
        try {
            const Conversation c = open(id);
            if (!c.messages().empty()) entries_.push_back({id, c.name(), time_of(file.path())});
        } catch (const Error&) {
            entries_.push_back({id, id, 0}); // told of when it is opened
        }
    }
    std::sort(entries_.begin(), entries_.end(),
              [](const Entry& a, const Entry& b) { return a.changed > b.changed; });
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
    for (std::string line; std::getline(file, line); ++n) {
        try {
            read_line(c, Json::parse(line));
        } catch (const std::exception&) {
            // The last line may have been cut when the program was killed.
            if (!file.eof()) ++damaged;
        }
    }
    if (damage && damaged)
        *damage = file_of(id).string() + ": " + std::to_string(damaged) + " of " + std::to_string(n) +
                  " lines are damaged and left out";
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
    Entry entry{c.id, c.name(), now()};
    if (known != entries_.end()) entries_.erase(known);
    entries_.insert(entries_.begin(), std::move(entry));
}

/// All of it into a new file, which then takes the old one's place.
std::string ConversationStore::rewrite(const Conversation& c) {
    file_.reset();
    const auto path = file_of(c.id), fresh = std::filesystem::path(path.string() + ".new");
    const std::string text = whole(c);
    std::unique_ptr<std::FILE, Closer> file(std::fopen(fresh.c_str(), "wb"));
    bool good = file && std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() &&
                std::fflush(file.get()) == 0;
    const int why = errno;
    file.reset();
    std::error_code error;
    if (good) std::filesystem::rename(fresh, path, error);
    if (!good || error) {
        std::filesystem::remove(fresh, error);
        behind_ = true;
        open_id_ = c.id;
        return "saving the conversation in " + path.string() + ": " + std::strerror(why) +
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
    return append(c, line_of({{"title", c.title}}));
}
std::string ConversationStore::save_system(const Conversation& c) {
    return append(c, line_of({{"system", c.system}}));
}

} // namespace kvasir::ui
