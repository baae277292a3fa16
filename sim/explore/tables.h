// sim/explore/tables.h: hash tables that hold a hundred million of something: open addressing, only
// insertion. Nothing here is iterated, so their order decides nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace asterias::sim::explore {

inline uint64_t mix(uint64_t x) {
    x += 0x9E3779B97F4A7C15ull;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

// A sum of these stands for a set of numbers: order does not matter, and one more is one addition.
struct Hash128 {
    uint64_t a = 0, b = 0;
    bool operator==(const Hash128&) const = default;
    void add(uint64_t kind, uint64_t value) {
        const uint64_t m = mix(value * 64 + kind);
        a += m;
        b += mix(m ^ 0xA5A5A5A55A5A5A5Aull);
    }
};

// Of fingerprints; {0, 0} is taken for none.
class HashSet {
public:
    size_t size() const { return size_; }
    // True: it was not there.
    bool insert(Hash128 h) {
        if ((size_ + 1) * 10 > slots_.size() * 7) grow();
        if (!put(h)) return false;
        ++size_;
        return true;
    }

private:
    bool put(Hash128 h) {
        for (size_t i = h.a & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
            if (slots_[i] == Hash128{}) {
                slots_[i] = h;
                return true;
            }
            if (slots_[i] == h) return false;
        }
    }
    void grow() {
        std::vector<Hash128> old(slots_.empty() ? 1 << 16 : slots_.size() * 2);
        old.swap(slots_);
        for (const Hash128& h : old)
            if (!(h == Hash128{})) put(h);
    }
    std::vector<Hash128> slots_;
    size_t size_ = 0;
};

// From a number that is not all ones to a number.
class NumberMap {
public:
    static constexpr uint64_t kNone = ~uint64_t{0};
    // Pointer into the table, valid until the next insert(); nullptr: not there.
    const uint32_t* find(uint64_t key) const {
        if (slots_.empty()) return nullptr;
        for (size_t i = mix(key) & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
            if (slots_[i].first == key) return &slots_[i].second;
            if (slots_[i].first == kNone) return nullptr;
        }
    }
    // key: not there yet.
    void insert(uint64_t key, uint32_t value) {
        if ((size_ + 1) * 10 > slots_.size() * 7) grow();
        put(key, value);
        ++size_;
    }

private:
    void put(uint64_t key, uint32_t value) {
        size_t i = mix(key) & (slots_.size() - 1);
        while (slots_[i].first != kNone)
            i = (i + 1) & (slots_.size() - 1);
        slots_[i] = {key, value};
    }
    void grow() {
        std::vector<std::pair<uint64_t, uint32_t>> old(slots_.empty() ? 1 << 12 : slots_.size() * 2,
                                                       {kNone, 0});
        old.swap(slots_);
        for (const auto& [key, value] : old)
            if (key != kNone) put(key, value);
    }
    std::vector<std::pair<uint64_t, uint32_t>> slots_;
    size_t size_ = 0;
};

// Equal bytes, equal number; numbers count from 0 in the order of first sight.
class Names {
public:
    // (number, new)
    std::pair<uint32_t, bool> of(std::string bytes) {
        const auto [at, is_new] =
            numbers_.try_emplace(std::move(bytes), static_cast<uint32_t>(numbers_.size()));
        return {at->second, is_new};
    }

private:
    std::unordered_map<std::string, uint32_t> numbers_;
};

}  // namespace asterias::sim::explore
