// Random schedules against the core: messages lost, doubled, reordered and late; disks that lag;
// crashes that lose what was not persisted (or secretly keep a prefix of it); links that close one
// way; pauses; compaction that leaves others behind, and snapshots that get lost or meet a crash;
// members that come, go, come back and hand the lead over. Checked all along: election safety, log
// matching, leader completeness, state-machine safety, no stale read, nothing applied ahead of the
// own disk. Then the faults end, and the group must come to life and agree. A failure names its
// seed.
//     NEMESIS_SEED=n runs that seed alone; NEMESIS_SEEDS=n that many per size.
#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>

#include "base/check.h"
#include "core/raft/testing/cluster.h"

namespace asterias::raft::testing {
namespace {

uint64_t from_environment(const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

class Nemesis {
public:
    Nemesis(size_t nodes, uint64_t seed)
        : prng_(seed), cluster_(nodes, seed + 1, [this](Config& config) { tune(config); }) {
        loss_ = prng_.unit() * 0.2;
        doubling_ = prng_.unit() * 0.2;
        in_order_ = prng_.unit();
        crashes_ = prng_.chance(0.7) ? 0.004 : 0.0;
        partitions_ = prng_.chance(0.6) ? 0.01 : 0.0;
        small_window_ = prng_.chance(0.3);
        quiet_ = prng_.chance(0.4);
        changes_ = prng_.chance(0.7) ? 0.3 : 0.0;
        impatient_ = prng_.chance(0.5) ? 0.5 : 0.0;
        cluster_.snapshots_at_once = false;
        cluster_.on_new = [this](ReplicaId id) {
            cluster_.node(id).writes_at_once = prng_.chance(0.3);
            cluster_.node(id).applies_at_once = prng_.chance(0.5);
        };
        for (const ReplicaId id : cluster_.ids()) {
            cluster_.node(id).writes_at_once = prng_.chance(0.3);
            cluster_.node(id).applies_at_once = prng_.chance(0.5);
            cluster_.start(id);
        }
    }

    // Empty: nothing found.
    std::string run(int steps) {
        CheckTrap trap;
        try {
            for (int i = 0; i < steps && cluster_.violations.empty(); ++i) {
                step();
                if (i % 256 == 0) check_log_matching();
            }
            if (cluster_.violations.empty()) recover_and_agree();
        } catch (const CheckFailed& failed) {
            return failed.what();
        }
        return cluster_.violations.empty() ? "" : cluster_.violations.front();
    }
    size_t committed() const { return cluster_.history.size(); }
    size_t terms() const { return cluster_.leaders.size(); }
    size_t reads() const { return cluster_.reads_confirmed.size(); }
    size_t changes() const { return cluster_.changes_committed; }
    size_t installs() const { return cluster_.installs; }

private:
    void tune(Config& config) {
        if (quiet_) config.quiesce_after = milliseconds(200);
        if (!small_window_) return;
        config.append_bytes_max = 16;
        config.inflight_messages_max = 2;
        config.inflight_bytes_max = 32;
        config.uncommitted_bytes_max = 128;
    }

    ReplicaId any() {
        const auto ids = cluster_.ids();
        return ids[prng_.below(ids.size())];
    }

    void step() {
        const ReplicaId id = any();
        if (prng_.chance(crashes_)) return crash_or_start(id);
        if (prng_.chance(partitions_)) return change_links(id);
        if (!cluster_.up(id)) {
            if (prng_.chance(0.02)) cluster_.start(id);
            return;
        }
        switch (prng_.below(22)) {
            case 0:
            case 1:
            case 16:
            case 17:
                return cluster_.pass(id, milliseconds(20));
            case 2:
                cluster_.persist(id);
                return;
            case 3:
                cluster_.apply(id);
                return;
            case 4:
                return flush_and_compact(id);
            case 5:
            case 6:
                if (cluster_.core(id).role() == Role::Leader)
                    cluster_.propose(id, std::to_string(++proposals_));
                return;
            case 7:
                cluster_.feed(id, ReadRequested{++reads_});
                return;
            case 8:
                if (prng_.chance(0.02)) cluster_.node(id).now += seconds(60);
                return;
            case 9:
                return change_members(id);
            case 10:
                return move_snapshots(id);
            default:
                return deliver_something();
        }
    }

    // Most are refused, for another one is under way.
    void change_members(ReplicaId id) {
        if (cluster_.core(id).role() != Role::Leader || !prng_.chance(changes_)) return;
        const auto random_node = [&] { return NodeId(1 + prng_.below(8)); };
        const size_t members = all_members(cluster_.core(id).membership()).size();
        switch (prng_.below(5)) {
            case 0:
            case 1:
                if (members < 6) cluster_.change(id, AddReplica{random_node(), prng_.chance(0.2)});
                return;
            case 2:
                if (members > 1) cluster_.change(id, RemoveReplica{random_node()});
                return;
            case 3:
                if (members < 6) cluster_.change(id, ReplaceReplica{random_node(), random_node()});
                return;
            default:
                cluster_.transfer(id, prng_.chance(0.5) ? random_node() : NodeId(0));
                return;
        }
    }

    void move_snapshots(ReplicaId id) {
        const size_t count = cluster_.snapshots.size();
        if (cluster_.step_install(id) || count == 0) return;
        cluster_.deliver_snapshot(prng_.below(count), prng_.chance(loss_));
    }

    void deliver_something() {
        auto& bag = cluster_.bag;
        if (bag.empty()) return;
        while (bag.size() > 400)
            bag.erase(bag.begin() + static_cast<ptrdiff_t>(prng_.below(bag.size())));
        const size_t at = prng_.chance(in_order_) ? 0 : prng_.below(bag.size());
        if (prng_.chance(loss_))
            bag.erase(bag.begin() + static_cast<ptrdiff_t>(at));
        else
            cluster_.deliver(at, prng_.chance(doubling_));
    }

    void crash_or_start(ReplicaId id) {
        if (!cluster_.up(id)) return cluster_.start(id);
        Node& n = cluster_.node(id);
        cluster_.crash(id, prng_.below(n.writes.size() + 1));
        if (prng_.chance(0.5)) cluster_.start(id);
        for (const ReplicaId other : cluster_.ids())
            if (other != id && prng_.chance(0.5)) cluster_.feed(other, PeerDisconnected{n.node});
    }

    void change_links(ReplicaId id) {
        if (prng_.chance(0.4)) return cluster_.heal();
        const ReplicaId other = any();
        cluster_.set_link(id, other, false);
        if (prng_.chance(0.5)) cluster_.set_link(other, id, false);
        if (prng_.chance(0.3)) cluster_.feed(id, PeerDisconnected{cluster_.node(other).node});
    }

    // The engine flushes what is applied now and then; what all engines hold is compacted, or, by
    // the impatient, what the own one holds: the others need a snapshot then.
    void flush_and_compact(ReplicaId id) {
        if (prng_.chance(0.3)) cluster_.flush(id);
        if (!prng_.chance(0.1)) return;
        LogIndex through = cluster_.node(id).disk.applied;
        // A witness keeps what any other lacks (rule 46).
        const Member* self = cluster_.core(id).membership().find(id);
        if ((self && self->witness) || !prng_.chance(impatient_)) {
            for (const ReplicaId other : cluster_.ids())
                if (!cluster_.node(other).removed)
                    through = std::min(through, cluster_.node(other).disk.applied);
        }
        cluster_.compact(id, through);
    }

    // Equal (index, term) in two logs: everything before is equal, too.
    void check_log_matching() {
        for (const ReplicaId a : cluster_.ids())
            for (const ReplicaId b : cluster_.ids())
                if (a < b) compare(cluster_.node(a).disk, cluster_.node(b).disk);
    }
    void compare(const Disk& a, const Disk& b) {
        bool equal_above = false;
        const uint64_t low = std::max(a.log_start.value, b.log_start.value);
        const uint64_t high =
            std::min(a.log_start.value + a.entries.size(), b.log_start.value + b.entries.size());
        for (uint64_t i = high; i > low; --i) {
            const Entry& x = a.entries[i - a.log_start.value - 1];
            const Entry& y = b.entries[i - b.log_start.value - 1];
            if (x.term == y.term && !(x == y)) cluster_.violations.push_back("log matching");
            if (equal_above && !(x == y)) cluster_.violations.push_back("log matching");
            equal_above = equal_above || x == y;
        }
    }

    void recover_and_agree() {
        cluster_.heal();
        cluster_.on_new = {};
        cluster_.snapshots_at_once = true;
        for (const ReplicaId id : cluster_.ids()) {
            cluster_.node(id).writes_at_once = cluster_.node(id).applies_at_once = true;
            if (!cluster_.up(id)) cluster_.start(id);
        }
        if (!cluster_.settle()) cluster_.violations.push_back("messages do not come to rest");
        ReplicaId leader = cluster_.elect();
        cluster_.run(seconds(5));
        leader = cluster_.ready_leader();
        if (!leader)
            return cluster_.violations.push_back("no leader after the faults ended" + state());
        cluster_.propose(leader, "last");
        cluster_.feed(leader, ReadRequested{++reads_});
        cluster_.run(seconds(1));
        if (cluster_.reads_confirmed.empty() || cluster_.reads_confirmed.back() != reads_)
            cluster_.violations.push_back("a read of a healthy group stays unanswered");
        if (const auto reason = cluster_.difference(); !reason.empty())
            cluster_.violations.push_back("no agreement after the faults ended: " + reason);
        check_log_matching();
        check_membership(leader);
    }

    std::string state() {
        std::string text;
        for (const ReplicaId id : cluster_.ids()) {
            if (!cluster_.up(id)) continue;
            const Status s = cluster_.core(id).status();
            text += "; " + to_string(id) + " " + std::string(to_string(s.role)) + " t" +
                    to_string(s.term) + " log " + to_string(s.first) + ".." + to_string(s.last) +
                    " " + describe(s.membership);
        }
        return text;
    }

    // What was begun has ended, and who was removed knows it (rule 19).
    void check_membership(ReplicaId leader) {
        const Membership now = cluster_.core(leader).membership();
        if (now.joint() || now.promote)
            cluster_.violations.push_back("a change does not end: " + describe(now));
        for (const ReplicaId id : cluster_.ids()) {
            // A number that was never given for good: an addition that was truncated.
            if (!cluster_.up(id) || now.find(id) || id > now.last_replica) continue;
            const auto knows = all_members(cluster_.core(id).membership());
            if (std::any_of(knows.begin(), knows.end(),
                            [&](const Member& m) { return now.votes(m.replica); }))
                cluster_.violations.push_back("replica " + to_string(id) +
                                              " does not know that it was removed" + state());
        }
    }

    Prng prng_;
    bool small_window_ = false;
    bool quiet_ = false;
    Cluster cluster_;
    double loss_, doubling_, in_order_, crashes_, partitions_, changes_, impatient_;
    uint64_t proposals_ = 0;
    uint64_t reads_ = 0;
};

void run_seeds(size_t nodes) {
    const uint64_t only = from_environment("NEMESIS_SEED", 0);
    const uint64_t seeds = only ? only : from_environment("NEMESIS_SEEDS", 400);
    size_t committed = 0, terms = 0, reads = 0, changes = 0, installs = 0;
    for (uint64_t seed = only ? only : 1; seed <= seeds; ++seed) {
        Nemesis nemesis(nodes, seed * 1000 + nodes);
        const std::string found = nemesis.run(20000);
        ASSERT_EQ(found, "") << "NEMESIS_SEED=" << seed << " nodes=" << nodes;
        committed += nemesis.committed();
        terms += nemesis.terms();
        reads += nemesis.reads();
        changes += nemesis.changes();
        installs += nemesis.installs();
    }
    // A schedule in which nothing happens proves nothing.
    EXPECT_GT(committed, seeds * 20);
    EXPECT_GT(terms, seeds * 3);
    EXPECT_GT(reads, seeds * 5);
    ::testing::Test::RecordProperty("committed", static_cast<int>(committed));
    EXPECT_GT(changes, seeds * 3);
    EXPECT_GT(installs, seeds / 2);
    std::printf(
        "%zu nodes: %zu entries committed in %zu terms, %zu reads, %zu memberships, "
        "%zu snapshots installed\n",
        nodes, committed, terms, reads, changes, installs);
}

TEST(RaftNemesis, SingleNodeSurvivesCrashes) { run_seeds(1); }
TEST(RaftNemesis, ThreeNodesStaySafeAndComeBack) { run_seeds(3); }
TEST(RaftNemesis, FiveNodesStaySafeAndComeBack) { run_seeds(5); }

}  // namespace
}  // namespace asterias::raft::testing
