// runtime/sim/options.h: what a scenario may ask of the simulated world, as plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/prng.h"
#include "base/time.h"
#include "port/disk.h"
#include "port/net.h"
#include "port/shard.h"

namespace asterias::sim {

// A node's place in its World; counts from 0 in order of add_node().
enum class NodeIndex : uint32_t {};
inline constexpr NodeIndex kNoNode{0xFFFF'FFFF};
constexpr size_t slot_of(NodeIndex node) { return static_cast<size_t>(node); }

// How many ready events a turn takes.
enum class TurnStyle : unsigned char {
    Drawn,  // drawn anew for each turn: one, some, or all
    One,
    All,  // until nothing is ready (bounded)
};

// What dies with the process. The hook NodeOptions::after_crash carries it to the disk image.
enum class CrashKind : unsigned char {
    Kill,      // kill -9: the kernel, its page cache and its sockets live on
    PowerCut,  // the machine: unsynced writes are at risk, no packet is answered until boot()
};

// What the peers of a crashed node get to see.
enum class Farewell : unsigned char {
    Drawn,   // per connection one of the others
    Close,   // end of stream, behind what was in flight
    Reset,   // what was in flight is lost
    Silent,  // half-open: nothing, until they send and the restarted machine answers with a reset
};

// One disk object per shard of a node; they share the node's image, which outlives crashes.
using DiskFactory = std::function<std::unique_ptr<port::Disk>(port::Shard& shard, Prng prng)>;

struct NodeOptions {
    size_t shards = 1;
    Duration wall_offset{};  // of the wall clock, against virtual time
    int64_t drift_ppm = 0;   // of both clocks, parts per million, >= -900'000
    TurnStyle turns = TurnStyle::Drawn;
    // A turn keeps its shard busy for this long (drawn), so that even a shard that posts for ever
    // lets time pass.
    Duration turn_min = microseconds(1), turn_max = microseconds(20);
    std::string identity;       // what its peers see as PeerIdentity::name; empty: the node's name
    bool authenticated = true;  // false: a plain client, shown to peers as its remote address
    DiskFactory disk;           // empty: a node without a disk (clients)
    // After a crash, when everything of the node is gone and before anything else happens.
    std::function<void(CrashKind)> after_crash;
};

// A directed link between two machines, as a TCP stream lives it: bytes of one connection stay in
// order and are neither lost nor duplicated while it lives; loss is delay, or the end of it.
struct LinkProfile {
    Duration delay = microseconds(100);
    Duration jitter = microseconds(50);  // added, uniform in [0, jitter]
    uint64_t bytes_per_second = 0;       // 0: unlimited
    uint32_t loss_ppm = 0;               // per segment: waits 1..8 retransmission times
    Duration retransmit = milliseconds(200);
    uint32_t spike_ppm = 0;  // per segment: held up for up to `spike`
    Duration spike = milliseconds(50);
    uint32_t break_ppm = 0;        // per segment: the connection breaks, the tail in flight is lost
    uint32_t corrupt_ppm = 0;      // per segment: up to 4 bits flip, unseen by the transport
    uint32_t split_ppm = 100'000;  // per segment: cut in two at a drawn place
    size_t window_bytes = 256 * 1024;  // what the receiving kernel holds for a paused reader
};

// A drawn profile: most links good, some bad in one or two ways, few in many (swarm testing).
LinkProfile draw_link_profile(Prng& prng);

// Who `presenter` appears to be when `viewer` looks at its certificate; `honest` is the truth.
// nullopt: the handshake fails (an expired or foreign certificate).
using IdentityHook = std::function<std::optional<port::PeerIdentity>(
    NodeIndex presenter, NodeIndex viewer, const port::PeerIdentity& honest)>;

}  // namespace asterias::sim
