#include "runtime/hf/checkpoint.hpp"

#include "runtime/error.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>

namespace kvasir {

namespace {

/// The numbers that '%' and '#' stand for in a name.
struct Numbers {
    std::string layer;
    size_t index = 0; ///< of '#'
};

bool match(std::string_view pattern, std::string_view name, Numbers& numbers) {
    while (!pattern.empty()) {
        const char p = pattern.front();
        pattern.remove_prefix(1);
        if (p != '%' && p != '#') {
            if (!name.starts_with(p)) return false;
            name.remove_prefix(1);
            continue;
        }
        const size_t n = std::min(name.find_first_not_of("0123456789"), name.size());
        if (n == 0 || n > 5 || (n > 1 && name.front() == '0')) return false;
        if (p == '%')
            numbers.layer = name.substr(0, n);
        else
            numbers.index = std::stoul(std::string(name.substr(0, n)));
        name.remove_prefix(n);
    }
    return name.empty();
}

class Importer {
  public:
    Importer(const Config& config, const Family& family, ModelFile& file)
        : config_(config), family_(family), file_(file) {
        const std::string prefix = std::string(family.architecture) + ".";
        const auto number = [&](const char* key) {
            return static_cast<uint64_t>(file.metadata.integer(prefix + key).value_or(0));
        };
        d_model_ = number("embedding_length");
        n_heads_ = number("attention.head_count");
        n_kv_heads_ = file.metadata.values.contains(prefix + "attention.head_count_kv")
                          ? number("attention.head_count_kv")
                          : n_heads_;
        tied_ = config.flag({"tie_word_embeddings"}).value_or(family.tied);
    }

    void run(const std::vector<SafeTensor>& tensors) {
        for (const SafeTensor& tensor : tensors)
            if (tensor.name.ends_with("attn.c_attn.weight") && tensor.shape.size() == 2)
                linear_ = tensor.shape[0] == 3 * tensor.shape[1];
        for (const SafeTensor& tensor : tensors) import(tensor);
        for (auto& [name, parts] : stacks_) stack(name, parts);
        settle_head();
    }

  private:
    [[noreturn]] void refuse(const std::string& name, const std::string& found) const {
        throw Error("reading " + file_.path, "tensor " + kvasir::quoted(name) + " " + found,
                    "another copy of the model");
    }

    void import(const SafeTensor& tensor) {
        std::string_view name = tensor.name;
        for (const char* prefix : family_.prefixes)
            if (name.starts_with(prefix)) {
                name.remove_prefix(std::string_view(prefix).size());
                break;
            }
        Numbers numbers;
        for (const char* unused : family_.unused)
            if (match(unused, name, numbers)) return;
        const size_t dot = name.rfind('.');
        const std::string_view ending = dot == std::string_view::npos ? "" : name.substr(dot);
        if (ending == ".weight" || ending == ".bias")
            for (const TensorRule& rule : family_.tensors)
                if (match(rule.name, name.substr(0, dot), numbers))
                    return import(tensor, rule, numbers, std::string(ending));
        refuse(tensor.name, "is not part of a " + std::string(family_.model_type) +
                                " model as it is run here, and would change the result");
    }

    void import(const SafeTensor& source, const TensorRule& rule, const Numbers& numbers,
                const std::string& ending) {
        if (!source.dtype)
            refuse(source.name, "is stored as " + source.type + ", and weights are F32, F16 or BF16 here");
        std::string name = rule.gguf;
        for (size_t at; (at = name.find('%')) != std::string::npos;) name.replace(at, 1, numbers.layer);
        TensorInfo tensor{name + ending, *source.dtype, source.shape, source.data};
        tensor.stored_as = source.name;
        if (std::string_view(rule.name).find('#') != std::string_view::npos) {
            if (!stacks_[tensor.name].emplace(numbers.index, tensor).second)
                refuse(source.name, "is there twice");
            return;
        }
        switch (rule.layout) {
        case Layout::plain: break;
        case Layout::conv1d: transpose(tensor); break;
        case Layout::grouped: ungroup(tensor); break;
        case Layout::halves: return halve(tensor, name, ending);
        case Layout::plus_one: add_one(tensor); break;
        case Layout::skip_two: skip_rows(tensor, 2); break;
        case Layout::vector:
            if (tensor.shape.size() == 2 && tensor.shape[0] == 1) tensor.shape.erase(tensor.shape.begin());
            break;
        }
        add(std::move(tensor));
    }

    void add(TensorInfo tensor) {
        if (file_.find(tensor.name)) refuse(tensor.stored_as, "has the place of another, " + tensor.name);
        file_.tensors.push_back(std::move(tensor));
    }

    uint64_t width(const TensorInfo& tensor) const { return info(tensor.dtype).block_bytes; }
    /// Bytes of one row; a vector's rows are its values.
    uint64_t row_bytes(const TensorInfo& tensor) const {
        return tensor.shape.size() > 1 ? tensor.data.size() / std::max<uint64_t>(1, tensor.shape[0])
                                       : width(tensor);
    }

    void transpose(TensorInfo& tensor) const {
        if (linear_ || tensor.shape.size() != 2) return;
        const uint64_t d_in = tensor.shape[0], d_out = tensor.shape[1];
        tensor.shape = {d_out, d_in};
        tensor.runs = {{tensor.data.data(), d_out, width(tensor), d_out * width(tensor)}};
        tensor.data = {};
    }

    void ungroup(TensorInfo& tensor) const {
        const uint64_t groups = n_kv_heads_;
        if (groups == 0 || n_heads_ % groups != 0 || tensor.shape.empty() ||
            tensor.shape[0] % (n_heads_ + 2 * groups) != 0)
            refuse(tensor.stored_as, "has " +
                                         (tensor.shape.empty() ? "no" : std::to_string(tensor.shape[0])) +
                                         " rows, which are not those of " + std::to_string(n_heads_) +
                                         " heads and " + std::to_string(groups) + " KV heads");
        if (groups == 1) return; // q, k, v already
        const uint64_t head = tensor.shape[0] / (n_heads_ + 2 * groups), a_group = n_heads_ / groups,
                       step = row_bytes(tensor);
        const auto rows = [&](uint64_t first_head, uint64_t n) {
            for (uint64_t group = 0; group < groups; ++group)
                tensor.runs.push_back(
                    {tensor.data.data() + (group * (a_group + 2) + first_head) * head * step, n * head, step,
                     width(tensor)});
        };
        rows(0, a_group);
        rows(a_group, 1);
        rows(a_group + 1, 1);
        tensor.data = {};
    }

    void halve(const TensorInfo& tensor, const std::string& names, const std::string& ending) {
        if (tensor.shape.empty() || tensor.shape[0] % 2 != 0) refuse(tensor.stored_as, "cannot be halved");
        const size_t bar = names.find('|');
        for (size_t i = 0; i < 2; ++i) {
            TensorInfo half = tensor;
            half.name = (i == 0 ? names.substr(0, bar) : names.substr(bar + 1)) + ending;
            half.shape[0] /= 2;
            half.data = tensor.data.subspan(i * (tensor.data.size() / 2), tensor.data.size() / 2);
            add(std::move(half));
        }
    }

    void skip_rows(TensorInfo& tensor, uint64_t n) const {
        if (tensor.shape.size() != 2 || tensor.shape[0] <= n)
            refuse(tensor.stored_as, "has no rows after the first " + std::to_string(n));
        tensor.data = tensor.data.subspan(n * row_bytes(tensor));
        tensor.shape[0] -= n;
    }

    void add_one(TensorInfo& tensor) {
        std::vector<float> values(tensor.n_values());
        decode(tensor.dtype, tensor.data.data(), values.data(), values.size());
        for (float& value : values) value += 1;
        std::vector<std::byte>& bytes = file_.owned.emplace_back(values.size() * sizeof(float));
        std::memcpy(bytes.data(), values.data(), bytes.size());
        tensor.dtype = DType::f32;
        tensor.data = bytes;
    }

    /// One tensor of those that a name with '#' stands for.
    void stack(const std::string& name, std::map<size_t, TensorInfo>& parts) {
        TensorInfo all = parts.begin()->second;
        all.shape.insert(all.shape.begin(), parts.size());
        all.data = {};
        for (size_t expected = 0; const auto& [index, part] : parts) {
            if (index != expected++)
                refuse(part.stored_as,
                       "follows number " + std::to_string(expected - 1) + ", which is missing, of " + name);
            if (part.shape.empty() || part.dtype != all.dtype || part.shape != parts.begin()->second.shape)
                refuse(part.stored_as,
                       "has another type or shape than " + kvasir::quoted(parts.begin()->second.stored_as));
            const uint64_t rows = part.n_values() / std::max<uint64_t>(1, part.shape.back());
            all.runs.push_back({part.data.data(), rows, part.shape.back() * width(part), width(part)});
        }
        add(std::move(all));
    }

    /// A tied head is the token embedding, whichever of the two a file holds.
    void settle_head() {
        const auto at = std::find_if(file_.tensors.begin(), file_.tensors.end(),
                                     [](const TensorInfo& t) { return t.name == "output.weight"; });
        const bool embedding = file_.find("token_embd.weight") != nullptr;
        if (!tied_ && at == file_.tensors.end())
            config_.refuse("tie_word_embeddings is false, and the model has no head of its own",
                           "another copy of the model");
        if (!tied_ || at == file_.tensors.end()) return;
        if (embedding)
            file_.tensors.erase(at);
        else
            at->name = "token_embd.weight";
    }

    const Config& config_;
    const Family& family_;
    ModelFile& file_;
    uint64_t d_model_ = 0, n_heads_ = 0, n_kv_heads_ = 0;
    bool tied_ = false, linear_ = false;
    std::map<std::string, std::map<size_t, TensorInfo>> stacks_;
};

} // namespace

void import_tensors(const Config& config, const Family& family, const std::vector<SafeTensor>& tensors,
                    ModelFile& file) {
    Importer(config, family, file).run(tensors);
}

} // namespace kvasir
