// Frames, calls and endpoints; the endpoints over the simulated network.
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "runtime/sim/test_support.h"
#include "service/rpc/call.h"
#include "service/rpc/rpc_test_station.h"
#include "wire/fields.h"

namespace asterias::rpc {
namespace {

using sim::NodeIndex;

// ------------------------------------------------------------------------------- frames

Bytes sample_frame(std::string_view body = "the body") {
    FrameBuilder b;
    b.body().raw(body);
    return b.finish({FrameType::Raft, ClusterId(5), Incarnation(1), 77, 9, 10});
}

TEST(Frame, WhatIsWrittenIsRead) {
    const Bytes bytes = sample_frame();
    size_t used = 0;
    auto read = read_frame(bytes, used);
    ASSERT_TRUE(read);
    const Frame& f = std::get<Frame>(*read);
    EXPECT_EQ(used, bytes.size());
    EXPECT_EQ(f.header.type, FrameType::Raft);
    EXPECT_EQ(f.header.cluster, ClusterId(5));
    EXPECT_EQ(f.header.cluster_incarnation, Incarnation(1));
    EXPECT_EQ(f.header.remaining_ms, 77u);
    EXPECT_EQ(f.header.request, 9u);
    EXPECT_EQ(f.header.trace, 10u);
    EXPECT_EQ(f.body.view(), "the body");
}

TEST(Frame, EveryTruncationAsksForMoreAndSaysHowMuch) {
    const Bytes bytes = sample_frame();
    for (size_t n = 0; n < bytes.size(); ++n) {
        size_t used = 0;
        auto read = read_frame(bytes.slice(0, n), used);
        ASSERT_TRUE(read) << n;
        const auto& more = std::get<NeedMore>(*read);
        EXPECT_GT(more.wanted, n);
        EXPECT_LE(more.wanted, bytes.size());
    }
}

TEST(Frame, EveryFlippedBitIsRefusedOrAsksForMore) {
    const std::string whole = sample_frame().str();
    for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
        std::string bad = whole;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        size_t used = 0;
        auto read = read_frame(Bytes::copy(bad), used);
        EXPECT_FALSE(read && std::holds_alternative<Frame>(*read)) << bit;
    }
}

TEST(Frame, ALengthBeyondTheLimitIsRefusedBeforeItsBytesCome) {
    wire::Writer out;
    out.u32(kFrameBytesMax + 1).u32(0).raw(std::string(40, '\0'));
    size_t used = 0;
    EXPECT_FALSE(read_frame(out.take(), used));
}

TEST(Call, BodiesRoundTripAndTruncationsAreRefused) {
    auto body_of = [](const Bytes& frame) {
        size_t used = 0;
        auto read = read_frame(frame, used);
        return std::get<Frame>(*read).body;
    };
    const Bytes call = body_of(call_frame({FrameType::Call}, {"join", Bytes::literal("xyz")}));
    EXPECT_EQ(read_call(call)->name, "join");
    EXPECT_EQ(read_call(call)->payload.view(), "xyz");
    for (size_t n = 0; n < call.size(); ++n)
        EXPECT_FALSE(read_call(call.slice(0, n)));
    const Bytes yes = body_of(reply_frame({FrameType::CallReply}, Bytes::literal("ok")));
    EXPECT_EQ(read_reply(yes)->view(), "ok");
    const Bytes no = body_of(reply_frame({FrameType::CallReply}, fail(Errc::Conflict, "no")));
    EXPECT_EQ(read_reply(no).error().code, Errc::Conflict);
    EXPECT_EQ(read_reply(no).error().context, "no");
    EXPECT_EQ(read_reply(Bytes::literal("\xFFx")).error().code, Errc::Corrupt);
}

// ------------------------------------------------------------------------------- endpoints

// Two machines; `a` dials, `b` listens at port 7.
struct Two {
    explicit Two(uint64_t seed = 1, Identity ia = member(1), Identity ib = member(2),
                 Options options = {})
        : world(seed) {
        na = world.add_node("a", {});
        nb = world.add_node("b", {});
        boot_a(ia, options);
        boot_b(ib, options);
    }
    void boot_a(Identity self, Options options = {}) {
        host_a = sim::boot_host(world, na);
        a = &host_a->own<Station>(host_a->shard(), self, world.log(na), options);
    }
    void boot_b(Identity self, Options options = {}) {
        host_b = sim::boot_host(world, nb);
        b = &host_b->own<Station>(host_b->shard(), self, world.log(nb), options);
        ASSERT_TRUE(b->endpoint->listen({"b", 7}));
    }
    void dial(NodeId expected = NodeId(2)) { a->endpoint->add_peer(expected, {"b", 7}); }
    void connect() {
        dial();
        ASSERT_TRUE(world.run_until([&] { return a->outgoing_ups == 2; }, seconds(2)));
    }
    // Raw bytes to b, as a stranger would send them.
    sim::Collector& say(Bytes bytes) {
        auto& collector = host_a->own<sim::Collector>();
        auto& result = host_a->own<sim::DialResult>();
        host_a->scope().spawn("raw", dial_and_say(host_a->shard(), collector, result, bytes));
        world.run_for(milliseconds(200));
        return collector;
    }
    static port::Task<> dial_and_say(port::Shard& shard, sim::Collector& collector,
                                     sim::DialResult& result, Bytes bytes) {
        co_await sim::dial_into(shard, {"b", 7}, "", seconds(1), collector, result);
        if (collector.connection) collector.connection->out().append(bytes);
    }

    sim::World world;
    NodeIndex na, nb;
    sim::Host *host_a = nullptr, *host_b = nullptr;
    Station *a = nullptr, *b = nullptr;
};

Bytes hello(ClusterId cluster, std::optional<uint64_t> node, uint64_t lane = 1,
            uint64_t expected = 2) {
    FrameBuilder f;
    if (node) wire::field(f.body(), 1, *node);
    wire::field(f.body(), 2, uint64_t{3});
    wire::field(f.body(), 4, lane);
    wire::field(f.body(), 5, expected);
    return f.finish({FrameType::Hello, cluster, Incarnation(cluster ? 1 : 0), 0, 0, 0});
}
Bytes raft_frame(ClusterId cluster) {
    FrameBuilder f;
    f.body().raw("x");
    return f.finish({FrameType::Raft, cluster, Incarnation(cluster ? 1 : 0), 0, 0, 0});
}
Bytes joined(const std::vector<Bytes>& all) {
    BytesBuilder out;
    for (const auto& b : all)
        out.append(b.view());
    return out.take();
}

TEST(Endpoint, FramesOfALaneArriveInOrderWithTheSendersIdentity) {
    Two t;
    t.connect();
    for (int i = 0; i < 50; ++i)
        EXPECT_TRUE(t.a->send(NodeId(2), Lane::Normal, std::to_string(i)));
    t.host_a->shard().post([] {});
    t.world.run_for(milliseconds(100));
    ASSERT_EQ(t.b->heard.size(), 50u);
    for (int i = 0; i < 50; ++i)
        EXPECT_EQ(t.b->heard[i].second, std::to_string(i));
    EXPECT_EQ(t.b->from[0].node, NodeId(1));
    EXPECT_EQ(t.b->from[0].incarnation, Incarnation(3));
    EXPECT_EQ(t.b->from[0].lane, Lane::Normal);
}

TEST(Endpoint, AnAnswerGoesBackOnTheConnectionOfItsQuestion) {
    Two t;
    t.connect();
    t.a->send(NodeId(2), Lane::Heartbeat, "ping");
    t.host_a->shard().post([] {});
    t.world.run_for(milliseconds(50));
    ASSERT_EQ(t.b->from.size(), 1u);
    FrameBuilder f;
    f.body().raw("pong");
    EXPECT_TRUE(t.b->endpoint->reply(t.b->from[0].link, FrameType::ForwardReply,
                                     f.finish(t.b->endpoint->header(FrameType::ForwardReply))));
    t.host_b->shard().post([] {});
    t.world.run_for(milliseconds(50));
    ASSERT_EQ(t.a->heard.size(), 1u);
    EXPECT_EQ(t.a->heard[0].second, "pong");
    EXPECT_FALSE(t.b->endpoint->connected(NodeId(1), Lane::Normal)) << "it came in, only";
}

TEST(Endpoint, ANodeOfAnotherClusterIsRefusedAndCounted) {
    Two t(1, member(1, ClusterId(6)));
    t.dial();
    t.world.run_for(seconds(1));
    EXPECT_EQ(t.a->outgoing_ups + t.b->ups, 0);
    EXPECT_GT(t.b->bad_frames(), 0u);
}

TEST(Endpoint, ANodeThatIsNotTheOneExpectedIsRefused) {
    Two t;
    t.dial(NodeId(3));
    t.world.run_for(seconds(1));
    EXPECT_EQ(t.a->outgoing_ups + t.b->ups, 0);
    EXPECT_FALSE(t.a->endpoint->connected(NodeId(3), Lane::Normal));
}

TEST(Endpoint, AConnectionComesBackAfterItsPeerRestarted) {
    Two t;
    t.connect();
    t.world.crash(t.nb, sim::CrashKind::Kill, sim::Farewell::Reset);
    ASSERT_TRUE(t.world.run_until([&] { return t.a->outgoing_downs == 2; }, seconds(1)));
    EXPECT_FALSE(t.a->send(NodeId(2), Lane::Normal, "lost"));
    t.boot_b(member(2));
    ASSERT_TRUE(t.world.run_until([&] { return t.a->outgoing_ups == 4; }, seconds(3)));
    EXPECT_TRUE(t.a->send(NodeId(2), Lane::Normal, "kept"));
    t.host_a->shard().post([] {});
    t.world.run_for(milliseconds(50));
    ASSERT_EQ(t.b->heard.size(), 1u);
    EXPECT_EQ(t.b->heard[0].second, "kept");
}

// Mutant rpc_waits_out_its_pause.
TEST(Endpoint, WhoIsReachedByAPeerTriesItAtOnce) {
    Options slow;
    slow.reconnect_min = slow.reconnect_max = seconds(60);
    Two t(1, member(1), member(2), slow);
    t.world.crash(t.nb, sim::CrashKind::Kill, sim::Farewell::Reset);
    t.dial();
    ASSERT_TRUE(t.a->endpoint->listen({"a", 7}));
    t.world.run_for(seconds(3));
    t.boot_b(member(2));
    t.world.run_for(seconds(1));
    ASSERT_EQ(t.a->outgoing_ups, 0) << "it pauses, or this shows nothing";
    t.b->endpoint->add_peer(NodeId(1), {"a", 7});
    EXPECT_TRUE(t.world.run_until([&] { return t.a->outgoing_ups == 2; }, seconds(1)));
}

TEST(Endpoint, ADamagedFrameEndsItsConnectionAndNothingBehindItArrives) {
    Two t;
    std::string bad = raft_frame(kCluster).str();
    bad.back() ^= 1;
    auto& c = t.say(
        joined({hello(kCluster, 1), raft_frame(kCluster), Bytes::copy(bad), raft_frame(kCluster)}));
    EXPECT_EQ(t.b->heard.size(), 1u);
    EXPECT_EQ(t.b->bad_frames(), 1u);
    EXPECT_TRUE(c.ended || c.closed);
}

TEST(Endpoint, AConnectionBeginsWithHello) {
    Two t;
    auto& c = t.say(raft_frame(kCluster));
    EXPECT_TRUE(t.b->heard.empty());
    EXPECT_TRUE(c.ended || c.closed);
}

TEST(Endpoint, WhoIsNoMemberMayOnlyCall) {
    Two t;
    t.say(joined({hello({}, {}), call_frame({FrameType::Call}, {"join", {}})}));
    ASSERT_EQ(t.b->heard.size(), 1u);
    EXPECT_EQ(t.b->heard[0].first, FrameType::Call);
    t.say(joined({hello({}, {}), raft_frame(kCluster)}));
    EXPECT_EQ(t.b->heard.size(), 1u);
}

TEST(Endpoint, AMembersNameWithoutItsClusterIsWorthNothing) {
    Two t;
    t.say(joined({hello({}, 1), raft_frame({})}));
    EXPECT_TRUE(t.b->heard.empty());
    t.say(joined({hello(kCluster, 1), raft_frame({})}));
    EXPECT_TRUE(t.b->heard.empty());
}

TEST(Endpoint, APeerThatAnswersForAnotherLaneIsRefused) {
    Two t(1, member(1), member(4));
    // A listener that answers every Hello with the lane of snapshots.
    struct Liar : sim::Collector {
        port::Consumed on_data(const Bytes& available) override {
            if (received.empty()) connection->out().append(hello(kCluster, 2, 2, 1));
            return Collector::on_data(available);
        }
    };
    auto& liars = t.host_b->own<std::vector<std::unique_ptr<Liar>>>();
    auto listening =
        t.host_b->shard().net().listen({"b", 8}, [&liars](std::unique_ptr<port::Connection> c) {
            liars.push_back(std::make_unique<Liar>());
            liars.back()->take(std::move(c));
        });
    t.host_b->own<std::unique_ptr<port::Listener>>(std::move(*listening));
    t.a->endpoint->add_peer(NodeId(2), {"b", 8});
    t.world.run_for(seconds(1));
    EXPECT_EQ(t.a->outgoing_ups, 0);
    EXPECT_GT(liars.size(), 1u);
}

TEST(Endpoint, AListenerThatNeverSaysHelloIsLeftAndAskedAgain) {
    Two t;
    auto& mute = t.host_b->own<std::vector<std::unique_ptr<sim::Collector>>>();
    auto listening =
        t.host_b->shard().net().listen({"b", 8}, [&mute](std::unique_ptr<port::Connection> c) {
            mute.push_back(std::make_unique<sim::Collector>());
            mute.back()->take(std::move(c));
        });
    t.host_b->own<std::unique_ptr<port::Listener>>(std::move(*listening));
    t.a->endpoint->add_peer(NodeId(2), {"b", 8});
    t.world.run_for(seconds(5));
    EXPECT_GE(mute.size(), 4u) << "two lanes, each at least twice";
}

TEST(Endpoint, AStrangersLongFrameIsNotWaitedFor) {
    Two t;
    wire::Writer out;
    out.u32(60 * 1024 * 1024);
    out.u32(crc32c(out.view())).raw(std::string(100, 'x'));
    auto& c = t.say(out.take());
    EXPECT_TRUE(c.ended || c.closed);
}

// Anybody may call, and need not read what it is told.
TEST(Endpoint, AStrangerThatReadsNoAnswersIsNotLentMemory) {
    Two t;
    FrameBuilder hello;
    const Bytes call = call_frame({FrameType::Call, {}, {}, 0, 1, 0}, {"x", {}});
    auto& c = t.say(hello.finish({FrameType::Hello, {}, {}, 0, 0, 0}));
    c.connection->pause_reading(true);
    t.host_a->shard().post([&] { c.connection->out().append(call); });
    t.world.run_for(milliseconds(100));
    ASSERT_EQ(t.b->from.size(), 1u);
    const LinkId link = t.b->from[0].link;
    sim::LinkProfile narrow;
    narrow.bytes_per_second = 1000;
    t.world.set_link(t.nb, t.na, narrow);
    size_t owed = 0;
    const auto answer = [&] {
        return t.b->endpoint->reply(link, FrameType::CallReply,
                                    reply_frame(t.b->endpoint->header(FrameType::CallReply, 1),
                                                Bytes::copy(std::string(100'000, 'x'))));
    };
    while (owed < 1000 && answer())
        ++owed;
    EXPECT_LT(owed, 100u) << "10 MB";
    EXPECT_GT(owed, 5u);
}

TEST(Endpoint, FramesAreRefusedWhileTheOutputIsFull) {
    Options options;
    options.unsent_bytes_max = 1000;
    Two t(1, member(1), member(2), options);
    t.connect();
    t.world.cut(t.na, t.nb);
    bool refused = false;
    for (int i = 0; i < 3000 && !refused; ++i) {
        refused = !t.a->send(NodeId(2), Lane::Normal, std::string(1000, 'x'));
        t.host_a->shard().post([] {});
        t.world.run_for(microseconds(50));
    }
    EXPECT_TRUE(refused);
}

// Whoever waits for an answer must not wait for one that was thrown away.
TEST(Endpoint, AnAnswerThatFindsNoRoomEndsItsConnection) {
    Options options;
    options.unsent_bytes_max = 100'000;
    Two t(1, member(1), member(2), options);
    t.connect();
    t.a->send(NodeId(2), Lane::Normal, "ask");
    t.host_a->shard().post([] {});
    t.world.run_for(milliseconds(50));
    ASSERT_EQ(t.b->from.size(), 1u);
    const LinkId link = t.b->from[0].link;
    sim::LinkProfile narrow;
    narrow.bytes_per_second = 1000;
    t.world.set_link(t.nb, t.na, narrow);
    const auto answer = [&] {
        FrameBuilder f;
        f.body().raw(std::string(10'000, 'x'));
        return t.b->endpoint->reply(link, FrameType::ForwardReply,
                                    f.finish(t.b->endpoint->header(FrameType::ForwardReply)));
    };
    int taken = 0;
    bool accepting_at_half = true;
    EXPECT_TRUE(t.b->endpoint->has_room(link));
    while (taken < 1000 && answer()) {
        ++taken;
        accepting_at_half = t.b->endpoint->has_room(link);
    }
    EXPECT_GE(taken, 9);
    EXPECT_LE(taken, 11);
    EXPECT_FALSE(accepting_at_half) << "half of the room is for what was accepted before";
    t.host_b->shard().post([] {});
    ASSERT_TRUE(t.world.run_until([&] { return t.b->downs == 1; }, seconds(1)));
    ASSERT_TRUE(t.world.run_until([&] { return t.a->outgoing_downs == 1; }, seconds(60)));
}

// A log whose lines are kept.
struct Lines : LogSink {
    std::string text;
    void write(LogLevel, std::string_view room, std::string line) override {
        text += std::string(room) + ": " + line + "\n";
    }
    bool enabled(LogLevel level) const override { return level >= LogLevel::Info; }
    size_t count(std::string_view what) const {
        size_t n = 0;
        for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1))
            ++n;
        return n;
    }
};

TEST(Endpoint, ANodeThatIsNoMemberIsRefusedAndToldWhy) {
    Two t;
    Lines& dialing = t.host_a->own<Lines>();
    Lines& listening = t.host_b->own<Lines>();
    t.a = &t.host_a->own<Station>(t.host_a->shard(), member(11), dialing);
    t.b = &t.host_b->own<Station>(t.host_b->shard(), member(2), listening);
    ASSERT_TRUE(t.b->endpoint->listen({"b", 8}));
    t.a->endpoint->add_peer(NodeId(2), {"b", 8});
    t.world.run_for(seconds(5));
    EXPECT_EQ(t.a->outgoing_ups + t.b->ups, 0);
    EXPECT_GT(t.b->registry
                  .counter("asterias_rpc_refused_peers_total",
                           "Connections of nodes that this one knows nothing of.")
                  .value(),
              10u);
    EXPECT_EQ(dialing.count("refused by it: node 11 is unknown here"), 2u)
        << "once for each lane, not at every attempt: " << dialing.text;
    EXPECT_EQ(listening.count("node 11 is unknown here"), 1u) << listening.text;
    t.b->highest_member = 11;
    t.world.run_for(seconds(2));
    EXPECT_EQ(t.a->outgoing_ups, 2) << "who is let in later gets in";
}

// ------------------------------------------------------------------------------- liveness

Options impatient() {
    Options options;
    options.alive_interval = milliseconds(100);
    options.silence_max = milliseconds(500);
    return options;
}
// a sends on the normal lane every 50 ms.
void talk(Two& t, Duration duration, size_t bytes = 10) {
    for (Instant end = t.world.now() + duration; t.world.now() < end;) {
        t.a->send(NodeId(2), Lane::Normal, std::string(bytes, 'x'));
        t.host_a->shard().post([] {});
        t.world.run_for(milliseconds(50));
    }
}

// N6: a dead peer is noticed by us, not by TCP.
TEST(Liveness, AConnectionThatCarriesNothingOneWayIsDroppedLongBeforeTheTransportGivesUp) {
    for (const bool there : {true, false}) {  // mutant rpc_silence_without_end
        Two t(1, member(1), member(2), impatient());
        t.connect();
        talk(t, milliseconds(300));
        t.world.cut(there ? t.na : t.nb, there ? t.nb : t.na, true);
        talk(t, milliseconds(450));
        EXPECT_EQ(t.a->outgoing_downs, 0) << there;
        talk(t, milliseconds(350));
        EXPECT_EQ(t.a->outgoing_downs, 2) << "also the idle lane: rpc_idle_lane_outlives_peer";
        EXPECT_FALSE(t.a->endpoint->connected(NodeId(2), Lane::Normal));
        t.world.heal_all();
        t.world.run_for(seconds(3));
        EXPECT_TRUE(t.a->endpoint->connected(NodeId(2), Lane::Normal));
        EXPECT_EQ(t.b->ups, 4);
        EXPECT_EQ(t.b->downs, 2) << "what was left without a word went when the next one came";
    }
}

// As after a cut in which the transport has begun to wait. Mutant rpc_stale_lane_waits.
TEST(Liveness, ALaneThatIsSilentGoesWhenTheOneOfHeartbeatsIsBack) {
    Options options = impatient();
    options.silence_max = seconds(60);
    options.heartbeat_silence_max = milliseconds(500);
    Two t(1, member(1), member(2), options);
    t.connect();
    const auto beat = [&](Duration duration) {
        for (Instant end = t.world.now() + duration; t.world.now() < end;) {
            t.a->send(NodeId(2), Lane::Heartbeat, "beat");
            talk(t, milliseconds(50));
        }
    };
    beat(milliseconds(300));
    t.world.cut(t.na, t.nb, true);
    beat(seconds(3));
    EXPECT_EQ(t.a->outgoing_downs, 1) << "the lane of heartbeats";
    t.world.heal_all();
    beat(seconds(1));
    EXPECT_EQ(t.a->outgoing_downs, 2);
    EXPECT_EQ(t.a->outgoing_ups, 4);
}

TEST(Liveness, WhoHearsAndHasNothingToSaySaysThatItHears) {
    Two t(1, member(1), member(2), impatient());
    t.connect();
    talk(t, seconds(5));
    EXPECT_EQ(t.a->outgoing_downs, 0);
    EXPECT_EQ(t.b->heard.size(), 100u);
    EXPECT_TRUE(t.a->heard.empty()) << "nobody above is told";
}

TEST(Liveness, AnIdleConnectionOwesNothing) {
    Two t(1, member(1), member(2), impatient());
    t.connect();
    talk(t, milliseconds(50));
    t.world.run_for(seconds(1));
    const uint64_t before = t.world.events_executed();
    t.world.run_for(seconds(60));
    EXPECT_EQ(t.world.events_executed(), before) << "no timer, no frame";
    t.world.cut(t.na, t.nb);
    t.world.run_for(seconds(60));
    EXPECT_EQ(t.a->outgoing_downs, 0);
}

TEST(Liveness, ALongFrameOnASlowLinkIsNotSilence) {
    Two t(1, member(1), member(2), impatient());
    sim::LinkProfile slow;
    slow.bytes_per_second = 300'000;
    slow.window_bytes = 16 * 1024;  // the simulator delivers as much as that at once
    t.world.set_link(t.na, t.nb, slow);
    t.connect();
    t.a->send(NodeId(2), Lane::Normal, std::string(1024 * 1024, 'x'));
    t.host_a->shard().post([] {});
    t.world.run_for(seconds(10));
    EXPECT_EQ(t.a->outgoing_downs, 0);
    EXPECT_EQ(t.b->heard.size(), 1u);
}

TEST(Liveness, TheTimeThatAProcessWasStoppedIsNotItsPeersSilence) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        Two t(seed, member(1), member(2), impatient());
        t.connect();
        talk(t, milliseconds(50));
        t.world.pause(t.na, seconds(10));
        t.world.run_for(seconds(11));
        EXPECT_EQ(t.a->outgoing_downs, 0) << seed;
    }
}

struct Judge : Interceptor {
    explicit Judge(Verdict v) : verdict(v) {}
    Verdict verdict;
    int seen = 0;
    Verdict on_frame(const Passage& p) override {
        if (p.outgoing) return {};
        ++seen;
        return verdict;
    }
};

TEST(Endpoint, InterceptorsDropDuplicateAndDelayFrames) {
    for (const auto& [kind, copies] : {std::pair{Verdict::Kind::Pass, 1u},
                                       {Verdict::Kind::Drop, 0u},
                                       {Verdict::Kind::Duplicate, 2u},
                                       {Verdict::Kind::Delay, 1u}}) {
        Two t;
        auto& judge = t.host_b->own<Judge>(Verdict{kind, milliseconds(300)});
        t.b->endpoint->add_interceptor(judge);
        t.connect();
        t.a->send(NodeId(2), Lane::Normal, "x");
        t.host_a->shard().post([] {});
        t.world.run_for(milliseconds(200));
        EXPECT_EQ(judge.seen, 1);
        EXPECT_EQ(t.b->heard.size(), kind == Verdict::Kind::Delay ? 0u : copies);
        t.world.run_for(milliseconds(300));
        EXPECT_EQ(t.b->heard.size(), copies);
    }
}

// A connection that ended in this turn and a delayed frame are both still to be told.
TEST(Endpoint, NothingReachesAnEndpointAfterItsEnd) {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        Two t(seed);
        auto& judge = t.host_b->own<Judge>(Verdict{Verdict::Kind::Delay, milliseconds(50)});
        t.b->endpoint->add_interceptor(judge);
        t.connect();
        t.a->send(NodeId(2), Lane::Normal, "x");
        t.host_a->shard().post([] {});
        t.world.run_for(milliseconds(5));
        // b's endpoint goes in the very turn in which its connections do.
        t.host_b->shard().timers().after(milliseconds(1), [&t] {
            t.host_b->scope().spawn("close", [](Station* s) -> port::Task<> {
                co_await s->endpoint->close();
                s->endpoint.reset();
            }(t.b));
        });
        t.world.break_connections(t.na, t.nb, sim::Farewell::Close);
        t.world.run_for(milliseconds(200));
    }
}

}  // namespace
}  // namespace asterias::rpc
