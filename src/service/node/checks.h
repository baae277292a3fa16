// service/node/checks.h: what a supervisor and a load balancer ask of one node, as a list of checks
// with a name each. Live: its event loops turn. Ready: it would serve what a client asks of it now.
// Question by Node::live() and Node::ready(); the shape is that of etcd's and Kubernetes' /livez
// and /readyz. Pure.
#pragma once

#include <string>
#include <vector>

#include "service/node/findings.h"

namespace asterias::node {

struct Check {
    std::string name;
    std::string trouble;  // in words, on one line; empty: it is fine
    bool operator==(const Check&) const = default;
};

// Event loops that did not take a turn in `waited`, by number.
Check loops_check(const std::vector<size_t>& silent, Duration waited);
// A disk at its reserve refuses what grows. (A disk that fails ends the process.)
Check disk_check(const std::vector<ShardStatus>& shards);
// A copy that is stopped on this node.
Check copies_check(const std::vector<ShardStatus>& shards, const catalogue::Catalogue& catalogue);
// What a small linearizable read of a keyspace's group told, asked at this node.
enum class Answered : unsigned char {
    Nobody,
    Leader,  // a leader with a majority behind it
    NoRoom,  // a refusal because of other commands: what this node knows of the group must do
};
struct Question {
    GroupId group;
    Answered answered = Answered::Nobody;
};
// `waited`: for an answer.
Check keyspaces_check(const Scene& scene, const std::vector<Question>& asked, Duration waited);

}  // namespace asterias::node
