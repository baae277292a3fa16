#include "service/node/known_starts.h"

#include <algorithm>

#include "base/mutant.h"

namespace asterias::node {

Incarnation next_start(Incarnation previous, uint64_t drawn) {
    const uint64_t draw = MUTANT(node_start_not_drawn) ? 1 : drawn & 0xffff'ffff;
    return Incarnation((((previous.value >> 32) + 1) << 32) | draw);
}

Incarnation before_life(uint64_t life) { return Incarnation(life << 56); }
uint64_t life_of(Incarnation start) { return start.value >> 56; }
uint64_t count_of(Incarnation start) { return start.value >> 32 & kStartsMax; }

KnownStarts::Verdict KnownStarts::judge(NodeId node, Incarnation now,
                                        const std::vector<Incarnation>& earlier) const {
    const Incarnation seen = last(node);
    if (!seen) return Verdict::Newer;
    if (now == seen) return Verdict::Known;
    if (MUTANT(node_old_copy_admitted)) return Verdict::Newer;
    if (now < seen) return Verdict::OldCopy;
    // Given out only when nothing was left that the life before could answer for (replace.cc).
    if (life_of(now) > life_of(seen)) return Verdict::Newer;
    // A higher count alone proves nothing: an old copy that was refused often has one, too.
    if (std::find(earlier.begin(), earlier.end(), seen) != earlier.end()) return Verdict::Newer;
    if (MUTANT(node_history_not_asked)) return Verdict::Newer;
    // Who was away for longer than the memory of the other side has only the count to go by.
    const bool forgotten = earlier.size() >= kEarlierStarts && seen < earlier.front();
    return forgotten ? Verdict::Newer : Verdict::OldCopy;
}

bool KnownStarts::note(NodeId node, Incarnation start) {
    Incarnation& seen = seen_[node];
    if (start <= seen) return false;
    seen = start;
    return true;
}

Incarnation KnownStarts::last(NodeId node) const {
    const auto it = seen_.find(node);
    return it == seen_.end() ? Incarnation{} : it->second;
}

}  // namespace asterias::node
