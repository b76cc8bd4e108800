#pragma once

#include "ui/ui.hpp"

#include <deque>
#include <functional>
#include <optional>
#include <string>

namespace kvasir::ui {

/// Scripted use of the window: a line an action, waits for conditions, never for times. '#' begins a comment.
///   type TEXT            \n in it is the Enter key's line end
///   key CHORD            Enter, Escape, Ctrl+N, Shift+Tab, F1, ...
///   click NAME           the item of that name (ui/marks.hpp); right NAME, double NAME likewise
///   hover NAME
///   drag NAME X Y        by pixels
///   scroll NAME N        N notches of the wheel, up is positive
///   wait loaded          a model runs
///   wait idle            no answer is made, no prompt read, nothing loads
///   wait tokens N        the answer has N tokens
///   wait notice TEXT     a notice has this text
///   wait item NAME       the item is shown
///   open PATH            as if the file was dropped on the window
///   where NAME           tells where the item is: "where NAME: X Y", its middle in pixels
///   shot FILE.png
/// An item that is named and not there, or a wait that nothing can end, is an error that names the line.
class Script {
  public:
    /// Throws Error for a line that is none of these.
    static Script parse(const std::string& text, const std::string& name);

    /// What the program does for a script: saves the picture drawn last, says a line.
    struct Program {
        std::function<void(const std::string& file)> shoot;
        std::function<void(const std::string& line)> say;
    };

    /// Gives this frame's input to ImGui, before ImGui::NewFrame. False when all is done. Throws Error.
    bool advance(Ui& ui, const Program& program);

    bool waiting() const { return waiting_; } ///< for the model: nothing needs drawing meanwhile

  private:
    struct Line {
        int number = 0;
        std::string verb, rest;
    };
    bool wait_is_over(const Line& line, const Ui& ui) const;
    void act(const Line& line, Ui& ui, const Program& program);
    void fail(const Line& line, const std::string& why) const;

    std::string name_;
    std::deque<Line> lines_;
    std::deque<std::function<void()>> frames_; ///< input of the frames to come
    int still_ = 0;                            ///< frames since an item was looked for
    bool waiting_ = false;
};

} // namespace kvasir::ui
