// sim/check/checks.h: the checks by the names that scenarios use.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "sim/check/judge.h"

namespace asterias::sim {

// "linearizable", "order", "atomic": in the order they run.
std::span<const std::string_view> check_names();

// Runs the checks named; each name must be one of check_names(). `order` includes what
// `linearizable` demands, so with both a breach of order alone appears once. `expiry`: these two
// judge when keys expire, too (Model).
CheckReport run_checks(const History& history, const std::vector<std::string>& names,
                       const SearchLimits& limits = {}, std::optional<Duration> expiry = {});

}  // namespace asterias::sim
