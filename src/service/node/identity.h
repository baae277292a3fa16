// service/node/identity.h: who a data directory is, and who founded its cluster. A cluster is born
// exactly once: `asterias init` draws its id; the founder then waits for the members it was told to
// expect, numbers them, writes the founding record durably and hands it out. From then on every
// group's first membership is a function of that record, the same on every node
// (docs/formats/identity.md).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "port/disk.h"
#include "port/net.h"
#include "service/router/catalogue.h"

namespace asterias::node {

struct FoundingMember {
    NodeId node;
    uint64_t nonce = 0;          // drawn by the joiner, so that asking twice is the same as once
    port::Address peer_address;  // node to node
    port::Address door_address;  // clients, for the card and for status
    bool operator==(const FoundingMember&) const = default;
};

struct Founding {
    ClusterId cluster;
    Incarnation cluster_incarnation{1};
    uint32_t expected = 1;  // members; founded once all are there
    std::vector<FoundingMember> members;
    std::vector<std::string> keyspaces;  // beside `default`
    bool complete() const { return members.size() == expected; }
    bool operator==(const Founding&) const = default;
};

struct Identity {
    NodeId node;  // 0: joining
    // This start (known_starts.h), durable before anything is sent, and those before it, ascending,
    // the last kEarlierStarts.
    Incarnation incarnation;
    std::vector<Incarnation> earlier;
    uint64_t nonce = 0;  // of the founding or joining
    uint32_t shards = 1;
    Founding founding;
    // Every journal holds a first vote of each of its groups, durably: from now on one that does
    // not is a lost one.
    bool born = false;
    // The last start seen of each other node.
    std::map<NodeId, Incarnation> seen;
    // Why this directory must never take part again; empty: it may.
    std::string fenced;
    // The highest replica of each group that came here after the founding: durable before it says
    // anything. What it voted lies in a journal; a journal that does not know of it is a lost one.
    std::map<GroupId, ReplicaId> held;
    bool operator==(const Identity&) const = default;
};

// Errors of decoding: Corrupt (magic, checksum, length, an impossible founding record), Unsupported
// (another format, named).
Bytes encode(const Founding& founding);
Result<Founding> decode_founding(const Bytes& bytes);
Bytes encode(const Identity& identity);
Result<Identity> decode_identity(const Bytes& bytes);

inline constexpr std::string_view kIdentityFile = "identity";
// `directory`/identity. Loading: NotFound (no node lives there), Corrupt or Unsupported (naming the
// file), Io. Storing replaces it as a whole and is durable on completion; after an error it is not
// known which of the two is there. The caller holds the directory's lock; `disk` outlives the task.
port::Task<Result<Identity>> load_identity(port::Disk& disk, std::string directory);
port::Task<Result<void>> store_identity(port::Disk& disk, std::string directory, Identity identity);

// Before the founding record is written: the founder stays first and is node 1, the others follow
// by their address for nodes, runs of digits in it by value, the port last. So directories or
// machines that were given addresses in order (IPv4, numbered names) are nodes in that order,
// whoever came first.
void number_members(std::vector<FoundingMember>& members);

// What follows from a founding record: functions of it alone, so that all nodes agree.
// `default` is keyspace 1 in group 2; each of Founding::keyspaces follows, in order.
router::Catalogue catalogue_of(const Founding& founding);
// "system" for the system group; empty: no such group.
std::string keyspace_name(const router::Catalogue& catalogue, GroupId group);
// The members of a group, ascending: all nodes for the system group, up to three, rotating, for the
// others. `founding` is complete.
std::vector<NodeId> members_of(const Founding& founding, GroupId group);
// The system group first, then those of the catalogue, ascending.
std::vector<GroupId> groups_of(const Founding& founding);

}  // namespace asterias::node
