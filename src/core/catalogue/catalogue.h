// core/catalogue/catalogue.h: which keyspaces there are, as one record of the system group: what a
// node needs to find a key's group and to found a new one, and how far each keyspace is on its way
// in or out (docs/adr/0017-keyspaces-made-while-running.md; bytes in docs/formats/catalogue.md).
//
// Every change makes another catalogue, one generation up; it counts once it is committed. Names
// are never in it twice, numbers of keyspaces (and with them of groups) never given twice.
//
//   Founding ─▶ Fencing ─▶ Copying ─▶ Opening ─▶ Clearing ─▶ Serving ─▶ Closing ─▶ Lifting ─▶
//   (gone)
//      │          │          │          ▲                                │          ▲
//      └──────────┴──────────┴──────────┼────────────────────────────────┼──────────┘  refused,
//                                       └─────────── holds keys ─────────┘             or dropped
//
// Opening, too, goes to Lifting when it is dropped, unless it served before.
// Threading: values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace asterias::catalogue {

enum class State : uint8_t {
    Serving = 1,
    Founding = 2,  // its group is being founded; `default` serves its keys
    Fencing = 3,   // so does it here until the fence, which may stand already
    Copying = 4,   // the fence stands; what `default` holds of it goes to its group
    Opening = 5,   // its group holds all; from here on nothing is copied any more
    Clearing = 6,  // it serves; behind the fence `default` still has what was copied
    Closing = 7,   // on its way out: its group closes, and is looked through
    Lifting = 8,   // its group serves nothing; `default` takes its keys back, and then it is gone
};
inline constexpr uint8_t kLastState = 8;

// A member of a group at its birth: the node, in which life (known_starts.h).
struct Birth {
    NodeId node;
    uint32_t life = 0;
    bool operator==(const Birth&) const = default;
};

struct Keyspace {
    KeyspaceId id;
    std::string name;
    State state = State::Serving;
    uint32_t copies = 1;         // that it wants
    bool move = false;           // made although `default` held keys of it: those are taken along
    bool force = false;          // dropped although it held keys
    std::vector<Birth> members;  // ascending by node
    bool served = false;         // and is opened again: `default` has nothing of it any more
    GroupId group() const { return GroupId(id.value + 1); }
    bool operator==(const Keyspace&) const = default;
};

// An order that came to nothing, for whoever gave it.
struct Refusal {
    KeyspaceId id;
    std::string name, why;
    bool operator==(const Refusal&) const = default;
};

struct Catalogue {
    uint64_t generation = 1;
    KeyspaceId next;                  // the number of the next keyspace
    std::vector<Keyspace> keyspaces;  // the first one is `default`; ascending by number
    std::vector<Refusal> refusals;    // the last kRefusalsKept
    bool operator==(const Catalogue&) const = default;

    const Keyspace* find(std::string_view name) const;
    const Keyspace* find(KeyspaceId id) const;
    const Keyspace* of(GroupId group) const;
    // Something is left to do for whoever carries it on.
    bool unsettled() const;
    // Keys are on their way between groups, or may be: who counts on this catalogue cannot say who
    // holds all of them.
    bool moving() const;
};

inline constexpr size_t kNameBytesMax = 64;
inline constexpr size_t kKeyspacesMax = 1000;
inline constexpr size_t kRefusalsKept = 16;
inline constexpr uint64_t kNumberMax = 1 << 18;  // of keyspaces ever made; kv::Context::group
inline constexpr uint32_t kCopiesMax = 7;
inline constexpr KeyspaceId kDefault{1};

// The keyspace of a group that holds one; the system group's is its own.
inline constexpr KeyspaceId kSystemKeyspace{0xffffffff};
KeyspaceId keyspace_of(GroupId group);
// The user key of the record, in kSystemKeyspace and database 0; and where it lies in the engine.
inline constexpr std::string_view kRecordKey = "catalogue";
Bytes record_key();

Bytes encode(const Catalogue& catalogue);
// Errors: Corrupt, Unsupported.
Result<Catalogue> decode_catalogue(const Bytes& bytes);

// Errors: InvalidArgument, with what a name may be.
Result<void> check_name(std::string_view name);

struct Wish {
    std::string name;
    uint32_t copies = 3;
    bool move = false;
    std::vector<Birth> members;  // as many as copies
};
// Changes that somebody orders. Errors: InvalidArgument, Conflict (there is one, or there is none;
// it is on its way), Limit (kKeyspacesMax), each with the way out.
Result<Catalogue> with(const Catalogue& catalogue, const Wish& wish);
Result<Catalogue> without(const Catalogue& catalogue, std::string_view name, bool force);

// It is being made, and `default` has everything still: a drop calls that off, whatever its group
// does.
bool may_be_called_off(const Keyspace& keyspace);

// Steps of whoever carries it on; a keyspace that is not in a state from which that goes is a bug.
Catalogue advanced(const Catalogue& catalogue, KeyspaceId id);  // Founding .. Serving; Closing
// Fencing: it goes again. Closing: it serves again.
Catalogue refused(const Catalogue& catalogue, KeyspaceId id, std::string why);
Catalogue gone(const Catalogue& catalogue, KeyspaceId id);  // Lifting

// The nodes for a new group: those with the fewest replicas, then the lowest numbers. `nodes` that
// may be taken, with their lives. Fewer than `copies` when there are no more.
std::vector<Birth> choose(const Catalogue& catalogue, std::vector<Birth> nodes, uint32_t copies);

std::string_view word_of(State state);
// What it promises, in sentences: what is acknowledged when, how many copies, what a loss means.
std::vector<std::string> promise(const Keyspace& keyspace);

}  // namespace asterias::catalogue
