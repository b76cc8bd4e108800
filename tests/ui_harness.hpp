#pragma once

#include "ui/snapshot.hpp"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace kvasir::ui {

/// Dear ImGui without a display: frames are laid out and their vertices thrown away; textures count as
/// uploaded.
class HeadlessUi {
  public:
    /// whole: what is drawn opens its own windows, and begins its own frame of marks, as the class Ui does.
    explicit HeadlessUi(float width = 1280, float height = 800, bool whole = false);
    ~HeadlessUi();
    HeadlessUi(const HeadlessUi&) = delete;
    HeadlessUi& operator=(const HeadlessUi&) = delete;

    /// One frame with `draw` inside a window that fills the display. Gives the number of vertices.
    int frame(const std::function<void()>& draw);
    /// Moves the mouse to the middle of the item of that name and clicks, over the frames that takes. Fails
    /// the test where there is no such item.
    void click(const std::string& name, const std::function<void()>& draw);
    /// Presses the mouse at one place and lets it go at another.
    void drag(float x0, float y0, float x1, float y1, const std::function<void()>& draw);
    void type(const std::string& text, const std::function<void()>& draw);
    void press(int key, const std::function<void()>& draw); ///< an ImGuiKey, with its modifiers

  private:
    bool whole_;
};

/// A model of that shape, running with a sequence of n tokens, and no rows.
Snapshot synthetic_snapshot(uint32_t n_tokens, uint32_t n_layers = 4, uint32_t n_heads = 8,
                            uint32_t n_kv_heads = 2);
/// Rows of a layer for positions [first, first + n): each head looks back over another distance; they sum
/// to 1.
AttentionRows synthetic_rows(uint32_t layer, uint32_t first, uint32_t n, uint32_t n_heads);
/// The same without a pattern.
AttentionRows random_rows(uint32_t layer, uint32_t first, uint32_t n, uint32_t n_heads, uint32_t seed);
/// Row q of a head, [first + q + 1].
std::span<const float> row_of(const AttentionRows& rows, uint32_t q, uint32_t head);
/// Tokens that come again now and then.
std::vector<int32_t> some_ids(uint32_t n);

} // namespace kvasir::ui
