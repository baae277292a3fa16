// service/node/findings.h: what is not as it should be on one node, in words for its operator, and
// what to do next. Made of a node's own status, so `asterias why` asks all of them. Pure.
#pragma once

#include <string>
#include <vector>

#include "port/disk.h"
#include "service/node/node_shard.h"

namespace asterias::node {

enum class Severity : uint8_t {
    Note,      // it passes by itself
    Warning,   // everything is served; one more loss may change that
    Critical,  // something is not served, or one more loss loses data
};
std::string_view to_string(Severity severity);

struct Finding {
    NodeId node;    // that it is about
    GroupId group;  // 0: the node as a whole
    std::string keyspace;
    std::string what, next;
    Severity severity = Severity::Warning;
};

struct Scene {
    const Identity& identity;
    const std::vector<ShardStatus>& shards;
    const catalogue::Catalogue& catalogue;
    port::Space space;  // of the data directory; total 0: not known
    WallTime now;
};

// Of this node and its replicas, as it sees them; no judgement of nodes that it does not hear
// beyond what that does to the groups that it leads. Empty: all is well here.
std::vector<Finding> findings_of(const Scene& scene);
// A node that did not answer `why`: `error` is what became of the question, `contact` what this
// node knows of it, `refused` why it refuses that node, or empty.
Finding finding_of_silent(const FoundingMember& member, const Error& error, const Contact& contact,
                          const std::string& refused, WallTime now);

// What the shards know of it together: connected if it is with one of them.
Contact contact_with(const std::vector<ShardStatus>& shards, NodeId node);
// Those that are, and `self`; ascending.
std::vector<NodeId> connected_nodes(const std::vector<ShardStatus>& shards, NodeId self);

// {"node":..,"group":..,"keyspace":..,"severity":..,"what":..,"next":..}
std::string to_json(const Finding& finding);
// "2026-11-23 15:04:05 UTC, 5 min ago"; the second part as far as the clocks agree.
std::string since(WallTime then, WallTime now);

}  // namespace asterias::node
