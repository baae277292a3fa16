// sim/world/process.h: what a run asks of the process on a simulated node, whatever replication
// strategy it runs; and the machine under it, which outlives the process.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "core/raft/types.h"
#include "engine/mem/mem.h"
#include "port/net.h"
#include "port/shard.h"
#include "runtime/sim/disk.h"
#include "runtime/sim/world.h"
#include "service/replica/snapshot_send.h"
#include "sim/scenario/profile.h"

namespace asterias::sim {

// What is drawn once per run beside the scenario: sizes small enough that segments change, logs are
// purged and engines flush within a minute.
struct Sizes {
    uint64_t segment_bytes = 64 * 1024;
    uint64_t slice_bytes = 8 * 1024;
    uint64_t flush_bytes = 128 * 1024;  // journal bytes above which the engine is asked to flush
    uint64_t compact_entries = 1000;
    uint64_t log_retained_bytes = 64 * 1024 * 1024;
    replica::SnapshotPace snapshot_pace{};
    Duration change_timeout = seconds(10);
    double engine_flush_begins = 1.0 / 64;
    double engine_would_block = 0;
    Duration command_timeout = seconds(2);  // of the doors
    Duration sync_latency_max = microseconds(1500);
    bool faults_from_birth = false;
};

// One machine: what lies on its disk, and how its disk behaves now.
struct Machine {
    NodeIndex index{};
    std::string name;
    port::Address peer, door;  // where nodes and clients reach it
    bool founder = false;
    bool founded = false;  // the founder's `init` has succeeded once
    DiskImage image;
    engine::MemImage engine;
    DiskFaults disk_faults;       // in force
    FrameFault frame_faults;      // in force; all zero: none
    SimDisk::Counts disk_counts;  // of all boots
    uint64_t boots = 0;
    uint64_t ready_boot = 0;  // the last of them that got as far as to open its doors
    uint64_t crashes = 0, crashes_losing_data = 0;
    std::string last_reason;                  // why it last ended by itself
    std::map<std::string, uint64_t> counted;  // sites that processes counted, of those that ended
    std::function<void()> on_snapshot_piece;  // one came
    Prng prng{0};
};

// A replica of a group as it is at this moment.
struct ReplicaView {
    GroupId group;
    bool leads = false;
    Term term;
    LogIndex applied, commit, last, durable, in_engine;
    bool stopped = false;
    std::string stopped_why;
    uint64_t refused_messages = 0;  // of peers that contradicted it
    ReplicaId self;
    raft::Membership membership;  // in force; no voters: it knows none, or the strategy has none
    LogIndex membership_index;
    bool membership_committed = true;
    uint64_t snapshots_installed = 0;  // since it was opened
    LogIndex log_begins;               // the first index of its log
    NodeId snapshot_from;              // one is on its way to it
    LogIndex snapshot_index;           // and of which index it is
    // Of a witness; in this process, for all replicas of the group that it had.
    uint64_t evaluated = 0, snapshots_sent = 0;

    bool witness() const {
        const raft::Member* member = membership.find(self);
        return member && member->witness;
    }
};

// What a group's replica holds in its engine.
struct ContentView {
    GroupId group;
    LogIndex applied;
    uint64_t keys = 0, digest = 0;
    ReplicaId self{};
    bool witness = false;
    std::string misplaced;  // a key that is another group's, by this node's catalogue
};

// What an operator asks of a group.
struct Operation {
    enum class What : uint8_t { Add, Remove, Replace, Transfer };
    What what = What::Add;
    GroupId group;
    NodeId node;           // added, removed, put in another's place, to lead
    NodeId from;           // Replace: who goes
    bool witness = false;  // Add
    bool direct = false;   // of this node alone; else by way of whoever leads
};

// Which groups there are, as a node knows.
struct CatalogueView {
    uint64_t generation = 0;  // 0: the strategy has none
    uint32_t digest = 0;      // of all that is in it
    bool unsettled = false;   // some keyspace is on its way in or out
    std::vector<GroupId> groups;
};

class Process {
public:
    virtual ~Process() = default;
    // Its doors are open.
    virtual bool ready() const = 0;
    virtual std::vector<ReplicaView> replicas() const = 0;
    virtual std::vector<ContentView> contents() const = 0;
    // Groups of which this node has no replica and yet some content.
    virtual std::vector<GroupId> leftovers() const { return {}; }
    virtual NodeId node() const { return {}; }  // 0: not known yet
    virtual CatalogueView catalogue() const { return {}; }
    // `done` is called once with what became of it ("done", "refused: ..."), unless the process
    // ends. From outside the node's code.
    virtual void operate(const Operation&, std::function<void(std::string)>) {}
    // Makes a keyspace of that name, with the keys that there are of it, or drops it; `force`: with
    // its keys.
    virtual void change_keyspace(bool /*create*/, bool /*force*/, std::string /*name*/,
                                 uint32_t /*copies*/, std::function<void(std::string)>) {}
    // Sites that this process counted so far.
    virtual std::map<std::string, uint64_t> counted() const { return {}; }
    // For people who ask why nothing moves; lines.
    virtual std::string describe() const { return {}; }
};

// Everything that a process is made of. What is passed by reference outlives the process.
struct Birth {
    World& world;
    Machine& machine;
    const std::vector<std::unique_ptr<Machine>>& machines;  // all; the first one is the founder
    const std::vector<std::string>& keyspaces;              // beside `default`
    const Sizes& sizes;
    std::vector<port::Shard*> shards;
    FaultCounters& faults;
};
using ProcessFactory = std::function<std::shared_ptr<Process>(Birth birth)>;

}  // namespace asterias::sim
