#include "ui/attention_view.hpp"

namespace kvasir::ui {

void AttentionView::reset(uint32_t n_layers, uint32_t n_heads) {
    *this = {};
    n_layers_ = n_layers, n_heads_ = n_heads;
}

} // namespace kvasir::ui
