#include "runtime/file/json.hpp"

#include "tests/expect_error.hpp"
#include "tests/shared_data.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <filesystem>

namespace kvasir {

TEST_CASE("JSON: values of every kind") {
    const auto value = parse_json(R"({"a": [1, -2.5, true, null, "\u00e9\n"], "b": {}})", "f.json");
    CHECK(value.at("a").at(0) == 1);
    CHECK(value.at("a").at(1) == -2.5);
    CHECK(value.at("a").at(2) == true);
    CHECK(value.at("a").at(3).is_null());
    CHECK(value.at("a").at(4) == "\xc3\xa9\n");
    CHECK(value.at("b").empty());
}

TEST_CASE("JSON: what is not JSON is refused with file, line and column") {
    const auto refused = [](std::string_view text, std::initializer_list<std::string> parts) {
        expect_error([&] { parse_json(text, "f.json"); }, parts);
    };
    refused("{\"a\": 1,\n  oops}", {"f.json", "line 2, column 3", "\"oops}\""});
    refused("[1, 2", {"line 1, column 6", "the end"});
    refused("", {"line 1, column 1", "the end"});
    refused("[1] x", {"line 1, column 5"});
    refused("\"\xff\"", {"line 1, column 2", "\\xff"});
    refused("\n\n[1e999]", {"no double can hold"});
    refused("[NaN]", {"line 1, column 2"});
}

TEST_CASE("JSON: nesting is bounded") {
    const auto nested = [](int depth) {
        return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
    };
    CHECK(parse_json(nested(json_max_depth), "f").is_array());
    expect_error([&] { parse_json(nested(json_max_depth + 2), "f"); }, {"deeper than 100"});
    expect_error([&] { parse_json(std::string(10'000'000, '['), "f"); }, {"deeper than 100"});
    std::string objects;
    for (int i = 0; i < 1000; ++i) objects += "{\"a\":";
    expect_error([&] { parse_json(objects, "f"); }, {"deeper than 100"});
}

TEST_CASE("JSON: every JSON file of the shared data is read") {
    const auto folder = shared_data("", 1);
    if (!folder) return;
    int read = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(*folder)) {
        if (entry.path().extension() != ".json") continue;
        CAPTURE(entry.path().string());
        CHECK(!read_json(entry.path().string()).is_null());
        ++read;
    }
    CHECK(read > 10);
}

} // namespace kvasir
