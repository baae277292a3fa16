// sim/scenario/schedule.h: the faults of a run that begin and end at set times. (Faults per
// operation or frame - net, disk, clock offset and drift - the runner takes from the Profile.)
// Safety phase: [0, safety_end): faults happen; none lasts beyond it. Liveness phase:
// [safety_end, end): everything is healed, faults per operation are off, every client must complete
// and the last reads are made.
#pragma once

#include <optional>

#include "base/prng.h"
#include "sim/scenario/profile.h"

namespace asterias::sim {

enum class FaultKind : uint8_t { Partition, Crash, Pause, SlowDisk, FullDisk, ClockJump };
std::string_view to_string(FaultKind kind);

// Frames from one node to another, by node number from 0.
struct Link {
    uint32_t from, to;

    auto operator<=>(const Link&) const = default;
};

struct FaultEvent {
    Duration at{0};
    Duration length{0};  // 0: an instant (ClockJump)
    FaultKind kind = FaultKind::Partition;
    std::vector<uint32_t> victims;  // sorted; Partition: empty unless the mode names nodes
    bool leader = false;            // the victim is whoever leads when it begins: call aim()
    std::vector<Link> cuts;         // Partition: sorted
    bool loses_unsynced = false;    // Crash
    uint64_t factor = 1;            // SlowDisk
    Duration jump{0};               // ClockJump

    Duration end() const { return at + length; }
    bool operator==(const FaultEvent&) const = default;
};

struct Schedule {
    std::vector<FaultEvent> events;  // by `at`; events of one kind do not overlap, those of
                                     // different kinds do
    Duration safety_end{0}, end{0};
    // Nodes that must be up and connected in the liveness phase, sorted. The others stay down.
    std::vector<uint32_t> core;
};

Schedule make_schedule(const Profile& profile, Prng prng);

// The event with its victim filled in. `leader` empty: nobody leads, so the lowest node stands in.
FaultEvent aim(FaultEvent event, std::optional<uint32_t> leader, uint64_t nodes);

// One line, for traces.
std::string describe(const FaultEvent& event);

}  // namespace asterias::sim
