#include "base/prng.h"

#include <bit>

#include "base/check.h"

namespace asterias {

Prng::Prng(uint64_t seed) {
    for (auto& word : s_) {  // splitmix64
        seed += 0x9E3779B97F4A7C15ull;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        word = z ^ (z >> 31);
    }
}

uint64_t Prng::next() {
    const uint64_t result = std::rotl(s_[1] * 5, 7) * 9;
    const uint64_t t = s_[1] << 17;
    s_[2] ^= s_[0];
    s_[3] ^= s_[1];
    s_[1] ^= s_[2];
    s_[0] ^= s_[3];
    s_[2] ^= t;
    s_[3] = std::rotl(s_[3], 45);
    return result;
}

uint64_t Prng::below(uint64_t bound) {
    CHECK(bound > 0, "an empty range has no member");
    // Lemire's multiply-shift; the bias of 2^-64 * bound is irrelevant here.
    return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
}

}  // namespace asterias
