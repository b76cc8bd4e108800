#include "ui/conversation.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

// The tree of a conversation's versions.

namespace kvasir::ui {
namespace {

AnswerToken token(int32_t id, std::string text, float p = 0.5f, float entropy = 1.25f) {
    AnswerToken t;
    t.choice.id = id, t.choice.p = p, t.choice.entropy = entropy, t.text = std::move(text);
    return t;
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

} // namespace kvasir::ui
