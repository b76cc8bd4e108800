#include "runtime/error.hpp"
#include "runtime/text/jinja/library.hpp"
#include "runtime/text/jinja/parser.hpp"

#include <algorithm>

// What follows a value: attributes, subscripts, calls, filters and tests.

namespace kvasir::jinja {

using Form = Expression::Kind;

Node Parser::parse_postfix(Node node) {
    for (;;) {
        if (is_sign("."))
            node = parse_dotted(std::move(node));
        else if (is_sign("["))
            node = parse_subscript(std::move(node));
        else if (is_sign("("))
            node = parse_call(std::move(node));
        else
            return node;
    }
}

Node Parser::parse_filters(Node node) {
    for (;;) {
        if (is_sign("|"))
            node = parse_filter(std::move(node));
        else if (is_name("is"))
            node = parse_test(std::move(node));
        else if (is_sign("("))
            node = parse_call(std::move(node));
        else
            return node;
    }
}

Node Parser::parse_dotted(Node node) {
    expect_sign(".");
    Node access = make(Form::attribute);
    access->parts.push_back(std::move(node));
    if (token().kind == Token::Kind::integer) {
        access->kind = Form::item;
        access->parts.push_back(parse_number());
    } else {
        access->name = take_name();
    }
    measure(*access);
    return access;
}

Node Parser::parse_subscript(Node node) {
    Node access = make(Form::item);
    access->parts.push_back(std::move(node));
    expect_sign("[");
    if (!is_sign(":")) access->parts.push_back(parse_expression());
    if (is_sign(":")) {
        access->kind = Form::slice;
        if (access->parts.size() == 1) access->parts.push_back(nullptr);
        for (int i = 0; i < 2 && skip_sign(":"); ++i)
            access->parts.push_back(is_sign(":") || is_sign("]") ? nullptr : parse_expression());
        access->parts.resize(4);
    }
    if (is_sign(",")) fail("an index of several parts is not known");
    expect_sign("]");
    measure(*access);
    return access;
}

Node Parser::parse_call(Node node) {
    Node call = make(Form::call);
    call->parts.push_back(std::move(node));
    parse_arguments(*call);
    measure(*call);
    return call;
}

void Parser::parse_arguments(Expression& call) {
    expect_sign("(");
    bool first = true;
    while (!is_sign(")")) {
        if (!first) expect_sign(",");
        first = false;
        if (is_sign(")")) break;
        Argument argument;
        if (skip_sign("*")) {
            argument.kind = Argument::Kind::list;
        } else if (skip_sign("**")) {
            argument.kind = Argument::Kind::dict;
        } else if (token().kind == Token::Kind::name && after().kind == Token::Kind::sign &&
                   after().text == "=") {
            argument.name = take_name();
            ++at_;
        } else if (!call.arguments.empty() && (!call.arguments.back().name.empty() ||
                                               call.arguments.back().kind == Argument::Kind::dict)) {
            fail("an argument without a name after one with a name");
        }
        argument.value = parse_expression();
        call.arguments.push_back(std::move(argument));
    }
    ++at_;
}

Node Parser::parse_filter(Node node) {
    Node filter = make(Form::filter);
    filter->parts.push_back(std::move(node));
    expect_sign("|");
    filter->name = take_name();
    if (!is_filter(filter->name)) fail("the filter " + quoted(filter->name) + " is not known");
    if (is_sign("(")) parse_arguments(*filter);
    measure(*filter);
    return filter;
}

Node Parser::parse_test(Node node) {
    Node test = make(Form::test);
    test->parts.push_back(std::move(node));
    expect_name("is");
    const bool negated = skip_name("not");
    test->name = take_name();
    if (!is_test(test->name)) fail("the test " + quoted(test->name) + " is not known");
    const Token::Kind kind = token().kind;
    const bool starts = kind == Token::Kind::name || kind == Token::Kind::string ||
                        kind == Token::Kind::integer || kind == Token::Kind::real || is_sign("[") ||
                        is_sign("{");
    if (is_sign("(")) {
        parse_arguments(*test);
    } else if (starts && !is_any_name({"else", "or", "and"})) {
        if (is_name("is")) fail("a test of a test needs brackets");
        test->arguments.push_back({Argument::Kind::plain, "", parse_postfix(parse_primary())});
    }
    measure(*test);
    if (!negated) return test;
    Node negation = make(Form::negation);
    negation->parts.push_back(std::move(test));
    measure(*negation);
    return negation;
}

} // namespace kvasir::jinja
