#include "sim/check/linearizable.h"

namespace asterias::sim {

CheckReport check_linearizable(const History& history, const SearchLimits& limits,
                               std::optional<Duration> expiry) {
    return judge(merge_requests(history), {.name = "linearizable", .expiry = expiry}, limits);
}

}  // namespace asterias::sim
