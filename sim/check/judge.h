// sim/check/judge.h: what the checkers of linearizability and of order share: narrow the windows,
// cut the history into parts that share no key, search each, and say in words what went wrong.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "sim/check/verdict.h"

namespace asterias::sim {

struct SearchLimits {
    uint64_t steps_max = 1'000'000;          // of the search of one part; then Undecided
    uint64_t shrink_effort_max = 2'000'000;  // steps and operations while shrinking a violation
};

struct Promise {
    std::string name;                  // of the check
    bool by_connection = false;        // the order of each connection counts too
    std::optional<Duration> expiry{};  // as in Model
};

// Judges `history`, whose requests are merged.
CheckReport judge(const History& history, const Promise& promise, const SearchLimits& limits);

// The worst verdict over the parts; no words. Adds to `effort` the operations and steps it took.
Verdict quick_verdict(const History& history, const Promise& promise, uint64_t steps_max,
                      uint64_t* effort = nullptr);

// A short history that `violates` still calls a violation; it adds to `effort` what it spent. Takes
// away only what leaves a legal history legal: what happened after some moment, whole keys,
// operations that change nothing, blind writes that nobody saw.
using Violates = std::function<bool(const History&, uint64_t& effort)>;
History shrink(History history, const Violates& violates, uint64_t effort_max);

// Groups of operations, as indices into `history`, such that operations of different groups share
// no key.
std::vector<std::vector<uint32_t>> parts_of(const History& history);

}  // namespace asterias::sim
