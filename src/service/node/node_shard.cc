#include "service/node/node_shard.h"

#include <algorithm>

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
      known_starts_(identity.seen),
      persisted_changed_(shard),
      flush_pace_(options.journal_flush_bytes, options.compact_entries),
      bad_bodies_(registry.counter("asterias_rpc_bad_bodies_total",
                                   "Frames whose body did not decode; dropped.")),
      scope_(shard) {
    std::map<GroupId, std::vector<NodeId>> members;
    for (GroupId group : groups_of(identity.founding))
        members[group] = members_of(identity.founding, group);
    for (const auto& member : identity.founding.members)
        nodes_.insert(member.node);
    router_ =
        std::make_unique<router::Router>(shard, identity.node, catalogue_of(identity.founding),
                                         std::move(members), *this, options.router, registry, log);
    // Any node may hold any group by now; those that founded it are asked first.
    for (NodeId node : nodes_)
        router_->add_node(node);
    rpc::Options rpc = options.rpc;
    endpoint_ = std::make_unique<rpc::Endpoint>(
        shard,
        rpc::Identity{identity.founding.cluster, identity.founding.cluster_incarnation,
                      identity.node, identity.incarnation, identity.earlier},
        rpc, *this, registry, log);
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
    std::set<GroupId> found;
    for (const auto& [group, recovered] : opened->recovered.groups)
        found.insert(group);
    if (auto whole = co_await open_groups(std::move(found)); !whole) co_return whole;
    for (GroupId group : groups_of(identity_.founding)) {
        if (home_of(group) != shard_.id()) continue;
        auto done = co_await open_group(group, std::move(opened->recovered.groups[group]));
        if (!done) co_return done;
    }
    co_return Result<void>{};
}

port::Task<Result<void>> NodeShard::open_groups(std::set<GroupId> found) {
    const journal::BatchId batch = journal_->current_batch();
    bool written = false;
    for (GroupId group : groups_of(identity_.founding)) {
        if (home_of(group) != shard_.id() || found.contains(group)) continue;
        if (!founding_replica(group)) continue;
        // Who forgot its votes and entries could elect a leader that lacks what it acknowledged.
        if (identity_.born)
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
    ask_for_flush();
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

// ------------------------------------------------------------------------------- raft traffic

void NodeShard::send(NodeId to, GroupId group, const raft::Message& message) {
    if (!to) {
        for (const NodeId node : nodes_)
            if (node != identity_.node) send(node, group, message);
        return;
    }
    // Votes and heartbeats decide who leads: they never wait behind entries.
    const bool bulky = std::holds_alternative<raft::AppendRequest>(message.body) ||
                       std::holds_alternative<raft::AppendReply>(message.body);
    const auto lane = bulky ? rpc::Lane::Normal : rpc::Lane::Heartbeat;
    auto& builder = raft_out_.try_emplace({to, lane}).first->second;
    replica::write_message(builder.body(), group, message);
    if (builder.body_bytes() >= rpc::kBodyBytesGoal) {
        endpoint_->send(to, lane, rpc::FrameType::Raft,
                        builder.finish(endpoint_->header(rpc::FrameType::Raft)));
        raft_out_.erase({to, lane});
    }
}

void NodeShard::flush_raft() {
    for (auto& [key, builder] : raft_out_)
        endpoint_->send(key.first, key.second, rpc::FrameType::Raft,
                        builder.finish(endpoint_->header(rpc::FrameType::Raft)));
    raft_out_.clear();
}

void NodeShard::receive_raft(NodeId from, const raft::Message& message, GroupId group) {
    const auto it = replicas_.find(group);
    if (it != replicas_.end()) {
        if (message.to) return it->second->receive(from, message);
        raft::Message asked = message;  // whoever it is
        asked.to = it->second->self();
        return it->second->receive(from, asked);
    }
    if (message.to && may_be_born(group, message.to))
        scope_.spawn("node.give_birth", give_birth(group, message.to));
}

bool NodeShard::send_snapshot(NodeId to, const replica::SnapshotMessage& message) {
    rpc::FrameBuilder b;
    replica::write_snapshot(b.body(), message);
    return endpoint_->send(to, rpc::Lane::Bulk, rpc::FrameType::Snapshot,
                           b.finish(endpoint_->header(rpc::FrameType::Snapshot)));
}

void NodeShard::send_snapshot_reply(NodeId to, const replica::SnapshotReply& reply) {
    rpc::FrameBuilder b;
    replica::write_snapshot_reply(b.body(), reply);
    endpoint_->send(to, rpc::Lane::Normal, rpc::FrameType::SnapshotReply,
                    b.finish(endpoint_->header(rpc::FrameType::SnapshotReply)));
}

void NodeShard::receive_snapshot(NodeId from, const Bytes& body) {
    auto message = replica::read_snapshot(body);
    if (!message) return bad_bodies_.add();
    const ShardId home = home_of(message->group);
    const auto deliver = [from](NodeShard& s, replica::SnapshotMessage m) {
        const auto it = s.replicas_.find(m.group);
        if (it != s.replicas_.end()) it->second->receive_snapshot(from, std::move(m));
    };
    if (home == shard_.id()) return deliver(*this, std::move(*message));
    shard_.submit(home, [s = &sibling(home), deliver, m = std::move(*message)]() mutable {
        deliver(*s, std::move(m));
    });
}

void NodeShard::receive_snapshot_reply(const Bytes& body) {
    auto reply = replica::read_snapshot_reply(body);
    if (!reply) return bad_bodies_.add();
    const ShardId home = home_of(reply->group);
    const auto deliver = [](NodeShard& s, const replica::SnapshotReply& r) {
        const auto it = s.replicas_.find(r.group);
        if (it != s.replicas_.end()) it->second->receive_snapshot_reply(r);
    };
    if (home == shard_.id()) return deliver(*this, *reply);
    shard_.submit(home, [s = &sibling(home), deliver, r = std::move(*reply)] { deliver(*s, r); });
}

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
    if (!outgoing || peer.lane != rpc::Lane::Normal) return;
    contacts_[peer.node] = {true, true, shard_.clock().wall()};
    log_.info("node " + to_string(peer.node) + " is connected");
}

void NodeShard::on_peer_down(const rpc::Peer& peer, bool outgoing) {
    if (closing_) return;
    if (outgoing && peer.lane == rpc::Lane::Normal) {
        contacts_[peer.node] = {false, true, shard_.clock().wall()};
        router_->on_peer_down(peer.node);
    }
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

// ------------------------------------------------------------------------------- frames

void NodeShard::on_frame(const rpc::Peer& from, rpc::Frame frame) {
    switch (frame.header.type) {
        case rpc::FrameType::Raft: {
            wire::Reader in(std::move(frame.body));
            while (in.ok() && !in.at_end()) {
                replica::GroupMessage m;
                if (!replica::read_message(in, m)) continue;
                const ShardId home = home_of(m.group);
                if (home == shard_.id())
                    receive_raft(from.node, m.message, m.group);
                else
                    shard_.submit(home, [s = &sibling(home), node = from.node, m = std::move(m)] {
                        s->receive_raft(node, m.message, m.group);
                    });
            }
            if (!in.ok()) bad_bodies_.add();
            return;
        }
        case rpc::FrameType::Forward:
            return receive_forward(from, frame.body);
        case rpc::FrameType::ForwardReply:
            return receive_answers(from.node, frame.body);
        case rpc::FrameType::Call:
            return receive_call(from, frame);
        case rpc::FrameType::Snapshot:
            return receive_snapshot(from.node, frame.body);
        case rpc::FrameType::SnapshotReply:
            return receive_snapshot_reply(frame.body);
        case rpc::FrameType::Hello:
        case rpc::FrameType::CallReply:
        case rpc::FrameType::Alive:
            bad_bodies_.add();
            return;
    }
}

void NodeShard::receive_call(const rpc::Peer& from, const rpc::Frame& frame) {
    const auto header = endpoint_->header(rpc::FrameType::CallReply, frame.header.request);
    const auto answer = [this, link = from.link, header](Result<Bytes> a) {
        endpoint_->reply(link, rpc::FrameType::CallReply, rpc::reply_frame(header, a));
    };
    auto call = rpc::read_call(frame.body);
    if (!call) return answer(std::unexpected(call.error()));
    if (shard_.id() == ShardId(0)) return calls_.on_call(std::move(*call), answer);
    shard_.submit(ShardId(0), [this, c = std::move(*call), answer]() mutable {
        calls_.on_call(std::move(c), [this, answer](Result<Bytes> a) {
            sibling(ShardId(0)).shard_.submit(shard_.id(), [answer, r = std::move(a)]() mutable {
                answer(std::move(r));
            });
        });
    });
}

void NodeShard::receive_forward(const rpc::Peer& from, const Bytes& body) {
    wire::Reader in(body);
    const auto head = replica::read_head(in);
    const Instant now = shard_.clock().now();
    std::vector<replica::Incoming> requests;
    while (in.ok() && !in.at_end()) {
        auto f = replica::read_forwarded(in);
        if (!in.ok()) break;
        requests.push_back({{shard_.id(), from.link.value, f.ticket, head.epoch},
                            {from.node, from.incarnation, head.session_shard},
                            head.low_water,
                            f.sequence,
                            now + milliseconds(f.remaining_ms),
                            std::move(f.command)});
    }
    // A frame that decodes in part was made by a broken peer: nothing of it is done.
    if (!in.ok()) return bad_bodies_.add();
    // Nothing is evaluated whose answer would find no room: a replica of another shard cannot ask.
    if (home_of(head.group) != shard_.id() && !endpoint_->has_room(from.link))
        for (auto& request : requests)
            request.turn_away();
    deliver(head.group, std::move(requests));
}

void NodeShard::deliver(GroupId group, std::vector<replica::Incoming> requests) {
    const ShardId home = home_of(group);
    if (home == shard_.id()) return submit_here(group, std::move(requests));
    shard_.submit(home, [s = &sibling(home), group, r = std::move(requests)]() mutable {
        s->submit_here(group, std::move(r));
    });
}

void NodeShard::submit_here(GroupId group, std::vector<replica::Incoming> requests) {
    const auto it = replicas_.find(group);
    for (auto& request : requests) {
        if (it != replicas_.end())
            it->second->submit(std::move(request));
        else
            answer(group, request.origin, {replica::Answer::Kind::NotLeader, {}, {}, {}, {}});
    }
}

bool NodeShard::forward(NodeId to, const replica::ForwardHead& head,
                        const std::vector<router::Departure>& commands) {
    if (to != identity_.node) {
        const auto header = endpoint_->header(rpc::FrameType::Forward);
        std::vector<Bytes> frames;
        for (size_t i = 0; i < commands.size();) {
            rpc::FrameBuilder b((commands.size() - i) * 64);
            replica::write_head(b.body(), head);
            for (; i < commands.size() && b.body_bytes() < rpc::kBodyBytesGoal; ++i) {
                const auto& c = commands[i];
                replica::write_forwarded(b.body(), c.ticket, c.sequence, c.remaining_ms,
                                         *c.command);
            }
            frames.push_back(b.finish(header));
        }
        return endpoint_->send(to, rpc::Lane::Normal, rpc::FrameType::Forward, std::move(frames));
    }
    const Instant now = shard_.clock().now();
    std::vector<replica::Incoming> requests;
    requests.reserve(commands.size());
    for (const auto& c : commands)
        requests.push_back({{shard_.id(), 0, c.ticket, head.epoch},
                            {identity_.node, identity_.incarnation, head.session_shard},
                            head.low_water,
                            c.sequence,
                            now + milliseconds(c.remaining_ms),
                            *c.command});
    deliver(head.group, std::move(requests));
    return true;
}

// ------------------------------------------------------------------------------- answers

void NodeShard::answer(GroupId group, const replica::Origin& origin, replica::Answer answer) {
    if (origin.shard == shard_.id()) return answer_here(group, origin, std::move(answer));
    shard_.submit(origin.shard,
                  [s = &sibling(origin.shard), group, origin, a = std::move(answer)]() mutable {
                      s->answer_here(group, origin, std::move(a));
                  });
}

bool NodeShard::has_room(const replica::Origin& origin) const {
    return origin.link == 0 || origin.shard != shard_.id() ||
           endpoint_->has_room(rpc::LinkId(origin.link));
}

void NodeShard::answer_here(GroupId group, const replica::Origin& origin, replica::Answer answer) {
    answers_out_[{origin.link, group}].push_back({origin.ticket, origin.epoch, std::move(answer)});
}

void NodeShard::flush_answers() {
    // Answers may make clients of this node send more, which may make more answers.
    while (!answers_out_.empty()) {
        auto out = std::move(answers_out_);
        answers_out_.clear();
        for (auto& [key, answers] : out) {
            const auto& [link, group] = key;
            if (link == 0) {
                for (auto& a : answers)
                    router_->on_answer(group, identity_.node, std::move(a));
                continue;
            }
            for (size_t i = 0; i < answers.size();) {
                rpc::FrameBuilder b((answers.size() - i) * 24);
                b.body().varint(group.value);
                for (; i < answers.size() && b.body_bytes() < rpc::kBodyBytesGoal; ++i)
                    replica::write_answered(b.body(), answers[i]);
                endpoint_->reply(rpc::LinkId(link), rpc::FrameType::ForwardReply,
                                 b.finish(endpoint_->header(rpc::FrameType::ForwardReply)));
            }
        }
    }
}

void NodeShard::receive_answers(NodeId from, const Bytes& body) {
    wire::Reader in(body);
    const GroupId group(in.varint());
    while (in.ok() && !in.at_end()) {
        auto answered = replica::read_answered(in);
        if (in.ok()) router_->on_answer(group, from, std::move(answered));
    }
    if (!in.ok()) bad_bodies_.add();
}

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
    for (GroupId group : groups_of(identity_.founding))
        s.leaders[group] = router_->leader_of(group);
    s.contacts = contacts_;
    s.refused = refused_;
    return s;
}

}  // namespace asterias::node
