// What goes to other nodes and comes from them: frames in and out, each to the shard of its group.
#include "service/node/node_shard.h"

namespace asterias::node {

// ------------------------------------------------------------------------------- groups to groups

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

void NodeShard::probe(NodeId node) {
    for (const auto lane : {rpc::Lane::Normal, rpc::Lane::Relay}) {
        if (!endpoint_->connected(node, lane)) continue;
        rpc::FrameBuilder nothing;
        endpoint_->send(node, lane, rpc::FrameType::Alive,
                        nothing.finish(endpoint_->header(rpc::FrameType::Alive)));
    }
}

void NodeShard::receive_raft(NodeId from, const raft::Message& message, GroupId group) {
    const auto it = replicas_.find(group);
    if (it != replicas_.end()) {
        const bool of_a_leader = std::holds_alternative<raft::AppendRequest>(message.body) ||
                                 std::holds_alternative<raft::Heartbeat>(message.body);
        // Of two numbers that were given to one life the later is higher; of two lives nothing
        // follows.
        const bool of_this_life = raft::life_of(message.to) == life_of(identity_.incarnation);
        if (of_a_leader && of_this_life && message.to > it->second->self())
            return it->second->superseded();
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

// ------------------------------------------------------------------------------- messages

bool NodeShard::send_pubsub(NodeId to, rpc::FrameBuilder frame) {
    return endpoint_->send(to, rpc::Lane::Normal, rpc::FrameType::Pubsub,
                           frame.finish(endpoint_->header(rpc::FrameType::Pubsub)));
}

void NodeShard::reply_pubsub(rpc::LinkId link, rpc::FrameBuilder frame) {
    endpoint_->reply(link, rpc::FrameType::Pubsub,
                     frame.finish(endpoint_->header(rpc::FrameType::Pubsub)));
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
        case rpc::FrameType::Pubsub:
            if (!messages_->receive(from, frame.body)) bad_bodies_.add();
            return;
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

// A frame holds the largest command behind all that may come before it.
static_assert(router::kCommandBytesMax + 2 * rpc::kBodyBytesGoal < rpc::kFrameBytesMax);

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
        // One way at a time (endpoint.h): when it ends, the router begins a new epoch.
        const bool around = !relayed_.empty() && relayed_.contains(to);
        const auto lane = around ? rpc::Lane::Relay : rpc::Lane::Normal;
        if (endpoint_->send(to, lane, rpc::FrameType::Forward, std::move(frames))) {
            if (around) relayed_commands_.add(commands.size());
            return true;
        }
        endpoint_->relay(to);
        return false;
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

}  // namespace asterias::node
