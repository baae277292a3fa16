// Leases (rule 23): with clocks that differ, closed connections, restarts, transfers.
#include <gtest/gtest.h>

#include "base/check.h"
#include "core/raft/core.h"
#include "core/raft/testing/cluster.h"

namespace asterias::raft::testing {
namespace {

const ReplicaId k1(1), k2(2), k3(3);

void start_all(Cluster& cluster) {
    for (const ReplicaId id : cluster.ids())
        cluster.start(id);
}

// Rule 23. Replica 1 leads with a lease and is cut off; the others elect and write as soon as they
// may. Reads at 1 meanwhile: how many were confirmed, and whether one was stale.
struct LeaseReads {
    size_t confirmed = 0;
    bool stale = false;
};
void with_leases(Config& config) { config.lease_drift_ppm = 10'000; }
// The promise that each made at its start has to pass.
void lead_with_leases(Cluster& cluster) {
    start_all(cluster);
    for (const ReplicaId id : cluster.ids())
        cluster.pass(id, milliseconds(650));
    cluster.bag.clear();
    for (int i = 0; i < 60 && !cluster.core(k1).ready_to_lead(); ++i) {
        cluster.pass(k1, milliseconds(20));
        ASSERT_TRUE(cluster.settle());
    }
    cluster.run(milliseconds(200));
    ASSERT_TRUE(cluster.core(k1).status().lease);
}
// `rate`: of the clock of 1, in percent.
LeaseReads reads_of_a_cut_off_leader(int rate, bool ack_is_late, bool disconnected,
                                     bool restarted) {
    Cluster cluster(3, 1, with_leases);
    lead_with_leases(cluster);
    if (ack_is_late) cluster.pass(k1, milliseconds(100));  // a last round leaves
    std::vector<Message> late;
    for (size_t left = cluster.bag.size(); left > 0; --left)
        cluster.deliver(0);
    std::swap(late, cluster.bag);
    cluster.set_link(k1, k2, false);
    cluster.set_link(k1, k3, false);
    cluster.set_link(k2, k1, false);
    cluster.set_link(k3, k1, false);
    for (const ReplicaId id : {k2, k3}) {
        if (disconnected) cluster.feed(id, PeerDisconnected{NodeId(1)});
        if (restarted) {
            cluster.crash(id);
            cluster.start(id);
        }
    }
    uint64_t context = 100;
    for (int i = 0; i < 100; ++i) {
        for (const ReplicaId id : {k2, k3}) {
            cluster.pass(id, milliseconds(20));
            if (cluster.core(id).ready_to_lead()) cluster.propose(id, "x");
        }
        if (i == 25)
            for (const Message& m : late)
                cluster.feed(m.to, Received{m});
        cluster.node(k1).now += Duration(milliseconds(20)) * rate / 100;
        cluster.feed(k1, Tick{});
        cluster.settle();
        cluster.feed(k1, ReadRequested{++context});
    }
    EXPECT_GT(cluster.highest_committed(), LogIndex(2));
    return {cluster.reads_confirmed.size(), !cluster.violations.empty()};
}

TEST(RaftRule23, ALeaseEndsBeforeAnybodyElseCanBeElected) {
    for (const int rate : {99, 100, 101})
        for (const bool late : {false, true})
            for (const bool disconnected : {false, true})
                for (const bool restarted : {false, true}) {
                    const auto reads =
                        reads_of_a_cut_off_leader(rate, late, disconnected, restarted);
                    EXPECT_FALSE(reads.stale) << rate << late << disconnected << restarted;
                    EXPECT_GT(reads.confirmed, 20u);
                }
}

// The test of the test: beyond the margin nothing is promised.
TEST(RaftRule23, AClockBeyondTheMarginShowsAStaleRead) {
    EXPECT_TRUE(reads_of_a_cut_off_leader(50, false, false, false).stale);
}

TEST(RaftRule23, AfterAnOfferOfTheLeadThereIsNoLeaseInThatTerm) {
    Cluster cluster(3, 1, with_leases);
    lead_with_leases(cluster);
    cluster.transfer(k1, NodeId(2));
    EXPECT_FALSE(cluster.core(k1).status().lease);
    // The offer is on its way for longer than the leader waits for it.
    const Message offer = cluster.bag.front();
    ASSERT_TRUE(std::holds_alternative<TimeoutNow>(offer.body));
    cluster.bag.clear();
    cluster.run(seconds(1));
    ASSERT_TRUE(cluster.core(k1).ready_to_lead());
    EXPECT_FALSE(cluster.core(k1).status().lease);
    cluster.feed(k2, Received{offer});
    ASSERT_TRUE(cluster.settle());
    EXPECT_EQ(cluster.core(k2).role(), Role::Leader);
    cluster.run(milliseconds(200));
    EXPECT_TRUE(cluster.core(k2).status().lease);
}

TEST(RaftRule23, NoReadIsStaleWhileLinksBreakAndReplicasRestart) {
    size_t confirmed = 0;
    for (uint64_t seed = 1; seed <= 60; ++seed) {
        Cluster cluster(3, seed, with_leases);
        Prng prng(seed);
        start_all(cluster);
        uint64_t context = 0;
        const auto any = [&] { return ReplicaId(1 + prng.below(3)); };
        for (int i = 0; i < 400; ++i) {
            cluster.run(milliseconds(20));
            const ReplicaId a = any(), b = any();
            if (prng.chance(0.03)) {
                cluster.set_link(a, b, false);
                cluster.set_link(b, a, false);
                cluster.feed(a, PeerDisconnected{NodeId(b.value)});
            }
            if (prng.chance(0.03)) cluster.heal();
            if (prng.chance(0.01)) {
                cluster.crash(a);
                cluster.start(a);
            }
            for (const ReplicaId id : cluster.ids()) {
                if (cluster.core(id).ready_to_lead() && prng.chance(0.5)) cluster.propose(id, "x");
                if (prng.chance(0.02)) cluster.transfer(id, NodeId(0));
                cluster.feed(id, ReadRequested{++context});
            }
        }
        EXPECT_EQ(cluster.violations, std::vector<std::string>{}) << seed;
        confirmed += cluster.reads_confirmed.size();
    }
    EXPECT_GT(confirmed, 60u * 100);
}

}  // namespace
}  // namespace asterias::raft::testing
