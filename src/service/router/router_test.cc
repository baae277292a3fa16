// The router against an outlet and answers that the test plays.
#include "service/router/router.h"

#include <optional>

#include <gtest/gtest.h>

#include "runtime/sim/tiny_shard.h"

namespace asterias::router {
namespace {

using replica::Answer;
using Kind = Answer::Kind;

constexpr GroupId kGroup{2};
constexpr NodeId kA{1}, kB{2}, kC{3};

struct QuietSink final : LogSink {
    void write(LogLevel, std::string_view, std::string) override {}
    bool enabled(LogLevel) const override { return false; }
};

// One frame's worth of forwarded commands.
struct Forwarding {
    NodeId to;
    replica::ForwardHead head;
    std::vector<replica::Forwarded> commands;
    std::vector<uint64_t> sequences() const {
        std::vector<uint64_t> all;
        for (const auto& c : commands)
            all.push_back(c.sequence);
        return all;
    }
};

class Bench : public Outlet, public port::TurnHook {
public:
    explicit Bench(Options options = {}) : shard(1) {
        Catalogue catalogue{1,
                            {{KeyspaceId(1), "default", kGroup}, {KeyspaceId(2), "q", GroupId(3)}}};
        router = std::make_unique<Router>(
            shard, NodeId(9), catalogue,
            std::map<GroupId, std::vector<NodeId>>{{kGroup, {kA, kB, kC}}, {GroupId(3), {kA}}},
            *this, options, registry, Log(sink, "test"));
        shard.add_turn_hook(port::TurnPhase::Work, *this);
        router->on_leader(kGroup, kA);
        tick();
    }

    sim::TinyShard shard;
    Registry registry;
    QuietSink sink;
    std::unique_ptr<Router> router;
    std::vector<Forwarding> sent;
    bool reachable = true;
    std::vector<std::pair<int, std::string>> replies;  // in order of completion
    std::map<int, execute::Outcome> outcomes;

    bool forward(NodeId to, const replica::ForwardHead& head,
                 const std::vector<Departure>& commands) override {
        if (!reachable) return false;
        Forwarding f{to, head, {}};
        for (const auto& c : commands)
            f.commands.push_back({c.ticket, c.sequence, c.remaining_ms, *c.command});
        sent.push_back(std::move(f));
        return true;
    }
    void wake_router() override { awake_ = true; }
    void on_turn_end() override {
        if (std::exchange(awake_, false)) router->run();
    }

    void command(int name, kv::Op op, std::string key, uint64_t stream = 1,
                 Duration remaining = seconds(5)) {
        kv::Command c;
        c.op = op;
        c.keys = {Bytes::copy(key)};
        if (op == kv::Op::Set) c.values = {Bytes::copy("v")};
        router->execute(
            {std::move(c), execute::Bound::Linearizable, remaining, execute::StreamId(stream)},
            [this, name](execute::Outcome outcome) {
                EXPECT_FALSE(outcomes.contains(name)) << "completed twice";
                replies.emplace_back(name, outcome.reply.text.str());
                outcomes[name] = std::move(outcome);
            });
        shard.touch();
    }
    void write(int name, uint64_t stream = 1) { command(name, kv::Op::Set, "k", stream); }
    void read(int name, uint64_t stream = 1) { command(name, kv::Op::Get, "k", stream); }

    void turn() {
        shard.touch();
        shard.step();
    }
    void run_for(Duration duration) {
        const Instant until = shard.now() + duration;
        while (shard.now() < until)
            shard.step();
    }
    void answer(const Forwarding& f, size_t i, Kind kind, NodeId leader = {}) {
        router->on_answer(kGroup, f.to,
                          {f.commands[i].ticket,
                           f.head.epoch,
                           {kind, leader, Term(1), LogIndex(1), kv::Reply::ok()}});
        shard.touch();
    }
    bool done(int name) const { return outcomes.contains(name); }
    std::string text(int name) const {
        const auto it = outcomes.find(name);
        return it == outcomes.end() ? "(no answer)" : it->second.reply.text.str();
    }

private:
    void tick() {
        shard.timers().after(milliseconds(20), [this] {
            router->tick();
            tick();
        });
    }
    bool awake_ = false;
};

TEST(Router, WhatIsTooLargeForAFrameIsRefusedAndIsNoPartOfTheSession) {
    Bench b;
    kv::Command c;
    c.op = kv::Op::Set;
    c.keys = {Bytes::copy("k")};
    c.values = {Bytes::copy(std::string(kCommandBytesMax, 'x'))};
    std::string heard;
    b.router->execute(
        {std::move(c), execute::Bound::Linearizable, seconds(5), execute::StreamId(1)},
        [&heard](execute::Outcome outcome) { heard = outcome.reply.text.str(); });
    b.command(1, kv::Op::Set, "a");
    b.turn();
    EXPECT_EQ(heard, execute::kTooLarge);
    ASSERT_EQ(b.sent.size(), 1u);
    EXPECT_EQ(b.sent[0].sequences(), std::vector<uint64_t>{1});
}

// ------------------------------------------------------------------------------- R1

TEST(Router, R1CommandsOfATurnLeaveInOneFrameInTheOrderOfExecute) {
    Bench b;
    for (int i = 1; i <= 5; ++i)
        b.write(i);
    EXPECT_TRUE(b.sent.empty());
    b.turn();
    ASSERT_EQ(b.sent.size(), 1u);
    EXPECT_EQ(b.sent[0].sequences(), (std::vector<uint64_t>{1, 2, 3, 4, 5}));
    EXPECT_EQ(b.sent[0].head.low_water, 1u);
}

TEST(Router, R1AfterARefusalEverythingUnansweredGoesAgainInOrderUnderAHigherEpoch) {
    Bench b;
    for (int i = 1; i <= 4; ++i)
        b.write(i);
    b.turn();
    b.answer(b.sent[0], 0, Kind::Done);
    b.answer(b.sent[0], 1, Kind::NotLeader, kB);
    b.answer(b.sent[0], 2, Kind::NotLeader, kB);
    b.answer(b.sent[0], 3, Kind::NotLeader, kB);
    b.write(5);
    b.turn();
    ASSERT_EQ(b.sent.size(), 2u) << "one doubt, one repetition";
    EXPECT_EQ(b.sent[1].to, kB);
    EXPECT_EQ(b.sent[1].sequences(), (std::vector<uint64_t>{2, 3, 4, 5}));
    EXPECT_GT(b.sent[1].head.epoch, b.sent[0].head.epoch);
    EXPECT_EQ(b.sent[1].head.low_water, 2u);
}

TEST(Router, R1ALostConnectionSendsEverythingAgainToAnother) {
    Bench b;
    b.write(1);
    b.turn();
    const NodeId first = b.sent[0].to;
    b.router->on_peer_down(first);
    b.run_for(milliseconds(100));
    ASSERT_EQ(b.sent.size(), 2u);
    EXPECT_NE(b.sent[1].to, first);
    EXPECT_EQ(b.sent[1].sequences(), (std::vector<uint64_t>{1}));
}

TEST(Router, R1NewsOfALeaderMovesWhatIsUnanswered) {
    Bench b;
    b.write(1);
    b.turn();
    const NodeId next = b.sent[0].to == kC ? kB : kC;
    b.router->on_leader(kGroup, next);
    b.turn();
    ASSERT_EQ(b.sent.size(), 2u);
    EXPECT_EQ(b.sent[1].to, next);
}

TEST(Router, R1NothingIsSentWithoutAWayAndItGoesOutOnceThereIsOne) {
    Bench b;
    b.reachable = false;
    b.write(1);
    b.run_for(milliseconds(100));
    b.reachable = true;
    b.run_for(milliseconds(100));
    ASSERT_EQ(b.sent.size(), 1u);
    b.answer(b.sent[0], 0, Kind::Done);
    EXPECT_TRUE(b.done(1));
}

TEST(Router, LeadersThatNameEachOtherDoNotMakeAStorm) {
    Bench b;
    b.router->on_leader(kGroup, kA);
    b.write(1);
    b.turn();
    for (int i = 0; i < 100; ++i) {
        const auto last = b.sent.back();
        b.answer(last, 0, Kind::NotLeader, last.to == kA ? kB : kA);
        b.turn();
    }
    EXPECT_LT(b.sent.size(), 20u) << "an election takes a while: asking faster ends nothing";
}

TEST(Router, ATargetThatFallsSilentIsAskedNoLonger) {
    Bench b;
    b.router->on_leader(kGroup, kA);
    b.write(1);
    b.run_for(seconds(4));
    ASSERT_GE(b.sent.size(), 2u) << "its machine may be gone without a word";
    EXPECT_NE(b.sent[1].to, kA);
}

TEST(Router, R1WhoIsOnlyGuessedToLeadGetsOneCommandAndTheRestOnceItTookThat) {
    Bench b;
    b.router->on_peer_down(kA);
    for (int i = 1; i <= 3; ++i)
        b.write(i);
    b.run_for(milliseconds(60));
    ASSERT_EQ(b.sent.size(), 1u);
    EXPECT_EQ(b.sent[0].sequences(), (std::vector<uint64_t>{1}));
    b.answer(b.sent[0], 0, Kind::NotLeader);
    b.run_for(milliseconds(60));
    ASSERT_EQ(b.sent.size(), 2u);
    EXPECT_NE(b.sent[1].to, b.sent[0].to);
    EXPECT_EQ(b.sent[1].sequences(), (std::vector<uint64_t>{1}));
    b.answer(b.sent[1], 0, Kind::Done);
    b.turn();
    ASSERT_EQ(b.sent.size(), 3u);
    EXPECT_EQ(b.sent[2].to, b.sent[1].to);
    EXPECT_EQ(b.sent[2].head.epoch, b.sent[1].head.epoch);
    EXPECT_EQ(b.sent[2].sequences(), (std::vector<uint64_t>{2, 3}));
}

TEST(Router, R1NewsThatTheGuessWasRightSendsTheRest) {
    Bench b;
    b.router->on_peer_down(kA);
    b.write(1);
    b.write(2);
    b.run_for(milliseconds(60));
    ASSERT_EQ(b.sent.size(), 1u);
    b.router->on_leader(kGroup, b.sent[0].to);
    b.turn();
    ASSERT_EQ(b.sent.size(), 2u);
    EXPECT_EQ(b.sent[1].sequences(), (std::vector<uint64_t>{2}));
}

TEST(Router, R1AGuessThatKeepsSilentDoesNotHoldUpWhatCameLater) {
    Bench b;
    b.router->on_peer_down(kA);
    b.command(1, kv::Op::Set, "k", 1, milliseconds(200));
    b.command(2, kv::Op::Set, "k", 1, seconds(5));
    b.run_for(milliseconds(300));
    EXPECT_EQ(b.text(1), execute::kUnknown);
    ASSERT_EQ(b.sent.size(), 2u);
    EXPECT_EQ(b.sent[1].sequences(), (std::vector<uint64_t>{2}));
}

// ------------------------------------------------------------------------------- R2

TEST(Router, R2AWriteKeepsItsNumberForLife) {
    Bench b;
    b.write(1);
    b.read(2);
    b.write(3);
    b.turn();
    for (int i = 0; i < 5; ++i) {
        const auto last = b.sent.back();
        b.answer(last, 0, Kind::Lost, last.to == kB ? kC : kB);
        b.run_for(milliseconds(60));
        EXPECT_EQ(b.sent.back().commands.front().sequence, 1u);
        EXPECT_EQ(b.sent.back().commands.back().sequence, 2u);
    }
    EXPECT_EQ(b.sent[0].sequences(), (std::vector<uint64_t>{1, 0, 2}));
}

TEST(Router, R2AnAnswerOfAnEarlierEpochCountsAndIsDeliveredOnce) {
    Bench b;
    b.write(1);
    b.turn();
    b.router->on_leader(kGroup, b.sent[0].to == kB ? kC : kB);
    b.turn();
    ASSERT_EQ(b.sent.size(), 2u);
    b.answer(b.sent[0], 0, Kind::Done);
    EXPECT_TRUE(b.done(1));
    b.answer(b.sent[1], 0, Kind::Done);
    EXPECT_EQ(b.replies.size(), 1u);
}

// ------------------------------------------------------------------------------- R3

TEST(Router, R3AReadIsNotSentAgainOnceItsConnectionSentALaterWrite) {  // router_reads_overtaken
    Bench b;
    b.read(1);
    b.write(2);
    b.read(3);
    b.read(4, 7);  // of another connection
    b.turn();
    b.answer(b.sent[0], 0, Kind::Lost, kB);
    b.run_for(milliseconds(60));
    EXPECT_EQ(b.text(1), execute::kTryAgain);
    ASSERT_EQ(b.sent.size(), 2u);
    EXPECT_EQ(b.sent[1].sequences(), (std::vector<uint64_t>{1, 0, 0}));
}

TEST(Router, R3AlsoIfTheLaterWriteIsAnsweredAlready) {
    Bench b;
    b.read(1);
    b.write(2);
    b.turn();
    b.answer(b.sent[0], 1, Kind::Done);
    b.answer(b.sent[0], 0, Kind::Lost, kB);
    b.run_for(milliseconds(60));
    EXPECT_EQ(b.text(1), execute::kTryAgain);
    EXPECT_EQ(b.sent.size(), 1u);
}

TEST(Router, R3AWriteThatEveryNodeRefusedCannotBeSeen) {
    Bench b;
    b.read(1);
    b.write(2);
    b.turn();
    b.answer(b.sent[0], 0, Kind::NotLeader, kB);
    b.answer(b.sent[0], 1, Kind::NotLeader, kB);
    b.turn();
    ASSERT_EQ(b.sent.size(), 2u);
    EXPECT_EQ(b.sent[1].sequences(), (std::vector<uint64_t>{0, 1}));
}

// The later of two reads of a connection, answered by the old leader behind the new one's answer to
// the earlier: time would run backwards.
TEST(Router, R3AReadIsAnsweredByItsNewestEpochOnly) {  // router_old_reads_answer
    Bench b;
    b.read(1);
    b.read(2);
    b.turn();
    b.router->on_leader(kGroup, kB);
    b.turn();
    ASSERT_EQ(b.sent.size(), 2u);
    b.answer(b.sent[1], 0, Kind::Done);
    b.answer(b.sent[0], 1, Kind::Done);
    EXPECT_TRUE(b.done(1));
    EXPECT_FALSE(b.done(2));
    b.answer(b.sent[1], 1, Kind::Done);
    EXPECT_TRUE(b.done(2));
}

// Nobody is known to lead, so that only the first of two reads has been sent again when the old
// leader's answers to both arrive, late.
TEST(Router, R3AReadThatWaitsToBeSentAgainTakesNoOldAnswer) {  // router_unsent_reads_answer
    Bench b;
    b.read(1);
    b.read(2);
    b.turn();
    b.router->on_peer_down(kA);
    while (b.sent.size() < 2)
        b.run_for(milliseconds(1));
    ASSERT_EQ(b.sent[1].commands.size(), 1u);
    b.answer(b.sent[0], 0, Kind::Done);
    b.answer(b.sent[0], 1, Kind::Done);
    EXPECT_FALSE(b.done(1));
    EXPECT_FALSE(b.done(2));
    b.answer(b.sent[1], 0, Kind::Done);
    b.turn();
    ASSERT_EQ(b.sent.size(), 3u);
    b.answer(b.sent[2], 0, Kind::Done);
    EXPECT_TRUE(b.done(1));
    EXPECT_TRUE(b.done(2));
}

// ------------------------------------------------------------------------------- R4

TEST(Router, R4WhatEveryNodeRefusedThatGotItExpiresAsClusterDown) {
    Bench b;
    b.write(1);
    b.turn();
    while (!b.done(1)) {
        const auto last = b.sent.back();
        b.answer(last, 0, Kind::NotLeader);
        b.run_for(milliseconds(1));
    }
    EXPECT_GT(b.sent.size(), 100u);
    EXPECT_EQ(b.text(1), execute::kClusterDown);
}

TEST(Router, R4OneCopyThatNobodyRefusedIsEnoughForDoubt) {  // router_refusals_forget
    for (const bool lost : {true, false}) {
        Bench b;
        b.write(1);
        b.turn();
        if (lost)
            b.answer(b.sent[0], 0, Kind::Lost);
        else
            b.router->on_peer_down(kA);
        for (size_t seen = 1; !b.done(1);) {
            b.run_for(milliseconds(25));
            if (b.sent.size() == seen) continue;
            seen = b.sent.size();
            const auto last = b.sent.back();
            b.answer(last, 0, Kind::NotLeader);
        }
        EXPECT_EQ(b.text(1), execute::kUnknown);
    }
}

TEST(Router, R4WhatWasNeverSentExpiresAsClusterDown) {
    Bench b;
    b.reachable = false;
    b.write(1);
    b.run_for(seconds(6));
    EXPECT_EQ(b.text(1), execute::kClusterDown);
}

TEST(Router, R4AWriteThatWasSentExpiresAsUnknownAndAReadAsClusterDown) {
    Bench b;
    b.write(1);
    b.read(2);
    b.run_for(seconds(6));
    EXPECT_EQ(b.text(1), execute::kUnknown);
    EXPECT_EQ(b.text(2), execute::kClusterDown);
    EXPECT_EQ(b.router->in_flight(), 0u);
}

TEST(Router, R4ARefusalOfTheOnlyCopySaysThatNothingWasDone) {
    for (const auto& [kind, text] : {std::pair{Kind::Refused, execute::kTryAgain},
                                     std::pair{Kind::Busy, execute::kBusyLeader}}) {
        Bench b;
        b.write(1);
        b.turn();
        b.answer(b.sent[0], 0, kind);
        EXPECT_EQ(b.text(1), text);
    }
}

// The first copy may still be on its way to a node that leads by the time it gets there.
TEST(Router, R4ARefusalOfACopySaysNothingAboutTheOtherCopies) {
    for (const Kind kind : {Kind::Refused, Kind::Busy}) {
        Bench b;
        b.write(1);
        b.turn();
        b.router->on_leader(kGroup, b.sent[0].to == kB ? kC : kB);
        b.turn();
        ASSERT_EQ(b.sent.size(), 2u);
        b.answer(b.sent[1], 0, kind);
        EXPECT_EQ(b.text(1), execute::kUnknown);
    }
}

// Should a frame ever come twice, one copy may be in the log when the other is refused.
TEST(Router, R4WhatWasLostStaysInDoubtThoughItsTwinIsRefused) {
    Bench b;
    b.write(1);
    b.turn();
    const auto first = b.sent[0];
    b.reachable = false;
    b.answer(first, 0, Kind::Lost);
    b.answer(first, 0, Kind::NotLeader);
    b.run_for(seconds(6));
    EXPECT_EQ(b.text(1), execute::kUnknown);
}

TEST(Router, TheLowWaterMarkPassesWhatHasItsAnswer) {
    Bench b;
    b.write(1);
    b.write(2);
    b.turn();
    b.answer(b.sent[0], 1, Kind::Done);
    b.write(3);
    b.turn();
    EXPECT_EQ(b.sent[1].head.low_water, 1u);
    b.answer(b.sent[0], 0, Kind::Done);
    b.write(4);
    b.turn();
    EXPECT_EQ(b.sent[2].head.low_water, 3u);
}

// ------------------------------------------------------------------------------- R5

constexpr GroupId kCart{4};

// `cart` is at that group (0: on its way), or, without one, `default`'s.
void tell(Bench& b, uint64_t generation, std::optional<GroupId> cart) {
    Catalogue c{generation,
                {{KeyspaceId(1), "default", kGroup}, {KeyspaceId(2), "q", GroupId(3)}},
                cart == GroupId()};
    std::map<GroupId, std::vector<NodeId>> members{{kGroup, {kA, kB, kC}}, {GroupId(3), {kA}}};
    if (cart) c.keyspaces.push_back({KeyspaceId(3), "cart", *cart});
    if (cart) members[kCart] = {kB};
    b.router->set_catalogue(std::move(c), members);
    b.turn();
}
void moved(Bench& b, const Forwarding& f, size_t i) {
    b.router->on_answer(
        f.head.group, f.to,
        {f.commands[i].ticket,
         f.head.epoch,
         {Kind::Done, {}, Term(1), LogIndex(1), kv::Reply::error(execute::kMoved)}});
    b.turn();
}

TEST(Router, R5WhatAGroupRefusedGoesToTheGroupOfTheNextCatalogueInItsOrder) {
    Bench b;
    for (int i = 1; i <= 3; ++i)
        b.command(i, kv::Op::Set, "cart:" + std::to_string(i));
    b.turn();
    moved(b, b.sent[0], 0);
    moved(b, b.sent[0], 1);
    EXPECT_EQ(b.sent.size(), 1u) << "nobody knows yet where they are";
    tell(b, 2, GroupId());
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.sent.size(), 1u);
    b.router->on_leader(kCart, kB);
    tell(b, 3, kCart);
    b.router->on_leader(kCart, kB);
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.sent.size(), 1u) << "the third may yet be done in the old group";
    moved(b, b.sent[0], 2);
    ASSERT_EQ(b.sent.size(), 2u);
    EXPECT_EQ(b.sent[1].head.group, kCart);
    ASSERT_EQ(b.sent[1].commands.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(b.sent[1].commands[i].command.keys[0].view(), "cart:" + std::to_string(i + 1));
        EXPECT_EQ(b.sent[1].commands[i].command.keyspace, KeyspaceId(3));
    }
}

// mutant router_moved_keys_overtake
TEST(Router, R5ACommandWaitsForWhatIsUnderWayToWhereItsKeysWere) {
    Bench b;
    b.command(1, kv::Op::Set, "cart:1");
    b.command(2, kv::Op::Set, "other:1");
    b.turn();
    tell(b, 2, kCart);
    b.router->on_leader(kCart, kB);
    b.command(3, kv::Op::Set, "cart:1");
    b.command(4, kv::Op::Set, "other:2");
    b.turn();
    ASSERT_EQ(b.sent.size(), 2u);
    EXPECT_EQ(b.sent[1].commands.size(), 1u) << "other keys do not wait";
    b.answer(b.sent[0], 0, Kind::Done);
    b.run_for(milliseconds(40));
    ASSERT_EQ(b.sent.size(), 3u);
    EXPECT_EQ(b.sent[2].head.group, kCart);
}

TEST(Router, R5WhatGoesBackToTheGroupThatRefusedItIsForTheClientToTryAgain) {
    Bench b;
    b.command(1, kv::Op::Set, "cart:1");
    b.turn();
    moved(b, b.sent[0], 0);
    tell(b, 2, GroupId());
    tell(b, 3, std::nullopt);
    b.run_for(milliseconds(40));
    EXPECT_EQ(b.text(1), execute::kTryAgain);
    EXPECT_EQ(b.sent.size(), 1u);
    b.command(2, kv::Op::Set, "cart:1");
    b.turn();
    EXPECT_EQ(b.sent.size(), 2u);
}

TEST(Router, R5KeysThatAreOnTheirWayUntilTheDeadlineAreCertainlyNotWritten) {
    Bench b;
    tell(b, 2, GroupId());
    b.command(1, kv::Op::Set, "cart:1", 1, milliseconds(200));
    EXPECT_TRUE(b.router->wants_catalogue());
    b.run_for(milliseconds(400));
    EXPECT_EQ(b.text(1), execute::kOnTheirWay);
    EXPECT_TRUE(b.sent.empty());
    EXPECT_FALSE(b.router->wants_catalogue());
}

TEST(Router, R5WhatWasNotSentToAGroupThatIsGoneFindsItsWayAnew) {
    Bench b;
    tell(b, 2, kCart);
    b.reachable = false;
    b.command(1, kv::Op::Set, "cart:1");
    b.turn();
    b.reachable = true;
    tell(b, 3, std::nullopt);
    b.run_for(milliseconds(40));
    ASSERT_EQ(b.sent.size(), 1u);
    EXPECT_EQ(b.sent[0].head.group, kGroup);
}

// Whoever carries keyspaces on may be overtaken by another who drops one.
TEST(Router, R5AGroupThatIsGoneCannotBeReached) {
    Bench b;
    tell(b, 2, kCart);
    tell(b, 3, std::nullopt);
    kv::Command c;
    c.op = kv::Op::Exists;
    c.keys = {Bytes::literal("-")};
    std::string text;
    b.router->execute_in(kCart, {std::move(c), {}, seconds(1), {}},
                         [&](execute::Outcome o) { text = o.reply.text.str(); });
    b.turn();
    EXPECT_EQ(text, execute::kClusterDown);
}

TEST(Router, R5AnOlderCatalogueChangesNothing) {
    Bench b;
    tell(b, 5, kCart);
    tell(b, 4, std::nullopt);
    EXPECT_EQ(b.router->catalogue().generation, 5u);
}

// ------------------------------------------------------------------------------- R6

// How many keys there are in that keyspace, 0: the first one.
void count(Bench& b, execute::Outcome& outcome, KeyspaceId keyspace = {}, uint64_t generation = 0) {
    kv::Command c;
    c.op = kv::Op::Count;
    c.keyspace = keyspace;
    c.generation = generation;
    b.router->execute({std::move(c), {}, seconds(1), execute::StreamId(1)},
                      [&](execute::Outcome o) { outcome = std::move(o); });
    b.turn();
}
void told(Bench& b, const Forwarding& f, int64_t number) {
    b.router->on_answer(f.head.group, f.to,
                        {f.commands[0].ticket,
                         f.head.epoch,
                         {Kind::Done, {}, Term(1), LogIndex(1), kv::Reply::number(number)}});
    b.turn();
}

// mutant router_spans_do_not_wait
TEST(Router, R6ACommandOnAllKeysWaitsWhileKeysMoveAndHearsWhichKeyspacesThereAre) {
    Bench b;
    tell(b, 2, GroupId());
    execute::Outcome outcome;
    count(b, outcome);
    b.command(1, kv::Op::Set, "other:1");
    b.turn();
    ASSERT_EQ(b.sent.size(), 1u) << "others do not wait";
    EXPECT_EQ(b.sent[0].commands.size(), 1u);
    tell(b, 3, kCart);
    ASSERT_EQ(b.sent.size(), 2u);
    EXPECT_EQ(b.sent[1].commands[0].command.generation, 3u);
    told(b, b.sent[1], 5);
    EXPECT_EQ(outcome.reply, kv::Reply::number(5));
    ASSERT_TRUE(outcome.listing);
    EXPECT_EQ(outcome.listing->generation, 3u);
    EXPECT_EQ(outcome.listing->keyspaces,
              (std::vector{KeyspaceId(1), KeyspaceId(2), KeyspaceId(3)}));
}

TEST(Router, R6ACommandOnAllKeysThatMetAFenceGoesAgainByANewerCatalogue) {
    Bench b;
    execute::Outcome outcome;
    count(b, outcome);
    moved(b, b.sent[0], 0);
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.sent.size(), 1u);
    tell(b, 2, GroupId());
    EXPECT_EQ(b.sent.size(), 1u);
    tell(b, 3, kCart);
    b.run_for(milliseconds(40));
    ASSERT_EQ(b.sent.size(), 2u);
    EXPECT_EQ(b.sent[1].head.group, kGroup) << "where it was refused";
    told(b, b.sent[1], 5);
    EXPECT_EQ(outcome.reply, kv::Reply::number(5));
}

TEST(Router, R6ACommandOnAllKeysDoesNotOvertakeWhatWaitedBeforeIt) {
    Bench b;
    b.command(1, kv::Op::Set, "cart:1");
    b.turn();
    tell(b, 2, kCart);
    b.router->on_leader(kCart, kB);
    b.command(2, kv::Op::Set, "cart:2");
    execute::Outcome outcome;
    count(b, outcome, KeyspaceId(3));
    ASSERT_EQ(b.sent.size(), 1u) << "both wait for the first, which may be done where it was";
    b.answer(b.sent[0], 0, Kind::Done);
    b.run_for(milliseconds(40));
    ASSERT_EQ(b.sent.size(), 2u);
    ASSERT_EQ(b.sent[1].commands.size(), 2u);
    EXPECT_EQ(b.sent[1].commands[0].command.op, kv::Op::Set);
    EXPECT_EQ(b.sent[1].commands[1].command.op, kv::Op::Count);
}

TEST(Router, R6AKeyspaceThatIsGoneIsEmptyAndOneThatIsNotKnownYetIsWaitedFor) {
    Bench b;
    tell(b, 2, kCart);
    execute::Outcome outcome;
    b.router->on_leader(kCart, kB);
    count(b, outcome, KeyspaceId(3));
    ASSERT_EQ(b.sent.size(), 1u) << "its group will never answer";
    tell(b, 3, std::nullopt);
    b.run_for(milliseconds(40));
    EXPECT_EQ(outcome.reply, kv::Reply::number(0));
    ASSERT_TRUE(outcome.listing);
    EXPECT_EQ(outcome.listing->generation, 3u);
    outcome = {};
    count(b, outcome, KeyspaceId(4), 5);
    b.run_for(milliseconds(40));
    EXPECT_EQ(outcome.reply, kv::Reply()) << "made by a catalogue that is to come";
    tell(b, 5, std::nullopt);
    b.run_for(milliseconds(40));
    EXPECT_EQ(outcome.reply, kv::Reply::number(0));
}

// ------------------------------------------------------------------------------- bounds

TEST(Router, InFlightCommandsAreBounded) {
    Bench b({.inflight_max = 3});
    for (int i = 1; i <= 4; ++i)
        b.write(i);
    b.turn();
    EXPECT_EQ(b.text(4), execute::kBusy);
    EXPECT_EQ(b.sent[0].commands.size(), 3u);
}

TEST(Router, TheKeysOfOneCommandAreInOneKeyspace) {
    Bench b;
    kv::Command c;
    c.op = kv::Op::MGet;
    c.keys = {Bytes::literal("q:a"), Bytes::literal("b")};
    std::string text;
    b.router->execute({std::move(c), {}, seconds(1), execute::StreamId(1)},
                      [&](execute::Outcome o) { text = o.reply.text.str(); });
    EXPECT_EQ(text, "") << "never inside execute()";
    b.turn();
    EXPECT_TRUE(text.starts_with("CROSSKEYSPACE nothing was done"));
}

TEST(Router, ACommandWithoutKeysGoesToTheKeyspaceThatItNames) {
    Bench b;
    kv::Command flush;
    flush.op = kv::Op::Flush;
    flush.keyspace = KeyspaceId(2);
    b.router->execute({flush, {}, seconds(1), execute::StreamId(1)}, [](execute::Outcome) {});
    b.turn();
    ASSERT_EQ(b.sent.size(), 1u);
    EXPECT_EQ(b.sent[0].head.group, GroupId(3));
    EXPECT_EQ(b.sent[0].commands[0].command.keyspace, KeyspaceId(2));
    // In a transaction it would mean both.
    kv::Command batch;
    batch.op = kv::Op::Batch;
    flush.keyspace = {};
    batch.batch.push_back(std::move(flush));
    std::string text;
    b.router->execute({std::move(batch), {}, seconds(1), execute::StreamId(1)},
                      [&](execute::Outcome o) { text = o.reply.text.str(); });
    b.turn();
    EXPECT_TRUE(text.starts_with("CROSSKEYSPACE nothing was done"));
}

TEST(Router, ACompletionMayExecuteTheNextCommand) {
    Bench b;
    int more = 50;
    std::function<void(execute::Outcome)> again = [&](execute::Outcome) {
        if (--more == 0) return;
        kv::Command c;
        c.op = kv::Op::Set;
        c.keys = {Bytes::literal("k")};
        c.values = {Bytes::literal("v")};
        b.router->execute({std::move(c), {}, milliseconds(30), execute::StreamId(1)},
                          [&](execute::Outcome o) { again(std::move(o)); });
    };
    for (int i = 0; i < 4; ++i)
        again({});
    b.run_for(seconds(2));
    EXPECT_LE(more, 0) << "each expires and makes the next";
}

}  // namespace
}  // namespace asterias::router
