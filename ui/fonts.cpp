#include "ui/fonts.hpp"

#include <fontconfig/fontconfig.h>

#include <set>
#include <string>

namespace kvasir::ui {
namespace {

Fonts loaded;

constexpr int most_fallbacks = 6; ///< fonts for other scripts: each file stays in memory

/// The font files that together show what `family` should, the best first.
ImFont* add(FcConfig* config, const char* family) {
    FcPattern* pattern = FcNameParse(reinterpret_cast<const FcChar8*>(family));
    FcPatternAddBool(pattern, FC_OUTLINE, FcTrue);
    FcPatternAddBool(pattern, FC_COLOR, FcFalse);
    FcConfigSubstitute(config, pattern, FcMatchPattern);
    FcDefaultSubstitute(pattern);
    FcResult result;
    FcFontSet* set = FcFontSort(config, pattern, FcTrue, nullptr, &result);
    ImFont* font = nullptr;
    std::set<std::string> seen;
    for (int i = 0; set && i < set->nfont && seen.size() <= most_fallbacks; ++i) {
        FcChar8* file = nullptr;
        int index = 0;
        FcBool color = FcFalse, outline = FcFalse;
        FcPatternGetString(set->fonts[i], FC_FILE, 0, &file);
        FcPatternGetInteger(set->fonts[i], FC_INDEX, 0, &index);
        FcPatternGetBool(set->fonts[i], FC_COLOR, 0, &color);
        FcPatternGetBool(set->fonts[i], FC_OUTLINE, 0, &outline);
        const std::string path = file ? reinterpret_cast<const char*>(file) : "";
        const bool readable = path.ends_with(".ttf") || path.ends_with(".otf") || path.ends_with(".ttc");
        // The upper half of an index names a variation, which the rasteriser does not read.
        if (!readable || color || !outline || (index >> 16) || !seen.insert(path).second) continue;
        ImFontConfig options;
        options.FontNo = static_cast<ImU32>(index);
        options.MergeMode = font != nullptr;
        options.Flags |= ImFontFlags_NoLoadError;
        ImFont* added = ImGui::GetIO().Fonts->AddFontFromFileTTF(path.c_str(), 0, &options);
        if (!font) font = added;
    }
    if (set) FcFontSetDestroy(set);
    FcPatternDestroy(pattern);
    return font;
}

} // namespace

Fonts load_fonts() {
    FcConfig* config = FcInitLoadConfigAndFonts();
    loaded = {};
    if (config) {
        loaded.text = add(config, "sans-serif");
        loaded.mono = add(config, "monospace");
        FcConfigDestroy(config);
    }
    if (!loaded.text) loaded.text = ImGui::GetIO().Fonts->AddFontDefault();
    if (!loaded.mono) loaded.mono = loaded.text;
    return loaded;
}

const Fonts& fonts() {
    return loaded;
}

} // namespace kvasir::ui
