// service/node/known_starts.h: which start of each other node was seen last, and whether one that
// says to be that node may be believed. It keeps a directory that was rolled back to an older copy,
// or that runs twice, from taking part (D7, D9 of docs/faults.md). What it cannot see: a copy made
// and brought back within one and the same start (docs/limits.md). Threading: one shard each.
#pragma once

#include <map>
#include <vector>

#include "base/ids.h"

namespace asterias::node {

// A start of a node is one number that rises from start to start: the life of the node (8 bits; one
// more for each time that an empty directory took its place), the count of starts in that life
// (24), and 32 bits that are drawn. So two processes that both take themselves for the same start
// differ.
Incarnation next_start(Incarnation previous, uint64_t drawn);
Incarnation before_life(uint64_t life);  // its first start is the next one
uint64_t life_of(Incarnation start);
uint64_t count_of(Incarnation start);
inline constexpr uint64_t kLivesMax = 255;
inline constexpr uint64_t kStartsMax = 0xff'ffff;  // of a life

// So many of its earlier starts a node remembers, and tells who it meets.
inline constexpr size_t kEarlierStarts = 32;

class KnownStarts {
public:
    KnownStarts() = default;
    explicit KnownStarts(std::map<NodeId, Incarnation> seen) : seen_(std::move(seen)) {}

    // Known: the start that was seen last. Newer: a later start of a directory that knows of that
    // one, or of a later life. OldCopy: its directory does not: it is older than that start, or
    // another process made it. `earlier`: of its own directory, ascending, the last kEarlierStarts.
    enum class Verdict : uint8_t { Known, Newer, OldCopy };
    Verdict judge(NodeId node, Incarnation now, const std::vector<Incarnation>& earlier) const;

    // Seen; what is older than the last one changes nothing. True: it is new.
    bool note(NodeId node, Incarnation start);
    Incarnation last(NodeId node) const;  // 0: never seen
    const std::map<NodeId, Incarnation>& all() const { return seen_; }

private:
    std::map<NodeId, Incarnation> seen_;
};

}  // namespace asterias::node
