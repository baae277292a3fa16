#include "sim/explore/setups.h"

namespace asterias::sim::explore {
namespace {

using raft::AddReplica;
using raft::RemoveReplica;
using raft::ReplaceReplica;

// The network is a set here: late, doubled and overtaken messages of any age.
const std::vector<Setup> kAnyNetwork = {
    {.name = "crash",
     .about = "an election, a proposal, a crash that keeps any prefix of what is written",
     .brief = true,
     .bounds = {.campaigns = 1, .crashes = 1, .proposals = 1}},
    {.name = "elections",
     .about = "two elections and a proposal, disks at once",
     .brief = true,
     .bounds = {.campaigns = 2, .proposals = 1},
     .writes_at_once = true},
    {.name = "slow_disks",
     .about = "two more elections and a proposal in a group that is led, disks slow",
     .brief = true,
     .bounds = {.campaigns = 2, .proposals = 1},
     .led = true,
     .late = false},
    {.name = "elections_slow", .about = "two elections, disks slow", .bounds = {.campaigns = 2}},
    {.name = "elections_crash",
     .about = "two elections and a crash, disks slow",
     .bounds = {.campaigns = 2, .crashes = 1}},
    {.name = "figure_8",
     .about = "four elections and a proposal, one entry a message, disks at once",
     .bounds = {.campaigns = 4, .proposals = 1},
     .writes_at_once = true,
     .one_entry_a_message = true,
     .late = false},
    {.name = "five",
     .about = "two elections among five, disks at once",
     .founders = 5,
     .bounds = {.campaigns = 2},
     .writes_at_once = true,
     .late = false},
    {.name = "lead_lost",
     .about = "one more election, a proposal and a crash in a group that is led",
     .bounds = {.campaigns = 1, .crashes = 1, .proposals = 1},
     .led = true},
};

// The network is a queue for each pair here.
const std::vector<Setup> kQueues = {
    {.name = "votes",
     .about = "two elections with pre-votes as messages, and a crash",
     .brief = true,
     .bounds = {.campaigns = 2, .crashes = 1},
     .prevotes = true,
     .late = false,
     .in_order = true},
    {.name = "reads",
     .about = "two elections, a proposal and a read",
     .brief = true,
     .bounds = {.campaigns = 2, .proposals = 1, .reads = 1},
     .late = false,
     .in_order = true},
    {.name = "crashes",
     .about = "one more election, a proposal and two crashes in a group that is led",
     .bounds = {.campaigns = 1, .crashes = 2, .proposals = 1},
     .led = true,
     .in_order = true},
    {.name = "three_terms",
     .about = "three elections, a proposal and a crash",
     .bounds = {.campaigns = 3, .crashes = 1, .proposals = 1},
     .late = false,
     .in_order = true},
    {.name = "transfer",
     .about = "the lead is handed over, with a proposal and one more election",
     .brief = true,
     .bounds = {.campaigns = 1, .proposals = 1, .transfers = 1},
     .led = true,
     .late = false,
     .in_order = true},
    {.name = "snapshot",
     .about = "a compaction, a replica behind it, one more election; disks at once",
     .brief = true,
     .bounds = {.campaigns = 1, .proposals = 1, .beats = 1, .compactions = 1},
     .writes_at_once = true,
     .led = true,
     .late = false,
     .in_order = true},
    {.name = "snapshot_crash",
     .about = "the same with slow disks, and a crash at any step of the install",
     .bounds = {.campaigns = 1, .crashes = 1, .proposals = 1, .beats = 1, .compactions = 1},
     .led = true,
     .late = false,
     .in_order = true},
    {.name = "snapshot_suffix",
     .about = "two more elections, two proposals, a compaction; disks at once",
     .bounds = {.campaigns = 2, .proposals = 2, .beats = 1, .compactions = 1},
     .writes_at_once = true,
     .led = true,
     .late = false,
     .in_order = true},
};

// Changes of membership; queues, too.
const std::vector<Setup> kChanges = {
    {.name = "add",
     .about = "a fourth replica: learner, joint, voter",
     .brief = true,
     .joiners = 1,
     .bounds = {.beats = 1, .changes = 1},
     .changes = {AddReplica{NodeId(4)}},
     .writes_at_once = true,
     .led = true,
     .late = false,
     .in_order = true},
    {.name = "two_changes",
     .about = "two changes by two leaders, two more elections; disks at once",
     .brief = true,
     .bounds = {.campaigns = 2, .changes = 2},
     .changes = {RemoveReplica{NodeId(1)}, RemoveReplica{NodeId(2)}},
     .writes_at_once = true,
     .led = true,
     .late = false,
     .in_order = true},
    {.name = "add_election",
     .about = "a fourth replica, and one more election on the way",
     .joiners = 2,  // the second number is what the next term gives
     .bounds = {.campaigns = 1, .changes = 1},
     .changes = {AddReplica{NodeId(4)}},
     .writes_at_once = true,
     .led = true,
     .late = false,
     .in_order = true},
    {.name = "replace",
     .about = "one of three by another, and one more election on the way",
     .joiners = 2,  // the second number is what the next term gives
     .bounds = {.campaigns = 1, .changes = 1},
     .changes = {ReplaceReplica{NodeId(2), NodeId(4)}},
     .writes_at_once = true,
     .led = true,
     .late = false,
     .in_order = true},
    {.name = "remove_leader",
     .about = "the leader removes itself, one more election on the way, disks slow",
     .bounds = {.campaigns = 1, .beats = 1, .changes = 1},
     .changes = {RemoveReplica{NodeId(1)}},
     .led = true,
     .late = false,
     .in_order = true},
    {.name = "remove_crash",
     .about = "the leader removes itself, an election and a crash on the way; disks at once",
     .bounds = {.campaigns = 2, .crashes = 1, .beats = 1, .changes = 1},
     .changes = {RemoveReplica{NodeId(1)}},
     .writes_at_once = true,
     .led = true,
     .late = false,
     .in_order = true},
    {.name = "change_snapshot",
     .about = "a membership that only a snapshot still has; an election, disks at once",
     .bounds = {.campaigns = 1, .beats = 1, .compactions = 1, .changes = 1},
     .changes = {RemoveReplica{NodeId(2)}},
     .writes_at_once = true,
     .led = true,
     .late = false,
     .in_order = true},
};

}  // namespace

const std::vector<Setup>& setups() {
    static const std::vector<Setup> all = [] {
        std::vector<Setup> setups = kAnyNetwork;
        setups.insert(setups.end(), kQueues.begin(), kQueues.end());
        setups.insert(setups.end(), kChanges.begin(), kChanges.end());
        return setups;
    }();
    return all;
}

const Setup* find_setup(std::string_view name) {
    for (const Setup& setup : setups())
        if (setup.name == name) return &setup;
    return nullptr;
}

}  // namespace asterias::sim::explore
