// sim/check/atomic.h: cheap checks by counting, without a search. They say less than
// check_linearizable but say it plainly, and on histories of any size.
#pragma once

#include "sim/check/verdict.h"

namespace asterias::sim {

// Keys that only MSETs of one set of keys write, always one value for all of it: an MGET that reads
// several keys of such a set sees equal values.
CheckReport check_pairs(const History& history);

// Keys that only INCRs by positive amounts write, from nil. Requests are merged first, so a retried
// one counts once.
//   - two INCRs never answer the same number, and none one above all that may have been added;
//   - acknowledged <= final read <= acknowledged + unknown; exact if nothing is unknown.
// Undecided if such a key has no final read.
CheckReport check_counters(const History& history);

// Attempts of one request name the same command, and their answers agree.
CheckReport check_requests(const History& history);

// The end is durable: every key that was written is read once more after every answered operation
// on it, or the verdict is Undecided. What such a read must see is check_linearizable's matter.
CheckReport check_final_reads(const History& history);

// All of the above.
CheckReport check_atomic(const History& history);

}  // namespace asterias::sim
