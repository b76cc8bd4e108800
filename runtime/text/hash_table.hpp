#pragma once

#include <cassert>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace kvasir {

/// Spreads every bit of x over the whole word. Source: the finaliser of MurmurHash3 (Appleby, public domain).
inline uint64_t mix(uint64_t x) {
    x = (x ^ x >> 33) * 0xFF51AFD7ED558CCDull;
    x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53ull;
    return x ^ x >> 33;
}

inline uint64_t hash_bytes(std::string_view bytes) {
    uint64_t hash = bytes.size() * 0x9E3779B97F4A7C15ull; // 2^64 over the golden ratio, to tell lengths apart
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; at += 8, left -= 8) {
        uint64_t word;
        std::memcpy(&word, at, 8);
        hash = mix(hash ^ word);
    }
    uint64_t word = 0;
    if (left > 0) std::memcpy(&word, at, left);
    return mix(hash ^ word);
}

inline uint64_t hash_of(uint64_t key) {
    return mix(key);
}
inline uint64_t hash_of(std::string_view key) {
    return hash_bytes(key);
}

/// A hash table with open addressing and linear probing, at most half full, without removal. Vocabularies are
/// looked up a few times for every byte of text; one flat array costs one cache miss where std::unordered_map
/// costs three.
template <typename Key, typename Value>
class HashTable {
  public:
    explicit HashTable(std::size_t expected = 0) { resize(expected); }

    std::size_t size() const { return size_; }

    /// Makes room, so that `expected` entries need no growing.
    void reserve(std::size_t expected) {
        if (expected * 2 > slots_.size()) resize(expected);
    }

    /// The value of a key, null where there is none; valid until the next insert.
    const Value* find(const Key& key) const {
        const Slot& slot = slots_[locate(key)];
        return slot.used ? &slot.value : nullptr;
    }

    /// Adds a key that is not there yet and gives nothing; gives the value already there, unchanged, where it
    /// is.
    const Value* insert(const Key& key, const Value& value) {
        if ((size_ + 1) * 2 > slots_.size()) resize(slots_.size());
        Slot& slot = slots_[locate(key)];
        if (slot.used) return &slot.value;
        slot = {key, value, true};
        ++size_;
        return nullptr;
    }

  private:
    struct Slot {
        Key key{};
        Value value{};
        bool used = false;
    };

    std::size_t locate(const Key& key) const {
        const std::size_t mask = slots_.size() - 1;
        std::size_t at = hash_of(key) & mask;
        while (slots_[at].used && !(slots_[at].key == key)) at = (at + 1) & mask;
        return at;
    }

    void resize(std::size_t expected) {
        std::size_t capacity = 16;
        while (capacity < expected * 2) capacity *= 2;
        std::vector<Slot> old(capacity);
        old.swap(slots_);
        for (const Slot& slot : old)
            if (slot.used) slots_[locate(slot.key)] = slot;
    }

    std::vector<Slot> slots_;
    std::size_t size_ = 0;
};

} // namespace kvasir
