#include <gtest/gtest.h>

#include "runtime/sim/test_support.h"

namespace asterias::sim {
namespace {

std::string pattern(size_t size) {
    std::string text(size, '\0');
    for (size_t i = 0; i < size; ++i)
        text[i] = static_cast<char>('a' + (i * 31 + i / 997) % 26);
    return text;
}

TEST(Stream, CarriesBytesBothWaysAfterOneRoundTrip) {
    Pair p(1);
    p.connected();
    EXPECT_EQ(p.client->connection->peer().name, "b");
    EXPECT_EQ(p.server->connection->peer().name, "a");
    EXPECT_TRUE(p.server->connection->peer().authenticated);
    p.say(p.host_a, p.client, "ping");
    p.say(p.host_b, p.server, "pong");
    p.world.run_for(milliseconds(50));
    EXPECT_EQ(p.server->received, "ping");
    EXPECT_EQ(p.client->received, "pong");
    EXPECT_EQ(p.client->connection->unsent(), 0u);
}

TEST(Stream, KeepsOrderWhateverTheLinkDoes) {
    for (uint64_t seed = 0; seed < 30; ++seed) {
        Pair p(seed, {.jitter = milliseconds(30),
                      .bytes_per_second = 1'000'000,
                      .loss_ppm = 100'000,
                      .spike_ppm = 100'000,
                      .split_ppm = 600'000,
                      .window_bytes = 3'000});
        p.connected();
        const std::string all = pattern(40'000);
        for (size_t at = 0; at < all.size(); at += 1'000) {
            p.say(p.host_a, p.client, all.substr(at, 1'000));
            p.world.run_for(milliseconds(3));
        }
        p.world.run_for(seconds(200));
        ASSERT_EQ(p.server->received, all) << seed;
        EXPECT_GT(p.server->calls, 5u);
        EXPECT_GT(p.world.faults().count(Fault::PacketLost), 0u);
    }
}

TEST(Stream, OneSendMayArriveInPiecesAndSeveralInOne) {
    Pair p(4, {.split_ppm = 500'000});
    p.connected();
    size_t split = 0, joined = 0;
    for (int i = 0; i < 300; ++i) {
        const size_t calls = p.server->calls, before = p.server->received.size();
        p.say(p.host_a, p.client, "abcdef");
        p.world.run_for(microseconds(40));
        p.say(p.host_a, p.client, "ghijkl");
        p.world.run_for(milliseconds(20));
        ASSERT_EQ(p.server->received.size() - before, 12u);
        split += p.server->calls - calls > 2;
        joined += p.server->calls - calls == 1;
    }
    EXPECT_GT(split, 0u);
    EXPECT_GT(joined, 0u);
}

// Shows how much is on offer; consumes whole records of 10 bytes.
struct Records : port::ConnectionHandler {
    std::unique_ptr<port::Connection> connection;
    std::vector<std::string> records;
    std::vector<Bytes> kept;
    bool called = false;
    port::Consumed on_data(const Bytes& available) override {
        if (called) {
            EXPECT_GE(available.size(), 10u) << "called before `wanted` was there";
        }
        called = true;
        size_t at = 0;
        for (; available.size() - at >= 10; at += 10) {
            kept.push_back(available.slice(at, 10));
            records.push_back(kept.back().str());
        }
        return {at, 10};
    }
    void on_closed(const Error&) override {}
};

TEST(Stream, ShowsTheUnconsumedRestAgainOnceWhatIsWantedIsThere) {
    Pair p(9, {.split_ppm = 900'000, .window_bytes = 64});
    Records records;
    auto listening =
        p.host_b->shard().net().listen({"b", 8}, [&](std::unique_ptr<port::Connection> in) {
            records.connection = std::move(in);
            records.connection->start(records);
        });
    Collector& client = p.host_a->own<Collector>();
    DialResult dialed;
    p.host_a->scope().spawn("dial",
                            dial_into(p.host_a->shard(), {"b", 8}, "", seconds(1), client, dialed));
    p.world.run_for(seconds(1));
    const std::string all = pattern(2'000);
    p.host_a->shard().post([&] { client.connection->out().append(all); });
    p.world.run_for(seconds(60));
    std::string joined, kept;
    for (const auto& record : records.records)
        joined += record;
    for (const auto& slice : records.kept)
        kept += slice.view();
    EXPECT_EQ(joined, all);
    EXPECT_EQ(kept, all);
    listening->reset();
    records.connection.reset();
}

TEST(Stream, APausedReaderPushesBackUntilItReadsAgain) {
    Pair p(2);
    p.connected();
    p.server->connection->pause_reading(true);
    const std::string all = pattern(1'000'000);
    p.say(p.host_a, p.client, all);
    p.world.run_for(seconds(2));
    EXPECT_EQ(p.server->received, "");
    EXPECT_GT(p.client->connection->unsent(), 500'000u);
    EXPECT_LT(p.client->connection->unsent(), all.size());
    EXPECT_FALSE(p.client->drained);
    EXPECT_GT(p.world.faults().count(Fault::WindowFull), 0u);
    p.host_b->shard().post([&] { p.server->connection->pause_reading(false); });
    p.world.run_for(seconds(5));
    EXPECT_EQ(p.server->received, all);
    EXPECT_TRUE(p.client->drained);
    EXPECT_EQ(p.client->connection->unsent(), 0u);
}

TEST(Stream, CloseAfterFlushDeliversEverythingThenTheEnd) {
    Pair p(2);
    p.connected();
    const std::string all = pattern(900'000);
    p.host_a->shard().post([&] {
        p.client->connection->out().append(all);
        p.client->connection->close_after_flush();
        p.client->connection.reset();
    });
    p.world.run_for(seconds(5));
    EXPECT_EQ(p.server->received, all);
    EXPECT_TRUE(p.server->ended);
    EXPECT_FALSE(p.server->closed);
    p.host_b->shard().post([&] { p.server->connection.reset(); });
    p.world.run_for(seconds(1));
    EXPECT_EQ(p.world.connection_count(), 0u);
}

TEST(Stream, DestroyingAnEndLosesItsUnsentOutputAndTheOtherSeesTheEnd) {
    Pair p(2);
    p.connected();
    p.host_a->shard().post([&] {
        p.client->connection->out().append("never sent");
        p.client->connection.reset();
    });
    p.world.run_for(seconds(1));
    EXPECT_EQ(p.server->received, "");
    EXPECT_TRUE(p.server->ended);
    // A closed socket answers data with a reset.
    p.say(p.host_b, p.server, "anyone?");
    p.world.run_for(seconds(1));
    EXPECT_TRUE(p.server->closed);
    EXPECT_EQ(p.server->why, Errc::Closed);
}

TEST(Stream, CorruptionChangesBytesButNotTheirNumber) {
    Pair p(2, {.corrupt_ppm = 1'000'000});
    p.connected();
    p.say(p.host_a, p.client, pattern(5'000));
    p.world.run_for(seconds(1));
    EXPECT_EQ(p.server->received.size(), 5'000u);
    EXPECT_NE(p.server->received, pattern(5'000));
    EXPECT_GT(p.world.faults().count(Fault::Corrupted), 0u);
}

TEST(Stream, BreakingItTellsBothOrLeavesOneHalfOpenUntilItSends) {
    bool both = false, one = false;
    for (uint64_t seed = 0; seed < 40 && !(both && one); ++seed) {
        Pair p(seed);
        p.connected();
        p.world.break_connections(p.a, p.b, Farewell::Drawn);
        p.world.run_for(seconds(1));
        EXPECT_TRUE(p.client->closed || p.server->closed);
        if (p.client->closed && p.server->closed) {
            both = true;
            continue;
        }
        one = true;
        const bool client_knows = p.client->closed;
        p.say(client_knows ? p.host_b : p.host_a, client_knows ? p.server : p.client, "x");
        p.world.run_for(seconds(1));
        EXPECT_TRUE(p.client->closed && p.server->closed);
    }
    EXPECT_TRUE(both && one);
}

TEST(Cut, HoldsBytesBackUntilItHeals) {
    Pair p(3);
    p.connected();
    p.world.cut(p.a, p.b);
    p.say(p.host_a, p.client, "late");
    p.world.run_for(seconds(3));
    EXPECT_EQ(p.server->received, "");
    p.world.heal(p.a, p.b);
    p.world.run_for(seconds(2));
    EXPECT_EQ(p.server->received, "late");
    EXPECT_FALSE(p.client->closed || p.server->closed);
}

TEST(Cut, OneWayLetsTheOtherDirectionPass) {
    Pair p(3);
    p.connected();
    p.world.cut(p.a, p.b, true);
    p.say(p.host_a, p.client, "held");
    p.say(p.host_b, p.server, "passes");
    p.world.run_for(seconds(3));
    EXPECT_EQ(p.server->received, "");
    EXPECT_EQ(p.client->received, "passes");
}

TEST(Cut, TheSenderGivesUpAfterAWhileAndTheIdleSideStaysHalfOpen) {
    Pair p(3);
    p.connected();
    p.world.cut(p.a, p.b);
    p.say(p.host_a, p.client, "never");
    p.world.run_for(seconds(30));
    EXPECT_TRUE(p.client->closed);
    EXPECT_EQ(p.client->why, Errc::Timeout);
    EXPECT_FALSE(p.server->closed || p.server->ended);
    p.world.heal_all();
    p.say(p.host_b, p.server, "hello?");
    p.world.run_for(seconds(3));
    EXPECT_TRUE(p.server->closed);
    EXPECT_EQ(p.server->received, "");
}

TEST(Cut, PartitionSeparatesASideFromAllOthers) {
    World world(1);
    const NodeIndex a = world.add_node("a", {}), b = world.add_node("b", {}),
                    c = world.add_node("c", {});
    for (const NodeIndex n : {a, b, c})
        boot_host(world, n);
    world.partition({a, b});
    // c cannot be reached from a; b can: it refuses, as nobody listens.
    Host host({&world.shard(a)});
    Collector none;
    DialResult to_b, to_c;
    host.scope().spawn("b", dial_into(world.shard(a), {"b", 1}, "", milliseconds(500), none, to_b));
    host.scope().spawn("c", dial_into(world.shard(a), {"c", 1}, "", milliseconds(500), none, to_c));
    world.run_for(seconds(1));
    EXPECT_EQ(to_b.error, Errc::Unavailable);
    EXPECT_EQ(to_c.error, Errc::Timeout);
}

TEST(Clog, DelaysWhatIsSentWhileItLasts) {
    Pair p(3);
    p.connected();
    p.world.clog(p.a, p.b, seconds(4));
    p.say(p.host_a, p.client, "slow");
    p.world.run_for(milliseconds(3'999));
    EXPECT_EQ(p.server->received, "");
    p.world.run_for(milliseconds(10));
    EXPECT_EQ(p.server->received, "slow");
}

TEST(Connect, IsRefusedWithoutAListenerAHostOrAProcess) {
    Pair p(5);
    Collector none;
    for (const char* host : {"b", "nowhere"}) {
        DialResult result;
        p.host_a->scope().spawn(
            "dial", dial_into(p.host_a->shard(), {host, 9}, "", seconds(1), none, result));
        p.world.run_for(milliseconds(50));
        EXPECT_EQ(result.error, Errc::Unavailable) << host;
    }
    p.world.crash(p.b);
    p.connect();
    p.world.run_for(milliseconds(50));
    EXPECT_EQ(p.dialed.error, Errc::Unavailable);
}

TEST(Connect, TimesOutToADarkMachineAndSucceedsWhenASynGetsThrough) {
    Pair p(5);
    p.world.crash(p.b, CrashKind::PowerCut);
    p.connect("", milliseconds(700));
    p.world.run_for(seconds(1));
    EXPECT_EQ(p.dialed.error, Errc::Timeout);
    p.connect("", seconds(20));
    p.world.run_for(seconds(2));
    EXPECT_FALSE(p.dialed.done);
    p.host_b = boot_host(p.world, p.b);
    p.listen();
    p.world.run_for(seconds(10));
    EXPECT_TRUE(p.dialed.done);
    EXPECT_FALSE(p.dialed.error);
}

TEST(Connect, AnAttemptMayDieAtAnyMoment) {
    for (int64_t wait_us = 0; wait_us < 1'000; wait_us += 10) {
        Pair p(static_cast<uint64_t>(wait_us));
        p.connect();
        p.world.run_for(microseconds(wait_us));
        p.world.crash(p.a, CrashKind::Kill, Farewell::Close);
        p.world.run_for(seconds(60));
        EXPECT_TRUE(!p.server->connection || p.server->ended || p.server->closed) << wait_us;
        p.host_b->shard().post([&] { p.server->connection.reset(); });
        p.world.run_for(seconds(1));
        EXPECT_EQ(p.world.connection_count(), 0u) << wait_us;
    }
}

TEST(Connect, ChecksTheIdentityOfTheOtherSide) {
    Pair p(5);
    p.connect("someone else");
    p.world.run_for(seconds(1));
    EXPECT_EQ(p.dialed.error, Errc::Conflict);
    p.connect("b");
    p.world.run_for(seconds(1));
    EXPECT_TRUE(p.dialed.done);
    EXPECT_FALSE(p.dialed.error);
}

TEST(Connect, IdentitiesCanBeForgedAndCanExpire) {
    Pair p(5);
    p.world.set_identity_hook(
        [&](NodeIndex presenter, NodeIndex,
            const port::PeerIdentity& honest) -> std::optional<port::PeerIdentity> {
            if (presenter == p.b) return port::PeerIdentity{"forged", true};
            return honest;
        });
    p.connect("b");
    p.world.run_for(seconds(1));
    EXPECT_EQ(p.dialed.error, Errc::Conflict);
    EXPECT_GT(p.world.faults().count(Fault::IdentityForged), 0u);
    p.world.set_identity_hook(
        [](NodeIndex, NodeIndex, const port::PeerIdentity&) { return std::nullopt; });
    p.connect("b");
    p.world.run_for(seconds(1));
    EXPECT_EQ(p.dialed.error, Errc::Unavailable);
}

TEST(Listen, SharesConnectionsAmongTheShardsOfANode) {
    World world(8);
    const NodeIndex server = world.add_node("server", {.shards = 3});
    const NodeIndex client = world.add_node("client", {.authenticated = false});
    Host* s = boot_host(world, server);
    Host* c = boot_host(world, client);
    size_t accepted[3] = {};
    std::string seen;
    for (size_t i = 0; i < 3; ++i) {
        auto listener =
            s->shard(i).net().listen({"0.0.0.0", 80}, [&, i](std::unique_ptr<port::Connection> in) {
                ++accepted[i];
                EXPECT_FALSE(in->peer().authenticated);
                seen = in->peer().name;
            });
        ASSERT_TRUE(listener);
        s->own<std::unique_ptr<port::Listener>>(std::move(*listener));
    }
    EXPECT_EQ(s->shard().net().listen({"server", 80}, [](auto) {}).error().code, Errc::Conflict);
    EXPECT_EQ(s->shard().net().listen({"client", 81}, [](auto) {}).error().code,
              Errc::InvalidArgument);
    for (int i = 0; i < 60; ++i) {
        auto& collector = c->own<Collector>();
        auto& result = c->own<DialResult>();
        c->scope().spawn("dial",
                         dial_into(c->shard(), {"server", 80}, "", seconds(1), collector, result));
    }
    world.run_for(seconds(2));
    for (const size_t count : accepted)
        EXPECT_GT(count, 5u);
    EXPECT_EQ(accepted[0] + accepted[1] + accepted[2], 60u);
    EXPECT_EQ(seen.substr(0, 7), "client:");
}

TEST(Pause, APausedNodeAcceptsAndReadsWhenItResumes) {
    Pair p(6);
    p.connected();
    p.world.pause(p.b, seconds(3));
    p.say(p.host_a, p.client, "buffered");
    p.world.run_for(seconds(2));
    EXPECT_EQ(p.server->received, "");
    EXPECT_EQ(p.client->connection->unsent(), 0u);
    p.world.run_for(seconds(2));
    EXPECT_EQ(p.server->received, "buffered");
}

TEST(Crash, PeersSeeTheEndAResetOrNothingUntilTheMachineAnswersAgain) {
    std::map<std::string, int> seen;
    for (uint64_t seed = 0; seed < 60; ++seed) {
        Pair p(seed);
        p.connected();
        p.world.crash(p.b);
        p.server = nullptr;
        p.world.run_for(seconds(4));
        const bool silent = !p.client->ended && !p.client->closed;
        ++seen[p.client->ended ? "end" : p.client->closed ? "reset" : "silent"];
        if (!silent) continue;
        p.say(p.host_a, p.client, "are you there?");
        p.world.run_for(seconds(2));
        EXPECT_FALSE(p.client->closed);
        boot_host(p.world, p.b);
        p.world.run_for(seconds(2));
        EXPECT_TRUE(p.client->closed);
        EXPECT_EQ(p.client->why, Errc::Closed);
    }
    EXPECT_EQ(seen.size(), 3u);
}

TEST(Crash, ASilentPeerIsNoticedByWhoeverSendsToIt) {
    Pair p(1);
    p.connected();
    p.world.crash(p.b, CrashKind::PowerCut);
    p.say(p.host_a, p.client, "are you there?");
    p.world.run_for(seconds(4));
    EXPECT_FALSE(p.client->closed);
    p.world.run_for(seconds(20));
    EXPECT_TRUE(p.client->closed);
    EXPECT_EQ(p.client->why, Errc::Timeout);
}

TEST(Network, WhoIsOutOfFileDescriptorsNeitherConnectsNorAccepts) {
    Pair caller(1);
    caller.world.set_out_of_files(caller.a, true);
    caller.connect();
    ASSERT_TRUE(caller.world.run_until([&] { return caller.dialed.done; }, seconds(1)));
    EXPECT_EQ(caller.dialed.error, Errc::Limit);

    Pair callee(1);
    callee.world.set_out_of_files(callee.b, true);
    callee.connect();
    callee.world.run_for(milliseconds(500));
    EXPECT_FALSE(callee.dialed.done) << "it waits in the backlog";
    callee.world.set_out_of_files(callee.b, false);
    EXPECT_TRUE(callee.world.run_until([&] { return callee.dialed.done; }, seconds(4)));
    EXPECT_FALSE(callee.dialed.error);
    EXPECT_EQ(callee.world.faults().count(Fault::OutOfFiles), 1u);
}

TEST(Network, OneWayOfACutLinkHealsAlone) {
    Pair pair(1);
    pair.connected();
    pair.world.cut(pair.a, pair.b);
    pair.world.heal(pair.a, pair.b, true);
    pair.say(pair.host_a, pair.client, "there");
    pair.say(pair.host_b, pair.server, "back");
    pair.world.run_for(seconds(3));
    EXPECT_EQ(pair.server->received, "there");
    EXPECT_EQ(pair.client->received, "");
}

}  // namespace
}  // namespace asterias::sim
