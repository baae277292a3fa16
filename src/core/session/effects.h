// core/session/effects.h: the payload of an Effects entry: what all commands that a leader
// evaluated in one turn did. {format u8}{commit time u64}{matched by all varint}{sessions}{writes}
// (docs/formats/effects.md). Replicas apply it without looking at commands.
#pragma once

#include <vector>

#include "core/kv/evaluate.h"
#include "core/session/session.h"

namespace asterias::session {

struct Effects {
    HybridTime commit_time;
    // Every voter had the log up to here when the entry was made: with it each replica learns what
    // it may drop from its log without cutting off a slower one.
    LogIndex matched_by_all;
    std::vector<Advance> sessions;
    std::vector<kv::Write> writes;  // in order: a later write of a key wins
    bool operator==(const Effects&) const = default;
};

Bytes encode(const Effects& effects);
// Keys and records are slices of `payload`.
asterias::Result<Effects> decode_effects(const Bytes& payload);

}  // namespace asterias::session
