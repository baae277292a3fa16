// app/load/histogram.h: latencies in buckets of at most 1.6 % width (log-linear, as
// HdrHistogram).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace asterias::load {

class Histogram {
public:
    void add(uint64_t nanoseconds);
    uint64_t count() const { return count_; }
    uint64_t max() const { return max_; }
    // The upper end of the bucket that holds the given part of all values; 0 if there are none.
    uint64_t quantile(double part) const;

private:
    static constexpr unsigned kSubBits = 6;  // 64 buckets per power of two
    static size_t bucket(uint64_t value);
    static uint64_t upper(size_t bucket);

    std::array<uint64_t, (64 - kSubBits + 1) << kSubBits> counts_{};
    uint64_t count_ = 0;
    uint64_t max_ = 0;
};

}  // namespace asterias::load
