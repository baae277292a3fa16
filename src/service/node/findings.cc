#include "service/node/findings.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>

#include "service/node/copies.h"
#include "service/node/json.h"
#include "service/node/keyspaces.h"

namespace asterias::node {
namespace {

constexpr Duration kSlowSync = milliseconds(500);
constexpr uint64_t kSpaceLow = uint64_t{1} << 30;
constexpr std::string_view kStartThem =
    "start the nodes that are missing; their logs say why they ended";

std::string name_of(NodeId node) { return "node " + to_string(node); }

std::string list(const std::vector<NodeId>& nodes) {
    std::string out;
    for (NodeId node : nodes)
        out += (out.empty() ? "" : ", ") + name_of(node);
    return out;
}

class Reporter {
public:
    explicit Reporter(const Scene& scene) : scene_(scene) {}

    void look_at(const replica::Status& g) {
        if (g.tail_dropped)
            say(g.group, Severity::Critical,
                "one copy: this witness has dropped entries that another copy lacked when last was "
                "written. Were the copy that has them lost, they would be",
                "start the copy that is behind, or replace it (asterias replica replace)");
        if (g.stopped)
            say(g.group, Severity::Warning, "this copy is stopped: " + g.stopped_why,
                "the other copies go on while they are a majority. What this node holds of it is "
                "not trusted any more: keep the directory for whoever looks into it");
        else if (!g.raft.leader)
            no_leader(g);
        else if (g.raft.role == raft::Role::Leader)
            led_here(g);
        if (g.group == kSystemGroup && g.raft.role == raft::Role::Leader) on_their_way();
    }
    void look_at(const ShardStatus& shard) {
        if (shard.journal.last_sync >= kSlowSync)
            say({}, Severity::Warning,
                "the disk is slow: the last sync took " + millis(shard.journal.last_sync),
                "look at the disk of this node; its groups are led elsewhere meanwhile");
        if (shard.journal.no_space)
            say({}, Severity::Critical,
                "the disk is full: the journal finds no room for its next segment",
                "make room; nothing else is needed");
    }
    void look_at(port::Space space) {
        if (space.total == 0 || space.available > std::min(kSpaceLow, space.total / 20)) return;
        say({}, Severity::Warning,
            "the disk is nearly full: " + std::to_string(space.available >> 20) + " MiB left",
            "make room before the node has to end");
    }
    std::vector<Finding> take() { return std::move(found_); }

private:
    static std::string millis(Duration d) { return std::to_string(d / milliseconds(1)) + " ms"; }
    void say(GroupId group, Severity severity, std::string what, std::string next) {
        found_.push_back({scene_.identity.node, group, keyspace_name(scene_.catalogue, group),
                          std::move(what), std::move(next), severity});
    }
    void no_leader(const replica::Status& g) {
        const auto& members = g.raft.membership.voters;
        if (members.empty()) return;  // just made, and has not heard of its group yet
        for (const auto& shard : scene_.shards) {
            const auto leader = shard.leaders.find(g.group);
            if (leader == shard.leaders.end() || !leader->second) continue;
            if (const NodeId through = contact_with(scene_.shards, leader->second).through)
                return say(g.group, Severity::Warning,
                           "this copy does not hear its leader, node " + to_string(leader->second) +
                               "; clients of this node are served " + "through node " +
                               to_string(through),
                           "mend the network between the two");
        }
        std::vector<NodeId> silent;
        for (const auto& [replica, node, witness] : members)
            if (node != scene_.identity.node && !contact_with(scene_.shards, node).connected)
                silent.push_back(node);
        const size_t majority = members.size() / 2 + 1;
        if (members.size() - silent.size() < majority)
            say(g.group, Severity::Critical,
                "no leader, nothing is served: " + std::to_string(majority) + " of " +
                    std::to_string(members.size()) +
                    " copies are needed, and this node does not "
                    "hear " +
                    list(silent),
                std::string(kStartThem));
        else
            say(g.group, Severity::Warning,
                "no leader at the moment; enough copies are connected to choose one",
                "ask again in a second; if it stays, read the logs of its nodes");
    }
    void led_here(const replica::Status& g) {
        std::vector<NodeId> silent;
        for (const auto& peer : g.raft.peers)
            if (!peer.recently_heard && g.raft.membership.votes(peer.member.replica))
                silent.push_back(peer.member.node);
        under_way(g);
        below_wanted(g);
        if (const auto* self = g.raft.membership.find(g.self); self && self->witness)
            return led_by_witness(g, silent);
        if (silent.empty()) return;
        const size_t copies = g.raft.membership.voters.size();
        const size_t left = copies - silent.size();
        const bool last = left == copies / 2 + 1;
        say(g.group, Severity::Warning,
            std::to_string(left) + " of " + std::to_string(copies) +
                " copies are up: " + list(silent) + " not heard" +
                (last ? "; it serves, and one loss more stops it" : ""),
            std::string(kStartThem));
    }

    void below_wanted(const replica::Status& g) {
        const auto& founding = scene_.identity.founding;
        const raft::Membership& m = g.raft.membership;
        const Copies copies = copies_of(m, wanted_copies(founding, scene_.catalogue, g.group));
        if (!copies.below()) return;
        const auto could =
            could_hold_one(m, founding, connected_nodes(scene_.shards, scene_.identity.node));
        say(g.group, copies.loses_data() ? Severity::Critical : Severity::Warning, describe(copies),
            m.promote ? "nothing: one more is on its way"
                      : way_to_more(keyspace_name(scene_.catalogue, g.group), could));
    }
    // It serves nobody, and gives the lead to the first copy that has all of the log.
    void led_by_witness(const replica::Status& g, const std::vector<NodeId>& silent) {
        std::vector<NodeId> beyond;
        for (const auto& peer : g.raft.peers)
            if (peer.recently_heard && peer.needs_snapshot) beyond.push_back(peer.member.node);
        if (beyond.empty())
            return say(g.group, Severity::Warning,
                       "a witness leads, so nothing is served: it hands over to a copy as soon as "
                       "that has all of the log",
                       silent.empty() ? "ask again in a second" : std::string(kStartThem));
        say(g.group, Severity::Critical,
            "a witness leads, so nothing is served: it has dropped entries that " + list(beyond) +
                " lacks, and only a copy that is not heard has them",
            "start " + (silent.empty() ? "that copy" : list(silent)));
    }

    // Said by the node that carries them on.
    void on_their_way() {
        using catalogue::State;
        for (const auto& k : scene_.catalogue.keyspaces) {
            if (k.state == State::Serving) continue;
            std::string what = "it is on its way: " + std::string(word_of(k.state));
            if (k.state != State::Founding && k.state != State::Clearing)
                what +=
                    "; its keys and every command on all keys (SCAN, DBSIZE, FLUSHALL, ...) "
                    "wait meanwhile";
            say(k.group(), Severity::Note, std::move(what),
                "ask again in a second; if it stays, its group or default has no leader, or no "
                "room" +
                    std::string(may_be_called_off(k)
                                    ? ". asterias keyspace drop " + k.name + " calls it off"
                                    : ": mend that"));
        }
    }
    void under_way(const replica::Status& g) {
        for (const auto& snapshot : g.snapshots)
            if (!snapshot.incoming)
                say(g.group, Severity::Note,
                    "a snapshot is on its way to " + name_of(snapshot.peer) + ", " +
                        std::to_string(snapshot.bytes >> 20) + " MiB so far",
                    "nothing: it serves meanwhile");
        const raft::Membership& m = g.raft.membership;
        if (m.joint() || m.promote)
            say(g.group, Severity::Note, "its members are being changed: " + raft::describe(m),
                "nothing: it serves meanwhile; asterias replica list shows how far it is. One that "
                "does not answer has to be started, or taken out again (asterias replica remove)");
    }

    const Scene& scene_;
    std::vector<Finding> found_;
};

}  // namespace

std::vector<Finding> findings_of(const Scene& scene) {
    Reporter reporter(scene);
    for (const auto& shard : scene.shards) {
        reporter.look_at(shard);
        for (const auto& group : shard.groups)
            reporter.look_at(group);
    }
    reporter.look_at(scene.space);
    return reporter.take();
}

Finding finding_of_silent(const FoundingMember& member, const Error& error, const Contact& contact,
                          const std::string& refused, WallTime now) {
    Finding f{member.node, {}, "", "", "", Severity::Warning};
    if (!refused.empty()) {
        f.what = "it is refused: " + refused;
        f.next =
            "its directory must not take part again, and starting it does not help. Start the "
            "directory that this node ran on last; is that lost, the log of the refused one says "
            "how "
            "an empty one takes its place";
        return f;
    }
    f.what = "it does not answer at " + member.peer_address.describe() + ": " + error.context;
    if (!contact.connected)
        f.what += contact.ever ? "; not connected since " + since(contact.since, now)
                               : "; not seen since this node started, " + since(contact.since, now);
    if (contact.through) {
        f.what += "; node " + to_string(contact.through) + " reaches it, and passes commands on";
        f.next = "mend the network between the two; it serves meanwhile";
        return f;
    }
    f.next =
        "start it as it was started: asterias serve --data ITS_DIRECTORY, with its ports "
        "(--peer-port " +
        std::to_string(member.peer_address.port) +
        "). If it ends with exit code 5, the last lines of its log say why its directory cannot "
        "take part";
    return f;
}

Contact contact_with(const std::vector<ShardStatus>& shards, NodeId node) {
    Contact best;
    NodeId through;
    for (const auto& shard : shards) {
        const auto it = shard.contacts.find(node);
        if (it == shard.contacts.end()) continue;
        const Contact& c = it->second;
        if (c.through) through = c.through;
        if (best.since == WallTime{} || (c.connected && !best.connected)) best = c;
    }
    best.through = through;
    return best;
}

std::vector<NodeId> connected_nodes(const std::vector<ShardStatus>& shards, NodeId self) {
    std::set<NodeId> nodes = {self};
    for (const auto& shard : shards)
        for (const auto& [node, contact] : shard.contacts)
            if (contact.connected) nodes.insert(node);
    return {nodes.begin(), nodes.end()};
}

std::string_view to_string(Severity severity) {
    switch (severity) {
        case Severity::Note:
            return "note";
        case Severity::Warning:
            return "warning";
        case Severity::Critical:
            return "critical";
    }
    return "?";
}

std::string to_json(const Finding& f) {
    return "{\"node\":" + number(f.node.value) + ",\"group\":" + number(f.group.value) +
           ",\"keyspace\":" + quoted(f.keyspace) +
           ",\"severity\":" + quoted(to_string(f.severity)) + ",\"what\":" + quoted(f.what) +
           ",\"next\":" + quoted(f.next) + "}";
}

std::string since(WallTime then, WallTime now) {
    namespace chr = std::chrono;
    const chr::sys_seconds at{chr::seconds(then.micros / 1'000'000)};
    const auto day = chr::floor<chr::days>(at);
    const chr::year_month_day date(day);
    const chr::hh_mm_ss clock(at - day);
    char text[64];
    std::snprintf(text, sizeof text, "%04d-%02u-%02u %02d:%02d:%02d UTC", int(date.year()),
                  unsigned(date.month()), unsigned(date.day()), int(clock.hours().count()),
                  int(clock.minutes().count()), int(clock.seconds().count()));
    const int64_t ago = std::max<int64_t>(0, now.micros - then.micros) / 1'000'000;
    return std::string(text) + (ago < 120 ? ", " + std::to_string(ago) + " s ago"
                                          : ", " + std::to_string(ago / 60) + " min ago");
}

}  // namespace asterias::node
