// What an operator asks of a group: other members, another leader.
#include <algorithm>

#include "base/mutant.h"
#include "service/node/copies.h"
#include "service/node/keyspaces.h"
#include "service/node/node_shard.h"

namespace asterias::node {
namespace {

bool votes(const raft::Membership& m, NodeId node) {
    const raft::Member* member = m.on(node);
    return member && m.votes(member->replica);
}

bool settled(const raft::Status& s) {
    const auto& m = s.membership;
    return s.membership_committed && !m.joint() && !m.promote && !m.retire;
}

bool is_done(const raft::Change& change, const raft::Membership& m) {
    if (const auto* add = std::get_if<raft::AddReplica>(&change)) return votes(m, add->node);
    if (const auto* remove = std::get_if<raft::RemoveReplica>(&change)) return !m.on(remove->node);
    const auto& replace = std::get<raft::ReplaceReplica>(change);
    return votes(m, replace.to) && !m.on(replace.from);
}

NodeId leaves(const raft::Change& change) {
    if (const auto* remove = std::get_if<raft::RemoveReplica>(&change)) return remove->node;
    if (const auto* replace = std::get_if<raft::ReplaceReplica>(&change)) return replace->from;
    return {};
}

}  // namespace

Error NodeShard::who_leads(GroupId group) const {
    const auto it = replicas_.find(group);
    NodeId leader = it == replicas_.end() ? NodeId() : it->second->status().raft.leader;
    if (!leader) leader = router_->leader_of(group);
    if (leader && leader != identity_.node)
        return {Errc::Conflict, "node " + to_string(leader) + " leads group " + to_string(group)};
    return {Errc::Unavailable, "nobody is known to lead group " + to_string(group)};
}

port::Task<Result<void>> NodeShard::change(GroupId group, raft::Change change, bool force) {
    if (home_of(group) == shard_.id()) co_return co_await change_here(group, change, force);
    co_return co_await ask_home(group, [group, change, force](NodeShard& home) {
        return home.change_here(group, change, force);
    });
}

// The life that this shard heard of last; it is connected to no other. If a later one is meant, the
// replica is never born, and the change can be taken back.
raft::Change NodeShard::with_life(raft::Change change) const {
    const auto life = [this](NodeId node) {
        return life_of(node == identity_.node ? identity_.incarnation : known_starts_.last(node));
    };
    if (auto* add = std::get_if<raft::AddReplica>(&change)) add->life = life(add->node);
    if (auto* replace = std::get_if<raft::ReplaceReplica>(&change))
        replace->life = life(replace->to);
    return change;
}

std::vector<NodeId> NodeShard::within_reach() const {
    std::vector<NodeId> nodes = {identity_.node};
    for (const auto& [node, contact] : contacts_)
        if (contact.connected) nodes.push_back(node);
    std::sort(nodes.begin(), nodes.end());
    return nodes;
}

port::Task<Result<void>> NodeShard::transfer(GroupId group, NodeId to) {
    if (home_of(group) == shard_.id()) co_return co_await transfer_here(group, to);
    co_return co_await ask_home(
        group, [group, to](NodeShard& home) { return home.transfer_here(group, to); });
}

port::Task<Result<void>> NodeShard::ask_home(
    GroupId group, std::move_only_function<port::Task<Result<void>>(NodeShard&)> what) {
    port::OneShot<Result<void>> answer(shard_);
    shard_.submit(home_of(group), [home = &sibling(home_of(group)), what = std::move(what),
                                   asker = shard_.id(), &answer]() mutable {
        home->scope_.spawn("node.operate", home->answer_from_home(what(*home), asker, &answer));
    });
    co_return co_await answer;
}

// `answer` lives until it is set.
port::Task<> NodeShard::answer_from_home(port::Task<Result<void>> what, ShardId asker,
                                         port::OneShot<Result<void>>* answer) {
    auto result = co_await std::move(what);
    shard_.submit(asker, [answer, r = std::move(result)]() mutable { answer->set(std::move(r)); });
}

port::Task<Result<void>> NodeShard::change_here(GroupId group, raft::Change change, bool force) {
    const Instant deadline = shard_.clock().now() + options_.change_timeout;
    const auto here = replicas_.find(group);
    if (here == replicas_.end()) co_return std::unexpected(who_leads(group));
    const raft::Status before = here->second->status().raft;
    const std::string keyspace = keyspace_name(*known_, group);
    if (before.role == raft::Role::Leader && !force && !MUTANT(node_order_unforced))
        if (auto fine = unforced({change, before, identity_.founding,
                                  wanted_copies(identity_.founding, *known_, group), keyspace,
                                  within_reach()});
            !fine)
            co_return fail(Errc::InvalidArgument, fine.error().context);
    const auto outcome = here->second->change(with_life(change));
    if (const auto* refused = std::get_if<raft::Refused>(&outcome))
        co_return fail(refused->later ? Errc::Limit : Errc::InvalidArgument, refused->why);
    const auto* accepted = std::get_if<raft::Accepted>(&outcome);
    if (!accepted) co_return std::unexpected(who_leads(group));
    while (true) {
        co_await port::sleep(shard_, options_.tick);
        const auto it = replicas_.find(group);
        const bool gone = it == replicas_.end() || it->second->status().removed;
        if (gone && leaves(change) == identity_.node) co_return Result<void>{};
        if (gone || closing_)
            co_return fail(Errc::Closed, "the change is under way, and this node left it");
        const raft::Status s = it->second->status().raft;
        if (settled(s) && is_done(change, s.membership)) co_return Result<void>{};
        // Behind its place in the log, and nothing under way: another leader's log had no room, or
        // somebody wanted the contrary.
        if (settled(s) && s.applied >= accepted->index)
            co_return fail(
                Errc::Unavailable,
                s.role == raft::Role::Leader
                    ? "the change was taken back by a later one: " + raft::describe(s.membership)
                    : "the change was lost with the lead of this node; ask again: " +
                          who_leads(group).context);
        if (shard_.clock().now() >= deadline)
            co_return fail(Errc::Timeout,
                           "the change is still under way: " + raft::describe(s.membership));
    }
}

port::Task<Result<void>> NodeShard::transfer_here(GroupId group, NodeId to) {
    const Instant deadline = shard_.clock().now() + options_.election_timeout_max * 4;
    const auto here = replicas_.find(group);
    if (here == replicas_.end()) co_return std::unexpected(who_leads(group));
    const auto outcome = here->second->transfer(to);
    if (const auto* refused = std::get_if<raft::Refused>(&outcome))
        co_return fail(refused->later ? Errc::Limit : Errc::InvalidArgument, refused->why);
    if (std::holds_alternative<raft::NotLeader>(outcome))
        co_return std::unexpected(who_leads(group));
    while (true) {
        co_await port::sleep(shard_, options_.tick);
        const auto it = replicas_.find(group);
        if (it == replicas_.end() || closing_)
            co_return fail(Errc::Closed, "this node left the group meanwhile");
        const raft::Status s = it->second->status().raft;
        if (s.leader && s.leader != identity_.node) co_return Result<void>{};
        if (s.role == raft::Role::Leader && !s.transferring_to)
            co_return fail(Errc::Timeout, "the lead was not taken over; this node leads on");
        if (shard_.clock().now() >= deadline)
            co_return fail(Errc::Timeout, "nobody leads group " + to_string(group) + " yet");
    }
}

}  // namespace asterias::node
