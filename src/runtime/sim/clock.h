// runtime/sim/clock.h: a node's clocks as a function of virtual time. Internal to this room.
#pragma once

#include <algorithm>

#include "base/check.h"
#include "base/time.h"

namespace asterias::sim {

// Monotonic and wall clock of one machine. They run on one oscillator with a constant rate error,
// which may change (set_drift); the wall clock may be stepped. Integer arithmetic only.
class NodeClock {
public:
    // `origin` is what the monotonic clock shows at virtual time 0: arbitrary, so that Instants of
    // two nodes never happen to compare.
    NodeClock(Instant origin, Duration wall_offset, int64_t drift_ppm)
        : base_local_(origin), origin_(origin), wall_offset_(wall_offset), ppm_(drift_ppm) {
        CHECK(drift_ppm >= -900'000, "a clock runs forwards");
    }

    Instant local(Instant virtual_now) const {
        const int64_t elapsed = (virtual_now - base_virtual_).count();
        return base_local_ + Duration(elapsed + scaled(elapsed, ppm_, kMillion));
    }
    // The earliest virtual time at which local() shows `deadline` or later.
    Instant when_shows(Instant deadline) const {
        const int64_t local_left = (deadline - base_local_).count();
        Instant at = base_virtual_ + Duration(scaled(local_left, kMillion, kMillion + ppm_));
        while (local(at) >= deadline)
            at -= Duration(1);
        while (local(at) < deadline)
            at += Duration(1);
        return at;
    }
    WallTime wall(Instant shown) const {
        constexpr int64_t kStartMicros = 1'767'225'600'000'000;  // 2026-01-01 00:00 UTC
        // Before 1970 no kernel goes.
        return {
            std::max<int64_t>(kStartMicros + ((shown - origin_) + wall_offset_).count() / 1000, 0)};
    }
    void set_drift(Instant virtual_now, int64_t ppm) {
        CHECK(ppm >= -900'000, "a clock runs forwards");
        base_local_ = local(virtual_now);
        base_virtual_ = virtual_now;
        ppm_ = ppm;
    }
    void step_wall(Duration by) { wall_offset_ += by; }

private:
    static constexpr int64_t kMillion = 1'000'000;
    static int64_t scaled(int64_t value, int64_t numerator, int64_t denominator) {
        return static_cast<int64_t>(static_cast<__int128>(value) * numerator / denominator);
    }

    Instant base_virtual_{}, base_local_, origin_;
    Duration wall_offset_;
    int64_t ppm_;
};

}  // namespace asterias::sim
