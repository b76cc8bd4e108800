#include "runtime/error.hpp"
#include "ui/conversation_store.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sys/resource.h>
#include <unistd.h>

// The tree of a conversation's versions, and how it survives on disk.

namespace kvasir::ui {
namespace {

namespace fs = std::filesystem;

/// A folder of this test's own, gone with it.
struct Folder {
    fs::path path;
    Folder() {
        std::string name = (fs::temp_directory_path() / "kvasir-conversations-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() {
        std::error_code error;
        fs::remove_all(path, error);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
};

std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write(const fs::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

AnswerToken token(int32_t id, std::string text, float p = 0.5f, float entropy = 1.25f) {
    AnswerToken t;
    t.choice.id = id, t.choice.p = p, t.choice.entropy = entropy, t.text = std::move(text);
    return t;
}

/// Writes an answer token by token, as the window does.
uint32_t say(ConversationStore& store, Conversation& c, uint32_t parent,
             const std::vector<AnswerToken>& tokens, const std::string& why) {
    const uint32_t n = c.add(parent, "assistant", "");
    c.at(n).model = "m.gguf";
    CHECK(store.save_message(c, n) == "");
    for (const AnswerToken& t : tokens) {
        c.at(n).text += t.text;
        c.at(n).tokens.push_back(t);
        CHECK(store.save_token(c, n) == "");
    }
    c.at(n).why = why;
    if (why.empty()) return n; // the program ended first
    c.at(n).tokens_per_second = 12.5, c.at(n).prompt_tokens_per_second = 250;
    CHECK(store.save_end(c, n) == "");
    return n;
}

uint32_t ask(ConversationStore& store, Conversation& c, uint32_t parent, const std::string& text) {
    const uint32_t n = c.add(parent, "user", text);
    CHECK(store.save_message(c, n) == "");
    return n;
}

/// Two questions, versions at both, and choices that are not the newest.
Conversation written(ConversationStore& store) {
    Conversation c = store.create();
    c.system = "Be \"short\".\n";
    const uint32_t q = ask(store, c, Message::none, "What is 你好?\nAnd why");
    const uint32_t first = say(store, c, q, {token(1, "It "), token(2, "is "), token(3, "你好")}, "end");
    const uint32_t next = ask(store, c, first, "More");
    const uint32_t more = say(store, c, next, {token(4, "Yes")}, "stopped");
    say(store, c, next, {token(5, "No"), token(6, "")}, "");
    c.choose(more);
    CHECK(store.save_choice(c, more) == "");
    say(store, c, q, {token(7, "Ask"), token(-1, " me", 0.125f, 0)}, "context");
    return c;
}

void check_equal(const Conversation& a, const Conversation& b) {
    CHECK(a.id == b.id);
    CHECK(a.title == b.title);
    CHECK(a.system == b.system);
    CHECK(a.path() == b.path());
    REQUIRE(a.messages().size() == b.messages().size());
    for (uint32_t n = 0; n < a.messages().size(); ++n) {
        CAPTURE(n);
        const Message &x = a.at(n), &y = b.at(n);
        CHECK(x.parent == y.parent);
        CHECK(x.role == y.role);
        CHECK(x.text == y.text);
        CHECK(x.model == y.model);
        CHECK(x.why == y.why);
        CHECK(x.tokens_per_second == y.tokens_per_second);
        CHECK(x.prompt_tokens_per_second == y.prompt_tokens_per_second);
        CHECK(x.children == y.children);
        CHECK(x.chosen == y.chosen);
        REQUIRE(x.tokens.size() == y.tokens.size());
        for (size_t i = 0; i < x.tokens.size(); ++i) {
            CHECK(x.tokens[i].text == y.tokens[i].text);
            CHECK(x.tokens[i].choice.id == y.tokens[i].choice.id);
            CHECK(x.tokens[i].choice.p == y.tokens[i].choice.p);
            CHECK(x.tokens[i].choice.entropy == y.tokens[i].choice.entropy);
        }
    }
}

/// What the conversation says, for counting what was lost.
size_t content(const Conversation& c) {
    size_t n = c.messages().size();
    for (const Message& m : c.messages()) n += m.tokens.size() + !m.why.empty();
    return n;
}

} // namespace

TEST_CASE("conversation: versions stand beside each other, and each keeps what followed it") {
    Conversation c;
    CHECK(c.last() == Message::none);
    CHECK(c.path().empty());
    const uint32_t a = c.add(Message::none, "user", "a"), b = c.add(a, "assistant", "b");
    const uint32_t d = c.add(b, "user", "d");
    CHECK(c.path() == std::vector<uint32_t>{a, b, d});
    const uint32_t b2 = c.add(a, "assistant", "b2");
    CHECK(c.path() == std::vector<uint32_t>{a, b2});
    CHECK(c.versions(b) == std::vector<uint32_t>{b, b2});
    CHECK(c.version(b) == 0);
    CHECK(c.version(b2) == 1);
    c.choose(b);
    CHECK(c.path() == std::vector<uint32_t>{a, b, d});
    CHECK(c.last() == d);
    const uint32_t a2 = c.add(Message::none, "user", "a2");
    CHECK(c.path() == std::vector<uint32_t>{a2});
    CHECK(c.versions(a) == std::vector<uint32_t>{a, a2});
    c.choose(d);
    CHECK(c.path() == std::vector<uint32_t>{a, b, d});
}

TEST_CASE("conversation: a model reads its own ids, another one the text") {
    Conversation c;
    const uint32_t q = c.add(Message::none, "user", "q"), a = c.add(q, "assistant", "xy");
    c.at(a).model = "m", c.at(a).tokens = {token(8, "x"), token(9, "y")};
    auto own = c.turns(a, "m");
    REQUIRE(own.size() == 2);
    CHECK(own[0].role == "user");
    CHECK(own[0].ids.empty());
    CHECK(own[1].ids == std::vector<int32_t>{8, 9});
    CHECK(own[1].text == "xy");
    CHECK(c.turns(a, "other")[1].ids.empty());
    CHECK(c.turns(q, "m").size() == 1);
    c.at(a).why = "stop string"; // the ids hold the string that ended it
    CHECK(c.turns(a, "m")[1].ids.empty());
    c.system = "s";
    CHECK(c.turns(q, "m").front().role == "system");
    CHECK(c.turns(q, "m").front().text == "s");
}

TEST_CASE("conversation: its name is the title, or the first words that the user wrote") {
    Conversation c;
    CHECK(c.name() == "");
    c.add(Message::none, "user", "\n  first line\nsecond");
    CHECK(c.name() == "first line");
    Conversation chinese;
    std::string text;
    for (int i = 0; i < 40; ++i) text += "你";
    chinese.add(Message::none, "user", text);
    CHECK(chinese.name() == text.substr(0, 48) + "...");
    chinese.title = "t";
    CHECK(chinese.name() == "t");
}

TEST_CASE("conversation: exported as Markdown it is the shown path, as JSON the whole tree") {
    Conversation c;
    c.system = "s";
    const uint32_t q = c.add(Message::none, "user", "q \"1\"");
    c.add(q, "assistant", "hidden");
    const uint32_t a = c.add(q, "assistant", "\xff\xfe cut"); // not UTF-8
    c.at(a).tokens = {token(8, "x")}, c.at(a).model = "m";
    const std::string text = c.to_markdown();
    CHECK(text.find("## user\n\nq \"1\"\n") != std::string::npos);
    CHECK(text.find("> s\n") != std::string::npos);
    CHECK(text.find("hidden") == std::string::npos);
    const auto json = nlohmann::json::parse(c.to_json());
    CHECK(json.at("system") == "s");
    CHECK(json.at("shown") == std::vector<uint32_t>{q, a});
    REQUIRE(json.at("messages").size() == 3);
    CHECK(json["messages"][0]["parent"].is_null());
    CHECK(json["messages"][1]["text"] == "hidden");
    CHECK(json["messages"][2]["parent"] == q);
    CHECK(json["messages"][2]["tokens"][0]["id"] == 8);
}

TEST_CASE("conversation: what was saved comes back equal, also after the file was written anew") {
    Folder folder;
    Conversation c;
    {
        ConversationStore store(folder.path / "deep" / "er");
        c = written(store);
        check_equal(store.open(c.id), c);
    }
    ConversationStore store(folder.path / "deep" / "er");
    Conversation again = store.open(c.id);
    check_equal(again, c);
    // The first change by another store writes the whole file.
    c.system = again.system = "another";
    CHECK(store.save_system(again) == "");
    check_equal(store.open(c.id), c);
    const uint32_t n = ask(store, again, again.last(), "on");
    CHECK(store.open(c.id).last() == n);
}

TEST_CASE("conversation: a token whose probability is no number is kept") {
    Folder folder;
    ConversationStore store(folder.path);
    Conversation c = store.create();
    const uint32_t q = ask(store, c, Message::none, "q");
    const uint32_t a = say(store, c, q, {token(1, "a", NAN, NAN), token(2, "b")}, "end");
    std::string damage;
    const Conversation again = store.open(c.id, &damage);
    CHECK(damage == "");
    CHECK(again.at(a).text == "ab");
    REQUIRE(again.at(a).tokens.size() == 2);
    CHECK(again.at(a).tokens[0].choice.p != again.at(a).tokens[0].choice.p);
}

TEST_CASE("conversation: cut at any byte it opens, and loses at most the line that was cut") {
    Folder folder;
    ConversationStore store(folder.path);
    const Conversation c = written(store);
    const std::string bytes = read(folder.path / (c.id + ".jsonl"));
    // What the lines up to each hold: one message, token or end each.
    size_t complete = 0;
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
        CAPTURE(cut);
        if (cut > 0 && bytes[cut - 1] == '\n') {
            const size_t line = cut < 2 ? 0 : bytes.rfind('\n', cut - 2) + 1;
            const auto json = nlohmann::json::parse(bytes.substr(line, cut - line));
            complete += json.contains("message") || json.contains("token") || json.contains("end");
        }
        write(folder.path / "cut.jsonl", bytes.substr(0, cut));
        std::string damage;
        const Conversation some = store.open("cut", &damage);
        CHECK(damage == "");
        CHECK(content(some) >= complete);
        CHECK(content(some) <= complete + 1);
    }
    CHECK(complete == content(c));
}

TEST_CASE("conversation: after a kill it goes on where it was, and nothing of the rest is lost") {
    Folder folder;
    Conversation c;
    {
        ConversationStore store(folder.path);
        c = written(store);
    }
    const fs::path file = folder.path / (c.id + ".jsonl");
    write(file, read(file) + "{\"token\": [5, 12, \"ha");
    ConversationStore store(folder.path);
    Conversation again = store.open(c.id);
    check_equal(again, c);
    const uint32_t n = ask(store, again, again.last(), "after");
    std::string damage;
    const Conversation third = store.open(c.id, &damage);
    CHECK(damage == "");
    CHECK(third.at(n).text == "after");
    CHECK(content(third) == content(c) + 1);
}

TEST_CASE("conversation: a damaged line in the middle is told of, kept in a copy and left out") {
    Folder folder;
    ConversationStore store(folder.path);
    const Conversation c = written(store);
    const fs::path file = folder.path / (c.id + ".jsonl");
    const std::string bytes = read(file);
    std::vector<std::string> lines;
    for (size_t at = 0; at < bytes.size(); at = bytes.find('\n', at) + 1)
        lines.push_back(bytes.substr(at, bytes.find('\n', at) + 1 - at));
    for (size_t broken = 0; broken < lines.size(); ++broken) {
        CAPTURE(lines[broken]);
        std::string text;
        for (size_t i = 0; i < lines.size(); ++i)
            text += i == broken ? lines[i].substr(0, lines[i].size() / 2) + "\n" : lines[i];
        write(file, text);
        std::string damage;
        const Conversation some = store.open(c.id, &damage);
        CHECK(damage.find(" lines are damaged") != std::string::npos);
        CHECK(read(file.string() + ".broken") == text);
        // The messages that are whole stay, whichever other one is gone.
        const bool message = lines[broken].find("\"message\"") != std::string::npos;
        CHECK(some.messages().size() == c.messages().size() - message);
    }
}

TEST_CASE("conversation: hostile lines are refused one by one") {
    const char* hostile[]{
        "{}",
        "[]",
        "null",
        "7",
        "\"message\"",
        "{\"message\": 0, \"parent\": null, \"role\": \"user\", \"text\": \"twice\"}",
        "{\"message\": 4294967295, \"parent\": 0, \"role\": \"user\", \"text\": \"x\"}",
        "{\"message\": 4294967297, \"parent\": 0, \"role\": \"user\", \"text\": \"x\"}",
        "{\"message\": -1, \"parent\": 0, \"role\": \"user\", \"text\": \"x\"}",
        "{\"message\": 1.5, \"parent\": 0, \"role\": \"user\", \"text\": \"x\"}",
        "{\"message\": 1, \"parent\": 1, \"role\": \"user\", \"text\": \"its own parent\"}",
        "{\"message\": 1, \"parent\": 2, \"role\": \"user\", \"text\": \"parent to come\"}",
        "{\"message\": 1, \"parent\": \"0\", \"role\": \"user\", \"text\": \"x\"}",
        "{\"message\": 1, \"parent\": 0, \"role\": 3, \"text\": \"x\"}",
        "{\"message\": 1, \"parent\": 0, \"role\": \"user\", \"text\": {}}",
        "{\"message\": 1, \"parent\": 0, \"role\": \"user\", \"text\": \"x\", \"model\": 4}",
        "{\"message\": 1, \"parent\": 0, \"text\": \"x\"}",
        "{\"token\": [4294967296, 1, \"wrapped\", 0.5, 0.5]}",
        "{\"token\": [18446744073709551616, 1, \"wrapped\", 0.5, 0.5]}",
        "{\"token\": [-4294967296, 1, \"wrapped\", 0.5, 0.5]}",
        "{\"token\": [1000, 1, \"x\", 0.5, 0.5]}",
        "{\"token\": [0, 1, \"short\"]}",
        "{\"token\": [0, 1, 2, 0.5, 0.5]}",
        "{\"token\": {\"0\": 1}}",
        "{\"token\": []}",
        "{\"text\": 9, \"is\": \"x\"}",
        "{\"text\": 0, \"is\": null}",
        "{\"is\": \"x\"}",
        "{\"end\": 0}",
        "{\"end\": 0, \"why\": \"x\", \"tokens_per_second\": \"fast\"}",
        "{\"end\": 99, \"why\": \"x\"}",
        "{\"chosen\": 99}",
        "{\"chosen\": 4294967295}",
        "{\"chosen\": {}}",
        "{\"title\": 4}",
        "{\"system\": []}",
        "\xff\xfe\x00",
    };
    Folder folder;
    const std::string first = "{\"kvasir\":1,\"system\":\"\"}\n"
                              "{\"message\":0,\"parent\":null,\"role\":\"user\",\"text\":\"kept\"}\n",
                      after = "{\"message\":5,\"parent\":0,\"role\":\"assistant\",\"text\":\"too\"}\n";
    for (const char* line : hostile) {
        CAPTURE(line);
        write(folder.path / "h.jsonl", first + line + "\n" + after);
        ConversationStore store(folder.path);
        REQUIRE(store.list().size() == 1);
        CHECK(store.list()[0].name == "kept");
        std::string damage;
        const Conversation c = store.open("h", &damage);
        CHECK(damage.find("1 of 4 lines are damaged") != std::string::npos);
        REQUIRE(c.messages().size() == 2);
        CHECK(c.at(0).text == "kept");
        CHECK(c.at(0).tokens.empty());
        CHECK(c.at(0).why == "");
        CHECK(c.path() == std::vector<uint32_t>{0, 1});
    }
    std::string deep(200000, '[');
    write(folder.path / "h.jsonl", first + deep + "\n" + after);
    CHECK(ConversationStore(folder.path).open("h").messages().size() == 2);
}

TEST_CASE("conversation: a full disk is told of, loses nothing, and the next save writes everything") {
    Folder folder;
    ConversationStore store(folder.path);
    Conversation c = written(store);
    const fs::path file = folder.path / (c.id + ".jsonl");
    const std::string before = read(file);
    rlimit usual{};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &usual) == 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit full = usual;
    full.rlim_cur = before.size() + 10;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &full) == 0);
    const uint32_t n = c.add(c.last(), "user", "a line that no longer fits");
    const std::string told = store.save_message(c, n);
    c.add(n, "assistant", "");
    const std::string again = store.save_message(c, n + 1);
    setrlimit(RLIMIT_FSIZE, &usual);
    CHECK(told.find(c.id) != std::string::npos);
    CHECK(told.find(std::strerror(EFBIG)) != std::string::npos);
    CHECK(again == told);
    CHECK(content(store.open(c.id)) == content(c) - 2); // what was there before is still there
    c.at(n + 1).text = "x", c.at(n + 1).tokens = {token(3, "x")};
    CHECK(store.save_token(c, n + 1) == "");
    check_equal(store.open(c.id), c);
    std::signal(SIGXFSZ, handler);
}

TEST_CASE("conversation: listed by time, renamed, searched, removed") {
    Folder folder;
    std::string cats, dogs;
    {
        ConversationStore store(folder.path);
        Conversation a = store.create();
        const uint32_t q = ask(store, a, Message::none, "About CATS");
        say(store, a, q, {token(1, "They 喵"), token(2, "喵 often")}, "end");
        cats = a.id;
        Conversation b = store.create();
        ask(store, b, Message::none, "关于狗");
        dogs = b.id;
        CHECK(cats != dogs);
        CHECK(store.list().front().id == dogs);
        a.title = "Pets";
        CHECK(store.save_title(a) == "");
        CHECK(store.list().front().id == cats);
        CHECK(store.list().front().name == "Pets");
    }
    const auto hour = std::chrono::hours(1);
    fs::last_write_time(folder.path / (cats + ".jsonl"), fs::file_time_type::clock::now() - hour);
    write(folder.path / "empty.jsonl", "");
    write(folder.path / "other.txt", "no conversation");
    ConversationStore store(folder.path);
    REQUIRE(store.list().size() == 2);
    CHECK(store.list()[0].id == dogs);
    CHECK(store.list()[0].name == "关于狗");
    CHECK(store.list()[1].name == "Pets");
    CHECK(store.open(cats).title == "Pets");
    auto found = [&](const std::string& words) {
        std::vector<std::string> ids;
        for (const auto& entry : store.search(words)) ids.push_back(entry.id);
        return ids;
    };
    CHECK(found("cats") == std::vector{cats});
    CHECK(found("pETS") == std::vector{cats});
    CHECK(found("喵喵") == std::vector{cats}); // across two tokens
    CHECK(found("狗") == std::vector{dogs});
    CHECK(found("猫").empty());
    store.remove(cats);
    CHECK(store.list().size() == 1);
    CHECK(!fs::exists(folder.path / (cats + ".jsonl")));
    CHECK_THROWS_AS(store.open(cats), Error);
    CHECK_THROWS_AS(ConversationStore(folder.path / "other.txt" / "in a file"), Error);
}

TEST_CASE("conversation: a list reads only the beginning of each file") {
    // 2000 files; the long rest of each is no JSON, and takes no place on disk.
    Folder folder;
    for (int i = 0; i < 2000; ++i) {
        const fs::path file = folder.path / (std::to_string(i) + ".jsonl");
        write(
            file,
            "{\"kvasir\":1,\"system\":\"\"}\n{\"message\":0,\"parent\":null,\"role\":\"user\",\"text\":\"n" +
                std::to_string(i) + "\"}\n");
        fs::resize_file(file, uint64_t(1) << 32); // 8 TiB in all: reading it is out of reach
    }
    ConversationStore store(folder.path);
    REQUIRE(store.list().size() == 2000);
    for (const auto& entry : store.list()) CHECK(entry.name == "n" + entry.id);
}

} // namespace kvasir::ui
