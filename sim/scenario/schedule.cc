#include "sim/scenario/schedule.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

namespace asterias::sim {

namespace {

using Nodes = std::vector<uint32_t>;

Duration draw_time(const Times& range, Prng& prng) {
    const auto width = static_cast<uint64_t>((range.high - range.low).count());
    return range.low + Duration(static_cast<int64_t>(prng.between(0, width)));
}

// `count` different nodes, sorted.
Nodes pick(uint64_t nodes, uint64_t count, Prng& prng) {
    Nodes all(nodes);
    std::iota(all.begin(), all.end(), 0u);
    prng.shuffle(all);
    all.resize(std::min(count, nodes));
    std::sort(all.begin(), all.end());
    return all;
}

uint64_t minority(uint64_t nodes) { return std::max<uint64_t>((nodes - 1) / 2, 1); }

Nodes pick_by_mode(const std::string& mode, uint64_t nodes, Prng& prng) {
    if (mode == "minority") return pick(nodes, prng.between(1, minority(nodes)), prng);
    if (mode == "all") return pick(nodes, nodes, prng);
    if (mode == "random") return pick(nodes, prng.between(1, nodes), prng);
    return pick(nodes, 1, prng);
}

bool contains(const Nodes& nodes, uint32_t node) {
    return std::binary_search(nodes.begin(), nodes.end(), node);
}

// Every link between a node of `side` and one outside, both ways, but none of `spared`.
std::vector<Link> between(const Nodes& side, uint64_t nodes, std::optional<uint32_t> spared = {}) {
    std::vector<Link> cuts;
    for (uint32_t from = 0; from < nodes; ++from)
        for (uint32_t to = 0; to < nodes; ++to)
            if (contains(side, from) != contains(side, to) && from != spared && to != spared)
                cuts.push_back({from, to});
    return cuts;
}

std::vector<Link> one_way(uint32_t node, bool deaf, uint64_t nodes) {
    std::vector<Link> cuts;
    for (uint32_t other = 0; other < nodes; ++other)
        if (other != node) cuts.push_back(deaf ? Link{other, node} : Link{node, other});
    return cuts;
}

class Maker {
public:
    Maker(const Profile& profile, Schedule& schedule)
        : nodes_(profile.nodes()), until_(profile.world.duration), schedule_(schedule) {}

    void make(const PartitionFault& f, Prng prng) {
        if (nodes_ < 2) return;
        repeat(f.every, f.length, prng, [&](FaultEvent event) {
            event.kind = FaultKind::Partition;
            partition(f.mode, std::move(event), prng);
        });
    }
    void make(const CrashFault& f, Prng prng) {
        repeat(f.every, f.down, prng, [&](FaultEvent event) {
            event.kind = FaultKind::Crash;
            event.leader = f.mode == "leader";
            if (!event.leader) event.victims = pick_by_mode(f.mode, nodes_, prng);
            event.loses_unsynced = prng.chance(f.lose.low);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const PauseFault& f, Prng prng) {
        repeat(f.every, f.length, prng, [&](FaultEvent event) {
            event.kind = FaultKind::Pause;
            event.leader = f.mode == "leader";
            if (!event.leader) event.victims = pick_by_mode(f.mode, nodes_, prng);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const SlowDiskFault& f, Prng prng) {
        repeat(f.every, f.length, prng, [&](FaultEvent event) {
            event.kind = FaultKind::SlowDisk;
            event.victims = pick(nodes_, 1, prng);
            event.factor = prng.between(f.factor.low, f.factor.high);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const FullDiskFault& f, Prng prng) {
        repeat(f.every, f.length, prng, [&](FaultEvent event) {
            event.kind = FaultKind::FullDisk;
            event.victims = pick(nodes_, 1, prng);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const ClockFault& f, Prng prng) {
        repeat(f.every, {Duration(0), Duration(0)}, prng, [&](FaultEvent event) {
            event.kind = FaultKind::ClockJump;
            event.victims = pick(nodes_, 1, prng);
            event.jump = draw_time(f.jump, prng);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const DiskFault&, Prng) {}  // at every moment, not at set times
    void make(const NetFault&, Prng) {}
    void make(const FrameFault&, Prng) {}

private:
    // One event after another, each begun `every` after the end of the one before.
    template <typename Add>
    void repeat(const Times& every, const Times& length, Prng& prng, Add add) {
        if (every.high <= Duration(0)) return;
        Duration at{0};
        while (true) {
            at += std::max(draw_time(every, prng), kGap);
            if (at >= until_) return;
            FaultEvent event;
            event.at = at;
            event.length = std::min(draw_time(length, prng), until_ - at);
            at = event.end();
            add(std::move(event));
        }
    }

    void partition(const std::string& mode, FaultEvent event, Prng& prng) {
        if (mode == "flap") return flap(std::move(event), prng);
        if (mode == "leader") {
            event.leader = true;
        } else if (mode == "oneway") {
            event.victims = pick(nodes_, 1, prng);
            event.cuts = one_way(event.victims[0], prng.chance(0.5), nodes_);
        } else if (mode == "isolate") {
            event.victims = pick(nodes_, 1, prng);
            event.cuts = between(event.victims, nodes_);
        } else if (mode == "bridge" && nodes_ >= 3) {
            const auto middle = static_cast<uint32_t>(prng.below(nodes_));
            Nodes side;
            do {
                side = pick(nodes_, prng.between(1, nodes_ - 2), prng);
            } while (contains(side, middle));
            event.cuts = between(side, nodes_, middle);
        } else {
            const uint64_t most = mode == "majority" ? minority(nodes_) : nodes_ - 1;
            event.cuts = between(pick(nodes_, prng.between(1, most), prng), nodes_);
        }
        schedule_.events.push_back(std::move(event));
    }

    // One link, cut and healed some times within the event.
    void flap(FaultEvent event, Prng& prng) {
        const Nodes ends = pick(nodes_, 2, prng);
        const uint64_t times = prng.between(2, 8);
        const Duration step = event.length / static_cast<int64_t>(2 * times);
        event.cuts = {{ends[0], ends[1]}, {ends[1], ends[0]}};
        event.length = step;
        for (uint64_t n = 0; n < times; ++n) {
            schedule_.events.push_back(event);
            event.at += step * 2;
        }
    }

    static constexpr Duration kGap = milliseconds(1);
    const uint64_t nodes_;
    const Duration until_;
    Schedule& schedule_;
};

std::string names(const Nodes& nodes) {
    std::string out;
    for (const uint32_t node : nodes)
        out += " n" + std::to_string(node);
    return out;
}

}  // namespace

std::string_view to_string(FaultKind kind) {
    static constexpr std::array<std::string_view, 6> kNames = {"partition", "crash", "pause",
                                                               "slow",      "full",  "clock"};
    return kNames[static_cast<size_t>(kind)];
}

Schedule make_schedule(const Profile& profile, Prng prng) {
    Schedule schedule;
    schedule.safety_end = profile.world.duration;
    schedule.end = profile.world.duration + profile.world.liveness;
    Prng core = prng.split();
    const uint64_t alive = profile.world.core == "all" ? profile.nodes() : profile.nodes() / 2 + 1;
    schedule.core = pick(profile.nodes(), alive, core);
    // A stream for every kind, on or off, so that one fault does not shift the others.
    std::array<uint64_t, std::variant_size_v<FaultSpec>> seeds;
    for (uint64_t& seed : seeds)
        seed = prng.next();
    Maker maker(profile, schedule);
    for (const DrawnFault& drawn : profile.faults)
        if (drawn.level != FaultLevel::Off)
            std::visit([&](const auto& f) { maker.make(f, Prng(seeds[drawn.fault.index()])); },
                       drawn.fault);
    std::sort(schedule.events.begin(), schedule.events.end(),
              [](const FaultEvent& a, const FaultEvent& b) {
                  return std::tie(a.at, a.kind) < std::tie(b.at, b.kind);
              });
    return schedule;
}

FaultEvent aim(FaultEvent event, std::optional<uint32_t> leader, uint64_t nodes) {
    if (!event.leader) return event;
    event.leader = false;
    event.victims = {leader.value_or(0)};
    if (event.kind == FaultKind::Partition) event.cuts = between(event.victims, nodes);
    return event;
}

std::string describe(const FaultEvent& event) {
    std::string out = std::to_string(event.at.count()) + " " + std::string(to_string(event.kind));
    if (event.length > Duration(0)) out += " for " + std::to_string(event.length.count());
    out += event.leader ? " leader" : names(event.victims);
    if (!event.cuts.empty()) out += " cut";
    for (const Link& link : event.cuts)
        out += " n" + std::to_string(link.from) + ">n" + std::to_string(link.to);
    if (event.loses_unsynced) out += " losing unsynced data";
    if (event.kind == FaultKind::SlowDisk) out += " x" + std::to_string(event.factor);
    if (event.kind == FaultKind::ClockJump) out += " by " + std::to_string(event.jump.count());
    return out;
}

}  // namespace asterias::sim
