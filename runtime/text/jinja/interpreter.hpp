#pragma once

#include "runtime/text/jinja/library.hpp"
#include "runtime/text/jinja/syntax.hpp"
#include "runtime/text/jinja/workspace.hpp"

#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvasir::jinja {

/// The variables of one scope. Names belong to the template or to the caller.
struct Frame {
    Frame* parent = nullptr;
    std::vector<std::pair<std::string_view, Value>> names = {};
};

/// Expressions and statements may be evaluated this deep in one another, macros that call macros included.
constexpr int max_run_depth = 300;

/// Runs a template once.
class Interpreter {
  public:
    Interpreter(Workspace& workspace, Builder& out) : workspace_(workspace), out_(&out) {}
    void run(const Statement::Body& body, const std::vector<std::pair<std::string, Value>>& variables);

  private:
    enum class Flow { on, stop, next }; ///< after a statement: go on, break, continue

    /// One level of recursion.
    class Level {
      public:
        explicit Level(Interpreter& interpreter);
        ~Level() { --interpreter_.depth_; }
        Level(const Level&) = delete;

      private:
        Interpreter& interpreter_;
    };

    // Statements
    Flow execute(const Statement::Body& body, Frame& frame);
    Flow execute(const Statement& statement, Frame& frame);
    Flow execute_choice(const Statement& statement, Frame& frame);
    Flow execute_loop(const Statement& statement, Frame& frame);
    std::vector<Value> loop_items(const Statement& statement, Frame& frame);
    void execute_call(const Statement& statement, Frame& frame);
    Value capture(const Statement::Body& body, Frame& frame);
    Value captured_through(const Statement& statement, Frame& frame);

    // Variables
    Frame& new_frame(Frame* parent);
    void define(Frame& frame, std::string_view name, const Value& value);
    void assign(const Target& target, const Value& value, Frame& frame);
    const Value* look_up(std::string_view name, Frame& frame);

    // Expressions
    Value evaluate(const Expression& node, Frame& frame);
    Value evaluate_variable(const Expression& node, Frame& frame);
    Value evaluate_series(const Expression& node, Frame& frame);
    Value evaluate_dict(const Expression& node, Frame& frame);
    Value evaluate_chain(const Expression& node, Frame& frame);
    bool evaluate_comparison(const Expression& node, Frame& frame);
    Value evaluate_junction(const Expression& node, Frame& frame);
    Value evaluate_sign(const Expression& node, Frame& frame);
    Value evaluate_choice(const Expression& node, Frame& frame);
    Value evaluate_slice(const Expression& node, Frame& frame);
    Value evaluate_filter(const Expression& node, Frame& frame);
    Value evaluate_call(const Expression& node, Frame& frame, const Value* caller);
    void evaluate_arguments(const Expression& node, Frame& frame, Arguments& arguments);
    Value call_macro(const Function& function, Arguments& arguments, const Value* caller);

    Workspace& workspace_;
    Builder* out_;
    Value filter_input_; ///< what a filter or set block made
    std::deque<Frame> frames_;
    int depth_ = 0;
};

} // namespace kvasir::jinja
