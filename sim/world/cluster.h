// sim/world/cluster.h: the machines of a run in their World: starts and restarts their processes,
// carries out the faults of a schedule, ends them all, and watches who leads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/check/report.h"
#include "sim/scenario/schedule.h"
#include "sim/world/process.h"

namespace asterias::sim {

// Lines for people: what happened, in order. Empty: nobody reads.
using Story = std::function<void(std::string_view line)>;

class Cluster {
public:
    Cluster(const Profile& profile, ProcessFactory factory, Story story);
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;

    World& world() { return world_; }
    const std::vector<std::unique_ptr<Machine>>& machines() const { return machines_; }
    const std::vector<std::string>& keyspaces() const { return keyspaces_; }
    const Sizes& sizes() const { return sizes_; }
    // Into the story, and into the fingerprint of the run.
    void say(std::string_view line);
    // Into the story only.
    void tell(std::string_view line) const;
    // Virtual time since the World began.
    Duration now() const { return world_.now().time_since_epoch(); }
    Prng& prng() { return prng_; }

    // Starts every node. Begins to watch.
    void boot_all();
    bool ready(const std::vector<uint32_t>& nodes) const;
    // From now on `schedule` happens, its times counted from now; faults per operation are on.
    void begin_faults(const Schedule& schedule);
    // Everything heals: links, disks, frames; the nodes of `core` come up, others go down for good.
    void heal(const std::vector<uint32_t>& core);

    // Every group with a replica among `nodes` has one leader there that has applied its whole log,
    // and all replicas there hold the same. Else says what is missing.
    std::string settled(const std::vector<uint32_t>& nodes) const;
    std::string describe_nodes() const;
    // Breaches that were seen on the way, one line each: two leaders of one term, groups that
    // stopped, replicas whose content differs.
    const std::vector<std::string>& breaches() const { return breaches_; }
    void compare_contents(const std::vector<uint32_t>& nodes);

    void add_stats(SeedStats& stats) const;

private:
    void boot(Machine& machine);
    void boot_later(Machine& machine, Duration delay);
    void on_crash(NodeIndex node, std::string_view reason);
    void power_lost(Machine& machine, CrashKind kind);
    void watch();
    void look(const Machine& machine, const ReplicaView& replica);
    void clog_some();
    std::optional<uint32_t> leader() const;
    std::optional<uint32_t> index_of(NodeIndex node) const;
    Process* process(size_t machine) const;

    void begin(FaultEvent event);
    void crash(const FaultEvent& event);
    struct Ambush {
        std::vector<uint32_t> victims;
        uint64_t boots = 0;  // of all victims, when it was laid
        Duration until{};
    };
    void lie_in_wait(const Ambush& ambush);
    uint64_t boots_of(const std::vector<uint32_t>& machines) const;
    void set_disks(const FaultEvent& event, bool begins);
    LinkProfile link_profile() const;
    DiskFaults disk_profile() const;

    const Profile& profile_;
    const ProcessFactory factory_;
    const Story story_;
    // What processes refer to lives longer than the World, which holds them.
    Sizes sizes_;
    std::vector<std::string> keyspaces_;
    std::vector<std::unique_ptr<Machine>> machines_;
    World world_;
    Prng prng_;
    std::vector<std::weak_ptr<Process>> processes_;
    std::vector<Duration> down_until_;  // a scheduled crash keeps the machine down until then
    std::vector<bool> banned_;          // stays down: outside the core of the liveness phase
    bool faults_on_ = false;
    uint64_t partitions_ = 0;
    uint64_t generation_ = 0;  // of heal(): events of before are void
    std::map<std::pair<GroupId, Term>, NodeIndex> leaders_;
    std::vector<std::string> breaches_;
};

}  // namespace asterias::sim
