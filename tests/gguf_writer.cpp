#include "tests/gguf_writer.hpp"

#include "runtime/error.hpp"
#include "runtime/quantize.hpp"

#include <bit>
#include <cassert>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>
#include <type_traits>

namespace kvasir {

namespace {

using Bytes = std::vector<std::byte>;

template <typename T>
void append(Bytes& to, T value) {
    static_assert(std::is_arithmetic_v<T>);
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    to.insert(to.end(), bytes, bytes + sizeof(T));
}

void append_text(Bytes& to, const std::string& text) {
    append<uint64_t>(to, text.size());
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    to.insert(to.end(), bytes, bytes + text.size());
}

template <typename T>
Bytes scalar(T value) {
    Bytes bytes;
    append(bytes, value);
    return bytes;
}

/// An array's payload: the type of its items, their number, the items.
template <typename Items>
Bytes array(uint32_t type, const Items& items, auto append_item) {
    Bytes bytes;
    append<uint32_t>(bytes, type);
    append<uint64_t>(bytes, items.size());
    for (const auto& item : items) append_item(bytes, item);
    return bytes;
}

uint64_t aligned(uint64_t n, uint64_t alignment) {
    return (n + alignment - 1) / alignment * alignment;
}

uint16_t to_bfloat16(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 64);
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16); // nearest, ties to even
}

} // namespace

Bytes encode(DType dtype, std::span<const float> values) {
    Bytes bytes;
    switch (dtype) {
    case DType::f32:
        for (const float value : values) append(bytes, value);
        break;
    case DType::f16:
        for (const float value : values) append(bytes, float_to_half(value));
        break;
    case DType::bf16:
        for (const float value : values) append(bytes, to_bfloat16(value));
        break;
    default:
        bytes.resize(values.size() / info(dtype).block * info(dtype).block_bytes);
        quantize(dtype, values, bytes.data());
    }
    return bytes;
}

void GgufWriter::add_u32(const std::string& key, uint32_t value) {
    pairs.push_back({key, 4, scalar(value)});
}
void GgufWriter::add_u64(const std::string& key, uint64_t value) {
    pairs.push_back({key, 10, scalar(value)});
}
void GgufWriter::add_f32(const std::string& key, float value) {
    pairs.push_back({key, 6, scalar(value)});
}
void GgufWriter::add_bool(const std::string& key, bool value) {
    pairs.push_back({key, 7, scalar<uint8_t>(value ? 1 : 0)});
}

void GgufWriter::add_text(const std::string& key, const std::string& value) {
    Bytes payload;
    append_text(payload, value);
    pairs.push_back({key, 8, std::move(payload)});
}

void GgufWriter::add_i32s(const std::string& key, const std::vector<int32_t>& values) {
    pairs.push_back({key, 9, array(5, values, append<int32_t>)});
}

void GgufWriter::add_f32s(const std::string& key, const std::vector<float>& values) {
    pairs.push_back({key, 9, array(6, values, append<float>)});
}

void GgufWriter::add_texts(const std::string& key, const std::vector<std::string>& values) {
    pairs.push_back({key, 9, array(8, values, append_text)});
}

void GgufWriter::add_tensor(const std::string& name, std::vector<uint64_t> shape, DType dtype,
                            std::span<const float> values) {
    tensors.push_back({name, std::move(shape), info(dtype).gguf_id, encode(dtype, values)});
}

void GgufWriter::remove(const std::string& key) {
    std::erase_if(pairs, [&](const Pair& pair) { return pair.key == key; });
}

void GgufWriter::copy_keys(const Metadata& source, const std::string& prefix) {
    for (const auto& [key, value] : source.values) {
        if (!key.starts_with(prefix)) continue;
        if (const auto* integer = std::get_if<int64_t>(&value)) add_u32(key, static_cast<uint32_t>(*integer));
        if (const auto* real = std::get_if<double>(&value)) add_f32(key, static_cast<float>(*real));
        if (const auto* flag = std::get_if<bool>(&value)) add_bool(key, *flag);
        if (const auto* text = std::get_if<std::string>(&value)) add_text(key, *text);
        if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) add_texts(key, *texts);
        if (const auto* list = std::get_if<std::vector<int64_t>>(&value))
            add_i32s(key, {list->begin(), list->end()});
        if (const auto* list = std::get_if<std::vector<double>>(&value))
            add_f32s(key, {list->begin(), list->end()});
    }
}

uint64_t GgufWriter::offset_of(size_t i) const {
    uint64_t offset = 0;
    for (size_t t = 0; t < i; ++t) offset += aligned(tensors[t].data.size(), alignment);
    return tensors[i].offset.value_or(offset);
}

Bytes GgufWriter::header() const {
    Bytes bytes;
    for (const char c : {'G', 'G', 'U', 'F'}) append(bytes, c);
    append(bytes, version);
    append<uint64_t>(bytes, tensors.size());
    append<uint64_t>(bytes, pairs.size());
    for (const Pair& pair : pairs) {
        append_text(bytes, pair.key);
        append(bytes, pair.type);
        bytes.insert(bytes.end(), pair.payload.begin(), pair.payload.end());
    }
    for (size_t i = 0; i < tensors.size(); ++i) {
        append_text(bytes, tensors[i].name);
        append(bytes, static_cast<uint32_t>(tensors[i].shape.size()));
        for (auto axis = tensors[i].shape.rbegin(); axis != tensors[i].shape.rend(); ++axis)
            append(bytes, *axis);
        append(bytes, tensors[i].type);
        append(bytes, offset_of(i));
    }
    bytes.resize(aligned(bytes.size(), alignment));
    return bytes;
}

Bytes GgufWriter::bytes() const {
    Bytes bytes = header();
    for (const Tensor& tensor : tensors) {
        bytes.insert(bytes.end(), tensor.data.begin(), tensor.data.end());
        bytes.resize(aligned(bytes.size(), alignment));
    }
    return bytes;
}

void GgufWriter::save(const std::string& path) const {
    std::ofstream out(path, std::ios::binary);
    const auto write = [&](const Bytes& bytes) {
        out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    };
    write(header());
    for (const Tensor& tensor : tensors) {
        write(tensor.data);
        write(Bytes(aligned(tensor.data.size(), alignment) - tensor.data.size()));
    }
    out.close();
    if (!out)
        throw Error("writing " + path, "the file system refused it", "another folder, or freeing space");
}

void add_spm_vocabulary(GgufWriter& writer, uint32_t n_vocab) {
    assert(n_vocab >= 259);
    std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
    std::vector<int32_t> types = {2, 3, 3}; // unknown, control, control; below: 6 byte, 1 normal
    for (int byte = 0; byte < 256; ++byte) {
        char label[8];
        std::snprintf(label, sizeof label, "<0x%02X>", static_cast<unsigned>(byte));
        tokens.emplace_back(label);
        types.push_back(6);
    }
    const std::string space = "\xe2\x96\x81"; // U+2581 stands for a space in SentencePiece
    std::vector<std::string> pieces = {space};
    for (char c = '!'; c <= '~'; ++c) pieces.emplace_back(1, c);
    // Longer pieces put a letter behind a space or a piece of letters, so that merging can reach every one of
    // them.
    const auto grows = [&](const std::string& piece) {
        return piece.starts_with(space) || std::islower(piece[0]);
    };
    for (size_t i = 0; pieces.size() < n_vocab; ++i)
        for (char c = 'a'; c <= 'z' && grows(pieces[i]); ++c) pieces.push_back(pieces[i] + c);
    for (size_t i = 0; tokens.size() < n_vocab; ++i) {
        tokens.push_back(pieces[i]);
        types.push_back(1);
    }
    std::vector<float> scores;
    for (uint32_t i = 0; i < n_vocab; ++i) scores.push_back(i < 259 ? 0.0f : -static_cast<float>(i - 259));
    writer.add_text("tokenizer.ggml.model", "llama");
    writer.add_texts("tokenizer.ggml.tokens", tokens);
    writer.add_f32s("tokenizer.ggml.scores", scores);
    writer.add_i32s("tokenizer.ggml.token_type", types);
    writer.add_u32("tokenizer.ggml.bos_token_id", 1);
    writer.add_u32("tokenizer.ggml.eos_token_id", 2);
    writer.add_u32("tokenizer.ggml.unknown_token_id", 0);
    writer.add_bool("tokenizer.ggml.add_bos_token", true);
}

} // namespace kvasir
