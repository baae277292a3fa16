// The rules of the Raft checklist that need counting, volume or a single core, each one a test
// named after what it claims; the others are scripts in testdata/.
#include "core/raft/core.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/check.h"
#include "core/raft/testing/cluster.h"

namespace asterias::raft::testing {
namespace {

const ReplicaId k1(1), k2(2), k3(3);

void start_all(Cluster& cluster) {
    for (const ReplicaId id : cluster.ids())
        cluster.start(id);
}

// Replica 1 leads, everything is at rest.
void lead(Cluster& cluster) {
    start_all(cluster);
    while (cluster.core(k1).role() == Role::Follower)
        cluster.pass(k1, milliseconds(20));
    ASSERT_TRUE(cluster.settle());
    ASSERT_TRUE(cluster.core(k1).ready_to_lead());
}

size_t count_appends(const std::vector<Message>& messages, ReplicaId to) {
    return static_cast<size_t>(
        std::count_if(messages.begin(), messages.end(), [&](const Message& m) {
            return m.to == to && std::holds_alternative<AppendRequest>(m.body);
        }));
}

std::vector<Entry> entries_of_terms(const std::vector<std::pair<uint64_t, uint64_t>>& runs) {
    std::vector<Entry> entries;
    for (auto [term, count] : runs)
        for (uint64_t i = 0; i < count; ++i)
            entries.push_back(wire::make_entry(GroupId(7), Term(term), LogIndex(entries.size() + 1),
                                               EntryKind::Effects, Bytes()));
    return entries;
}

TEST(RaftRule6, TenThousandDivergedEntriesNeedTwoRoundTripsPerTermAtMost) {
    // 2 has 10,000 entries of five old terms that nobody else has; 1 has as many of four others.
    Cluster cluster(3, 1);
    for (const ReplicaId id : {k1, k3}) {
        cluster.node(id).disk.hard_state = {Term(9), ReplicaId(0)};
        cluster.node(id).disk.entries =
            entries_of_terms({{1, 100}, {3, 2500}, {5, 2500}, {7, 2500}, {9, 2500}});
    }
    cluster.node(k2).disk.hard_state = {Term(8), ReplicaId(0)};
    cluster.node(k2).disk.entries =
        entries_of_terms({{1, 100}, {2, 2000}, {4, 2000}, {6, 2000}, {8, 4000}});
    start_all(cluster);
    size_t refusals = 0;
    cluster.on_output = [&](ReplicaId, const Output& out) {
        for (const Message& m : out.messages)
            if (auto* reply = std::get_if<AppendReply>(&m.body)) refusals += !reply->accepted;
    };
    while (cluster.core(k1).role() == Role::Follower)
        cluster.pass(k1, milliseconds(20));
    ASSERT_TRUE(cluster.settle());
    ASSERT_TRUE(cluster.core(k1).ready_to_lead());
    EXPECT_GE(refusals, 1u);
    EXPECT_LE(refusals, 2 * 5u);
    EXPECT_EQ(cluster.core(k1).slowest_match(), cluster.core(k1).last_index());
    EXPECT_EQ(cluster.node(k2).disk.entries, cluster.node(k1).disk.entries);
}

TEST(RaftRule12, RepeatedRepliesOfOneVoterAreOneVote) {
    Cluster cluster(5, 1);
    start_all(cluster);
    while (cluster.core(k1).role() == Role::Follower)
        cluster.pass(k1, milliseconds(20));
    for (int i = 0; i < 5; ++i)
        cluster.feed(k1, Received{{k2, k1, Term(1), VoteReply{true, true}}});
    EXPECT_EQ(cluster.core(k1).role(), Role::PreCandidate);
    cluster.feed(k1, Received{{k3, k1, Term(1), VoteReply{true, true}}});
    EXPECT_EQ(cluster.core(k1).role(), Role::Candidate);
    // A late pre-vote is no vote.
    cluster.feed(k1, Received{{ReplicaId(4), k1, Term(1), VoteReply{true, true}}});
    for (int i = 0; i < 5; ++i)
        cluster.feed(k1, Received{{k2, k1, Term(1), VoteReply{false, true}}});
    EXPECT_EQ(cluster.core(k1).role(), Role::Candidate);
    cluster.feed(k1, Received{{k3, k1, Term(1), VoteReply{false, true}}});
    EXPECT_EQ(cluster.core(k1).role(), Role::Leader);
}

TEST(RaftRule29, ApplyingWhatWasNotGivenIsABug) {
    Cluster cluster(3, 1);
    lead(cluster);
    CheckTrap trap;
    EXPECT_THROW(cluster.core(k1).step({cluster.node(k1).now, Applied{LogIndex(99)}}), CheckFailed);
}

TEST(RaftRule32, ADeadAndASlowFollowerCostABoundedWindow) {
    Cluster cluster(3, 1, [](Config& c) {
        c.append_bytes_max = 1000;
        c.inflight_messages_max = 8;
        c.inflight_bytes_max = 4000;
        c.uncommitted_bytes_max = 100'000;
    });
    lead(cluster);
    cluster.crash(k2);
    cluster.node(k3).writes_at_once = false;  // 3 receives and never finishes writing
    size_t refused = 0;
    for (int i = 0; i < 2000; ++i) {
        refused += std::holds_alternative<Overloaded>(cluster.propose(k1, std::string(100, 'x')));
        if (i % 10 == 0) {
            cluster.pass(k1, milliseconds(20));
            cluster.settle();
        }
        const Status s = cluster.core(k1).status();
        ASSERT_LE(s.uncommitted_bytes, 100'000u);
        for (const auto& peer : s.peers) {
            ASSERT_LE(peer.inflight_messages, 8u);
            ASSERT_LT(peer.inflight_bytes, 4000u + 1000u);
        }
    }
    EXPECT_EQ(refused, 1000u);
    // The slow one catches up: everything commits, and there is room again.
    cluster.node(k3).writes_at_once = true;
    ASSERT_TRUE(cluster.settle());
    cluster.run(seconds(1));
    EXPECT_EQ(cluster.core(k1).commit(), cluster.core(k1).last_index());
    EXPECT_EQ(cluster.core(k1).status().uncommitted_bytes, 0u);
    EXPECT_EQ(cluster.violations, std::vector<std::string>{});
}

TEST(RaftRule32, OneEntryAboveEveryLimitStillPasses) {
    Cluster cluster(3, 1, [](Config& c) {
        c.append_bytes_max = c.inflight_bytes_max = c.uncommitted_bytes_max = 10;
    });
    lead(cluster);
    EXPECT_TRUE(std::holds_alternative<Accepted>(cluster.propose(k1, std::string(1000, 'x'))));
    ASSERT_TRUE(cluster.settle());
    EXPECT_EQ(cluster.core(k1).commit(), LogIndex(2));
}

TEST(RaftRule33, HeartbeatsDoNotWaitForTheWindow) {
    Cluster cluster(3, 1, [](Config& c) {
        c.inflight_bytes_max = 1;
        c.inflight_messages_max = 1;
    });
    lead(cluster);
    for (int i = 0; i < 100; ++i)
        cluster.propose(k1, std::string(10'000, 'x'));
    cluster.bag.clear();
    // No entry arrives anywhere for five seconds: nobody starts an election.
    for (int i = 0; i < 250; ++i) {
        for (const ReplicaId id : cluster.ids())
            cluster.pass(id, milliseconds(20));
        std::erase_if(cluster.bag, [](const Message& m) {
            return std::holds_alternative<AppendRequest>(m.body);
        });
        cluster.settle();
    }
    EXPECT_EQ(cluster.leaders.size(), 1u);
    EXPECT_EQ(cluster.core(k1).role(), Role::Leader);
}

TEST(RaftRule34, APauseOfAMinuteFiresNoElection) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.run(seconds(1));
    cluster.node(k2).now += seconds(60);
    cluster.feed(k2, Tick{});
    EXPECT_EQ(cluster.core(k2).role(), Role::Follower);
    cluster.run(seconds(5));
    EXPECT_EQ(cluster.leaders.size(), 1u);
    // A paused leader may go on as well if it hears its followers in time.
    cluster.node(k1).now += seconds(60);
    cluster.run(seconds(5));
    EXPECT_EQ(cluster.leaders.size(), 1u);
}

TEST(RaftRule34, FiveReplicasElectInFewRounds) {
    size_t late = 0;
    for (uint64_t seed = 1; seed <= 300; ++seed) {
        Cluster cluster(5, seed);
        start_all(cluster);
        ASSERT_TRUE(cluster.elect());
        late += cluster.core(cluster.ready_leader()).term() > Term(2);
        ASSERT_LE(cluster.core(cluster.ready_leader()).term(), Term(5)) << seed;
    }
    EXPECT_LE(late, 3u);
}

TEST(RaftRule36, NothingIsPromisedWhileWritesDoNotComplete) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.node(k2).writes_at_once = cluster.node(k3).writes_at_once = false;
    cluster.propose(k1, "a");
    cluster.run(milliseconds(400));
    EXPECT_EQ(cluster.core(k1).commit(), LogIndex(1));
    EXPECT_EQ(cluster.core(k1).slowest_match(), LogIndex(1));
}

TEST(RaftRule39, LosingTheLeadIsReportedWithTenThousandPending) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.bag.clear();
    cluster.set_link(k1, k2, false);
    cluster.set_link(k1, k3, false);
    for (int i = 0; i < 10'000; ++i)
        ASSERT_TRUE(std::holds_alternative<Accepted>(cluster.propose(k1, "x")));
    std::vector<RoleChange> changes;
    cluster.on_output = [&](ReplicaId id, const Output& out) {
        if (id == k1 && out.role_change) changes.push_back(*out.role_change);
    };
    cluster.pass(k1, seconds(1));
    ASSERT_FALSE(changes.empty());
    EXPECT_EQ(changes[0], (RoleChange{Role::Follower, Term(1), NodeId(0)}));
    EXPECT_TRUE(std::holds_alternative<NotLeader>(cluster.propose(k1, "y")));
}

TEST(RaftRule43, EqualInputsGiveEqualOutputs) {
    std::string first;
    for (int round = 0; round < 2; ++round) {
        std::string trace;
        Cluster cluster(5, 42);
        cluster.on_output = [&](ReplicaId id, const Output& out) {
            trace += to_string(id) + describe(out) + "\n";
        };
        start_all(cluster);
        for (int i = 0; i < 50; ++i) {
            cluster.run(milliseconds(200));
            if (const ReplicaId leader = cluster.ready_leader()) {
                cluster.propose(leader, std::to_string(i));
                if (i % 10 == 9) cluster.crash(leader);
            }
            if (i % 10 == 4)
                for (const ReplicaId id : cluster.ids())
                    if (!cluster.up(id)) cluster.start(id);
        }
        EXPECT_GT(trace.size(), 10'000u);
        if (round == 0) first = trace;
        EXPECT_TRUE(trace == first);
    }
}

TEST(RaftRule47, MessagesOfOtherLivesAreDroppedAndCounted) {
    Cluster cluster(3, 1);
    lead(cluster);
    const Status before = cluster.core(k2).status();
    // To a replica that lived here before; from itself; from nobody.
    cluster.feed(k2, Received{{k1, ReplicaId(77), Term(9), Heartbeat{}}});
    cluster.feed(k2, Received{{k1, ReplicaId(77), Term(9), AppendRequest{}}});
    cluster.feed(k2, Received{{k2, k2, Term(9), VoteReply{false, true}}});
    cluster.feed(k2,
                 Received{{ReplicaId(0), k2, Term(9), VoteRequest{false, LogIndex(99), Term(9)}}});
    const Status after = cluster.core(k2).status();
    EXPECT_EQ(after.foreign_messages, before.foreign_messages + 4);
    EXPECT_EQ(after.term, before.term);
    EXPECT_EQ(after.leader, NodeId(1));
    // An acknowledgement of an unknown replica commits nothing.
    cluster.propose(k1, "a");
    cluster.feed(k1, Received{{ReplicaId(88), k1, Term(1), AppendReply{true, LogIndex(2)}}});
    EXPECT_EQ(cluster.core(k1).commit(), LogIndex(1));
}

TEST(RaftCore, TheProposalsOfATurnAreOneMessagePerPeer) {
    Cluster cluster(3, 1);
    lead(cluster);
    Core& core = cluster.core(k1);
    for (int i = 0; i < 256; ++i)
        core.propose(cluster.node(k1).now, EntryKind::Effects, Bytes::literal("payload"));
    const Output out = core.take_output();
    EXPECT_EQ(out.append.size(), 256u);
    EXPECT_EQ(count_appends(out.messages, k2), 1u);
    EXPECT_EQ(count_appends(out.messages, k3), 1u);
    EXPECT_EQ(out.messages.size(), 2u);
    EXPECT_FALSE(core.has_output());
}

TEST(RaftCore, TheReadsOfATurnShareOneRound) {
    Cluster cluster(3, 1);
    lead(cluster);
    Core& core = cluster.core(k1);
    for (uint64_t i = 0; i < 100; ++i)
        core.step({cluster.node(k1).now, ReadRequested{i}});
    cluster.drain(k1);
    EXPECT_EQ(cluster.bag.size(), 2u);
    cluster.settle();
    EXPECT_EQ(cluster.reads_confirmed.size(), 100u);
}

// Every single message of a write lost once: the next heartbeats repair it, without an election.
TEST(RaftCore, LostMessagesAreRepairedByHeartbeats) {
    for (size_t lost = 0; lost < 6; ++lost) {
        Cluster cluster(3, 1);
        lead(cluster);
        cluster.crash(k3);
        cluster.propose(k1, "a");
        for (size_t i = 0; !cluster.bag.empty(); ++i) {
            if (i == lost)
                cluster.bag.erase(cluster.bag.begin());
            else
                cluster.deliver(0);
        }
        cluster.run(milliseconds(500));
        EXPECT_EQ(cluster.core(k1).commit(), LogIndex(2)) << lost;
        EXPECT_EQ(cluster.core(k2).commit(), LogIndex(2)) << lost;
        EXPECT_EQ(cluster.leaders.size(), 1u);
    }
}

TEST(RaftCore, APipelineWithAHoleIsRefilledFromTheHole) {
    Cluster cluster(3, 1);
    lead(cluster);
    for (int i = 0; i < 10; ++i)
        cluster.propose(k1, std::to_string(i));
    std::erase_if(cluster.bag, [hit = 0](const Message& m) mutable {
        return m.to == k2 && hit++ == 3;  // the fourth request to 2
    });
    cluster.settle();
    EXPECT_EQ(cluster.core(k1).slowest_match(), LogIndex(11));
}

TEST(RaftCore, ASlowDiskIsNotSentTheSameEntriesAgain) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.node(k2).writes_at_once = false;
    cluster.propose(k1, std::string(1000, 'x'));
    size_t entries = 0, questions = 0;
    cluster.on_output = [&](ReplicaId, const Output& out) {
        for (const Message& m : out.messages)
            if (auto* request = std::get_if<AppendRequest>(&m.body)) {
                entries += request->entries.size();
                questions += request->entries.empty();
            }
    };
    cluster.run(seconds(2));
    EXPECT_EQ(entries, 0u);
    EXPECT_GE(questions, 5u);
    EXPECT_LE(questions, 25u);
    EXPECT_EQ(cluster.leaders.size(), 1u);
}

TEST(RaftCore, AClosedConnectionToTheLeaderElectsWithinTwoHundredMilliseconds) {
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        Cluster cluster(3, seed);
        lead(cluster);
        cluster.run(milliseconds(300));
        cluster.crash(k1);
        cluster.feed(k2, PeerDisconnected{NodeId(1)});
        cluster.feed(k3, PeerDisconnected{NodeId(1)});
        cluster.run(milliseconds(200));
        EXPECT_TRUE(cluster.ready_leader()) << seed;
    }
}

TEST(RaftCore, AClosedConnectionToAFollowerChangesNothing) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.feed(k2, PeerDisconnected{NodeId(3)});
    cluster.feed(k1, PeerDisconnected{NodeId(3)});
    cluster.run(seconds(2));
    EXPECT_EQ(cluster.leaders.size(), 1u);
}

TEST(RaftCore, APeerBelowTheCompactedLogIsNamedAndKeptQuiet) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.crash(k3);
    for (int i = 0; i < 10; ++i)
        cluster.propose(k1, std::to_string(i));
    cluster.run(milliseconds(200));
    cluster.snapshots_at_once = false;
    cluster.flush(k1);
    ASSERT_TRUE(cluster.compact(k1, LogIndex(8)));
    cluster.start(k3);
    cluster.run(seconds(3));
    EXPECT_EQ(cluster.snapshots.size(), 1u);
    const Status s = cluster.core(k1).status();
    EXPECT_EQ(s.first, LogIndex(9));
    EXPECT_FALSE(s.peers[0].needs_snapshot);
    EXPECT_TRUE(s.peers[1].needs_snapshot);
    EXPECT_TRUE(s.peers[1].recently_heard);
    EXPECT_EQ(cluster.leaders.size(), 1u);
    // The others go on.
    cluster.propose(k1, "more");
    cluster.settle();
    EXPECT_EQ(cluster.core(k1).commit(), LogIndex(12));
    // Given up, it is asked for again, but no faster than heartbeats.
    cluster.deliver_snapshot(0, true);
    cluster.settle();
    EXPECT_EQ(cluster.snapshots.size(), 0u);
    cluster.run(milliseconds(200));
    EXPECT_EQ(cluster.snapshots.size(), 1u);
    cluster.snapshots_at_once = true;
    cluster.run(milliseconds(200));
    EXPECT_FALSE(cluster.core(k1).status().peers[1].needs_snapshot);
    EXPECT_EQ(cluster.core(k3).status().snapshots_installed, 1u);
    EXPECT_EQ(cluster.difference(), "");
    EXPECT_EQ(cluster.violations, std::vector<std::string>{});
}

TEST(RaftCore, CompactionNeverPassesWhatIsApplied) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.node(k1).applies_at_once = false;
    cluster.propose(k1, "a");
    cluster.settle();
    cluster.feed(k1, Compact{LogIndex(2)});
    EXPECT_EQ(cluster.core(k1).status().first, LogIndex(2));
}

TEST(RaftCore, ContradictoryAppendsAreDroppedAndCounted) {
    Cluster cluster(3, 1);
    lead(cluster);
    auto entry = [](uint64_t term, uint64_t index) {
        return wire::make_entry(GroupId(7), Term(term), LogIndex(index), EntryKind::Effects,
                                Bytes());
    };
    const std::vector<std::vector<Entry>> bad = {
        {entry(1, 3)}, {entry(1, 2), entry(1, 4)}, {entry(2, 2)}, {entry(0, 2)}};
    for (const auto& entries : bad)
        cluster.feed(k2, Received{{k1, k2, Term(1),
                                   AppendRequest{LogIndex(1), Term(1), LogIndex(0), entries}}});
    EXPECT_EQ(cluster.core(k2).status().malformed_messages, bad.size());
    EXPECT_EQ(cluster.core(k2).last_index(), LogIndex(1));
}

// D8; what its journal has not, the others have: they go on without it, and it does not come back
// before its disk does, nor raises terms meanwhile.
TEST(RaftCore, ALeaderWhoseDiskHangsMakesRoomForAHealthyOne) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.node(k1).writes_at_once = false;
    cluster.propose(k1, "a");
    cluster.run(milliseconds(500));
    ASSERT_EQ(cluster.core(k1).role(), Role::Leader) << "an election timeout is not over";
    cluster.run(milliseconds(1500));
    const ReplicaId healthy = cluster.ready_leader();
    ASSERT_NE(healthy, k1);
    ASSERT_TRUE(healthy);
    const Term term = cluster.core(healthy).term();
    cluster.run(seconds(5));
    EXPECT_EQ(cluster.ready_leader(), healthy);
    EXPECT_EQ(cluster.core(healthy).term(), term);
    cluster.crash(healthy);
    cluster.run(seconds(5));
    EXPECT_EQ(cluster.core(k1).role(), Role::Follower) << "its vote could not become durable";
    cluster.node(k1).writes_at_once = true;
    EXPECT_TRUE(cluster.elect());
    EXPECT_EQ(cluster.violations, std::vector<std::string>());
}

TEST(RaftCore, WhereAllDisksAreSlowTheLeaderStays) {
    Cluster cluster(3, 1);
    lead(cluster);
    for (const ReplicaId id : cluster.ids())
        cluster.node(id).writes_at_once = false;
    cluster.propose(k1, "a");
    cluster.run(seconds(5));
    EXPECT_EQ(cluster.core(k1).role(), Role::Leader);
    Cluster alone(1, 1);
    lead(alone);
    alone.node(k1).writes_at_once = false;
    alone.propose(k1, "a");
    alone.feed(k1, Stalled{true});
    alone.run(seconds(5));
    EXPECT_EQ(alone.core(k1).role(), Role::Leader) << "the only voter has nobody to make room for";
}

// D8. Mutant raft_slow_disk_leads.
TEST(RaftCore, ALeaderWhoseWritesAreSlowerThanTheOthersMakesRoom) {
    for (const bool all_slow : {false, true}) {
        Cluster cluster(3, 1);
        lead(cluster);
        for (const ReplicaId id : cluster.ids())
            cluster.node(id).writes_at_once = id != k1 && !all_slow;
        const auto slow_write = [&](std::string what, Duration takes) {
            cluster.propose(k1, std::move(what));
            cluster.run(takes);
            for (const ReplicaId id : cluster.ids())
                while (cluster.persist(id)) {
                }
            cluster.settle();
            cluster.run(milliseconds(20));
        };
        slow_write("a", milliseconds(400));
        slow_write("b", milliseconds(100));
        slow_write("c", milliseconds(400));
        EXPECT_EQ(cluster.core(k1).role(), Role::Leader) << "now and then is no reason";
        const Term term = cluster.core(k1).term();
        slow_write("d", milliseconds(400));
        cluster.run(milliseconds(400));
        if (all_slow) {
            EXPECT_EQ(cluster.core(k1).role(), Role::Leader) << "nobody is better";
            EXPECT_EQ(cluster.core(k1).term(), term);
        } else {
            EXPECT_NE(cluster.core(k1).role(), Role::Leader);
            EXPECT_TRUE(cluster.elect());
        }
        EXPECT_EQ(cluster.violations, std::vector<std::string>());
    }
}

// D2. Mutant raft_full_leader_gives_up.
TEST(RaftCore, AmongStalledStatesTheLeaderStaysAndGoesToTheOneThatIsNot) {
    Cluster cluster(3, 1);
    lead(cluster);
    const Term term = cluster.core(k1).term();
    EXPECT_FALSE(cluster.core(k1).quorum_stalls());
    for (const ReplicaId id : cluster.ids())
        cluster.feed(id, Stalled{true});
    cluster.run(seconds(5));
    EXPECT_EQ(cluster.ready_leader(), k1) << "nobody could serve better";
    EXPECT_EQ(cluster.core(k1).term(), term);
    EXPECT_TRUE(cluster.core(k1).quorum_stalls());
    cluster.feed(k3, Stalled{false});
    cluster.run(seconds(1));
    EXPECT_EQ(cluster.ready_leader(), k3);
    EXPECT_TRUE(cluster.core(k3).quorum_stalls()) << "one of three";
    cluster.feed(k1, Stalled{false});
    cluster.run(milliseconds(200));
    EXPECT_FALSE(cluster.core(k3).quorum_stalls());
    EXPECT_EQ(cluster.ready_leader(), k3);
    EXPECT_EQ(cluster.violations, std::vector<std::string>());
}

// D10.
TEST(RaftCore, ALeaderWhoseStateStallsMakesRoomAndLeadsAgainOnlyIfNobodyElseCan) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.feed(k1, Stalled{true});
    cluster.run(milliseconds(500));
    ASSERT_EQ(cluster.core(k1).role(), Role::Leader) << "it may be over soon";
    cluster.run(seconds(2));
    const ReplicaId healthy = cluster.ready_leader();
    ASSERT_NE(healthy, k1);
    ASSERT_TRUE(healthy);
    // Now this log is the only complete one among those that are up.
    const ReplicaId behind = healthy == k2 ? k3 : k2;
    cluster.set_link(healthy, behind, false);
    cluster.propose(healthy, "a");
    ASSERT_TRUE(cluster.settle());
    cluster.crash(healthy);
    cluster.run(seconds(15));
    EXPECT_EQ(cluster.ready_leader(), behind) << "brought up to date by the stalled one";
    EXPECT_EQ(cluster.core(behind).commit(), cluster.highest_committed());
    EXPECT_EQ(cluster.violations, std::vector<std::string>());
}

// A peer that lies, or was built wrong, or comes from a later version: dropped whole, its term
// included, and counted.
TEST(RaftCore, WhatNoCorrectPeerCanSayIsDroppedAndCounted) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.propose(k1, "a");
    cluster.propose(k1, "b");
    ASSERT_TRUE(cluster.settle());
    const auto effects = [](uint64_t term, uint64_t index) {
        return wire::make_entry(GroupId(7), Term(term), LogIndex(index), EntryKind::Effects,
                                Bytes());
    };
    const Term t(1), later(2), beyond(UINT64_MAX);
    const LogIndex far(UINT64_MAX);
    ASSERT_EQ(cluster.core(k1).commit(), LogIndex(3));
    cluster.run(milliseconds(200));
    ASSERT_EQ(cluster.core(k2).commit(), LogIndex(3));
    const std::vector<std::pair<ReplicaId, Message>> lies = {
        // Acknowledges what nobody has.
        {k1, {k2, k1, t, AppendReply{true, LogIndex(4), {}, {}}}},
        {k1, {k2, k1, t, AppendReply{true, far, {}, {}}}},
        // Leads in a term that has a leader.
        {k1, {k2, k1, t, Heartbeat{LogIndex(0), 1}}},
        {k1, {k2, k1, t, AppendRequest{LogIndex(3), t, LogIndex(3), {}}}},
        {k2, {k3, k2, t, Heartbeat{LogIndex(0), 1}}},
        {k2, {k3, k2, t, AppendRequest{LogIndex(3), t, LogIndex(3), {}}}},
        // Has another entry where a committed one is; at its end its own terms fall.
        {k2, {k1, k2, later, AppendRequest{LogIndex(1), t, LogIndex(0), {effects(2, 2)}}}},
        {k2, {k1, k2, later, AppendRequest{LogIndex(3), Term(0), LogIndex(0), {}}}},
        {k2, {k1, k2, later, AppendRequest{LogIndex(3), Term(0), LogIndex(0), {effects(0, 4)}}}},
        {k2, {k1, k2, later, AppendRequest{LogIndex(3), Term(9), LogIndex(0), {}}}},
        // Counts past the end of the numbers.
        {k2, {k1, k2, beyond, Heartbeat{LogIndex(0), 1}}},
        {k2, {k3, k2, beyond, VoteRequest{false, LogIndex(9), Term(9)}}},
        {k2, {k1, k2, beyond, VoteReply{true, false}}},
        {k2, {k1, k2, t, Heartbeat{far, 1}}},
        {k2, {k1, k2, t, AppendRequest{far, t, LogIndex(0), {effects(1, 0)}}}},
    };
    std::map<ReplicaId, uint64_t> dropped;
    for (const auto& [to, message] : lies) {
        cluster.feed(to, Received{message});
        EXPECT_EQ(cluster.core(to).malformed_messages(), ++dropped[to]) << describe(message);
        EXPECT_EQ(cluster.core(to).term(), t) << describe(message);
    }
    EXPECT_EQ(cluster.core(k1).role(), Role::Leader);
    cluster.propose(k1, "c");
    ASSERT_TRUE(cluster.settle());
    EXPECT_EQ(cluster.core(k1).commit(), LogIndex(4)) << "nothing was disturbed";
    EXPECT_EQ(cluster.violations, std::vector<std::string>());
}

// A core alone against messages that are drawn at random, near what it has and near the ends of
// the numbers.
class Babble {
public:
    Babble(Role role, uint64_t seed)
        : prng_(seed), core_(config(), recovered(), Prng(seed), Instant(seconds(1))) {
        const Instant never = now_ + seconds(60);
        while (core_.role() == Role::Follower && role != Role::Follower && now_ < never)
            feed(Tick{});
        if (role == Role::Candidate || role == Role::Leader)
            hear(core_.term().next(), VoteReply{true, true});
        if (role == Role::Leader) {
            hear(core_.term(), VoteReply{false, true});
            hear(core_.term(), AppendReply{true, core_.last_index(), {}, {}});
        }
        EXPECT_EQ(core_.role(), role);
    }

    void utter() {
        uttering_ = true;
        if (prng_.chance(0.1)) return feed(Tick{});
        const ReplicaId from(prng_.between(1, 3));
        feed(Received{{from, k1, Term(number(core_.term().value)), body()}});
        if (prng_.chance(0.2)) core_.propose(now_, EntryKind::Effects, Bytes::literal("x"));
    }
    uint64_t dropped() const { return core_.malformed_messages(); }

private:
    static Config config() {
        Config c;
        c.group = GroupId(7);
        c.self = k1;
        c.membership.voters = {{k1, NodeId(1)}, {k2, NodeId(2)}, {k3, NodeId(3)}};
        return c;
    }
    static Recovered recovered() {
        auto entries = entries_of_terms({{1, 4}, {2, 2}, {4, 3}});
        entries.erase(entries.begin(), entries.begin() + 2);
        return {{Term(4), {}}, LogIndex(2), Term(1), LogIndex(5), std::move(entries)};
    }
    void hear(Term term, MessageBody body) { feed(Received{{k2, k1, term, std::move(body)}}); }

    void feed(Event event) {
        now_ += milliseconds(20);
        core_.step({now_, std::move(event)});
        for (int round = 0; round < 3 && core_.has_output(); ++round) {
            const Output out = core_.take_output();
            if (out.persist_id && !(uttering_ && prng_.chance(0.1)))
                core_.step({now_, Persisted{out.persist_id}});
            if (!out.committed.empty()) {
                core_.step({now_, Applied{out.committed.back().index}});
                if (prng_.chance(0.1)) core_.step({now_, Compact{out.committed.back().index}});
            }
        }
    }
    uint64_t number(uint64_t near) {
        switch (prng_.below(8)) {
            case 0:
                return prng_.next();
            case 1:
                return UINT64_MAX - prng_.below(3);
            case 2:
                return kIndexMax.value + 1 - prng_.below(3);
            case 3:
                return prng_.below(4);
            case 4:
                return near + 3 - std::min<uint64_t>(near + 3, prng_.below(6));
            default:
                return near;
        }
    }
    LogIndex index() { return LogIndex(number(core_.last_index().value)); }
    Term term() { return Term(number(prng_.chance(0.5) ? 4 : core_.term().value)); }
    MessageBody body() {
        switch (prng_.below(6)) {
            case 0:
                return VoteRequest{prng_.chance(0.5), index(), term()};
            case 1:
                return VoteReply{prng_.chance(0.5), prng_.chance(0.5)};
            case 2:
                return AppendReply{prng_.chance(0.5), index(), index(), term()};
            case 3:
                return Heartbeat{index(), number(3)};
            case 4:
                return HeartbeatReply{number(3)};
            default: {
                AppendRequest request{index(), term(), index(), {}};
                LogIndex at = request.prev_index;
                for (uint64_t n = prng_.below(4); n > 0; --n) {
                    at = prng_.chance(0.05) ? index() : at.next();
                    request.entries.push_back(
                        wire::make_entry(GroupId(7), prng_.chance(0.5) ? core_.term() : term(), at,
                                         EntryKind::Effects, Bytes()));
                }
                return request;
            }
        }
    }

    Prng prng_;
    Core core_;
    Instant now_{seconds(1)};
    bool uttering_ = false;
};

TEST(RaftCore, NoMessageFailsACheckInAnyRole) {
    const CheckTrap trap;
    uint64_t dropped = 0;
    for (const Role role : {Role::Follower, Role::PreCandidate, Role::Candidate, Role::Leader})
        for (uint64_t seed = 1; seed <= 4000; ++seed) {
            Babble babble(role, seed);
            try {
                for (int i = 0; i < 100; ++i)
                    babble.utter();
            } catch (const CheckFailed& failed) {
                FAIL() << to_string(role) << ", seed " << seed << ": " << failed.what();
            }
            dropped += babble.dropped();
        }
    EXPECT_GT(dropped, 1000u) << "or it says nothing";
}

TEST(RaftCore, ALeaderThatCountsOnEntriesThatAreNotThereIsReported) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.propose(k1, "a");
    ASSERT_TRUE(cluster.settle());
    ASSERT_EQ(cluster.core(k2).last_index(), LogIndex(2));
    cluster.crash(k2);
    cluster.node(k2).disk.entries.pop_back();  // acknowledged, and gone
    cluster.start(k2);
    Core& core = cluster.core(k2);
    core.step({cluster.node(k2).now, Received{{k1, k2, Term(1), Heartbeat{LogIndex(2), 7}}}});
    const Output out = core.take_output();
    ASSERT_TRUE(out.forgotten);
    EXPECT_EQ(*out.forgotten, (Forgotten{NodeId(1), Term(1), LogIndex(2), LogIndex(1)}));
    EXPECT_TRUE(out.messages.empty()) << "it vouches for nothing";
    EXPECT_EQ(core.commit(), LogIndex(0));
}

TEST(RaftCore, ACompletionCoversAllEarlierWrites) {
    Cluster cluster(3, 1);
    lead(cluster);
    Node& n = cluster.node(k1);
    n.writes_at_once = false;
    for (int i = 0; i < 3; ++i)
        cluster.propose(k1, "a");
    ASSERT_EQ(n.writes.size(), 3u);
    n.disk.take(n.writes[0]);
    n.disk.take(n.writes[1]);
    cluster.feed(k1, Persisted{n.writes[1].id});
    EXPECT_EQ(cluster.core(k1).status().durable, LogIndex(3));
    cluster.feed(k1, Persisted{n.writes[0].id});  // once more, late
    EXPECT_EQ(cluster.core(k1).status().durable, LogIndex(3));
}

TEST(RaftCore, ACompletionOfAnUnknownWriteSaysNothing) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.node(k1).writes_at_once = false;
    cluster.propose(k1, "a");
    cluster.feed(k1, Persisted{PersistId(1000)});
    cluster.feed(k1, Persisted{PersistId(1)});
    EXPECT_EQ(cluster.core(k1).status().durable, LogIndex(1));
}

}  // namespace
}  // namespace asterias::raft::testing
