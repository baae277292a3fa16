// An operator makes and drops keyspaces whose keys the workloads use all the time; and what is
// looked at: the catalogue while the run goes on, and whether all agree on it when it is over.
#include "sim/world/cluster.h"

namespace asterias::sim {

void Cluster::change_keyspaces(const FaultEvent& event) {
    const uint32_t at = event.victims.front();
    Process* p = process(at);
    if (!all_were_ready_ || !world_.up(machines_[at]->index) || !p || !p->ready()) return;
    const bool create = event.what == "create", force = event.what == "force";
    const std::string name = keyspaces_[prng_.below(keyspaces_.size())];
    // 0: as many as is usual.
    const auto copies = static_cast<uint32_t>(create ? prng_.below(4) : 0);
    const std::string text = (create  ? "create "
                              : force ? "drop with its keys "
                                      : "drop ") +
                             name + (copies ? " copies=" + std::to_string(copies) : "");
    const auto judged = force ? dropping_(name) : nullptr;
    say("operator on " + machines_[at]->name + ": " + text);
    p->change_keyspace(create, force, name, copies,
                       [this, create, force, text, judged](std::string fate) {
                           say("operator: " + text + ": " + fate);
                           if (judged) judged(fate.starts_with("Conflict"));
                           const bool done = fate.ends_with("\"done\":true}");
                           const bool kept = fate.find("delete them first") != std::string::npos;
                           const std::string what = done   ? (create  ? "created"
                                                              : force ? "forced"
                                                                      : "dropped")
                                                    : kept ? "kept"
                                                           : "other";
                           world_.faults().hit("keyspaces." + what);
                       });
}

// It is one record, changed one step after the other: each generation is the same for all, and no
// node goes back to an earlier one.
void Cluster::look_at_catalogue(uint32_t i, const CatalogueView& seen) {
    if (!seen.generation) return;
    const std::string name = machines_[i]->name + ": catalogue " + std::to_string(seen.generation);
    const auto [it, fresh] = catalogues_.try_emplace(seen.generation, seen.digest);
    if (!fresh && it->second != seen.digest) breach(name + " is another than elsewhere");
    uint64_t& newest = generations_[{machines_[i]->boots, i}];
    if (seen.generation < newest) breach(name + " behind " + std::to_string(newest));
    newest = seen.generation;
}

// `there`: the groups that all agree on; empty: no such thing.
std::string Cluster::keyspaces_settled(const std::vector<uint32_t>& nodes,
                                       std::vector<GroupId>& there) const {
    uint64_t generation = 0;
    for (const uint32_t i : nodes) {
        const Process* p = process(i);
        if (!p || !p->ready()) return machines_[i]->name + " is not up";
        CatalogueView view = p->catalogue();
        if (view.unsettled) return machines_[i]->name + " knows a keyspace on its way";
        if (generation && view.generation != generation)
            return machines_[i]->name + " knows another catalogue than the others";
        generation = view.generation;
        there = std::move(view.groups);
    }
    return {};
}

}  // namespace asterias::sim
