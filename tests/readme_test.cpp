#include "runtime/architectures.hpp"
#include "runtime/spec_json.hpp"
#include "tests/process.hpp"
#include "tests/what_runs.hpp"

#include <doctest/doctest.h>

#include <regex>
#include <set>
#include <string>

// What the README tells people to type is what the program takes.

namespace kvasir {
namespace {

/// All matches of the expression's first group.
std::set<std::string> found(const std::string& text, const std::string& expression) {
    const std::regex regex(expression);
    std::set<std::string> all;
    for (std::sregex_iterator i(text.begin(), text.end(), regex), end; i != end; ++i) all.insert((*i)[1]);
    return all;
}

TEST_CASE("every command and option that the README names is one, and every command stands in it") {
    const std::string text = readme();
    const std::string help = run_kvasir({"--help"}).out;
    const auto commands = found(text, "\nkvasir ([a-z]+)");
    REQUIRE(commands.size() > 5);
    for (const std::string& command : found(help.substr(help.find("Subcommands:")), "\n  ([a-z]+) "))
        if (command != "window") CHECK_MESSAGE(commands.count(command) == 1, command);
    for (const std::string& command : commands) {
        const Finished own = run_kvasir({command, "--help"});
        CHECK_MESSAGE(own.status == 0, command);
        std::smatch line;
        REQUIRE(std::regex_search(text, line, std::regex("\nkvasir " + command + "([^\n]*)")));
        for (const std::string& option : found(line[1], "(--?[a-z][a-z-]*)"))
            CHECK_MESSAGE(own.out.find(option) != std::string::npos, command << " " << option);
    }
}

TEST_CASE("the files that the README names are there") {
    for (const std::string& path : found(readme(), "`((?:tests|assets|shaders|runtime|app)/[a-z_/.]+)`"))
        CHECK_MESSAGE(std::filesystem::exists(std::string(KVASIR_SOURCE_DIR) + "/" + path), path);
}

TEST_CASE("the tables of what runs are the tests' own") {
    const std::string text = readme(), expected = what_runs(stated_errors(text));
    CHECK_MESSAGE(text.find(expected) != std::string::npos, "README.md should have:\n" << expected);
    for (const auto& [name, error] : stated_errors(expected))
        CHECK_MESSAGE((error > 0 && error < 1e-4), name);
}

TEST_CASE("the shape that the README states is one") {
    const std::string text = readme();
    const size_t from = text.find("```json\n") + 8;
    const ModelSpec m = spec_from_text(text.substr(from, text.find("```", from) - from), "README.md");
    CHECK((m.activation == Activation::relu && m.gated && m.post_norm && !m.pre_norm));
    CHECK((m.rope != Rope::none && m.alibi_max_bias > 0 && m.n_kv_heads < m.n_heads));
    for (const TensorNeed& need : tensors_of(architecture(m.family), m)) {
        const std::string stem = need.name.substr(0, need.name.rfind('.'));
        CHECK_MESSAGE(text.find(stem.substr(stem.rfind('.') + 1)) != std::string::npos, need.name);
    }
}

} // namespace
} // namespace kvasir
