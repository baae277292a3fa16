// core/catalogue/boundary.h: what of its keyspace a group does not serve (any more), and the orders
// that change that. Decided by the leader in log order like any command; the result is one record
// of the group's state, written by the entry itself, so that it is in snapshots and survives
// leaders (docs/adr/0017-keyspaces-made-while-running.md, docs/formats/catalogue.md).
//
// Invariants: (B1) behind an order of generation g nothing of a lower one takes effect in that
// group, ever: who carried keyspaces on earlier and is late does no harm. (B2) A fence or a closed
// group refuses every key concerned from its entry on. (B3) Only what a fence hides is deleted.
// (B4) What is done to all keys of a keyspace goes by a catalogue that is newer than the fences in
// its way, and sees nothing that they hide.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/kv/evaluate.h"

namespace asterias::catalogue {

struct Boundary {
    uint64_t generation = 0;          // of the newest catalogue that was acted upon here
    uint64_t since = 0;               // of the order that changed `fenced` last
    bool closed = false;              // serves nobody
    std::vector<std::string> fenced;  // names, ascending: their keys are refused
    bool operator==(const Boundary&) const = default;

    bool fences(std::string_view user_key) const;
    // Is any key of the command beyond it? Of one on all keys: does it go by a catalogue that may
    // not know who holds what is fenced here? (B4)
    bool refuses(const kv::Command& command) const;
};
Bytes encode(const Boundary& boundary);
// Errors: Corrupt, Unsupported.
Result<Boundary> decode_boundary(const Bytes& bytes);
Bytes boundary_key(GroupId group);

// The part of a key before its first ':'; none without one.
std::optional<std::string_view> prefix_of(std::string_view user_key);

struct Order {
    enum class What : uint8_t {
        Fence = 1,   // refuse the keys of `name`
        Lift = 2,    // serve them again
        Open = 3,    // serve; nothing of an earlier generation is taken in behind this
        Close = 4,   // serve nobody
        Import = 5,  // `items`: engine keys and values of another keyspace become this one's
        Clear = 6,   // `items`: engine keys that a fence hides, without values, are deleted
    };
    What what = What::Fence;
    uint64_t generation = 0;  // of the catalogue that it follows from
    std::string name;
    std::vector<kv::Write> items;
    bool operator==(const Order&) const = default;
};
// The value of a kv::Command of Op::Boundary.
Bytes encode(const Order& order);
// Items are slices of `bytes`. Errors: Corrupt.
Result<Order> decode_order(const Bytes& bytes);
kv::Command command_of(const Order& order, KeyspaceId keyspace);

// The order came too late (B1), or is not one: nothing was done.
inline constexpr std::string_view kLate =
    "ERR nothing was done: a newer state of the catalogue was acted upon here";
inline constexpr std::string_view kNoOrder =
    "ERR nothing was done: this is no order for this group";

struct Place {
    GroupId group;
    KeyspaceId keyspace;
};
struct Decided {
    kv::Evaluation evaluation;
    std::optional<Boundary> boundary;  // from now on; it is among the writes
};
// `context` as for kv::evaluate().
Decided evaluate(const Boundary& now, const kv::Command& command, Place place,
                 const kv::Context& context);

// A walk over the keys of `name`, which lie together in each database of the keyspace: where to
// scan next, behind `from`, the last engine key that the walk met, of `name` or not; empty: it
// begins. nullopt: there is nothing more.
std::optional<Bytes> seek(KeyspaceId keyspace, std::string_view name, const Bytes& from);
// Is this engine data key one of `name` in that keyspace?
bool is_of(KeyspaceId keyspace, std::string_view name, const Bytes& engine_key);

}  // namespace asterias::catalogue
