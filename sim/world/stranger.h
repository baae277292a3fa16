// sim/world/stranger.h: somebody on the nodes' network who is no member (N7, N8): comes to a node's
// port for nodes with bytes that no member sends, or with none. May break: nothing. Nodes must hang
// up on it, and go on.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.h"
#include "port/net.h"
#include "port/scope.h"
#include "port/shard.h"
#include "runtime/sim/trace.h"

namespace asterias::sim {

enum class Visit : uint8_t {
    ForeignCluster,  // a member's Hello, of another cluster
    OldVersion,      // of a format that nobody speaks any more
    UnknownType,     // a frame of a type that is to be invented
    Truncated,       // half a Hello, then the end
    Oversized,       // a frame that is said to be of 2 GiB
    Long,            // one of a size that only members may send
    Damaged,         // a Hello with a flipped bit
    Garbage,
    Slow,    // an honest Hello, byte by byte, very slowly
    Silent,  // not a word
    kCount,
};
// "stranger.foreign_cluster" ...: the site that counts these visits.
std::string_view site_of(Visit visit);
// Counts the visits that a node ended.
inline constexpr std::string_view kTurnedAway = "stranger.turned_away";
inline constexpr std::string_view kStorm = "stranger.storm";

class Stranger {
public:
    // Both outlive this.
    Stranger(port::Shard& shard, FaultCounters& faults, Prng prng);
    ~Stranger();

    // From outside the shard's turns.
    void come(port::Address to, Visit visit);
    // So many connections at about the same time; most say nothing.
    void storm(port::Address to, uint64_t connections);

private:
    class Call;

    port::Task<> visit(port::Address to, Visit visit, Duration first);
    std::string words(Visit visit);

    port::Shard& shard_;
    FaultCounters& faults_;
    Prng prng_;
    port::Scope scope_;
};

}  // namespace asterias::sim
