#include "ui/panels.hpp"

namespace kvasir::ui {

void draw_device(DevicePanel&, const Snapshot&, Requests&) {}

} // namespace kvasir::ui
