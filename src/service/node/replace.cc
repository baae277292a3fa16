// An empty directory takes the place of a node whose directory is lost (ADR 0015).
#include <algorithm>

#include "base/mutant.h"
#include "port/sync.h"
#include "service/node/calls.h"
#include "service/node/findings.h"
#include "service/node/keyspaces.h"
#include "service/node/node.h"
#include "wire/fields.h"

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

// A machine that lost its power seems to be there for some seconds: whoever asks waits.
port::Task<Result<void>> Node::expect_gone(NodeId node) {
    const Contact contact = contact_with(co_await status(), node);
    if (!contact.connected && !contact.through) co_return Result<void>{};
    for (const auto& member : members_)
        shards_[0]->submit(member->shard().id(), [m = member.get(), node] { m->probe(node); });
    co_return fail(Errc::Conflict, "node " + to_string(node) +
                                       " is up, and its place not free: node " +
                                       to_string(identity_.node) + " is connected to it");
}

port::Task<Result<Bytes>> Node::on_seen(Bytes payload) {
    wire::Reader in(payload);
    const NodeId node(in.u64());
    if (!in.ok() || !in.at_end()) co_return fail(Errc::Corrupt, "question for a start");
    if (auto gone = co_await expect_gone(node); !gone) co_return std::unexpected(gone.error());
    const auto it = identity_.seen.find(node);
    wire::Writer out(8);
    out.u64(it == identity_.seen.end() ? 0 : it->second.value);
    co_return out.take();
}

// The highest start of it that any node saw; a majority has to say, and nobody that it is there.
port::Task<Result<Incarnation>> Node::last_start_of(NodeId node) {
    const auto& members = identity_.founding.members;
    Incarnation last;
    size_t answers = 1;
    for (const auto& member : members) {
        if (member.node == node || member.node == identity_.node) continue;
        wire::Writer question(8);
        question.u64(node.value);
        const auto said = co_await rpc::call_once(
            *shards_[0], member.peer_address, {std::string(kSeen), question.take()}, kAnswerTime);
        if (!said && said.error().code == Errc::Conflict)
            co_return fail(Errc::Unavailable, said.error().context);
        if (!said || said->size() != 8) continue;
        wire::Reader in(*said);
        last = std::max(last, Incarnation(in.u64()));
        ++answers;
    }
    if (answers < members.size() / 2 + 1)
        co_return fail(Errc::Unavailable, "a majority of the nodes must be up for that");
    co_return last;
}

// Each life once: of two who give the same one only the first has its note here.
port::Task<Result<void>> Node::note_place(NodeId node, Incarnation before) {
    if (closing_) co_return fail(Errc::Unavailable, "this node stops");
    if (before <= identity_.seen[node])
        co_return fail(Errc::Conflict, "the place of node " + to_string(node) +
                                           " was given to another at the same time");
    on_peer_start(node, before);
    port::OneShot<Result<void>> noted(*shards_[0]);
    identity_changed([&noted](Result<void> stored) { noted.set(std::move(stored)); });
    co_return co_await noted;
}

port::Task<Result<Bytes>> Node::on_place(Bytes payload) {
    wire::Reader in(payload);
    const NodeId node(in.u64());
    const Incarnation before(in.u64());
    const auto& members = identity_.founding.members;
    const bool known = std::ranges::any_of(members, [node](auto& m) { return m.node == node; });
    if (!in.ok() || !in.at_end() || !known || node == identity_.node ||
        before != before_life(life_of(before)))
        co_return fail(Errc::Corrupt, "note of a place");
    if (auto gone = co_await expect_gone(node); !gone) co_return std::unexpected(gone.error());
    if (auto noted = co_await note_place(node, before); !noted)
        co_return std::unexpected(noted.error());
    co_return Bytes();
}

// Two majorities meet: so no life is given twice, whoever is down by then. And each node that has
// the note refuses the lost directory for good.
port::Task<Result<void>> Node::note_at_majority(NodeId node, Incarnation before) {
    if (auto noted = co_await note_place(node, before); !noted) co_return noted;
    const auto& members = identity_.founding.members;
    size_t noted = 1;
    for (const auto& member : members) {
        if (member.node == node || member.node == identity_.node) continue;
        if (MUTANT(node_place_noted_alone)) co_return Result<void>{};
        wire::Writer note(16);
        note.u64(node.value).u64(before.value);
        const auto said = co_await rpc::call_once(*shards_[0], member.peer_address,
                                                  {std::string(kPlace), note.take()}, kAnswerTime);
        if (said) ++noted;
    }
    if (noted < members.size() / 2 + 1)
        co_return fail(Errc::Unavailable, "too few nodes took note of who gets the place of node " +
                                              to_string(node) + ", so nobody gets it yet");
    co_return Result<void>{};
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
    if (auto gone = co_await expect_gone(node); !gone)
        co_return fail(Errc::Unavailable, gone.error().context);
    if (place->peer_address != request.peer_address)
        co_return fail(Errc::Conflict, "the place of " + name + " is at " +
                                           place->peer_address.describe() + ", not at " +
                                           request.peer_address.describe() + "; start it there");
    if (auto free = co_await expect_no_replicas(node); !free)
        co_return std::unexpected(free.error());
    const auto said = co_await last_start_of(node);
    if (!said) co_return std::unexpected(said.error());
    const Incarnation last = std::max(*said, identity_.seen[node]);
    if (life_of(last) == kLivesMax)
        co_return fail(Errc::Conflict, "the place of " + name + " was taken too often");
    const Incarnation before = before_life(life_of(last) + 1);
    if (auto noted = co_await note_at_majority(node, before); !noted)
        co_return fail(Errc::Unavailable, noted.error().context);
    log_.warn("an empty directory takes the place of " + name + ", life " +
              std::to_string(life_of(before)));
    co_return Joined{node, before, identity_.founding};
}

}  // namespace asterias::node
