#include "tests/kernels/kv_image.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace kvasir::kernels {
namespace {

constexpr uint32_t page = PageTable::page_size;

uint32_t groups(uint32_t n, uint32_t of) {
    return (n + of - 1) / of;
}

uint16_t half(double value) {
    return float_to_half(static_cast<float>(value));
} // value is a float16 already

} // namespace

KvImage::KvImage(KvType type, uint32_t n_kv_heads, uint32_t head_dim, std::vector<uint32_t> pages,
                 uint32_t n_pages)
    : page_table(std::move(pages)), type_(type), n_kv_heads_(n_kv_heads), head_dim_(head_dim) {
    unit_values_ = type == KvType::f32 ? 4 : type == KvType::f16 ? 8 : 16;
    const uint32_t units = type == KvType::q8_0 ? groups(head_dim, 32) * 2 : groups(head_dim, unit_values_);
    values_ = units * unit_values_;
    pairs_ = groups(head_dim, 64);
    k.assign(uint64_t(n_pages) * n_kv_heads * units * page * 4, poison);
    v = k;
    if (type == KvType::q8_0) scales.assign(uint64_t(n_pages) * n_kv_heads * 2 * pairs_ * page, poison);
}

uint64_t KvImage::word(uint32_t pos, uint32_t head, uint32_t unit) const {
    const uint64_t page_head = uint64_t(page_table[pos / page]) * n_kv_heads_ + head;
    return ((page_head * (values_ / unit_values_) + unit) * page + pos % page) * 4;
}

uint64_t KvImage::scale_word(bool is_v, uint32_t pos, uint32_t head, uint32_t pair) const {
    const uint64_t page_head = uint64_t(page_table[pos / page]) * n_kv_heads_ + head;
    return ((page_head * 2 + is_v) * pairs_ + pair) * page + pos % page;
}

void KvImage::store(bool is_v, uint32_t pos, uint32_t head, View vector) {
    auto& words = is_v ? v : k;
    const Values rounded = reference::through_cache(vector, type_, head_dim_);
    for (uint32_t pair = 0; pair < pairs_ && type_ == KvType::q8_0; ++pair)
        scales[scale_word(is_v, pos, head, pair)] = 0;
    double scale = 1;
    for (uint32_t i = 0; i < values_; ++i) {
        if (type_ == KvType::q8_0 && i % 32 == 0) {
            double largest = 0;
            for (uint32_t c = i; c < std::min(i + 32, head_dim_); ++c)
                largest = std::max(largest, std::abs(vector[c]));
            scale = reference::round_to_half(largest / 127);
            scales[scale_word(is_v, pos, head, i / 64)] |= uint32_t(half(scale)) << (i / 32 % 2 * 16);
        }
        const double x = i < head_dim_ ? rounded[i] : 0;
        auto* bytes = reinterpret_cast<std::byte*>(&words[word(pos, head, i / unit_values_)]);
        const uint32_t at = i % unit_values_;
        if (type_ == KvType::f32) {
            const auto single = static_cast<float>(x);
            std::memcpy(bytes + at * 4, &single, 4);
        } else if (type_ == KvType::f16) {
            const uint16_t bits = half(x);
            std::memcpy(bytes + at * 2, &bits, 2);
        } else {
            bytes[at] = static_cast<std::byte>(scale > 0 ? std::lround(x / scale) : 0);
        }
    }
}

double KvImage::value(const std::vector<uint32_t>& words, uint64_t first, uint32_t i) const {
    const auto* bytes = reinterpret_cast<const std::byte*>(&words[first]);
    if (type_ == KvType::f32) return double(std::bit_cast<float>(words[first + i]));
    if (type_ == KvType::q8_0) return static_cast<int8_t>(bytes[i]);
    uint16_t bits;
    std::memcpy(&bits, bytes + i * 2, 2);
    return double(half_to_float(bits));
}

Values KvImage::load(bool is_v, uint32_t pos, uint32_t head) const {
    Values x(values_);
    for (uint32_t i = 0; i < values_; ++i) {
        x[i] = value(is_v ? v : k, word(pos, head, i / unit_values_), i % unit_values_);
        if (type_ == KvType::q8_0)
            x[i] *= double(half_to_float(
                static_cast<uint16_t>(scales[scale_word(is_v, pos, head, i / 64)] >> (i / 32 % 2 * 16))));
    }
    return x;
}

void KvImage::forget(uint32_t pos) {
    for (uint32_t head = 0; head < n_kv_heads_; ++head) {
        for (uint32_t unit = 0; unit < values_ / unit_values_; ++unit)
            for (auto* words : {&k, &v})
                std::fill_n(words->begin() + std::ptrdiff_t(word(pos, head, unit)), 4, poison);
        for (uint32_t pair = 0; pair < pairs_ && type_ == KvType::q8_0; ++pair)
            for (const bool is_v : {false, true}) scales[scale_word(is_v, pos, head, pair)] = poison;
    }
}

uint64_t KvImage::differences(const KvImage& other) const {
    uint64_t n = 0;
    const auto count = [&](const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
        for (size_t i = 0; i < a.size(); ++i) n += a[i] != b[i];
    };
    count(k, other.k);
    count(v, other.v);
    count(scales, other.scales);
    return n;
}

void KvImage::upload(Device& device, const KvCache& cache, uint32_t layer) const {
    write(device, cache.k(layer), std::as_bytes(std::span(k)));
    if (cache.v(layer).size() > 0 && &cache.v(layer) != &cache.k(layer))
        write(device, cache.v(layer), std::as_bytes(std::span(v)));
    if (!scales.empty()) write(device, cache.scales(layer), std::as_bytes(std::span(scales)));
}

void KvImage::download(const KvCache& cache, uint32_t layer) {
    const auto read = [](std::vector<uint32_t>& words, const Buffer& buffer) {
        const size_t n = words.size();
        words = kernels::download(buffer);
        words.resize(n);
    };
    read(k, cache.k(layer));
    read(v, cache.v(layer));
    if (!scales.empty()) read(scales, cache.scales(layer));
}

ModelSpec attention_spec(uint32_t n_heads, uint32_t n_kv_heads, uint32_t head_dim) {
    ModelSpec m;
    m.n_layers = 2;
    m.n_heads = n_heads;
    m.n_kv_heads = n_kv_heads;
    m.head_dim = head_dim;
    return m;
}

namespace {

std::vector<uint32_t> shuffled_pages(uint32_t n_pages, uint32_t first_visible, Random& random) {
    auto pages = random.permutation(n_pages);
    for (uint32_t i = 0; i < n_pages; ++i)
        if ((i + 1) * page <= first_visible) pages[i] = PageTable::unused;
    return pages;
}

} // namespace

ShuffledCache::ShuffledCache(Device& device, const ModelSpec& m, KvType type, uint32_t n_keys, Random& random,
                             uint32_t first_visible)
    : cache(device, m, type, n_keys),
      image(type, m.n_kv_heads, m.head_dim,
            shuffled_pages(PageTable::pages_for(n_keys), first_visible, random),
            PageTable::pages_for(n_keys)) {
    write(device, cache.page_table(), std::as_bytes(std::span(image.page_table)));
    image.upload(device, cache, 0);
    image.upload(device, cache, 1);
}

} // namespace kvasir::kernels
