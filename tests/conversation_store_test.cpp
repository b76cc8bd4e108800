#include "runtime/error.hpp"
#include "tests/scratch_folder.hpp"
#include "ui/conversation_store.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <sys/resource.h>

// How a conversation survives on disk.

namespace kvasir::ui {
namespace {

namespace fs = std::filesystem;

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

TEST_CASE("conversations: what was saved comes back equal, also after the file was written anew") {
    ScratchFolder folder;
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

TEST_CASE("conversations: a token whose probability is no number is kept") {
    ScratchFolder folder;
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

TEST_CASE("conversations: cut at any byte it opens, and loses at most the line that was cut") {
    ScratchFolder folder;
    ConversationStore store(folder.path);
    const Conversation c = written(store);
    const std::string bytes = read_bytes(folder.path / (c.id + ".jsonl"));
    // What the lines up to each hold: one message, token or end each.
    size_t complete = 0;
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
        CAPTURE(cut);
        if (cut > 0 && bytes[cut - 1] == '\n') {
            const size_t line = cut < 2 ? 0 : bytes.rfind('\n', cut - 2) + 1;
            const auto json = nlohmann::json::parse(bytes.substr(line, cut - line));
            complete += json.contains("message") || json.contains("token") || json.contains("end");
        }
        write_bytes(folder.path / "cut.jsonl", bytes.substr(0, cut));
        std::string damage;
        const Conversation some = store.open("cut", &damage);
        CHECK(damage == "");
        CHECK(content(some) >= complete);
        CHECK(content(some) <= complete + 1);
    }
    CHECK(complete == content(c));
}

TEST_CASE("conversations: after a kill it goes on where it was, and nothing of the rest is lost") {
    ScratchFolder folder;
    Conversation c;
    {
        ConversationStore store(folder.path);
        c = written(store);
    }
    const fs::path file = folder.path / (c.id + ".jsonl");
    write_bytes(file, read_bytes(file) + "{\"token\": [5, 12, \"ha");
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

TEST_CASE("conversations: a damaged line in the middle is told of, kept in a copy and left out") {
    ScratchFolder folder;
    ConversationStore store(folder.path);
    const Conversation c = written(store);
    const fs::path file = folder.path / (c.id + ".jsonl");
    const std::string bytes = read_bytes(file);
    std::vector<std::string> lines;
    for (size_t at = 0; at < bytes.size(); at = bytes.find('\n', at) + 1)
        lines.push_back(bytes.substr(at, bytes.find('\n', at) + 1 - at));
    for (size_t broken = 0; broken < lines.size(); ++broken) {
        CAPTURE(lines[broken]);
        std::string text;
        for (size_t i = 0; i < lines.size(); ++i)
            text += i == broken ? lines[i].substr(0, lines[i].size() / 2) + "\n" : lines[i];
        write_bytes(file, text);
        std::string damage;
        const Conversation some = store.open(c.id, &damage);
        CHECK(damage.find(" lines are damaged") != std::string::npos);
        CHECK(read_bytes(file.string() + ".broken") == text);
        // The messages that are whole stay, whichever other one is gone.
        const bool message = lines[broken].find("\"message\"") != std::string::npos;
        CHECK(some.messages().size() == c.messages().size() - message);
    }
}

TEST_CASE("conversations: hostile lines are refused one by one") {
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
    ScratchFolder folder;
    const std::string first = "{\"kvasir\":1,\"system\":\"\"}\n"
                              "{\"message\":0,\"parent\":null,\"role\":\"user\",\"text\":\"kept\"}\n",
                      after = "{\"message\":5,\"parent\":0,\"role\":\"assistant\",\"text\":\"too\"}\n";
    for (const char* line : hostile) {
        CAPTURE(line);
        write_bytes(folder.path / "h.jsonl", first + line + "\n" + after);
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
    write_bytes(folder.path / "h.jsonl", first + deep + "\n" + after);
    CHECK(ConversationStore(folder.path).open("h").messages().size() == 2);
}

TEST_CASE("conversations: a full disk is told of, loses nothing, and the next save writes everything") {
    ScratchFolder folder;
    ConversationStore store(folder.path);
    Conversation c = written(store);
    const fs::path file = folder.path / (c.id + ".jsonl");
    const std::string before = read_bytes(file);
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

TEST_CASE("conversations: listed by time, renamed, searched, removed") {
    ScratchFolder folder;
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
    write_bytes(folder.path / "empty.jsonl", "");
    write_bytes(folder.path / "other.txt", "no conversation");
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

TEST_CASE("conversations: a list reads only the beginning of each file") {
    // 2000 files; the long rest of each is no JSON, and takes no place on disk.
    ScratchFolder folder;
    for (int i = 0; i < 2000; ++i) {
        const fs::path file = folder.path / (std::to_string(i) + ".jsonl");
        write_bytes(
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
