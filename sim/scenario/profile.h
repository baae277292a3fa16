// sim/scenario/profile.h: what one seed makes of a scenario. Everything that a scenario leaves open
// for a whole run is drawn here (ranges with low == high afterwards); what is drawn per event stays
// a range.
#pragma once

#include "sim/scenario/scenario.h"

namespace asterias::sim {

enum class FaultLevel : uint8_t { Off, Normal, Extreme };

struct DrawnFault {
    FaultSpec fault;
    FaultLevel level = FaultLevel::Normal;

    bool operator==(const DrawnFault&) const = default;
};

struct Profile {
    uint64_t seed = 0;
    WorldSpec world;  // nodes and shards are single numbers
    std::vector<Workload> workloads;
    std::vector<DrawnFault> faults;  // in the order of the scenario, those that are off too
    Script script;

    uint64_t nodes() const { return world.nodes.low; }
    uint64_t shards() const { return world.shards.low; }
    // The fault of this kind if it is on, else null.
    template <typename F>
    const F* fault() const {
        for (const DrawnFault& drawn : faults)
            if (drawn.level != FaultLevel::Off && std::holds_alternative<F>(drawn.fault))
                return &std::get<F>(drawn.fault);
        return nullptr;
    }

    bool operator==(const Profile&) const = default;
};

// The same scenario and seed give the same profile on every build. Each fault draws from a stream
// of its own, so that a fault added at the end leaves the others as they were.
Profile draw(const Scenario& scenario, uint64_t seed);

// For the head of a failure: the drawn lines, as a scenario would write them.
std::string print(const Profile& profile);

}  // namespace asterias::sim
