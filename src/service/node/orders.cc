#include "service/node/orders.h"

#include <algorithm>

#include "base/check.h"
#include "service/node/json.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace asterias::node {
namespace {

constexpr uint8_t kWitness = 1, kForce = 2;

bool is_of(const Founding& founding, NodeId node) {
    for (const auto& member : founding.members)
        if (member.node == node) return true;
    return false;
}

std::string nodes_of(const Founding& founding) {
    std::string out;
    for (const auto& member : founding.members)
        out += (out.empty() ? "" : ", ") + to_string(member.node);
    return out;
}

std::string boolean(bool b) { return b ? "true" : "false"; }

}  // namespace

Bytes encode(const Order& order) {
    wire::Writer out(64);
    out.u8(static_cast<uint8_t>(order.what)).bytes(order.keyspace);
    out.varint(order.node.value).varint(order.from.value);
    out.u8(static_cast<uint8_t>((order.witness ? kWitness : 0) | (order.force ? kForce : 0)));
    return out.take();
}

Result<Order> decode_order(const Bytes& payload) {
    wire::Reader in(payload);
    Order order;
    const uint8_t what = in.u8();
    order.keyspace = in.bytes().str();
    order.node = NodeId(in.varint());
    order.from = NodeId(in.varint());
    const uint8_t flags = in.u8();
    if (!in.ok() || !in.at_end() || what < 1 || what > 5 || flags > (kWitness | kForce))
        return fail(Errc::Corrupt, "order");
    order.what = static_cast<Order::What>(what);
    order.witness = (flags & kWitness) != 0;
    order.force = (flags & kForce) != 0;
    return order;
}

Result<Order::What> what_of(const std::string& word) {
    if (word == "add") return Order::What::Add;
    if (word == "remove") return Order::What::Remove;
    if (word == "replace") return Order::What::Replace;
    if (word == "transfer") return Order::What::Transfer;
    return fail(Errc::InvalidArgument,
                "op is add, remove, replace or transfer, not '" + word + "'");
}

Result<void> check(const Order& order, const Founding& founding) {
    const auto refuse = [](std::string why) { return fail(Errc::InvalidArgument, std::move(why)); };
    if (order.what == Order::What::List) return {};
    if (!order.node && order.what != Order::What::Transfer) return refuse("node is missing");
    if ((order.what == Order::What::Replace) != (order.from != NodeId()))
        return refuse("from is for replace, and it needs it: the node that goes");
    if (order.force && order.what == Order::What::Transfer)
        return refuse("force is for changes of members");
    if (order.witness && order.what != Order::What::Add) return refuse("witness is for add");
    for (NodeId node : {order.node, order.from})
        if (node && !is_of(founding, node))
            return refuse("there is no node " + to_string(node) + " in this cluster, but nodes " +
                          nodes_of(founding));
    return {};
}

std::string describe(const Order& order) {
    const std::string node = order.node ? "node " + to_string(order.node) : "whoever is best";
    const std::string forced = order.force ? ", forced" : "";
    switch (order.what) {
        case Order::What::Add:
            return "add " + node + (order.witness ? " as a witness" : "") + forced;
        case Order::What::Remove:
            return "remove " + node + forced;
        case Order::What::Replace:
            return "replace node " + to_string(order.from) + " by " + node + forced;
        case Order::What::Transfer:
            return "give the lead to " + node;
        case Order::What::List:
            break;
    }
    return "list";
}

raft::Change change_of(const Order& order) {
    switch (order.what) {
        case Order::What::Add:
            return raft::AddReplica{order.node, order.witness};
        case Order::What::Remove:
            return raft::RemoveReplica{order.node};
        case Order::What::Replace:
            return raft::ReplaceReplica{order.from, order.node};
        case Order::What::List:
        case Order::What::Transfer:
            break;
    }
    CHECK(false, "only changes of members become one");
    return {};
}

std::string members_json(const replica::Status& g, const std::string& keyspace, NodeId leader,
                         const Copies& copies) {
    const raft::Status& s = g.raft;
    const raft::Membership& m = s.membership;
    const bool settled = s.membership_committed && !m.joint() && !m.promote && !m.retire;
    std::string out = "{\"keyspace\":" + quoted(keyspace) + ",\"group\":" + number(g.group.value) +
                      ",\"leader\":" + number(leader.value) + ",\"term\":" + number(s.term.value) +
                      ",\"last\":" + number(s.last.value) + ",\"settled\":" + boolean(settled) +
                      ",\"copies\":" + number(copies.data) +
                      ",\"wanted\":" + number(copies.wanted) + ",\"members\":[";
    bool first = true;
    const auto add = [&](const raft::Member& member, const char* role) {
        out += (std::exchange(first, false) ? "" : ",") + std::string("{\"node\":") +
               number(member.node.value) + ",\"replica\":" + number(member.replica.value) +
               ",\"role\":" + quoted(role) + ",\"witness\":" + boolean(member.witness);
        if (member.node == leader) out += ",\"match\":" + number(s.last.value) + ",\"heard\":true";
        for (const auto& peer : s.peers)
            if (peer.member.replica == member.replica)
                out += ",\"match\":" + number(peer.match.value) +
                       ",\"heard\":" + boolean(peer.recently_heard) +
                       ",\"needs_snapshot\":" + boolean(peer.needs_snapshot);
        for (const auto& snapshot : g.snapshots)
            if (!snapshot.incoming && snapshot.peer == member.node)
                out += ",\"snapshot_bytes\":" + number(snapshot.bytes);
        out += "}";
    };
    for (const auto& member : m.voters)
        add(member, "voter");
    for (const auto& member : m.outgoing)
        if (std::find(m.voters.begin(), m.voters.end(), member) == m.voters.end())
            add(member, "leaving");
    for (const auto& member : m.learners)
        add(member, "learner");
    return out + "]}";
}

}  // namespace asterias::node
