// What is looked at while a run goes on: snapshots on their way, replicas that were removed and
// came back, and that a witness is nothing but one.
#include <algorithm>

#include "sim/world/cluster.h"

namespace asterias::sim {

void Cluster::look_at_snapshots(uint32_t i, const ReplicaView& r) {
    Incoming& seen = snapshots_seen_[{machines_[i]->boots, i, r.group, r.self}];
    const std::string& name = machines_[i]->name;
    if (r.snapshots_installed > seen.installed) {
        say(name + " has installed a snapshot of group " + to_string(r.group) +
            ", and is applied to " + to_string(r.applied));
        seen = {.installed = r.snapshots_installed};
    }
    if (!r.snapshot_from) return;
    if (seen.from && seen.from != r.snapshot_from) {
        world_.faults().hit("snapshot.other_sender");
        say(name + " gets a snapshot of group " + to_string(r.group) + " from " +
            name_of(r.snapshot_from) + ", no longer from " + name_of(seen.from));
        seen.outrun = false;
    }
    seen.from = r.snapshot_from;
    seen.index = r.snapshot_index;
    // What its sender keeps of the log begins behind it.
    for (size_t other = 0; other < machines_.size() && !seen.outrun; ++other) {
        const Process* p = process(other);
        if (!p || node_ids_[other] != seen.from) continue;
        for (const ReplicaView& sender : p->replicas())
            if (sender.group == r.group && sender.log_begins > r.snapshot_index.next())
                seen.outrun = true;
        if (seen.outrun) world_.faults().hit("snapshot.outrun");
    }
}

// A replica that is no member any more and still there: it may not know it yet.
void Cluster::look_at_removed(uint32_t i, const ReplicaView& r) {
    const Group& g = groups_[r.group];
    const auto it = g.removed.find(r.self);
    if (it == g.removed.end()) return;
    if (came_back_.insert({r.group, r.self}).second) {
        world_.faults().hit("removed.there");
        if (r.last > r.commit) world_.faults().hit("removed.with_tail");
    }
    if (r.term <= it->second || !came_ahead_.insert({r.group, r.self}).second) return;
    world_.faults().hit("removed.ahead");
    say(machines_[i]->name + " holds replica " + to_string(r.self) + ", removed in term " +
        to_string(it->second) + ", in term " + to_string(r.term));
}

// Rule 46: it answers nothing from its state, sends no snapshot, and leads only to hand over.
void Cluster::look_at_witness(uint32_t i, const ReplicaView& r) {
    if (!r.witness() || r.stopped) return;
    const std::string name = "group " + to_string(r.group) + ": the witness " + machines_[i]->name;
    const auto [it, fresh] = witnesses_.try_emplace({machines_[i]->boots, i, r.group, r.self},
                                                    r.evaluated, r.snapshots_sent);
    if (fresh) world_.faults().hit("witness.there");
    auto& [evaluated, sent] = it->second;
    if (r.evaluated > evaluated) breach(name + " has evaluated commands");
    if (r.snapshots_sent > sent) breach(name + " has sent a snapshot");
    evaluated = r.evaluated;
    sent = r.snapshots_sent;
    if (!r.leads || !witness_terms_.insert({r.group, r.term}).second) return;
    world_.faults().hit("witness.led");
    // What is up beside it has less.
    bool alone = true;
    for (size_t other = 0; other < machines_.size(); ++other)
        if (const Process* p = process(other); p && other != i)
            for (const ReplicaView& data : p->replicas())
                alone &= data.group != r.group || data.last.next() < r.last;
    if (alone) world_.faults().hit("witness.had_the_tail");
}

}  // namespace asterias::sim
