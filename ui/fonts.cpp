#include "ui/fonts.hpp"

#include <fontconfig/fontconfig.h>

#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace kvasir::ui {
namespace {

Fonts loaded;

/// Languages whose scripts the interface's own font may lack; each names one more font.
constexpr const char* languages[]{"", "zh-cn", "ja", "ko", "ru", "el", "ar", "he", "hi", "th", "und-zsye"};

struct Face {
    std::string file;
    int index = 0;
};

/// The font that fontconfig has for a family and a language; nothing where it cannot be drawn as outlines.
std::optional<Face> find(FcConfig* config, const char* family, const char* language) {
    FcPattern* pattern = FcNameParse(reinterpret_cast<const FcChar8*>(family));
    if (*language) FcPatternAddString(pattern, FC_LANG, reinterpret_cast<const FcChar8*>(language));
    FcPatternAddBool(pattern, FC_OUTLINE, FcTrue);
    FcPatternAddBool(pattern, FC_COLOR, FcFalse);
    FcConfigSubstitute(config, pattern, FcMatchPattern);
    FcDefaultSubstitute(pattern);
    FcResult result;
    FcPattern* match = FcFontMatch(config, pattern, &result);
    FcPatternDestroy(pattern);
    if (!match) return {};
    FcChar8* file = nullptr;
    int index = 0;
    FcBool outline = FcFalse, color = FcFalse;
    FcPatternGetString(match, FC_FILE, 0, &file);
    FcPatternGetInteger(match, FC_INDEX, 0, &index);
    FcPatternGetBool(match, FC_OUTLINE, 0, &outline);
    FcPatternGetBool(match, FC_COLOR, 0, &color);
    // The upper half of an index names a variation, which the rasteriser does not read.
    Face face{file ? reinterpret_cast<const char*>(file) : "", index & 0xffff};
    FcPatternDestroy(match);
    const bool readable =
        face.file.ends_with(".ttf") || face.file.ends_with(".otf") || face.file.ends_with(".ttc");
    return readable && outline && !color ? std::optional(face) : std::nullopt;
}

/// A font file's bytes, read once.
std::vector<char>& bytes_of(const std::string& path) {
    static std::map<std::string, std::vector<char>> files;
    auto& bytes = files[path];
    if (bytes.empty()) {
        std::ifstream file(path, std::ios::binary);
        bytes.assign(std::istreambuf_iterator<char>(file), {});
    }
    return bytes;
}

/// A family's font, followed by those that show what it lacks.
ImFont* add(FcConfig* config, const char* family) {
    ImFont* font = nullptr;
    std::set<std::string> seen;
    for (const char* language : languages) {
        const auto face = find(config, family, language);
        if (!face || !seen.insert(face->file).second) continue;
        auto& bytes = bytes_of(face->file);
        if (bytes.empty()) continue;
        ImFontConfig options;
        options.FontNo = static_cast<ImU32>(face->index);
        options.MergeMode = font != nullptr;
        options.FontDataOwnedByAtlas = false;
        options.Flags |= ImFontFlags_NoLoadError;
        ImFont* added = ImGui::GetIO().Fonts->AddFontFromMemoryTTF(
            bytes.data(), static_cast<int>(bytes.size()), 0, &options);
        if (!font) font = added;
    }
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
