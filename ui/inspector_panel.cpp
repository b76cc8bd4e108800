#include "ui/panels.hpp"

namespace kvasir::ui {

void draw_inspector(InspectorPanel&, const Snapshot&, Requests&) {}

} // namespace kvasir::ui
