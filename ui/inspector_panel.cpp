#include "ui/panels.hpp"

namespace kvasir::ui {

void draw_inspector(const Snapshot&, Requests&) {}

} // namespace kvasir::ui
