#include "sim/check/linearizable.h"

namespace asterias::sim {

CheckReport check_linearizable(const History& history, const SearchLimits& limits) {
    return judge(merge_requests(history), {.name = "linearizable"}, limits);
}

}  // namespace asterias::sim
