#include "runtime/error.hpp"
#include "runtime/text/jinja/parser.hpp"
#include "runtime/text/jinja/workspace.hpp"

#include <utility>

namespace kvasir::jinja {

using Form = Statement::Kind;

Statement Parser::make(Form kind) const {
    return Statement{.kind = kind, .line = token().line};
}

Statement::Body Parser::run() {
    Statement::Body body = parse_body({});
    if (token().kind != Token::Kind::end) unexpected("the end");
    return body;
}

/// Everything up to a tag of one of these names, which is taken, or to the end where there is none to come.
Statement::Body Parser::parse_body(Names ends) {
    const Level level(*this);
    Statement::Body body;
    for (;;) {
        switch (token().kind) {
        case Token::Kind::end:
            if (ends.size() > 0) unexpected("{% " + std::string(*(ends.end() - 1)) + " %}");
            return body;
        case Token::Kind::text:
            body.push_back(make(Form::text));
            body.back().text.append(tokens_[at_++].text);
            break;
        case Token::Kind::output_begin: body.push_back(parse_output()); break;
        default:
            expect(Token::Kind::tag_begin, "{%");
            for (const std::string_view end : ends)
                if (skip_name(end)) {
                    tag_ = end;
                    return body;
                }
            parse_tag(body);
        }
    }
}

Statement Parser::parse_output() {
    Statement output = make(Form::output);
    expect(Token::Kind::output_begin, "{{");
    output.expression = parse_tuple();
    expect(Token::Kind::output_end, "}}");
    return output;
}

/// One statement after {%, with its tags.
void Parser::parse_tag(Statement::Body& body) {
    const std::string name = token().kind == Token::Kind::name ? token().text : "";
    if (name == "if") {
        body.push_back(parse_if());
    } else if (name == "for") {
        body.push_back(parse_for());
    } else if (name == "set") {
        body.push_back(parse_set());
    } else if (name == "macro") {
        body.push_back(parse_macro());
    } else if (name == "call") {
        body.push_back(parse_call_block());
    } else if (name == "filter") {
        body.push_back(parse_filter_block());
    } else if (name == "generation") { // Hugging Face: marks what an assistant wrote, for training
        ++at_;
        end_tag();
        for (Statement& statement : parse_body({"endgeneration"})) body.push_back(std::move(statement));
        end_tag();
    } else if (name == "break" || name == "continue") {
        if (loops_ == 0) fail(name + " outside of a loop");
        body.push_back(make(name == "break" ? Form::stop : Form::next));
        ++at_;
        end_tag();
    } else {
        fail("the statement " + quoted(token().text) + " is not known");
    }
}

Statement Parser::parse_if() {
    Statement choice = make(Form::choice);
    expect_name("if");
    for (bool conditional = true;; conditional = tag_ == "elif") {
        Statement::Branch& branch = choice.branches.emplace_back();
        if (conditional) branch.condition = parse_tuple(false);
        end_tag();
        branch.body = conditional ? parse_body({"elif", "else", "endif"}) : parse_body({"endif"});
        if (tag_ == "endif") break;
    }
    end_tag();
    return choice;
}

Statement Parser::parse_for() {
    Statement loop = make(Form::loop);
    expect_name("for");
    loop.target = parse_target(false, "in");
    expect_name("in");
    loop.expression = parse_tuple(false, false, "recursive");
    if (skip_name("if")) loop.condition = parse_expression();
    if (is_name("recursive")) fail("a recursive loop is not known");
    end_tag();
    ++loops_;
    loop.body = parse_body({"else", "endfor"});
    --loops_;
    if (tag_ == "else") {
        end_tag();
        loop.otherwise = parse_body({"endfor"});
    }
    end_tag();
    return loop;
}

Statement Parser::parse_set() {
    Statement set = make(Form::set);
    expect_name("set");
    set.target = parse_target(true, "");
    if (skip_sign("=")) {
        set.expression = parse_tuple();
        end_tag();
        return set;
    }
    set.kind = Form::set_block;
    if (is_sign("|")) set.expression = parse_filters(nullptr);
    end_tag();
    const int loops = std::exchange(loops_, 0);
    set.body = parse_body({"endset"});
    loops_ = loops;
    end_tag();
    return set;
}

Statement Parser::parse_macro() {
    Statement macro = make(Form::macro);
    expect_name("macro");
    macro.name = take_name();
    macro.parameters = parse_parameters();
    end_tag();
    const int loops = std::exchange(loops_, 0);
    macro.body = parse_body({"endmacro"});
    loops_ = loops;
    end_tag();
    return macro;
}

Statement Parser::parse_call_block() {
    Statement call = make(Form::call);
    expect_name("call");
    if (is_sign("(")) call.parameters = parse_parameters();
    call.expression = parse_expression();
    if (call.expression->kind != Expression::Kind::call) fail("a call block needs a call");
    end_tag();
    const int loops = std::exchange(loops_, 0);
    call.body = parse_body({"endcall"});
    loops_ = loops;
    end_tag();
    return call;
}

Statement Parser::parse_filter_block() {
    Statement filter = make(Form::filter);
    // The first filter stands without its sign: as if it were there.
    tokens_[at_] = {Token::Kind::sign, "|", token().line};
    filter.expression = parse_filters(nullptr);
    end_tag();
    const int loops = std::exchange(loops_, 0);
    filter.body = parse_body({"endfilter"});
    loops_ = loops;
    end_tag();
    return filter;
}

Target Parser::parse_target(bool with_attribute, std::string_view end_name) {
    Target target;
    const bool brackets = skip_sign("(");
    target.names.push_back(take_name());
    if (with_attribute && !brackets && skip_sign(".")) {
        target.attribute = take_name();
        return target;
    }
    while (skip_sign(",")) {
        target.unpack = true;
        if (is_sign("=") || is_sign(")") || (!end_name.empty() && is_name(end_name))) break;
        if (is_sign("(")) fail("names in brackets inside of names are not known");
        target.names.push_back(take_name());
    }
    if (brackets) expect_sign(")");
    return target;
}

std::vector<Parameter> Parser::parse_parameters() {
    std::vector<Parameter> parameters;
    expect_sign("(");
    while (!is_sign(")")) {
        if (!parameters.empty()) expect_sign(",");
        if (is_sign(")")) break;
        Parameter& parameter = parameters.emplace_back();
        parameter.name = take_name();
        if (skip_sign("="))
            parameter.value = parse_expression();
        else if (parameters.size() > 1 && parameters[parameters.size() - 2].value)
            fail("the parameter " + quoted(parameter.name) + " needs a default as the one before it has");
    }
    ++at_;
    return parameters;
}

} // namespace kvasir::jinja
