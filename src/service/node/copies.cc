#include "service/node/copies.h"

#include <algorithm>

namespace asterias::node {
namespace {

std::string name_of(NodeId node) { return "node " + to_string(node); }

// Who goes as a voter with nobody in its place; 0: nobody.
NodeId goes(const Intent& i) {
    const auto* remove = std::get_if<raft::RemoveReplica>(&i.change);
    if (!remove) return {};
    const auto& voters = i.status.membership.voters;
    const bool votes = std::any_of(voters.begin(), voters.end(),
                                   [&](const raft::Member& m) { return m.node == remove->node; });
    return votes ? remove->node : NodeId();
}

NodeId comes(const Intent& i) {
    if (const auto* add = std::get_if<raft::AddReplica>(&i.change)) return add->node;
    if (const auto* replace = std::get_if<raft::ReplaceReplica>(&i.change)) return replace->to;
    return {};
}

raft::Membership without(raft::Membership m, NodeId node) {
    std::erase_if(m.voters, [&](const raft::Member& v) { return v.node == node; });
    return m;
}

bool is_silent(const raft::Status& status, NodeId node) {
    return std::any_of(status.peers.begin(), status.peers.end(), [&](const auto& peer) {
        return peer.member.node == node && !peer.recently_heard;
    });
}

}  // namespace

Copies copies_of(const raft::Membership& membership, size_t wanted) {
    const auto data = std::count_if(membership.voters.begin(), membership.voters.end(),
                                    [](const raft::Member& m) { return !m.witness; });
    return {wanted, static_cast<size_t>(data), membership.voters.size()};
}

std::string describe(const Copies& c) {
    std::string text = std::to_string(c.data) + " of " + std::to_string(c.wanted) + " copies: ";
    if (c.voters == 1) return text + "one more loss loses the data";
    if (c.data == 1) return text + "the loss of the one that is no witness loses the data";
    if (c.voters == 2) return text + "both are needed, so one more loss stops it";
    return text + std::to_string((c.voters + 1) / 2) + " more losses stop it";
}

std::string way_to_more(const std::string& keyspace, const std::vector<NodeId>& could) {
    if (!could.empty())
        return "asterias replica add --keyspace " + keyspace + " --node " +
               to_string(could.front());
    return "start a node that holds none of it, or put an empty disk in the place of a lost one "
           "(asterias serve --replace), then asterias replica add --keyspace " +
           keyspace + " --node N";
}

std::vector<NodeId> could_hold_one(const raft::Membership& membership, const Founding& founding,
                                   const std::vector<NodeId>& reached) {
    std::vector<NodeId> nodes;
    for (const auto& member : founding.members)
        if (std::binary_search(reached.begin(), reached.end(), member.node) &&
            !membership.on(member.node))
            nodes.push_back(member.node);
    return nodes;
}

Result<void> unforced(const Intent& i) {
    const raft::Membership& m = i.status.membership;
    // The core says what is under way.
    if (!i.status.membership_committed || m.joint() || m.promote) return {};
    const NodeId comer = comes(i);
    if (comer && !std::binary_search(i.reached.begin(), i.reached.end(), comer) && !m.on(comer))
        return fail(Errc::Conflict,
                    name_of(comer) +
                        " is not connected to the node that leads, so it could not catch up, and "
                        "would bar other changes until it is removed again: start it, name another "
                        "one, or say --force");
    const NodeId goer = goes(i);
    const bool within_reach = std::binary_search(i.reached.begin(), i.reached.end(), goer);
    if (!goer || !within_reach || is_silent(i.status, goer)) return {};
    const Copies after = copies_of(without(m, goer), i.wanted);
    if (!after.below() || after.voters == 0) return {};
    const auto could = could_hold_one(m, i.founding, i.reached);
    std::string out = could.empty()
                          ? "No other node that is up is without a copy, so only --force does it"
                          : "First " + way_to_more(i.keyspace, could) +
                                "; or move this copy: asterias replica replace --keyspace " +
                                i.keyspace + " --from " + to_string(goer) + " --node " +
                                to_string(could.front()) + "; or say --force";
    return fail(Errc::Conflict, "it would leave " + describe(after) + ". " + out);
}

std::string left_behind(const Intent& i) {
    const NodeId goer = goes(i);
    if (!goer) return {};
    const Copies after = copies_of(without(i.status.membership, goer), i.wanted);
    if (!after.below()) return {};
    auto could = could_hold_one(i.status.membership, i.founding, i.reached);
    return "keyspace " + i.keyspace + " is left with " + describe(after) +
           ". Next: " + way_to_more(i.keyspace, could);
}

}  // namespace asterias::node
