// base/time.h: points in time as plain values. Nothing here can ask what time it is: `now` arrives
// as input, from port::Clock (ARCHITECTURE.md, Time).
#pragma once

#include <chrono>
#include <cstdint>
#include <ratio>

namespace asterias {

using Duration = std::chrono::nanoseconds;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Monotonic time of one node since an arbitrary origin. Compared only within that node.
struct MonotonicTimeline {
    using rep = int64_t;
    using period = std::nano;
    using duration = Duration;
    using time_point = std::chrono::time_point<MonotonicTimeline, Duration>;
    static constexpr bool is_steady = true;
};
using Instant = MonotonicTimeline::time_point;

// Wall time: microseconds since 1970 UTC. It labels things; no reply depends on comparing two
// clocks.
struct WallTime {
    int64_t micros = 0;
    constexpr auto operator<=>(const WallTime&) const = default;
    constexpr int64_t millis() const { return micros / 1000; }
};

}  // namespace asterias
