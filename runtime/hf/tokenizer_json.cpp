#include "runtime/hf/tokenizer_json.hpp"

#include "runtime/error.hpp"
#include "runtime/hf/text_pipeline.hpp"
#include "runtime/text/vocabulary.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>

namespace kvasir {

namespace {

using nlohmann::json;

/// The parts of one tokenizer.json, read with messages that name the file.
class Reader {
  public:
    Reader(const json& file, std::string path, uint64_t n_vocab, Metadata& metadata)
        : file_(file), path_(std::move(path)), n_vocab_(n_vocab), metadata_(metadata) {}

    void run() {
        if (!file_.is_object()) refuse("it is not a JSON object");
        check_model();
        const TextPipeline pipeline = read_text_pipeline(file_, path_);
        spm_ = !pipeline.byte_level;
        read_tokens();
        read_added();
        fill_gaps();
        read_merges();
        read_post_processor(find("post_processor"));
        for (const char* key : {"tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"})
            metadata_.values.try_emplace(key, false);
        put("tokenizer.ggml.model", std::string(spm_ ? "llama" : "gpt2"));
        put("tokenizer.ggml.tokens", std::move(labels_));
        put("tokenizer.ggml.token_type", std::move(types_));
        pipeline.put(metadata_);
        if (model_.value("ignore_merges", false)) put("tokenizer.json.ignore_merges", true);
        for (auto& [key, ids] : rules_) put("tokenizer.json." + key, std::move(ids));
    }

  private:
    [[noreturn]] void refuse(const std::string& found) const {
        throw Error("reading " + path_, found, "another copy of the model, or its GGUF form");
    }

    template <class T>
    void put(const std::string& key, T value) {
        metadata_.values[key] = std::move(value);
    }

    /// The component of this name, null where it is absent or null.
    const json* find(const char* name) const {
        const auto it = file_.find(name);
        return it == file_.end() || it->is_null() ? nullptr : &*it;
    }

    void check_model() {
        const json* model = find("model");
        if (!model || !model->is_object()) refuse("it has no model");
        model_ = *model;
        const auto type = model_.find("type");
        // Files of before 2020 do not say it.
        const std::string name = type != model_.end() && type->is_string() ? type->get<std::string>()
                                 : model_.contains("merges")               ? "BPE"
                                                                           : "none";
        if (name != "BPE") refuse("its model is " + kvasir::quoted(name) + ", and BPE is what runs here");
        for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
            if (const auto it = model_.find(key); it != model_.end() && !it->is_null() && *it != "")
                refuse("its model has " + std::string(key) + " " + kvasir::quoted(it->dump()) +
                       ", which is not supported");
        if (const auto it = model_.find("dropout"); it != model_.end() && !it->is_null() && *it != 0)
            refuse("its model has a dropout, so that equal texts give different ids");
    }

    /// An id that indexes a table: refused beyond what any vocabulary has.
    uint64_t checked_id(const json& id, const std::string& token) const {
        if (!id.is_number_unsigned() || id.get<uint64_t>() >= (1u << 24))
            refuse("token " + kvasir::quoted(token) + " has the id " + id.dump().substr(0, 40) +
                   ", no id of a token");
        return id.get<uint64_t>();
    }

    void set_label(uint64_t id, const std::string& token) {
        if (id >= labels_.size()) labels_.resize(id + 1);
        if (!labels_[id].empty() && labels_[id] != token)
            refuse("tokens " + kvasir::quoted(labels_[id]) + " and " + kvasir::quoted(token) +
                   " both have the id " + std::to_string(id));
        labels_[id] = token;
    }

    void read_tokens() {
        const auto vocab = model_.find("vocab");
        if (vocab == model_.end() || !vocab->is_object() || vocab->empty()) refuse("its model has no vocab");
        for (const auto& [token, id] : vocab->items()) set_label(checked_id(id, token), token);
        types_.assign(labels_.size(), type(TokenType::normal));
        const auto unknown = model_.find("unk_token");
        const bool bytes = model_.value("byte_fallback", false);
        if (!spm_) {
            if (bytes) refuse("its model is byte-level and falls back to bytes, which is not supported");
            return;
        }
        for (int byte = 0; bytes && byte < 256; ++byte)
            if (const auto it = vocab->find(byte_label(byte)); it != vocab->end())
                types_[it->get<uint64_t>()] = type(TokenType::byte);
        if (unknown == model_.end() || unknown->is_null()) return;
        const auto id = unknown->is_string() ? vocab->find(unknown->get<std::string>()) : vocab->end();
        if (id == vocab->end()) refuse("its unk_token is no token");
        if (!bytes && !model_.value("fuse_unk", false))
            refuse("its model has unknown characters one by one (fuse_unk is false), which is not supported");
        types_[id->get<uint64_t>()] = type(TokenType::unknown);
        put("tokenizer.ggml.unknown_token_id", id->get<int64_t>());
    }

    void read_added() {
        const json* list = find("added_tokens");
        if (!list) return;
        if (!list->is_array()) refuse("added_tokens is not an array");
        for (const json& entry : *list) {
            const auto content = entry.is_object() ? entry.find("content") : entry.end();
            if (!entry.is_object() || content == entry.end() || !content->is_string() || *content == "" ||
                !entry.contains("id"))
                refuse("an added token has no content or no id");
            const auto& text = content->get_ref<const std::string&>();
            const uint64_t id = checked_id(entry["id"], text);
            set_label(id, text);
            types_.resize(labels_.size(), type(TokenType::unused));
            const auto is = [&](const char* key) {
                const auto it = entry.find(key);
                return it != entry.end() && it->is_boolean() && it->get<bool>();
            };
            if (types_[id] != type(TokenType::unknown))
                types_[id] = type(is("special") ? TokenType::control : TokenType::user_defined);
            for (const char* rule : {"lstrip", "rstrip", "single_word", "normalized"})
                if (is(rule)) rules_[rule].push_back(static_cast<int64_t>(id));
        }
    }

    /// Embeddings often have more rows than there are tokens.
    void fill_gaps() {
        if (n_vocab_ > 0 && labels_.size() > n_vocab_)
            refuse("it has " + std::to_string(labels_.size()) + " tokens, and the model's vocab_size is " +
                   std::to_string(n_vocab_));
        labels_.resize(std::max<uint64_t>(labels_.size(), n_vocab_));
        types_.resize(labels_.size(), type(TokenType::unused));
        for (uint64_t id = 0; id < labels_.size(); ++id)
            if (labels_[id].empty()) {
                labels_[id] = "[unused " + std::to_string(id) + "]";
                types_[id] = type(TokenType::unused);
            }
    }

    void read_merges() {
        const auto merges = model_.find("merges");
        if (merges == model_.end() || !merges->is_array()) refuse("its model has no merges");
        std::vector<std::string> lines;
        lines.reserve(merges->size());
        for (const json& merge : *merges) {
            const bool pair =
                merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
            if (!pair && !merge.is_string())
                refuse("merge " + std::to_string(lines.size()) + " is neither a text nor two");
            lines.push_back(pair ? merge[0].get<std::string>() + " " + merge[1].get<std::string>()
                                 : merge.get<std::string>());
        }
        put("tokenizer.ggml.merges", std::move(lines));
    }

    /// One special token before, one after the text at most: BOS and EOS.
    void read_post_processor(const json* processor) {
        if (!processor) return;
        const std::string type = processor->value("type", "");
        if (type == "Sequence") {
            for (const json& each : processor->value("processors", json::array())) read_post_processor(&each);
        } else if (type == "TemplateProcessing") {
            read_template(*processor);
        } else if (type != "ByteLevel") {
            refuse("its post_processor is " + kvasir::quoted(type) + ", which is not supported");
        }
    }

    void read_template(const json& processor) {
        bool text = false;
        for (const json& item : processor.value("single", json::array())) {
            if (item.contains("Sequence")) {
                if (std::exchange(text, true)) refuse("its template has the text twice");
                continue;
            }
            if (!item.contains("SpecialToken")) refuse("its template has an unknown part");
            const std::string name = item["SpecialToken"].value("id", "");
            const json ids = processor.value("special_tokens", json::object())
                                 .value(name, json::object())
                                 .value("ids", json());
            if (!ids.is_array() || ids.size() != 1 || !ids[0].is_number_unsigned())
                refuse("its template has " + kvasir::quoted(name) + ", which is not one token");
            const std::string key = text ? "eos" : "bos";
            if (metadata_.flag("tokenizer.ggml.add_" + key + "_token"))
                refuse("its template has two special tokens on one side of the text, which is not supported");
            put("tokenizer.ggml." + key + "_token_id", static_cast<int64_t>(checked_id(ids[0], name)));
            put("tokenizer.ggml.add_" + key + "_token", true);
        }
    }

    static int64_t type(TokenType type) { return static_cast<int64_t>(type); }

    const json& file_;
    std::string path_;
    uint64_t n_vocab_;
    Metadata& metadata_;
    json model_;
    bool spm_ = false;
    std::vector<std::string> labels_;
    std::vector<int64_t> types_;
    std::map<std::string, std::vector<int64_t>> rules_;
};

} // namespace

void read_tokenizer_json(const json& file, const std::string& path, uint64_t n_vocab, Metadata& metadata) {
    try {
        Reader(file, path, n_vocab, metadata).run();
    } catch (const json::exception&) { // a value of another kind than every such file has there
        throw Error("reading " + path, "a value in it is of another kind than a tokenizer.json has there",
                    "another copy of the file");
    }
}

} // namespace kvasir
