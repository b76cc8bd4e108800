#include "runtime/error.hpp"
#include "runtime/file/json.hpp"
#include "runtime/file/mapped_file.hpp"
#include "runtime/hf/metadata.hpp"
#include "runtime/hf/tokenizer_json.hpp"

#include <algorithm>
#include <array>

namespace kvasir {

namespace {

/// A JSON file of the folder; an empty object where it is not there.
Config optional_file(const std::filesystem::path& path) {
    std::error_code error;
    return Config(std::filesystem::exists(path, error) ? read_json(path.string()) : nlohmann::json::object(),
                  path.string());
}

/// A token written as its text or as an object with `content`; nothing where there is none.
std::optional<std::string> token_text(const Config& file, const char* name) {
    const auto* value = file.find({name});
    if (value && value->is_object()) return file.object({name}).text({"content"});
    return file.text({name});
}

/// The template that tokenizer_config.json holds: one, or several with names.
std::optional<std::string> chat_template(const Config& file) {
    const auto* value = file.find({"chat_template"});
    if (!value || value->is_string()) return file.text({"chat_template"});
    for (const auto& each : *value)
        if (each.is_object() && each.value("name", "") == "default" && each.contains("template") &&
            each["template"].is_string())
            return each["template"].get<std::string>();
    return std::nullopt;
}

/// All ids under name, which holds one or an array.
std::vector<int64_t> ids_of(const Config& file, const char* name) {
    const auto* value = file.find({name});
    if (!value || !value->is_array()) {
        const auto id = file.count({name});
        return id ? std::vector{*id} : std::vector<int64_t>{};
    }
    std::vector<int64_t> ids;
    for (const auto& id : *value) {
        if (!id.is_number_unsigned() || id > INT32_MAX)
            file.refuse(std::string(name) + " holds " + kvasir::quoted(id.dump()) + ", no id of a token",
                        "another copy of the model");
        ids.push_back(id.get<int64_t>());
    }
    return ids;
}

class Reader {
  public:
    Reader(const Config& config, const std::filesystem::path& folder, Metadata& metadata)
        : config_(config), metadata_(metadata), tokenizer_(optional_file(folder / "tokenizer_config.json")),
          special_(optional_file(folder / "special_tokens_map.json")),
          generation_(optional_file(folder / "generation_config.json")),
          n_vocab_(metadata.need_integer(metadata.need_text("general.architecture") + ".vocab_size")) {}

    void run(const std::filesystem::path& folder) {
        std::error_code error;
        if (const auto path = folder / "tokenizer.json"; std::filesystem::exists(path, error))
            read_tokenizer_json(read_json(path.string()), path.string(), static_cast<uint64_t>(n_vocab_),
                                metadata_);
        else
            metadata_.values["tokenizer.ggml.model"] = std::string("no_vocab");
        read_special("bos_token", "bos");
        read_special("eos_token", "eos");
        std::vector<int64_t> ends = ids_of(generation_, "eos_token_id");
        for (const int64_t id : ids_of(config_, "eos_token_id")) ends.push_back(id);
        metadata_.values["tokenizer.json.end_token_ids"] = ends;
        read_sampler();
        if (const auto text = chat_template(tokenizer_)) metadata_.values["tokenizer.chat_template"] = *text;
        if (const auto path = folder / "chat_template.jinja"; std::filesystem::exists(path, error)) {
            const MappedFile map(path.string());
            metadata_.values["tokenizer.chat_template"] =
                std::string(reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size());
        }
    }

  private:
    /// What the makers advise, under the keys that a GGUF file has it; only where they sample at all.
    void read_sampler() {
        if (!generation_.flag({"do_sample"}).value_or(false)) return;
        constexpr std::pair<const char*, const char*> names[]{{"temperature", "temp"},
                                                              {"top_p", "top_p"},
                                                              {"min_p", "min_p"},
                                                              {"repetition_penalty", "penalty_repeat"}};
        for (const auto& [name, key] : names)
            if (const auto value = generation_.real({name}))
                metadata_.values[std::string("general.sampling.") + key] = *value;
        if (generation_.real({"top_k"}).value_or(0) < 0) // -1 means all tokens
            metadata_.values["general.sampling.top_k"] = int64_t{0};
        else if (const auto k = generation_.count({"top_k"}))
            metadata_.values["general.sampling.top_k"] = *k;
    }

    /// BOS or EOS: what the tokenizer's template puts there, else the token that a file names, else its id.
    void read_special(const char* token, const std::string& name) {
        const std::string id_key = "tokenizer.ggml." + name + "_token_id",
                          add_key = "tokenizer.ggml.add_" + name + "_token";
        auto& values = metadata_.values;
        const auto* labels = metadata_.texts("tokenizer.ggml.tokens");
        auto text = token_text(tokenizer_, token);
        if (!text) text = token_text(special_, token);
        if (labels && text && !values.contains(id_key)) {
            const auto it = std::find(labels->begin(), labels->end(), *text);
            if (it != labels->end()) values[id_key] = static_cast<int64_t>(it - labels->begin());
        }
        for (const Config* file : std::array<const Config*, 2>{&generation_, &config_}) {
            const auto ids = ids_of(*file, (name + "_token_id").c_str());
            if (!values.contains(id_key) && !ids.empty() && ids[0] < n_vocab_) values[id_key] = ids[0];
        }
        // Tokenizer classes put BOS and EOS by these flags, whatever tokenizer.json's own template does.
        if (const auto add = tokenizer_.flag({("add_" + name + "_token").c_str()}); labels && add)
            values[add_key] = *add && values.contains(id_key);
    }

    const Config& config_;
    Metadata& metadata_;
    Config tokenizer_, special_, generation_;
    int64_t n_vocab_;
};

} // namespace

void read_vocabulary(const Config& config, const std::filesystem::path& folder, Metadata& metadata) {
    Reader(config, folder, metadata).run(folder);
}

} // namespace kvasir
