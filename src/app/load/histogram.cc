#include "app/load/histogram.h"

#include <algorithm>
#include <bit>

namespace asterias::load {

size_t Histogram::bucket(uint64_t value) {
    if (value < (1u << kSubBits)) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
    return (static_cast<size_t>(shift) << kSubBits) + (value >> shift);
}

uint64_t Histogram::upper(size_t bucket) {
    if (bucket < (2u << kSubBits)) return bucket;
    const size_t shift = (bucket >> kSubBits) - 1;
    const uint64_t mantissa = bucket - (shift << kSubBits);
    return ((mantissa + 1) << shift) - 1;
}

void Histogram::add(uint64_t nanoseconds) {
    ++counts_[bucket(nanoseconds)];
    ++count_;
    max_ = std::max(max_, nanoseconds);
}

uint64_t Histogram::quantile(double part) const {
    const auto rank = static_cast<uint64_t>(part * static_cast<double>(count_));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
        seen += counts_[i];
        if (seen > rank) return std::min(upper(i), max_);
    }
    return max_;
}

}  // namespace asterias::load
