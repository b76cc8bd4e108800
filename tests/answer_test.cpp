#include "app/answer.hpp"

#include <doctest/doctest.h>

using namespace std::string_literals;

namespace kvasir {

TEST_CASE("a stop string is never shown, however it is cut into pieces") {
    const std::string stop = "\nUser:", text = "Hello.\n\nUser: and on";
    for (size_t size = 1; size <= text.size(); ++size) {
        AnswerText answer({stop});
        std::string shown;
        for (size_t at = 0; at < text.size(); at += size) {
            shown += answer.push(text.substr(at, size));
            CHECK(("Hello.\n"s).starts_with(shown));
        }
        CHECK(answer.stopped());
        shown += answer.finish();
        CHECK(shown == "Hello.\n");
        CHECK(answer.shown() == shown);
    }
}

TEST_CASE("what only looked like a stop string is shown, at the latest at the end") {
    AnswerText answer({"\nUser:", "\nSystem:"});
    CHECK(answer.push("a\nUse") == "a");
    CHECK(answer.push("d\n") == "\nUsed");
    CHECK(answer.push("Sys") == "");
    CHECK(answer.finish() == "\nSys");
    CHECK(!answer.stopped());
}

TEST_CASE("of two stop strings the one that begins first ends the answer") {
    AnswerText answer({"END", "xEN"});
    CHECK(answer.push("..xEND") == "..");
    CHECK(answer.stopped());
    CHECK(answer.push("more") == "");
}

TEST_CASE("a character is shown when its last byte has come") {
    AnswerText answer({});
    CHECK(answer.push("\xe2\x82") == "");
    CHECK(answer.push("\xac.") == "\u20ac.");
    CHECK(answer.push("\xe2\x82") == "");
    CHECK(answer.finish() == "\uFFFD");
}

} // namespace kvasir
