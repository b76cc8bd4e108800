#include "runtime/error.hpp"
#include "runtime/text/jinja/library.hpp"
#include "runtime/text/jinja/parser.hpp"
#include "runtime/text/jinja/workspace.hpp"

#include <algorithm>
#include <charconv>

namespace kvasir::jinja {

using Form = Expression::Kind;

Parser::Level::Level(Parser& parser) : parser_(parser) {
    if (parser_.depth_ == max_source_depth)
        parser_.fail("nested deeper than " + std::to_string(max_source_depth) + " levels");
    ++parser_.depth_;
}

void Parser::fail(const std::string& found) const {
    refuse(token().line, found);
}

void Parser::unexpected(const std::string& wanted) const {
    static constexpr const char* kinds[] = {"text",   "{{", "}}", "{%", "%}",     "",
                                            "a text", "",   "",   "",   "the end"};
    const char* kind = kinds[static_cast<int>(token().kind)];
    fail(wanted + " is expected, not " + (*kind ? kind : quoted(token().text)));
}

bool Parser::is_sign(std::string_view sign) const {
    return token().kind == Token::Kind::sign && token().text == sign;
}
bool Parser::is_name(std::string_view name) const {
    return token().kind == Token::Kind::name && token().text == name;
}
bool Parser::is_any_name(Names names) const {
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return is_name(name); });
}
bool Parser::skip_sign(std::string_view sign) {
    const bool is = is_sign(sign);
    at_ += is;
    return is;
}
bool Parser::skip_name(std::string_view name) {
    const bool is = is_name(name);
    at_ += is;
    return is;
}
void Parser::expect_sign(std::string_view sign) {
    if (!skip_sign(sign)) unexpected(std::string(sign));
}
void Parser::expect_name(std::string_view name) {
    if (!skip_name(name)) unexpected(std::string(name));
}
void Parser::expect(Token::Kind kind, const char* wanted) {
    if (token().kind != kind) unexpected(wanted);
    if (kind != Token::Kind::end) ++at_;
}
std::string Parser::take_name() {
    if (token().kind != Token::Kind::name) unexpected("a name");
    return tokens_[at_++].text;
}

Node Parser::make(Form kind, std::vector<Node> parts) {
    auto node = std::make_unique<Expression>(Expression{.kind = kind, .line = token().line});
    node->parts = std::move(parts);
    measure(*node);
    return node;
}

void Parser::measure(Expression& node) const {
    int height = 0;
    for (const Node& part : node.parts)
        if (part) height = std::max(height, part->height);
    for (const Argument& argument : node.arguments) height = std::max(height, argument.value->height);
    node.height = height + 1;
    if (node.height > max_source_depth)
        fail("an expression nested deeper than " + std::to_string(max_source_depth) + " levels");
}

Node Parser::parse_expression() {
    const Level level(*this);
    Node node = parse_any();
    // a if b else c if d else e: the choices that follow stand in the else of the one before
    if (!skip_name("if")) return node;
    Node choice = make(Form::choice);
    choice->parts.push_back(std::move(node));
    choice->parts.push_back(parse_any());
    if (skip_name("else")) choice->parts.push_back(parse_expression());
    measure(*choice);
    return choice;
}

Node Parser::parse_joined_by(Node (Parser::*part)(), std::string_view name, Form kind) {
    Node node = (this->*part)();
    if (!is_name(name)) return node;
    Node joined = make(kind);
    joined->parts.push_back(std::move(node));
    while (skip_name(name)) joined->parts.push_back((this->*part)());
    measure(*joined);
    return joined;
}

Node Parser::parse_any() {
    return parse_joined_by(&Parser::parse_all, "or", Form::any);
}
Node Parser::parse_all() {
    return parse_joined_by(&Parser::parse_not, "and", Form::all);
}

Node Parser::parse_not() {
    if (!is_name("not")) return parse_comparison();
    const Level level(*this);
    Node node = make(Form::negation);
    ++at_;
    node->parts.push_back(parse_not());
    measure(*node);
    return node;
}

Node Parser::parse_comparison() {
    static const std::pair<std::string_view, Operator> signs[] = {
        {"==", Operator::equal},      {"!=", Operator::not_equal}, {"<", Operator::less},
        {"<=", Operator::less_equal}, {">", Operator::greater},    {">=", Operator::greater_equal}};
    Node node = make(Form::comparison);
    node->parts.push_back(parse_sum());
    for (;;) {
        const auto sign =
            std::find_if(std::begin(signs), std::end(signs), [&](auto& s) { return is_sign(s.first); });
        if (sign != std::end(signs)) {
            ++at_;
            node->operators.push_back(sign->second);
        } else if (skip_name("in")) {
            node->operators.push_back(Operator::in);
        } else if (is_name("not") && after().kind == Token::Kind::name && after().text == "in") {
            at_ += 2;
            node->operators.push_back(Operator::not_in);
        } else {
            break;
        }
        node->parts.push_back(parse_sum());
    }
    if (node->operators.empty()) return std::move(node->parts[0]);
    measure(*node);
    return node;
}

Node Parser::parse_chain(Node (Parser::*part)(),
                         std::initializer_list<std::pair<std::string_view, Operator>> operators) {
    Node node = (this->*part)();
    Node chain;
    for (;;) {
        const auto it =
            std::find_if(operators.begin(), operators.end(), [&](auto& o) { return is_sign(o.first); });
        if (it == operators.end()) break;
        if (!chain) {
            chain = make(Form::chain);
            chain->parts.push_back(std::move(node));
        }
        ++at_;
        chain->operators.push_back(it->second);
        chain->parts.push_back((this->*part)());
    }
    if (!chain) return node;
    measure(*chain);
    return chain;
}

Node Parser::parse_sum() {
    return parse_chain(&Parser::parse_joined, {{"+", Operator::add}, {"-", Operator::subtract}});
}
Node Parser::parse_joined() {
    return parse_chain(&Parser::parse_product, {{"~", Operator::join}});
}
Node Parser::parse_product() {
    return parse_chain(&Parser::parse_power, {{"*", Operator::multiply},
                                              {"/", Operator::divide},
                                              {"//", Operator::floor_divide},
                                              {"%", Operator::modulo}});
}
Node Parser::parse_power() {
    // From left to right, unlike Python: 2 ** 3 ** 2 is 64 in Jinja.
    Node node = parse_unary(true);
    if (!is_sign("**")) return node;
    Node chain = make(Form::chain);
    chain->parts.push_back(std::move(node));
    while (skip_sign("**")) {
        chain->operators.push_back(Operator::power);
        chain->parts.push_back(parse_unary(true));
    }
    measure(*chain);
    return chain;
}

Node Parser::parse_unary(bool with_filters) {
    Node node;
    if (is_sign("-") || is_sign("+")) {
        const Level level(*this);
        node = make(is_sign("-") ? Form::minus : Form::plus);
        ++at_;
        node->parts.push_back(parse_unary(false));
        measure(*node);
    } else {
        node = parse_primary();
    }
    node = parse_postfix(std::move(node));
    return with_filters ? parse_filters(std::move(node)) : std::move(node);
}

Node Parser::parse_primary() {
    switch (token().kind) {
    case Token::Kind::string: return parse_string();
    case Token::Kind::integer:
    case Token::Kind::real: return parse_number();
    case Token::Kind::name: break;
    default:
        if (is_sign("[")) return parse_list();
        if (is_sign("{")) return parse_dict();
        if (!skip_sign("(")) unexpected("an expression");
        Node node = parse_tuple(true, true);
        expect_sign(")");
        return node;
    }
    Node node = make(Form::constant);
    const std::string& name = token().text;
    if (name == "true" || name == "True" || name == "false" || name == "False") {
        node->value = Value::of(name[0] == 't' || name[0] == 'T');
    } else if (name != "none" && name != "None") {
        node->kind = Form::variable;
        node->name = name;
    }
    ++at_;
    return node;
}

Node Parser::parse_string() {
    Node node = make(Form::text);
    while (token().kind == Token::Kind::string) node->text.append(tokens_[at_++].text);
    return node;
}

Node Parser::parse_number() {
    Node node = make(Form::constant);
    const std::string& text = token().text;
    const char *begin = text.data(), *end = begin + text.size();
    if (token().kind == Token::Kind::integer) {
        int64_t value = 0;
        if (std::from_chars(begin, end, value).ec != std::errc{})
            fail("the number " + text + " is beyond 64 bits");
        node->value = Value::of(value);
    } else {
        double value = 0;
        if (std::from_chars(begin, end, value).ec != std::errc{})
            fail("the number " + text + " is beyond a double");
        node->value = Value::of(value);
    }
    ++at_;
    return node;
}

Node Parser::parse_list() {
    Node node = make(Form::list);
    expect_sign("[");
    while (!is_sign("]")) {
        if (!node->parts.empty()) expect_sign(",");
        if (is_sign("]")) break;
        node->parts.push_back(parse_expression());
    }
    ++at_;
    measure(*node);
    return node;
}

Node Parser::parse_dict() {
    Node node = make(Form::dict);
    expect_sign("{");
    while (!is_sign("}")) {
        if (!node->parts.empty()) expect_sign(",");
        if (is_sign("}")) break;
        node->parts.push_back(parse_expression());
        expect_sign(":");
        node->parts.push_back(parse_expression());
    }
    ++at_;
    measure(*node);
    return node;
}

/// One expression, or several with commas. end_name is a name before which a comma may stand.
Node Parser::parse_tuple(bool with_choice, bool in_brackets, std::string_view end_name) {
    const auto ends = [&] {
        return token().kind == Token::Kind::tag_end || token().kind == Token::Kind::output_end ||
               is_sign(")") || (!end_name.empty() && is_name(end_name));
    };
    Node tuple = make(Form::tuple);
    bool comma = false;
    while (!ends()) {
        tuple->parts.push_back(with_choice ? parse_expression() : parse_any());
        if (!skip_sign(",")) break;
        comma = true;
    }
    if (!comma && tuple->parts.size() == 1) return std::move(tuple->parts[0]);
    if (tuple->parts.empty() && !in_brackets) unexpected("an expression");
    measure(*tuple);
    return tuple;
}

} // namespace kvasir::jinja
