#include "service/node/node_shard.h"

#include <algorithm>

#include "base/mutant.h"
#include "service/node/keyspaces.h"

namespace asterias::node {

NodeShard::NodeShard(port::Shard& shard, const Identity& identity, const Options& options,
                     port::Engine& engine, const std::vector<std::unique_ptr<NodeShard>>& siblings,
                     CallHandler& calls, Registry& registry, Log log)
    : shard_(shard),
      identity_(identity),
      options_(options),
      engine_(engine),
      siblings_(siblings),
      calls_(calls),
      registry_(registry),
      log_(log.named("node")),
      sending_(options.snapshots_sending_max),
      receiving_(options.snapshots_receiving_max),
      held_(identity.held),
      known_starts_(identity.seen),
      persisted_changed_(shard),
      flush_pace_(options.journal_flush_bytes, options.compact_entries),
      known_(std::make_shared<catalogue::Catalogue>(catalogue_at_birth(identity.founding))),
      durable_(known_),
      bad_bodies_(registry.counter("asterias_rpc_bad_bodies_total",
                                   "Frames whose body did not decode; dropped.")),
      relayed_commands_(registry.counter("asterias_router_relayed_total",
                                         "Commands sent to a leader through another node.")),
      scope_(shard) {
    for (const auto& member : identity.founding.members)
        nodes_.insert(member.node);
    router_ = std::make_unique<router::Router>(shard, identity.node, routes_of(*known_),
                                               members_of(identity.founding, *known_), *this,
                                               options.router, registry, log);
    // Any node may hold any group by now; those that founded it are asked first.
    for (NodeId node : nodes_)
        router_->add_node(node);
    rpc::Options rpc = options.rpc;
    endpoint_ = std::make_unique<rpc::Endpoint>(
        shard,
        rpc::Identity{identity.founding.cluster, identity.founding.cluster_incarnation,
                      identity.node, identity.incarnation, identity.earlier},
        rpc, *this, registry, log);
    pubsub::Options pubsub;
    pubsub.self = identity.node;
    pubsub.incarnation = identity.incarnation;
    messages_ = std::make_unique<pubsub::Hub>(shard, pubsub, *this, registry);
}

NodeShard::~NodeShard() {
    if (hooked_) shard_.remove_turn_hook(*this);
}

port::Task<Result<void>> NodeShard::open() {
    const std::string directory =
        options_.directory + "/journal-" + std::to_string(shard_.id().value);
    if (auto made = co_await shard_.disk().create_directories(directory); !made) co_return made;
    journal::Options options;
    options.directory = directory;
    options.cluster = identity_.founding.cluster;
    options.node = identity_.node;
    options.segment_bytes = options_.journal_segment_bytes;
    options.slice_bytes_max = options_.journal_slice_bytes;
    auto opened = co_await journal::open(shard_, options, registry_, log_);
    if (!opened) co_return std::unexpected(opened.error());
    journal_ = std::move(opened->journal);
    journal_->set_observer(*this);
    // The hook is added before the first replica can ask for a turn end.
    shard_.add_turn_hook(port::TurnPhase::Work, *this);
    hooked_ = true;
    if (auto read = co_await read_catalogue(); !read) co_return read;
    std::map<GroupId, ReplicaId> found;
    for (const auto& [group, recovered] : opened->recovered.groups)
        found[group] = recovered.vote.self;
    if (auto whole = co_await open_groups(std::move(found)); !whole) co_return whole;
    for (GroupId group : groups_of(*durable_)) {
        if (home_of(group) != shard_.id()) continue;
        auto done = co_await open_group(group, std::move(opened->recovered.groups[group]));
        if (!done) co_return done;
        opened->recovered.groups.erase(group);
    }
    co_return co_await bury(opened->recovered);
}

port::Task<Result<void>> NodeShard::open_groups(std::map<GroupId, ReplicaId> found) {
    const journal::BatchId batch = journal_->current_batch();
    bool written = false;
    for (GroupId group : groups_of(*durable_)) {
        if (home_of(group) != shard_.id()) continue;
        const auto in_journal = found.find(group);
        const auto held = held_.find(group);
        const bool known = in_journal != found.end();
        const bool behind = held != held_.end() && (!known || in_journal->second < held->second);
        if (!behind && (known || !founding_replica(group))) continue;
        // Its birth was not finished; until it is, it says nothing.
        if (!behind && !is_founding_group(identity_.founding, group)) continue;
        // Who forgot its votes and entries could elect a leader that lacks what it acknowledged.
        if (identity_.born || behind)
            co_return fail(Errc::Corrupt,
                           options_.directory + "/journal-" + to_string(shard_.id()) +
                               ": the votes and entries of group " + to_string(group) +
                               " are lost: this journal was emptied, or segments are missing. "
                               "The node must not take part again without them");
        journal_->set_vote(group, {{}, {}, founding_replica(group)});
        written = true;
    }
    while (written && persisted_ < batch)
        co_await persisted_changed_.wait();
    co_return Result<void>{};
}

Result<void> NodeShard::start() {
    if (auto listening = endpoint_->listen(options_.peer_address); !listening) return listening;
    for (const auto& member : identity_.founding.members)
        if (member.node != identity_.node) {
            contacts_[member.node].since = shard_.clock().wall();
            endpoint_->add_peer(member.node, member.peer_address);
        }
    tick();
    return {};
}

port::Task<> NodeShard::close() {
    closing_ = true;
    shard_.timers().cancel(ticker_);
    co_await endpoint_->close();
    co_await scope_.close();
    for (auto& [group, replica] : replicas_)
        co_await replica->close();
    if (journal_) co_await journal_->close();
}

void NodeShard::tick() {
    for (auto& [group, replica] : replicas_)
        replica->tick();
    router_->tick();
    messages_->tick();
    // Worth a look before a silent connection is given up.
    for (const auto& [node, contact] : contacts_)
        if (contact.connected && router_->waits_for(node) && endpoint_->silent(node))
            endpoint_->relay(node);
    ask_for_flush();
    mind_catalogue();
    ticker_ = shard_.timers().after(options_.tick, [this] { tick(); });
}

void NodeShard::ask_for_flush() {
    const uint64_t bytes = journal_->usage().bytes;
    if (!flush_pace_.over(bytes)) return;
    std::vector<replica::Status> groups;
    for (const auto& [group, replica] : replicas_)
        groups.push_back(replica->status());
    if (flush_pace_.due(bytes, groups)) engine_.request_flush();
}

// ------------------------------------------------------------------------------- turn end

void NodeShard::wake(GroupId group) {
    const auto it = replicas_.find(group);
    if (it != replicas_.end()) woken_.push_back(it->second.get());
}

void NodeShard::on_turn_end() {
    if (closing_) return;
    // The router first: what it hands to a local replica is evaluated in this very turn end.
    if (std::exchange(router_awake_, false)) router_->run();
    // A replica may wake itself or another while it runs; that is another round, on a fresh list.
    // What asks for a third round waits for the next turn, so that one hot group cannot hold up the
    // rest.
    for (int round = 0; round < 2 && !woken_.empty(); ++round) {
        std::vector<replica::Replica*> woken;
        woken.swap(woken_);
        for (auto* replica : woken)
            replica->run();
    }
    flush_raft();
    flush_answers();
    messages_->flush();
    // Answers may have woken the router, too.
    if (!woken_.empty() || router_awake_) shard_.post([] {});
}

void NodeShard::on_persisted(journal::BatchId through) {
    persisted_ = through;
    persisted_changed_.notify();
    for (auto& [group, replica] : replicas_)
        replica->on_persisted(through);
    // This comes behind the turn's Work phase: what it woke must not wait for the next event.
    if (!woken_.empty()) shard_.post([] {});
}

// ------------------------------------------------------------------------------- other nodes

Result<void> NodeShard::admit(const rpc::Peer& peer) {
    if (peer.node == identity_.node)
        return fail(Errc::Conflict, "this is node " + to_string(peer.node) +
                                        " itself; a copy of its directory must not run beside it");
    if (nodes_.contains(peer.node)) return {};
    return fail(Errc::Conflict, "node " + to_string(peer.node) + " is not known in cluster " +
                                    to_string(identity_.founding.cluster));
}

Result<void> NodeShard::recognise(const rpc::Peer& peer, const std::vector<Incarnation>& earlier) {
    switch (known_starts_.judge(peer.node, peer.incarnation, earlier)) {
        case KnownStarts::Verdict::Known:
            return {};
        case KnownStarts::Verdict::Newer:
            known_starts_.note(peer.node, peer.incarnation);
            refused_.erase(peer.node);
            shard_.submit(ShardId(0),
                          [&calls = calls_, node = peer.node, start = peer.incarnation] {
                              calls.on_peer_start(node, start);
                          });
            return {};
        case KnownStarts::Verdict::OldCopy:
            break;
    }
    std::string why = "the directory of node " + to_string(peer.node) +
                      " is an old copy, or runs elsewhere, too: it says start " +
                      std::to_string(count_of(peer.incarnation)) +
                      " and does not know the one that node " + to_string(identity_.node) +
                      " saw last (start " +
                      std::to_string(count_of(known_starts_.last(peer.node))) + ")";
    refused_[peer.node] = why;
    return fail(Errc::Conflict, std::move(why));
}

void NodeShard::on_disowned(NodeId by, std::string why) {
    shard_.submit(ShardId(0), [&calls = calls_, by, why = std::move(why)]() mutable {
        calls.on_disowned(by, std::move(why));
    });
}

void NodeShard::on_peer_up(const rpc::Peer& peer, bool outgoing) {
    if (outgoing && peer.lane == rpc::Lane::Relay) {
        relayed_[peer.node] = endpoint_->relayed_through(peer.node);
        log_.info("node " + to_string(peer.node) + " is reached through node " +
                  to_string(relayed_[peer.node]));
        // What went the direct way may be lost: nothing of its epoch goes this one.
        if (contacts_[peer.node].connected && !MUTANT(node_relay_keeps_epoch))
            router_->on_peer_down(peer.node);
        return;
    }
    if (!outgoing || peer.lane != rpc::Lane::Normal) return;
    contacts_[peer.node] = {true, true, shard_.clock().wall()};
    messages_->node_up(peer.node);
    log_.info("node " + to_string(peer.node) + " is connected");
}

void NodeShard::on_peer_down(const rpc::Peer& peer, bool outgoing) {
    if (closing_) return;
    if (peer.lane == rpc::Lane::Relay) {  // of the way between the two it says nothing
        if (outgoing && relayed_.erase(peer.node) && !MUTANT(node_relay_end_unnoticed))
            router_->on_peer_down(peer.node);
        return;
    }
    if (outgoing && peer.lane == rpc::Lane::Normal) {
        contacts_[peer.node] = {false, true, shard_.clock().wall()};
        messages_->node_down(peer.node);
        if (!relayed_.contains(peer.node) || !MUTANT(node_relay_keeps_epoch))
            router_->on_peer_down(peer.node);
    }
    if (!outgoing && peer.lane == rpc::Lane::Normal) messages_->source_down(peer);
    for (const auto& member : siblings_) {
        if (&*member == this) {
            for (auto& [group, replica] : replicas_)
                replica->on_peer_down(peer.node);
        } else {
            shard_.submit(member->shard_.id(), [s = member.get(), node = peer.node] {
                for (auto& [group, replica] : s->replicas_)
                    replica->on_peer_down(node);
            });
        }
    }
}

void NodeShard::on_leader(GroupId group, NodeId leader, Term) {
    for (const auto& member : siblings_) {
        if (&*member == this)
            router_->on_leader(group, leader);
        else
            shard_.submit(member->shard_.id(), [s = member.get(), group, leader] {
                s->router_->on_leader(group, leader);
            });
    }
}

// ------------------------------------------------------------------------------- looking in

ShardStatus NodeShard::status() const {
    ShardStatus s;
    for (const auto& [group, replica] : replicas_)
        s.groups.push_back(replica->status());
    for (const auto& [group, why] : unopened_) {
        auto& unopened = s.groups.emplace_back();
        unopened.group = group;
        unopened.stopped = true;
        unopened.stopped_why = why;
    }
    if (journal_) s.journal = journal_->usage();
    s.in_flight = router_->in_flight();
    for (GroupId group : groups_of(*known_))
        s.leaders[group] = router_->leader_of(group);
    s.contacts = contacts_;
    for (const auto& [node, through] : relayed_)
        s.contacts[node].through = through;
    s.refused = refused_;
    return s;
}

}  // namespace asterias::node
