// An empty directory takes the place of a node whose directory is lost (ADR 0015).
#include "port/sync.h"
#include "service/node/calls.h"
#include "service/node/findings.h"
#include "service/node/keyspaces.h"
#include "service/node/node.h"

namespace asterias::node {
namespace {
constexpr Duration kAnswerTime = seconds(1);
}

// Only when nobody counts on what the lost directory promised: no group may have a replica there,
// as the leader of each says, with nothing under way. What remains of its old votes then decides
// nothing (docs/adr/0015).
port::Task<Result<void>> Node::expect_no_replicas(NodeId node) {
    std::string held;
    const catalogue::Catalogue catalogue = keyspaces();
    for (GroupId group : groups_of(catalogue)) {
        Order list;
        list.keyspace = keyspace_name(catalogue, group);
        const auto members = co_await carry(list);
        if (!members) co_return std::unexpected(members.error());
        const bool there = members->find("{\"node\":" + to_string(node) + ",") != std::string::npos;
        if (there || members->find("\"settled\":true") == std::string::npos)
            held += (held.empty() ? "" : ", ") + list.keyspace;
    }
    if (held.empty()) co_return Result<void>{};
    co_return fail(Errc::Conflict,
                   "node " + to_string(node) + " still holds a copy of " + held +
                       ": take it out first, for each: asterias replica remove --keyspace NAME "
                       "--node " +
                       to_string(node));
}

// The highest start of it that any node saw; a majority has to say.
port::Task<Result<Incarnation>> Node::last_start_of(NodeId node) {
    const auto& members = identity_.founding.members;
    Incarnation last;
    if (const auto seen = identity_.seen.find(node); seen != identity_.seen.end())
        last = seen->second;
    size_t answers = 1;
    for (const auto& member : members) {
        if (member.node == node || member.node == identity_.node) continue;
        wire::Writer question(8);
        question.u64(node.value);
        const auto said = co_await rpc::call_once(
            *shards_[0], member.peer_address, {std::string(kSeen), question.take()}, kAnswerTime);
        if (!said || said->size() != 8) continue;
        wire::Reader in(*said);
        last = std::max(last, Incarnation(in.u64()));
        ++answers;
    }
    if (answers < members.size() / 2 + 1)
        co_return fail(Errc::Unavailable, "a majority of the nodes must be up for that");
    co_return last;
}

port::Task<Result<Joined>> Node::give_place(JoinRequest request) {
    const NodeId node = request.replace;
    const std::string name = "node " + to_string(node);
    const FoundingMember* place = nullptr;
    for (const auto& member : identity_.founding.members)
        if (member.node == node) place = &member;
    if (!place) co_return fail(Errc::Conflict, "there is no " + name + " in this cluster");
    if (node == identity_.node)
        co_return fail(Errc::Conflict, name + " itself answers: its place is not free");
    // A machine that lost its power seems to be there for some seconds: whoever asks waits.
    if (contact_with(co_await status(), node).connected)
        co_return fail(Errc::Unavailable, name + " is up: its place is not free");
    if (place->peer_address != request.peer_address)
        co_return fail(Errc::Conflict, "the place of " + name + " is at " +
                                           place->peer_address.describe() + ", not at " +
                                           request.peer_address.describe() + "; start it there");
    if (auto free = co_await expect_no_replicas(node); !free)
        co_return std::unexpected(free.error());
    const auto last = co_await last_start_of(node);
    if (!last) co_return std::unexpected(last.error());
    if (life_of(*last) == kLivesMax)
        co_return fail(Errc::Conflict, "the place of " + name + " was taken too often");
    const Incarnation before = before_life(life_of(*last) + 1);
    // The lost directory may turn up, and be given replicas again, before the new one says a word;
    // and the same life must not be given to two. So the place counts as taken from here on.
    if (closing_) co_return fail(Errc::Unavailable, "this node stops");
    port::OneShot<Result<void>> noted(*shards_[0]);
    held_noted_.push_back([&noted](Result<void> stored) { noted.set(std::move(stored)); });
    on_peer_start(node, before);
    if (auto stored = co_await noted; !stored) co_return std::unexpected(stored.error());
    log_.warn("an empty directory takes the place of " + name + ", life " +
              std::to_string(life_of(before)));
    co_return Joined{node, before, identity_.founding};
}

}  // namespace asterias::node
