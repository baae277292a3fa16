// Joint votes, changes of membership, snapshots: what needs a single core or counting; the others
// are scripts in testdata/.
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

// Replica 1 leads, everything is at rest.
void lead(Cluster& cluster) {
    start_all(cluster);
    while (cluster.core(k1).role() == Role::Follower)
        cluster.pass(k1, milliseconds(20));
    ASSERT_TRUE(cluster.settle());
    ASSERT_TRUE(cluster.core(k1).ready_to_lead());
}

// Replica 1, recovered with this membership in force at entry 1, asks for votes.
Core candidate_of(Membership membership, bool pre) {
    membership.last_replica = ReplicaId(9);
    Instant now{seconds(1)};
    Core core(Config{.group = GroupId(7), .self = k1, .membership = {{{k1, NodeId(1)}}}},
              Recovered{.hard_state = {Term(1), ReplicaId(0)},
                        .entries = {wire::make_entry(GroupId(7), Term(1), LogIndex(1),
                                                     EntryKind::Config, encode(membership))}},
              Prng(1), now);
    const Role wanted = pre ? Role::PreCandidate : Role::Candidate;
    for (int i = 0; i < 60 && core.role() != wanted; ++i) {
        now += milliseconds(20);
        core.step({now, Tick{}});
        if (core.role() == Role::PreCandidate && !pre)
            for (const Member& m : voting_members(membership))
                core.step({now, Received{{m.replica, k1, Term(2), VoteReply{true, true}}}});
    }
    const Output out = core.take_output();
    if (out.persist_id) core.step({now, Persisted{out.persist_id}});
    return core;
}

Member at_home(uint64_t replica) { return {ReplicaId(replica), NodeId(replica)}; }

TEST(RaftRule12, AJointMembershipNeedsAMajorityOfEachHalf) {
    for (const bool pre : {true, false}) {
        Core core = candidate_of({.voters = {at_home(1), at_home(4), at_home(5)},
                                  .outgoing = {at_home(1), at_home(2), at_home(3)},
                                  .learners = {at_home(6), at_home(7)}},
                                 pre);
        const Role before = pre ? Role::PreCandidate : Role::Candidate;
        ASSERT_EQ(core.role(), before);
        const auto granted_by = [&](uint64_t replica) {
            core.step({Instant(seconds(2)),
                       Received{{ReplicaId(replica), k1, Term(2), VoteReply{pre, true}}}});
            return core.role();
        };
        EXPECT_EQ(granted_by(2), before);
        EXPECT_EQ(granted_by(3), before);  // all of the old half
        EXPECT_EQ(granted_by(6), before);  // learners, and strangers
        EXPECT_EQ(granted_by(7), before);
        EXPECT_EQ(granted_by(8), before);
        EXPECT_EQ(granted_by(9), before);
        EXPECT_NE(granted_by(4), before);
    }
}

TEST(RaftRule12, TheEnteringHalfAloneElectsNobody) {
    Core core = candidate_of({.voters = {at_home(1), at_home(4), at_home(5)},
                              .outgoing = {at_home(1), at_home(2), at_home(3)}},
                             false);
    const auto granted_by = [&](uint64_t replica) {
        core.step({Instant(seconds(2)),
                   Received{{ReplicaId(replica), k1, Term(2), VoteReply{false, true}}}});
        return core.role();
    };
    EXPECT_EQ(granted_by(4), Role::Candidate);
    EXPECT_EQ(granted_by(5), Role::Candidate);
    EXPECT_EQ(granted_by(3), Role::Leader);
}

TEST(RaftRule12, OneHalfThatRefusesIsEnoughToLose) {
    Core core = candidate_of({.voters = {at_home(1), at_home(4)}, .outgoing = {at_home(1)}}, false);
    ASSERT_EQ(core.role(), Role::Candidate);
    core.step(
        {Instant(seconds(2)), Received{{ReplicaId(4), k1, Term(2), VoteReply{false, false}}}});
    EXPECT_EQ(core.role(), Role::Follower);
}

TEST(RaftMembershipChange, NobodyIsRemovedWhomTheOthersNeed) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.crash(k3);
    cluster.run(seconds(1));
    const auto refused = [&](const Change& change) {
        return std::holds_alternative<Refused>(cluster.change(k1, change));
    };
    // 1 and 3 would remain, and 3 is silent; without 1 it would be 2 and 3.
    EXPECT_TRUE(refused(RemoveReplica{NodeId(2)}));
    EXPECT_TRUE(refused(RemoveReplica{NodeId(1)}));
    EXPECT_TRUE(refused(AddReplica{NodeId(0)}));
    EXPECT_TRUE(refused(ReplaceReplica{NodeId(7), NodeId(8)}));
    EXPECT_TRUE(refused(ReplaceReplica{NodeId(3), NodeId(2)}));
    // The silent one can go.
    EXPECT_FALSE(refused(RemoveReplica{NodeId(3)}));
    cluster.run(seconds(1));
    EXPECT_EQ(describe(cluster.core(k1).membership()), "voters r1@n1 r2@n2");
    EXPECT_FALSE(refused(RemoveReplica{NodeId(2)}));
    cluster.run(seconds(1));
    EXPECT_TRUE(refused(RemoveReplica{NodeId(1)}));
    EXPECT_EQ(cluster.violations, std::vector<std::string>{});
}

TEST(RaftRule47, ANumberSaysToWhichLifeOfItsNodeItWasGiven) {
    Cluster cluster(3, 1);
    lead(cluster);
    ReplicaId last(3);
    for (const uint64_t life : {0, 1, 0, 255, 0, 2, 2}) {
        const Change change = life == 255 ? Change(ReplaceReplica{NodeId(3), NodeId(9), life})
                                          : Change(AddReplica{NodeId(9), false, life});
        ASSERT_TRUE(std::holds_alternative<Accepted>(cluster.change(k1, change)));
        const Membership& m = cluster.core(k1).membership();
        ASSERT_TRUE(m.on(NodeId(9)));
        EXPECT_EQ(m.on(NodeId(9))->replica, m.last_replica);
        EXPECT_EQ(life_of(m.last_replica), life);
        EXPECT_GT(m.last_replica, last);
        last = m.last_replica;
        cluster.settle();
        cluster.change(k1, RemoveReplica{NodeId(9)});
        cluster.settle();
        ASSERT_FALSE(cluster.core(k1).membership().on(NodeId(9)));
    }
    EXPECT_EQ(life_of(ReplicaId(7)), 0u) << "a founder's, whatever its bits";
    EXPECT_EQ(cluster.violations, std::vector<std::string>{});
}

TEST(RaftMembershipChange, TheLastVoterThatHoldsStateStays) {
    Cluster cluster(1, 1);
    lead(cluster);
    cluster.change(k1, AddReplica{NodeId(2), true});
    cluster.run(seconds(1));
    ASSERT_EQ(describe(cluster.core(k1).membership()), "voters r1@n1 r2@n2w");
    EXPECT_TRUE(std::holds_alternative<Refused>(cluster.change(k1, RemoveReplica{NodeId(1)})));
    // Nor does it go while another one lacks what is committed.
    cluster.change(k1, AddReplica{NodeId(4)});
    cluster.run(seconds(1));
    ASSERT_EQ(describe(cluster.core(k1).membership()), "voters r1@n1 r2@n2w r3@n4");
    cluster.set_link(k1, k3, false);
    cluster.propose(k1, "a");
    cluster.settle();
    EXPECT_TRUE(std::holds_alternative<Refused>(cluster.change(k1, RemoveReplica{NodeId(1)})));
    cluster.heal();
    cluster.run(seconds(1));
    cluster.change(k1, RemoveReplica{NodeId(4)});
    cluster.run(seconds(1));
    // What replaces a witness is one.
    cluster.change(k1, ReplaceReplica{NodeId(2), NodeId(3)});
    cluster.run(seconds(1));
    EXPECT_EQ(describe(cluster.core(k1).membership()), "voters r1@n1 r4@n3w");
    EXPECT_TRUE(cluster.node(k2).removed);
}

TEST(RaftRule19, WhoIsStartedOutsideOfACommittedMembershipIsRemoved) {
    Core core(Config{.group = GroupId(7),
                     .self = k1,
                     .membership = {.voters = {at_home(2)}, .last_replica = ReplicaId(2)}},
              Recovered{.applied = LogIndex(0)}, Prng(1), Instant(seconds(1)));
    EXPECT_TRUE(core.take_output().removed);
    core.step({Instant(seconds(1)), Received{{k2, k1, Term(3), Heartbeat{}}}});
    EXPECT_FALSE(core.has_output());
}

TEST(RaftRule19, AWordOfRemovalThatIsKnownToBeWrongIsNotBelieved) {
    Cluster cluster(3, 1);
    lead(cluster);
    cluster.feed(k2, Received{{k3, k2, Term(1), Removed{LogIndex(0)}}});
    EXPECT_FALSE(cluster.node(k2).removed);
    EXPECT_EQ(cluster.core(k2).malformed_messages(), 1u);
}

// Snapshots ----------------------------------------------------------------------------------

// A follower of 2 in term 1, whose log is empty.
struct Receiver {
    Instant now{seconds(1)};
    Core core{Config{.group = GroupId(7),
                     .self = k1,
                     .membership = {.voters = {at_home(1), at_home(2), at_home(3)}}},
              Recovered{}, Prng(1), Instant(seconds(1))};

    Receiver() { receive(Heartbeat{}); }
    Output receive(MessageBody body) {
        core.step({now, Received{{k2, k1, Term(1), std::move(body)}}});
        return core.take_output();
    }
    Output persisted(PersistId id) {
        core.step({now, Persisted{id}});
        return core.take_output();
    }
    Output installed(const SnapshotMeta& meta) {
        core.step({now, Installed{meta}});
        return core.take_output();
    }
    SnapshotMeta meta(uint64_t index, uint64_t term = 1) const {
        return {LogIndex(index), Term(term), core.membership(), LogIndex(0)};
    }
    // Entries first..last, all of this term, committed up to `commit`.
    static AppendRequest append(uint64_t first, uint64_t last, uint64_t commit) {
        AppendRequest request{LogIndex(first - 1), Term(first > 1 ? 1 : 0), LogIndex(commit), {}};
        for (uint64_t i = first; i <= last; ++i)
            request.entries.push_back(
                wire::make_entry(GroupId(7), Term(1), LogIndex(i), EntryKind::Effects, Bytes()));
        return request;
    }
};

LogIndex acknowledged_in(const Output& out) {
    LogIndex match;
    for (const Message& m : out.messages)
        if (const auto* reply = std::get_if<AppendReply>(&m.body)) match = reply->match;
    return match;
}

TEST(RaftRule27, AStaleSnapshotIsRefused) {
    Receiver r;
    r.persisted(PersistId(1));
    r.persisted(r.receive(Receiver::append(1, 5, 4)).persist_id);
    EXPECT_FALSE(r.core.begin_install(r.now, r.meta(3)));
    EXPECT_FALSE(r.core.begin_install(r.now, r.meta(4)));
    EXPECT_TRUE(r.core.begin_install(r.now, r.meta(5)));
    EXPECT_FALSE(r.core.begin_install(r.now, r.meta(6)));  // one at a time
}

TEST(RaftRule27, ALogThatAgreesStaysAndNothingIsGivenMeanwhile) {
    Receiver r;
    r.persisted(PersistId(1));
    ASSERT_TRUE(r.core.begin_install(r.now, r.meta(4)));
    // Another way to the log was found in the meantime; all of it is committed.
    const Output written = r.receive(Receiver::append(1, 6, 6));
    EXPECT_TRUE(written.committed.empty());
    EXPECT_TRUE(r.persisted(written.persist_id).committed.empty());
    EXPECT_TRUE(r.core.holds(LogIndex(4), Term(1)));
    const Output out = r.installed(r.meta(4));
    ASSERT_EQ(out.committed.size(), 2u);  // what lies behind it
    EXPECT_EQ(out.committed.front().index, LogIndex(5));
    EXPECT_TRUE(out.append.empty());
    EXPECT_EQ(r.core.status().applied, LogIndex(4));
}

// The journal never had the entry of the snapshot's place: its log begins anew, and what the core
// has behind it is written again; what was under way vouches for nothing.
TEST(RaftRule27, ALogThatAgreesInMemoryOnlyIsWrittenAgain) {
    Receiver r;
    r.persisted(PersistId(1));
    ASSERT_TRUE(r.core.begin_install(r.now, r.meta(4)));
    const Output written = r.receive(Receiver::append(1, 6, 6));
    EXPECT_FALSE(r.core.holds(LogIndex(4), Term(1)));
    const Output out = r.installed(r.meta(4));
    EXPECT_EQ(acknowledged_in(out), LogIndex(4));
    ASSERT_EQ(out.append.size(), 2u);
    EXPECT_EQ(out.append.front().index, LogIndex(5));
    EXPECT_TRUE(out.committed.empty());
    EXPECT_EQ(acknowledged_in(r.persisted(written.persist_id)), LogIndex(0));
    const Output again = r.persisted(out.persist_id);
    EXPECT_EQ(again.committed.size(), 2u);
    EXPECT_EQ(acknowledged_in(again), LogIndex(6));
}

TEST(RaftRule27, ALogThatDiffersIsDropped) {
    Receiver r;
    r.persisted(PersistId(1));
    r.persisted(r.receive(Receiver::append(1, 6, 2)).persist_id);
    ASSERT_TRUE(r.core.begin_install(r.now, r.meta(4, 9)));  // of a term that is new here
    EXPECT_EQ(r.core.term(), Term(9));
    EXPECT_FALSE(r.core.holds(LogIndex(4), Term(9)));
    r.installed(r.meta(4, 9));
    EXPECT_EQ(r.core.last_index(), LogIndex(4));
    EXPECT_EQ(r.core.commit(), LogIndex(4));
    EXPECT_EQ(r.core.meta_at(LogIndex(4)), r.meta(4, 9));
}

// What no correct peers say between them: at the snapshot's place the log has an entry of another
// term, and that is said to be committed; or the place is of a term that was over before.
TEST(RaftRule27, ASnapshotThatContradictsWhatIsCommittedFailsNothing) {
    Receiver r;
    r.persisted(PersistId(1));
    ASSERT_TRUE(r.core.begin_install(r.now, r.meta(4, 1)));
    AppendRequest request{LogIndex(0), Term(0), LogIndex(6), {}};
    for (uint64_t i = 1; i <= 6; ++i)
        request.entries.push_back(
            wire::make_entry(GroupId(7), Term(2), LogIndex(i), EntryKind::Effects, Bytes()));
    r.core.step({r.now, Received{{k2, k1, Term(2), std::move(request)}}});
    r.persisted(r.core.take_output().persist_id);
    EXPECT_EQ(r.core.last_index(), LogIndex(6));
    EXPECT_EQ(r.core.commit(), LogIndex(3));
    r.installed(r.meta(4, 1));
    EXPECT_EQ(r.core.last_index(), LogIndex(4));
    EXPECT_EQ(r.core.commit(), LogIndex(4));

    Receiver later;
    later.persisted(PersistId(1));
    later.core.step({later.now, Received{{k2, k1, Term(2), Heartbeat{}}}});
    ASSERT_TRUE(later.core.begin_install(later.now, later.meta(4, 2)));
    later.installed(later.meta(4, 2));
    EXPECT_FALSE(later.core.begin_install(later.now, later.meta(5, 1)));
    EXPECT_TRUE(later.core.begin_install(later.now, later.meta(5, 2)));
}

TEST(RaftRule19, WhoIsRemovedInTheMiddleOfAnInstallMayStillHearThatItEnded) {
    Receiver r;
    ASSERT_TRUE(r.core.begin_install(r.now, r.meta(4)));
    r.persisted(PersistId(1));
    r.persisted(r.receive(Receiver::append(1, 6, 6)).persist_id);
    const Output out = r.receive(Removed{LogIndex(9)});
    EXPECT_TRUE(out.removed);
    EXPECT_TRUE(out.committed.empty());
    EXPECT_TRUE(r.installed(r.meta(4)).empty());
    EXPECT_FALSE(r.core.begin_install(r.now, r.meta(5)));
}

TEST(RaftRule29, NobodyCampaignsInTheMiddleOfAnInstall) {
    Receiver r;
    ASSERT_TRUE(r.core.begin_install(r.now, r.meta(4)));
    for (int i = 0; i < 200; ++i) {
        r.now += milliseconds(20);
        r.core.step({r.now, Tick{}});
        EXPECT_EQ(r.core.role(), Role::Follower);
    }
}

TEST(RaftClone, GoesOnAsTheOriginalWould) {
    Cluster cluster(3, 1);
    lead(cluster);
    Core copy = cluster.core(k1).clone();
    cluster.propose(k1, "a");
    EXPECT_EQ(copy.last_index(), LogIndex(1));
    ASSERT_TRUE(std::holds_alternative<Accepted>(
        copy.propose(cluster.node(k1).now, EntryKind::Effects, Bytes::copy("b"))));
    EXPECT_EQ(copy.last_index(), LogIndex(2));
    EXPECT_EQ(describe(copy.take_output()).find("\"a\""), std::string::npos);
}

}  // namespace
}  // namespace asterias::raft::testing
