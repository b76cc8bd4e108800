#include "ui/panels.hpp"

namespace kvasir::ui {

void draw_attention(AttentionPanel&, const Snapshot&, Requests&) {}

} // namespace kvasir::ui
