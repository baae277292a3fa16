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

enum class FaultKind : uint8_t {
    Partition,
    Crash,
    Pause,
    SlowDisk,
    FullDisk,
    ClockJump,  // with a length: to and fro
    CrashLoop,
    Limits,
    Strangers,
    Rot,
    Directory,
    Roles,
    Members,
    Keyspaces,
};
std::string_view to_string(FaultKind kind);

// Frames from one node to another, by node number from 0.
struct Link {
    uint32_t from, to;

    auto operator<=>(const Link&) const = default;
};

struct FaultEvent {
    Duration at{0};
    Duration length{0};  // 0: an instant
    FaultKind kind = FaultKind::Partition;
    // Names that only aim() understands, as Step has them; empty: `victims` and `cuts` are final.
    std::string who, other;
    std::string what;  // Partition: its shape; Rot, Directory, Members: of RotFault::mode ...
    std::vector<uint32_t> victims;  // sorted; Partition: empty unless the shape names nodes
    std::vector<Link> cuts;         // Partition: sorted
    bool loses_unsynced = false;    // Crash
    uint64_t factor = 1;            // SlowDisk
    uint64_t many = 0;              // Strangers: connections of a storm; 0: one of another kind
    Duration jump{0};               // ClockJump

    Duration end() const { return at + length; }
    bool operator==(const FaultEvent&) const = default;
};

struct Schedule {
    std::vector<FaultEvent> events;  // by `at`; drawn events of one kind do not overlap (but for
                                     // the links of a swizzle, and jumps of clocks), others do
    Duration safety_end{0}, end{0};
    // Nodes that must be up and connected in the liveness phase, sorted. The others stay down.
    std::vector<uint32_t> core;
    // Nodes that a fault may end for good, sorted; none of the core.
    std::vector<uint32_t> doomed;
};

Schedule make_schedule(const Profile& profile, Prng prng);

// Who is meant by names that are not a node's.
struct Cast {
    std::optional<uint32_t> leader;
    std::vector<uint32_t> roles;  // of `a`, `b` ...
};
// The event with its victims and cuts filled in. Where nobody leads, or no role was given out, the
// lowest nodes stand in.
FaultEvent aim(FaultEvent event, const Cast& cast, uint64_t nodes);

// The line of a script that does the same.
Step step_of(const FaultEvent& event);
// What happens, in words.
std::string describe(const FaultEvent& event);

}  // namespace asterias::sim
