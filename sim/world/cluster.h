// sim/world/cluster.h: the machines of a run in their World: starts and restarts their processes,
// carries out the faults of a schedule, ends them all, and watches who leads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "sim/check/report.h"
#include "sim/scenario/schedule.h"
#include "sim/world/expect.h"
#include "sim/world/process.h"
#include "sim/world/stranger.h"

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
    // None of them is there at birth.
    bool keyspaces_come_and_go() const { return founded_.empty() && !keyspaces_.empty(); }
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
    // Called when somebody orders to drop a keyspace with its keys; what it answers is called when
    // it is known that this was refused, or that it may have happened.
    using Dropping = std::function<std::function<void(bool refused)>(const std::string& keyspace)>;
    void on_forced_drop(Dropping told) { dropping_ = std::move(told); }
    // From now on `schedule` happens, its times counted from now; faults per operation are on.
    void begin_faults(const Schedule& schedule);
    // A fault may have ended this node.
    bool harmed(uint32_t node) const { return troubles_[node].doomed; }
    // Everything heals: links, disks, frames; the nodes of `core` come up, others go down for good
    // (those, too, that a fault may have ended).
    void heal(const std::vector<uint32_t>& core);

    // Every group with a replica among `nodes` has one leader there that has applied its whole log,
    // and all replicas there hold the same. Else says what is missing.
    std::string settled(const std::vector<uint32_t>& nodes) const;
    std::string describe_nodes() const;
    // `core`, and who else is needed so that each group has a majority there, whoever its members
    // are now.
    std::vector<uint32_t> fair_core(std::vector<uint32_t> core) const;
    // Breaches that were seen on the way, one line each: two leaders of one term, groups that
    // stopped, replicas whose content differs.
    const std::vector<std::string>& breaches() const { return breaches_; }
    void compare_contents(const std::vector<uint32_t>& nodes);
    // Who led, which terms there were and what was cut, for expectations.
    const Timeline& timeline() const { return timeline_; }

    void add_stats(SeedStats& stats) const;

private:
    void boot(Machine& machine);
    void boot_later(Machine& machine, Duration delay);
    void on_crash(NodeIndex node, std::string_view reason);
    void power_lost(Machine& machine, CrashKind kind);
    void watch();
    void look(const Machine& machine, const ReplicaView& replica);
    void note_lead(const Machine& machine, const ReplicaView& replica);
    void breach(std::string text);

    // Members (members.cc).
    struct Group {
        raft::Membership committed;  // the newest that anybody knew to be committed, at `index`
        LogIndex index;
        std::vector<raft::Member> settled;  // the voters after the last change
        std::map<ReplicaId, Term> removed;  // and the term in which that was known at the latest
        std::set<ReplicaId> accused;
    };
    std::string name_of(NodeId node) const;
    void look_at_members(uint32_t machine, const ReplicaView& replica);
    void look_at_snapshots(uint32_t machine, const ReplicaView& replica);
    void look_at_removed(uint32_t machine, const ReplicaView& replica);
    void look_at_witness(uint32_t machine, const ReplicaView& replica);
    void give_roles();
    void make_witness(Operation operation, const FaultEvent& event);
    raft::Membership membership_of(GroupId group) const;
    bool is_fair(const Operation& operation, const raft::Membership& membership) const;
    void operate(const Operation& operation);
    void operate_later(Operation operation, uint64_t within_ms);
    void operate_on_many(Operation operation, const std::vector<NodeId>& in, bool few);
    void change_members(const FaultEvent& event);
    void change_keyspaces(const FaultEvent& event);
    void look_at_catalogue(uint32_t i, const CatalogueView& seen);
    std::string keyspaces_settled(const std::vector<uint32_t>& nodes,
                                  std::vector<GroupId>& there) const;
    // Of the committed membership, or nothing is known of one.
    bool is_member(const ReplicaView& replica) const;
    std::string members_settled(const std::vector<uint32_t>& nodes, GroupId group) const;
    void snapshot_piece_came(uint32_t machine);
    void clog_some();
    std::optional<uint32_t> leader() const;
    std::optional<uint32_t> index_of(NodeIndex node) const;
    Process* process(size_t machine) const;

    // What is wrong with a machine at the moment, beside what its Machine says.
    enum class Harm : uint8_t { None, TakeBackup, Lost, Old, Copied };
    struct Trouble {
        Duration down_until{};  // a scheduled crash keeps it down until then
        Duration loop_until{};  // killed again and again until then
        bool banned = false;    // stays down for good
        // It was harmed in a way that may end it: whatever refuses there, by name, is right.
        bool doomed = false;
        bool fated = false;           // a fault may yet do so
        bool lying = false;           // its disk was asked to lie about one write
        bool damaged_blocks = false;  // of its engine
        uint64_t slow = 1;            // its disk is so much slower
        bool no_files = false;
        std::optional<uint64_t> disk_room, engine_room;  // bytes; full then
        Harm next = Harm::None;                          // to its directory when it is down
    };
    struct Backup {
        DiskImage image;
        engine::MemImage engine;
    };

    void begin(FaultEvent event);
    void crash(const FaultEvent& event);
    void kill_now_and_then(uint32_t machine);
    void cut(const std::vector<sim::Link>& links, bool begins);
    void strobe(const FaultEvent& event);
    void set_out_of_files(uint32_t machine, bool out);
    void set_full(uint32_t machine, bool full);
    void send_stranger(const FaultEvent& event);
    // Into force, whatever it is that changed.
    void apply_disk(uint32_t machine);
    void start_badly(uint32_t machine);

    // Damage and people (harm.cc).
    void rot(const FaultEvent& event);
    void kill_within(uint32_t machine, Duration most);
    void look_at_lie(uint32_t machine);
    void harm_directory(const FaultEvent& event);
    void do_harm(uint32_t machine);
    void start_twin(uint32_t machine, DiskImage& image);
    void look_at_twin();
    void make_twin();
    void make_stranger();
    struct Ambush {
        std::vector<uint32_t> victims;
        uint64_t boots = 0;  // of all victims, when it was laid
        Duration until{};
    };
    void lie_in_wait(const Ambush& ambush);
    uint64_t boots_of(const std::vector<uint32_t>& machines) const;
    LinkProfile link_profile();
    DiskFaults disk_profile() const;

    const Profile& profile_;
    const ProcessFactory factory_;
    const Story story_;
    // What processes refer to lives longer than the World, which holds them.
    Sizes sizes_;
    std::vector<std::string> keyspaces_;  // that workloads use
    std::vector<std::string> founded_;    // those of them that are there at birth
    std::vector<std::unique_ptr<Machine>> machines_;
    World world_;
    Prng prng_;
    std::vector<std::weak_ptr<Process>> processes_;
    std::vector<Trouble> troubles_;       // of machines_
    std::map<sim::Link, uint64_t> cuts_;  // how many faults cut it
    std::vector<uint32_t> roles_;
    std::unique_ptr<Backup> backup_;  // of the machine whose directory is harmed
    // A second process on a node's directory, or on a copy of it.
    std::unique_ptr<Machine> twin_;
    DiskImage* twin_image_ = nullptr;
    std::weak_ptr<Process> twin_process_;
    std::weak_ptr<Stranger> stranger_;
    bool all_were_ready_ = false;
    bool faults_on_ = false;
    uint64_t partitions_ = 0;
    uint64_t generation_ = 0;  // of heal(): events of before are void
    std::map<std::pair<GroupId, Term>, NodeIndex> leaders_;
    std::vector<std::string> breaches_;
    Timeline timeline_;
    std::map<GroupId, Term> highest_;
    std::vector<NodeId> node_ids_;  // of machines_; 0: not known yet
    std::map<GroupId, Group> groups_;
    // By boot, machine, group and replica, since it was opened.
    using Opened = std::tuple<uint64_t, uint32_t, GroupId, ReplicaId>;
    struct Incoming {
        NodeId from;
        LogIndex index;
        uint64_t installed = 0;
        bool outrun = false;
    };
    std::map<Opened, Incoming> snapshots_seen_;
    std::map<Opened, std::pair<uint64_t, uint64_t>> witnesses_;  // had evaluated, sent snapshots
    std::set<std::pair<GroupId, ReplicaId>> came_back_, came_ahead_;
    std::set<std::pair<GroupId, Term>> witness_terms_;
    std::map<std::pair<uint64_t, uint32_t>, uint64_t> generations_;  // by start and machine
    Dropping dropping_;
    std::map<uint64_t, uint32_t> catalogues_;  // digests, by generation
    uint64_t member_changes_ = 0, operations_ = 0;
    std::map<GroupId, std::set<uint64_t>> operating_;  // not answered yet
};

}  // namespace asterias::sim
