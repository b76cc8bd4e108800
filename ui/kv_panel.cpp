#include "ui/panels.hpp"

namespace kvasir::ui {

void draw_kv(KvPanel&, const Snapshot&, Requests&) {}

} // namespace kvasir::ui
