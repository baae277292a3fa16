#include "sim/scenario/profile.h"

#include <algorithm>
#include <cmath>

#include "base/prng.h"
#include "sim/scenario/params.h"

namespace asterias::sim {

namespace {

// Visitor: draws what is per seed, and stretches everything if the fault is extreme.
class Drawer {
public:
    Drawer(Prng& prng, FaultLevel level) : prng_(prng), extreme_(level == FaultLevel::Extreme) {}

    void choice(std::string_view, std::string&, Words) {}
    void fixed(std::string_view, Duration&, Duration, Duration) {}
    void count(std::string_view, Counts& range, uint64_t, uint64_t) {
        range.low = range.high = prng_.between(range.low, range.high);
    }
    void count_each(std::string_view, Counts& range, uint64_t, uint64_t high) {
        if (extreme_) range.high = std::min(range.high * 4, high);
    }
    void number(std::string_view, Range<int64_t>& range, int64_t low, int64_t high) {
        if (extreme_) range = {std::max(range.low * 4, low), std::min(range.high * 4, high)};
    }
    void chance(std::string_view, Chances& range, double high) {
        double value = range.low + (range.high - range.low) * prng_.unit();
        if (extreme_) value = std::min(value * 10, high);
        range.low = range.high = value;
    }
    void interval(std::string_view, Times& range, Duration low, Duration) {
        if (extreme_) range = {std::max(range.low / 4, low), std::max(range.high / 4, low)};
    }
    void length(std::string_view, Times& range, Duration low, Duration high) {
        if (!extreme_) return;
        range.high = std::min(range.high * 4, high);
        if (range.low < Duration(0)) range.low = std::max(range.low * 4, low);
    }

private:
    Prng& prng_;
    const bool extreme_;
};

template <typename Spec>
void draw_params(Spec& spec, Prng prng, FaultLevel level) {
    Drawer drawer(prng, level);
    visit_params(spec, drawer);
}

FaultLevel draw_level(const std::optional<Swarm>& swarm, std::string_view name, Prng& prng) {
    const double at = prng.unit();
    if (!swarm || at >= swarm->off + swarm->extreme) return FaultLevel::Normal;
    if (at >= swarm->off) return FaultLevel::Extreme;
    return name == swarm->always ? FaultLevel::Normal : FaultLevel::Off;
}

// One independent stream per subject.
Prng stream(uint64_t seed, uint64_t subject) {
    Prng prng(seed + 0x9E3779B97F4A7C15ull * (subject + 1));
    return prng.split();
}

}  // namespace

Profile draw(const Scenario& scenario, uint64_t seed) {
    constexpr uint64_t kWorkloads = 100, kFaults = 200;
    Profile profile{.seed = seed,
                    .world = scenario.world,
                    .workloads = scenario.workloads,
                    .faults = {},
                    .script = scenario.script};
    draw_params(profile.world, stream(seed, 0), FaultLevel::Normal);
    for (size_t i = 0; i < profile.workloads.size(); ++i)
        draw_params(profile.workloads[i], stream(seed, kWorkloads + i), FaultLevel::Normal);
    for (const FaultSpec& fault : scenario.faults) {
        Prng prng = stream(seed, kFaults + fault.index());
        DrawnFault drawn{fault, draw_level(scenario.swarm, fault_name(fault), prng)};
        std::visit([&](auto& f) { draw_params(f, prng.split(), drawn.level); }, drawn.fault);
        if (const auto* rot = std::get_if<RotFault>(&drawn.fault);
            rot && !prng.chance(rot->share.low))
            drawn.level = FaultLevel::Off;
        profile.faults.push_back(std::move(drawn));
    }
    return profile;
}

std::string print(const Profile& profile) {
    Scenario drawn;
    drawn.world = profile.world;
    drawn.workloads = profile.workloads;
    drawn.script = profile.script;
    std::string out = "seed " + std::to_string(profile.seed) + "\n" + print(drawn);
    out.resize(out.rfind("check"));
    for (const DrawnFault& fault : profile.faults) {
        if (fault.level == FaultLevel::Off)
            out += "# off: " + std::string(fault_name(fault.fault)) + "\n";
        else
            out +=
                print(fault.fault) + (fault.level == FaultLevel::Extreme ? "  # extreme\n" : "\n");
    }
    return out;
}

}  // namespace asterias::sim
