// base/prng.h: seeded pseudo-random numbers (xoshiro256**, Blackman and Vigna 2018; seeded through
// splitmix64). The same seed gives the same numbers on every build: no std distribution is used,
// because the standard leaves their algorithms open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace asterias {

class Prng {
public:
    explicit Prng(uint64_t seed);

    uint64_t next();
    // Uniform in [0, bound); bound > 0.
    uint64_t below(uint64_t bound);
    // Uniform in [low, high]; low <= high.
    uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
    // True with probability p, 0 <= p <= 1.
    bool chance(double p) { return unit() < p; }
    // Uniform in [0, 1).
    double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
    // An independent generator; the parent advances by one draw.
    Prng split() { return Prng(next()); }

    template <typename T>
    void shuffle(std::vector<T>& items) {
        for (size_t i = items.size(); i > 1; --i)
            std::swap(items[i - 1], items[below(i)]);
    }

private:
    uint64_t s_[4];
};

}  // namespace asterias
