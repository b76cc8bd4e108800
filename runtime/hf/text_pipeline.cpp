#include "runtime/hf/text_pipeline.hpp"

#include "runtime/error.hpp"
#include "runtime/hf/expression.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace kvasir {

namespace {

using nlohmann::json;

constexpr const char* space_mark = "\xE2\x96\x81"; // U+2581

// GPT-2's expression, which ByteLevel has built in (huggingface/tokenizers, pre_tokenizers/byte_level.rs).
constexpr const char* byte_level_expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class Reader {
  public:
    explicit Reader(std::string path) : path_(std::move(path)) {}

    TextPipeline run(const json& file) {
        each(file, "normalizer", "normalizers",
             [&](const json& part, const std::string& type) { normalizer(part, type); });
        each(file, "pre_tokenizer", "pretokenizers",
             [&](const json& part, const std::string& type) { pre_tokenizer(part, type); });
        each(file, "decoder", "decoders",
             [&](const json& part, const std::string& type) { decoder(part, type); });
        if (p_.byte_level && (p_.marks_spaces || p_.prepends))
            refuse("both ByteLevel and Metaspace or Replace are in it");
        if (!p_.byte_level && !p_.marks_spaces)
            refuse("it says neither ByteLevel nor how spaces are written");
        if (!p_.byte_level && (p_.nfc || !p_.steps.empty()))
            refuse("it has NFC or splits a text whose spaces are written as U+2581, which is not supported");
        return std::move(p_);
    }

  private:
    [[noreturn]] void refuse(const std::string& found) const {
        throw Error("reading " + path_, found, "another copy of the model, or its GGUF form");
    }
    [[noreturn]] void unknown(const char* what, const std::string& type) const {
        refuse("its " + std::string(what) + " " + kvasir::quoted(type) + " is not supported");
    }

    /// Calls act for the component of this name, or for each that it is a sequence of.
    void each(const json& file, const char* name, const char* list, auto act) const {
        const auto it = file.find(name);
        if (it == file.end() || it->is_null()) return;
        if (!it->is_object() || !it->contains("type")) refuse("its " + std::string(name) + " has no type");
        const std::string type = (*it)["type"].get<std::string>();
        if (type != "Sequence") return act(*it, type);
        for (const json& part : it->at(list)) act(part, part.at("type").get<std::string>());
    }

    /// pattern is {"String": text} or {"Regex": expression}.
    bool is_text(const json& part, const char* text) const {
        const auto pattern = part.find("pattern");
        return pattern != part.end() && pattern->is_object() && pattern->value("String", "") == text;
    }

    void normalizer(const json& part, const std::string& type) {
        if (type == "NFC") {
            p_.nfc = true;
        } else if (type == "Prepend" && part.at("prepend") == space_mark) {
            if (p_.marks_spaces)
                refuse("its normalizer prepends after replacing spaces, which is not supported");
            p_.prepends = p_.space_before = true;
        } else if (type == "Replace" && is_text(part, " ") && part.at("content") == space_mark) {
            p_.marks_spaces = true;
        } else {
            unknown("normalizer", type);
        }
    }

    void add(const std::string& pattern, const std::string& behavior, bool inverted) {
        p_.steps.push_back({pattern, {}, inverted});
        p_.behaviors.push_back(behavior);
    }

    void pre_tokenizer(const json& part, const std::string& type) {
        if (type == "ByteLevel")
            byte_level(part);
        else if (type == "Metaspace")
            metaspace(part);
        else if (type == "Split")
            split(part);
        else if (p_.byte_level) // what is left sees byte characters, and would find digits among them
            refuse("its pre_tokenizer has " + kvasir::quoted(type) +
                   " after ByteLevel, which is not supported");
        else if (type == "Digits")
            add("\\p{N}", part.value("individual_digits", false) ? "Isolated" : "Contiguous", false);
        else if (type == "Punctuation") // all of ASCII's, symbols too
            add("[\\p{P}$+<=>^`|~]", part.value("behavior", "Isolated"), false);
        else
            unknown("pre_tokenizer", type);
    }

    void byte_level(const json& part) {
        if (std::exchange(p_.byte_level, true)) refuse("its pre_tokenizer has ByteLevel twice");
        if (part.value("add_prefix_space", true)) {
            if (!p_.steps.empty())
                refuse("its ByteLevel puts a space before every word, which is not supported");
            p_.space_before = true;
        }
        if (part.value("use_regex", true)) add(to_pcre2(byte_level_expression), "Isolated", false);
    }

    void metaspace(const json& part) {
        if (part.at("replacement") != space_mark || p_.marks_spaces)
            refuse("its Metaspace has another replacement than U+2581, or comes after Replace");
        p_.marks_spaces = true;
        const std::string scheme =
            part.value("prepend_scheme", part.value("add_prefix_space", true) ? "always" : "never");
        if (scheme != "always" && scheme != "first" && scheme != "never")
            refuse("its Metaspace has the prepend_scheme " + kvasir::quoted(scheme));
        p_.space_before = p_.one_space = scheme != "never";
        p_.at_start_only = scheme == "first";
        p_.space_begins_word = part.value("split", true);
    }

    void split(const json& part) {
        if (p_.marks_spaces && is_text(part, " ")) return; // there are no spaces left
        const auto pattern = part.at("pattern");
        const bool literal = pattern.contains("String");
        const std::string text = pattern.at(literal ? "String" : "Regex").get<std::string>();
        if (p_.byte_level && text.find_first_not_of("0123456789[]-") != std::string::npos)
            refuse("its pre_tokenizer splits after ByteLevel at " + kvasir::quoted(text) +
                   ", which is not supported");
        add(literal ? literal_expression(text) : to_pcre2(text), part.at("behavior").get<std::string>(),
            part.value("invert", false));
    }

    /// Decoding follows from the model's kind; here only what would make it another one.
    void decoder(const json& part, const std::string& type) const {
        const bool known = type == "ByteLevel" || type == "ByteFallback" || type == "Fuse" ||
                           type == "Metaspace" ||
                           (type == "Replace" && is_text(part, space_mark) && part.at("content") == " ") ||
                           (type == "Strip" && part.at("content") == " " && part.value("start", 0) <= 1 &&
                            part.value("stop", 0) == 0);
        if (!known) unknown("decoder", type);
    }

    std::string path_;
    TextPipeline p_;
};

} // namespace

void TextPipeline::put(Metadata& metadata) const {
    auto& values = metadata.values;
    values["tokenizer.ggml.add_space_prefix"] = space_before;
    if (nfc) values["tokenizer.json.nfc"] = true;
    if (!byte_level) {
        values["tokenizer.json.normalizer_prepends"] = prepends;
        values["tokenizer.json.space_at_start_only"] = at_start_only;
        values["tokenizer.json.one_space_at_start"] = one_space;
        values["tokenizer.json.space_begins_word"] = space_begins_word;
        return;
    }
    std::vector<std::string> patterns;
    std::vector<int64_t> inverted;
    for (const SplitStep& step : steps) {
        patterns.push_back(step.pattern);
        inverted.push_back(step.inverted);
    }
    values["tokenizer.json.split_patterns"] = patterns;
    values["tokenizer.json.split_behaviors"] = behaviors;
    values["tokenizer.json.split_inverted"] = inverted;
}

TextPipeline read_text_pipeline(const json& file, const std::string& path) {
    return Reader(path).run(file);
}

} // namespace kvasir
