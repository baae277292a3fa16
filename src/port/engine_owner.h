// port/engine_owner.h: whose an engine is. Its first write says so, and by the contract of the
// engine whatever a crash leaves of later writes has that one, too. So a directory of another node,
// another cluster, or another birth of the same node is refused, by name. (An older copy of the
// right one is not told from the state after a crash: replaying the journal mends it, or the
// journal no longer has what it lacks, which the group's start-up refuses.)
#pragma once

#include "base/ids.h"
#include "port/engine.h"

namespace asterias::port {

struct EngineOwner {
    ClusterId cluster;
    NodeId node;
    uint64_t nonce =
        0;  // of the data directory: drawn when it was made, and kept beside the engine
    bool operator==(const EngineOwner&) const = default;
};

// Outside of every space of keys: no span of a group covers it.
inline constexpr std::string_view kEngineOwnerKey{"\0owner", 6};

// An empty engine becomes `owner`'s; any other must be. Call it after opening, before anything else
// is written. `engine` and `shard` outlive it. Errors: Conflict (another's, named), Unsupported (it
// says no owner, or in a format that this build does not know), NoSpace, Corrupt, Io.
Task<Result<void>> claim(Engine& engine, Shard& shard, EngineOwner owner);

}  // namespace asterias::port
