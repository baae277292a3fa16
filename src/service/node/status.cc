// The node's answer to `asterias status`: gathered from its shards, printed as JSON.
#include <algorithm>

#include "service/node/calls.h"
#include "service/node/copies.h"
#include "service/node/findings.h"
#include "service/node/json.h"
#include "service/node/keyspaces.h"
#include "service/node/node.h"
#include "wire/writer.h"

namespace asterias::node {
namespace {

std::string group_json(const replica::Status& g, const catalogue::Catalogue& catalogue,
                       const Founding& founding, const std::vector<NodeId>& reached) {
    std::string out =
        "{\"group\":" + number(g.group.value) +
        ",\"keyspace\":" + quoted(keyspace_name(catalogue, g.group)) +
        ",\"role\":" + quoted(g.stopped ? "stopped" : raft::to_string(g.raft.role)) +
        ",\"leader\":" + number(g.raft.leader.value) + ",\"term\":" + number(g.raft.term.value) +
        ",\"commit\":" + number(g.raft.commit.value) +
        ",\"applied\":" + number(g.raft.applied.value) + ",\"last\":" + number(g.raft.last.value) +
        ",\"queued\":" + number(g.queued) + ",\"proposed\":" + number(g.proposed);
    out += ",\"membership\":" + quoted(raft::describe(g.raft.membership));
    const raft::Membership& m = g.raft.membership;
    if (!g.stopped && !m.voters.empty()) {
        const Copies copies = copies_of(m, wanted_copies(founding, catalogue, g.group));
        out += ",\"copies\":" + number(copies.data) + ",\"wanted\":" + number(copies.wanted);
        if (copies.below())
            out += ",\"below\":" + quoted(describe(copies) + "; " +
                                          way_to_more(keyspace_name(catalogue, g.group),
                                                      could_hold_one(m, founding, reached)));
    }
    if (g.stopped) out += ",\"why\":" + quoted(g.stopped_why);
    out += ",\"peers\":[";
    for (size_t i = 0; i < g.raft.peers.size(); ++i) {
        const auto& p = g.raft.peers[i];
        out += std::string(i ? "," : "") + "{\"node\":" + number(p.member.node.value) +
               ",\"match\":" + number(p.match.value) +
               ",\"heard\":" + (p.recently_heard ? "true" : "false") + "}";
    }
    return out + "]}";
}

}  // namespace

port::Task<std::vector<ShardStatus>> Node::status() {
    std::vector<ShardStatus> all(shards_.size());
    all[0] = members_[0]->status();
    for (size_t i = 1; i < shards_.size(); ++i) {
        port::OneShot<ShardStatus> answer(*shards_[0]);
        shards_[0]->submit(shards_[i]->id(), [this, i, &answer] {
            shards_[i]->submit(shards_[0]->id(), [&answer, s = members_[i]->status()]() mutable {
                answer.set(std::move(s));
            });
        });
        all[i] = co_await answer;
    }
    co_return all;
}

port::Task<std::string> Node::status_json() {
    const auto all = co_await status();
    const auto& founding = identity_.founding;
    const auto& catalogue = keyspaces();
    std::string out = "{\"cluster\":" + quoted(to_string(founding.cluster)) +
                      ",\"node\":" + number(identity_.node.value) +
                      ",\"incarnation\":" + number(count_of(identity_.incarnation)) +
                      ",\"members\":[";
    for (size_t i = 0; i < founding.members.size(); ++i) {
        const auto& m = founding.members[i];
        out += std::string(i ? "," : "") + "{\"node\":" + number(m.node.value) +
               ",\"peer\":" + quoted(m.peer_address.describe()) +
               ",\"door\":" + quoted(m.door_address.describe());
        const Contact contact = contact_with(all, m.node);
        if (m.node != identity_.node)
            out += std::string(",\"connected\":") + (contact.connected ? "true" : "false") +
                   ",\"since\":" + quoted(since(contact.since, shards_[0]->clock().wall()));
        if (contact.through) out += ",\"through\":" + number(contact.through.value);
        out += "}";
    }
    out += "],\"groups\":[";
    const auto reached = connected_nodes(all, identity_.node);
    bool first = true;
    for (const auto& shard : all)
        for (const auto& g : shard.groups) {
            out += (std::exchange(first, false) ? "" : ",") +
                   group_json(g, catalogue, founding, reached);
        }
    out += "],\"shards\":[";
    for (size_t i = 0; i < all.size(); ++i)
        out += std::string(i ? "," : "") + "{\"shard\":" + number(i) +
               ",\"journal_bytes\":" + number(all[i].journal.bytes) +
               ",\"journal_segments\":" + number(all[i].journal.segments) + ",\"last_sync_us\":" +
               number(static_cast<uint64_t>(all[i].journal.last_sync.count() / 1000)) +
               ",\"in_flight\":" + number(all[i].in_flight) + "}";
    co_return out + "]}";
}

port::Task<Result<Bytes>> Node::fetch_cursor(uint64_t node, int bits, uint64_t cursor) {
    const FoundingMember* keeper = nullptr;
    for (const auto& member : identity_.founding.members)
        if (member.node != identity_.node && ((member.node.value ^ node) << (64 - bits)) == 0)
            keeper = &member;
    if (!keeper) co_return fail(Errc::NotFound, "no node gave this cursor");
    wire::Writer payload(8);
    payload.u64(cursor);
    auto found = co_await rpc::call_once(*shards_[0], keeper->peer_address,
                                         {std::string(kCursor), payload.take()}, seconds(1));
    if (found || found.error().code == Errc::NotFound) co_return found;
    co_return fail(Errc::Unavailable, found.error().describe());
}

port::Task<> Node::ask_http(FoundingMember member, std::string* out, size_t* left,
                            port::Signal* changed) {
    const auto answer = co_await rpc::call_once(*shards_[0], member.peer_address,
                                                {std::string(kHttp), Bytes()}, seconds(1));
    if (answer && !answer->empty())
        *out =
            "{\"node\":" + number(member.node.value) + ",\"http\":" + quoted(answer->str()) + "}";
    --*left;
    changed->notify();
}

port::Task<std::string> Node::nodes_json() {
    const auto reached = connected_nodes(co_await status(), identity_.node);
    const auto& members = identity_.founding.members;
    std::vector<std::string> answers(members.size());
    port::Signal changed(*shards_[0]);
    size_t left = 0;
    for (size_t i = 0; i < members.size(); ++i) {
        if (members[i].node == identity_.node) {
            if (options_.http_address.host.empty()) continue;
            answers[i] = "{\"node\":" + number(identity_.node.value) +
                         ",\"http\":" + quoted(options_.http_address.describe()) + "}";
        } else if (std::binary_search(reached.begin(), reached.end(), members[i].node)) {
            ++left;
            scopes_[0]->spawn("node.http", ask_http(members[i], &answers[i], &left, &changed));
        }
    }
    while (left > 0)
        co_await changed.wait();
    std::string all;
    for (const auto& answer : answers)
        if (!answer.empty()) all += (all.empty() ? "" : ",") + answer;
    co_return "{\"nodes\":[" + all + "]}";
}

}  // namespace asterias::node
