#pragma once

#include "runtime/text/jinja/lexer.hpp"
#include "runtime/text/jinja/syntax.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir::jinja {

/// Brackets and blocks may stand this deep in one another, and a syntax tree be this high.
constexpr int max_source_depth = 100;

/// Tokens to a syntax tree. As in Jinja no name is reserved: `{% if if in in %}` is well formed.
class Parser {
  public:
    explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

    /// Throws Error for what is no template, and for a statement, filter, test or function that is not known.
    Statement::Body run();

  private:
    using Names = std::initializer_list<std::string_view>;

    /// One level of recursion.
    class Level {
      public:
        explicit Level(Parser& parser);
        ~Level() { --parser_.depth_; }
        Level(const Level&) = delete;

      private:
        Parser& parser_;
    };

    // Tokens
    const Token& token() const { return tokens_[at_]; }
    const Token& after() const { return tokens_[at_ + (at_ + 1 < tokens_.size())]; }
    [[noreturn]] void fail(const std::string& found) const;
    [[noreturn]] void unexpected(const std::string& wanted) const;
    bool is_sign(std::string_view sign) const;
    bool is_name(std::string_view name) const;
    bool is_any_name(Names names) const;
    bool skip_sign(std::string_view sign);
    bool skip_name(std::string_view name);
    void expect_sign(std::string_view sign);
    void expect_name(std::string_view name);
    void expect(Token::Kind kind, const char* wanted);
    std::string take_name();

    // Expressions
    Node make(Expression::Kind kind, std::vector<Node> parts = {});
    void measure(Expression& node) const; ///< after its parts have changed
    Node parse_expression();
    Node parse_any();
    Node parse_all();
    Node parse_not();
    Node parse_comparison();
    Node parse_sum();
    Node parse_joined();
    Node parse_product();
    Node parse_power();
    Node parse_unary(bool with_filters);
    Node parse_primary();
    Node parse_string();
    Node parse_number();
    Node parse_list();
    Node parse_dict();
    Node parse_tuple(bool with_choice = true, bool in_brackets = false, std::string_view end_name = "");
    Node parse_postfix(Node node);
    Node parse_filters(Node node);
    Node parse_dotted(Node node);
    Node parse_subscript(Node node);
    Node parse_call(Node node);
    Node parse_filter(Node node);
    Node parse_test(Node node);
    void parse_arguments(Expression& call);
    Node parse_chain(Node (Parser::*part)(),
                     std::initializer_list<std::pair<std::string_view, Operator>> operators);
    Node parse_joined_by(Node (Parser::*part)(), std::string_view name, Expression::Kind kind);

    // Statements
    Statement make(Statement::Kind kind) const;
    Statement::Body parse_body(Names ends);
    void parse_tag(Statement::Body& body);
    void end_tag() { expect(Token::Kind::tag_end, "%}"); }
    Statement parse_output();
    Statement parse_if();
    Statement parse_for();
    Statement parse_set();
    Statement parse_macro();
    Statement parse_call_block();
    Statement parse_filter_block();
    Target parse_target(bool with_attribute, std::string_view end_name);
    std::vector<Parameter> parse_parameters();

    std::vector<Token> tokens_;
    std::size_t at_ = 0;
    int depth_ = 0;
    int loops_ = 0;        ///< around this place, in the same body
    std::string_view tag_; ///< the last tag that ended a body
};

} // namespace kvasir::jinja
