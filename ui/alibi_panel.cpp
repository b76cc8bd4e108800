#include "ui/panels.hpp"

namespace kvasir::ui {

void draw_alibi(AlibiPanel&, const AttentionPanel&, const Snapshot&, Requests&) {}

} // namespace kvasir::ui
