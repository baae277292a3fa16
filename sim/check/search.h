// sim/check/search.h: is there one order of a set of operations that explains their replies?
// Wing and Gong 1993 with the memoisation of Lowe 2017 (the algorithm of porcupine): depth-first
// over orders, never visiting the same (set of operations done, state) twice. Added to it:
//   - windows: an operation takes effect inside [lo, hi]; one that is not certain may stay out;
//   - chains: operations of one chain take effect in the order of their places, pipelined or not;
//     an uncertain one that is overtaken can only stay out;
//   - an INCR without a reply on a key that may have expired is tried both ways;
//   - cuts that lose no answer, argued at each place in search.cc. They keep the usual case linear:
//     a read that fits is taken at once; a value that has one producer is not overwritten while
//     somebody must still see it; a write that nobody sees is taken when it harms nobody; of equal
//     uncertain operations the oldest goes first.
// Before it, what needs no search: an operation without a moment, and values that must be held at
// the same time (the zones of Gibbons and Korach 1997, for values with one producer).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/check/model.h"
#include "sim/check/verdict.h"

namespace asterias::sim {

struct SearchOp {
    uint32_t op = 0;  // index into Model::ops()
    Duration lo{0}, hi = kNever;
    bool certain = true;  // it took effect
    uint64_t chain = 0;   // 0: none
    uint64_t place = 0;   // in its chain
};

struct SearchResult {
    Verdict verdict = Verdict::Pass;
    uint64_t steps = 0;
    // The longest order found (on Pass a whole one), as indices into the span given.
    std::vector<uint32_t> order;
    // Of these, who met an expired key though no reply says so (Model::step's `late`), in order.
    std::vector<uint32_t> late;
    // Not empty: the violation in one sentence, found without a search.
    std::string clash;
};

// `ops` should be closed: no other operation of the history shares a key with them. Decides or,
// after `steps_max` steps, answers Undecided.
SearchResult search(Model& model, std::span<const SearchOp> ops, uint64_t steps_max);

// Why the longest order of a failed search ends where it does; several lines.
std::string explain(Model& model, std::span<const SearchOp> ops, const SearchResult& result);

}  // namespace asterias::sim
