// base/ids.h: identities as distinct types. Two ids of different kinds never compare or convert.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace asterias {

template <typename Tag>
struct TaggedId {
    uint64_t value = 0;

    constexpr TaggedId() = default;
    constexpr explicit TaggedId(uint64_t v) : value(v) {}
    constexpr auto operator<=>(const TaggedId&) const = default;
    constexpr explicit operator bool() const { return value != 0; }
};

// A TaggedId that also counts: next(), prev(), distance.
template <typename Tag>
struct TaggedCounter : TaggedId<Tag> {
    using TaggedId<Tag>::TaggedId;
    constexpr auto operator<=>(const TaggedCounter&) const = default;
    constexpr TaggedCounter next() const { return TaggedCounter(this->value + 1); }
    constexpr TaggedCounter prev() const { return TaggedCounter(this->value - 1); }
    constexpr TaggedCounter plus(uint64_t n) const { return TaggedCounter(this->value + n); }
};

// 0 is "none" for every id below.
using ClusterId = TaggedId<struct ClusterIdTag>;  // drawn at birth, never reused
using Incarnation =
    TaggedCounter<struct IncarnationTag>;            // of a cluster or of a node (one per start)
using NodeId = TaggedId<struct NodeIdTag>;           // given by the system group
using ReplicaId = TaggedId<struct ReplicaIdTag>;     // unique per group, never reused (rule 47)
using GroupId = TaggedId<struct GroupIdTag>;         // one Raft group; 1 is the system group
using KeyspaceId = TaggedId<struct KeyspaceIdTag>;   // number of a keyspace inside keys
using ShardId = TaggedId<struct ShardIdTag>;         // one event loop of a node; counts from 0
using Term = TaggedCounter<struct TermTag>;          // Raft term
using LogIndex = TaggedCounter<struct LogIndexTag>;  // Raft log index; the first entry is 1
using HybridTime =
    TaggedCounter<struct HybridTimeTag>;  // hybrid clock: microseconds << 12 | logical

inline constexpr GroupId kSystemGroup{1};

template <typename Tag>
std::string to_string(TaggedId<Tag> id) {
    return std::to_string(id.value);
}

}  // namespace asterias

template <typename Tag>
struct std::hash<asterias::TaggedId<Tag>> {
    size_t operator()(asterias::TaggedId<Tag> id) const noexcept {
        return std::hash<uint64_t>{}(id.value * 0x9E3779B97F4A7C15ull);
    }
};
template <typename Tag>
struct std::hash<asterias::TaggedCounter<Tag>> {
    size_t operator()(asterias::TaggedCounter<Tag> id) const noexcept {
        return std::hash<uint64_t>{}(id.value * 0x9E3779B97F4A7C15ull);
    }
};
