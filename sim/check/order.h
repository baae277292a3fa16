// sim/check/order.h: linearizable, and moreover the commands of one connection take effect in the
// order sent: pipelined, over retries, over leader changes. A command whose fate is unknown takes
// effect before the next one of its connection that certainly did, or never.
//
// Method. Inside one part of the history (keys joined by operations on several keys) the promise is
// exact: the search orders each connection. Between parts it is not local, so the windows carry it:
// whoever saw a value that only command n of a connection can have written proves that n took
// effect by then, and with it everything that the connection sent before n (its window ends there);
// a read that saw something late pushes everything sent after it behind that moment. These
// narrowings are spread to a fixed point and then each part is searched.
// Limits. Sound: a legal history is never called a violation. Not complete between parts: it needs
// values with a single writer (write unique values), and of two commands on different keys that are
// both in flight at the same time and are never told apart by a third party it does not see the
// order; nor would any client.
#pragma once

#include "sim/check/judge.h"

namespace asterias::sim {

CheckReport check_order(const History& history, const SearchLimits& limits = {},
                        std::optional<Duration> expiry = {});

}  // namespace asterias::sim
