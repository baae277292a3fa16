// sim/check/linearizable.h: every operation took effect at one instant between its invocation and
// its reply, and the replies are those of one machine that executed them in that order (Herlihy and
// Wing 1990). Linearizability is local: each part of the history whose keys no operation on several
// keys joins to others is judged by itself, which is what keeps it fast.
// Cost: a few milliseconds for 5,000 operations over 50 keys. MSET/MGET over random keys join
// everything into one part: still judged, but let workloads use fixed pairs.
#pragma once

#include "sim/check/judge.h"

namespace asterias::sim {

CheckReport check_linearizable(const History& history, const SearchLimits& limits = {},
                               std::optional<Duration> expiry = {});

}  // namespace asterias::sim
