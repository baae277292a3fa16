// Ways around (N4): a node that is not reached is reached through another one.
#include <gtest/gtest.h>

#include "runtime/sim/test_support.h"
#include "service/rpc/rpc_test_station.h"
#include "wire/fields.h"

namespace asterias::rpc {
namespace {

constexpr NodeId kA{1}, kB{2}, kC{3}, kD{4};

// Nodes 1 to `size`, each connected to each.
struct Ring {
    explicit Ring(size_t size = 3, Options o = {}) : world(1), options(o) {
        for (size_t i = 1; i <= size; ++i)
            machines.push_back(world.add_node("n" + std::to_string(i), {}));
        hosts.resize(size);
        stations.resize(size);
        for (size_t i = 1; i <= size; ++i)
            boot(NodeId(i));
        EXPECT_TRUE(world.run_until([&] { return all_direct(); }, seconds(2)));
        world.run_for(milliseconds(50));
    }
    void boot(NodeId node, Incarnation start = Incarnation(3)) {
        const size_t i = node.value - 1;
        hosts[i] = sim::boot_host(world, machines[i]);
        Identity self = member(node.value);
        self.incarnation = start;
        stations[i] =
            &hosts[i]->own<Station>(hosts[i]->shard(), self, world.log(machines[i]), options);
        ASSERT_TRUE(at(node).endpoint->listen({"n" + to_string(node), 7}));
        for (size_t other = 1; other <= machines.size(); ++other)
            if (NodeId(other) != node)
                at(node).endpoint->add_peer(NodeId(other), {"n" + std::to_string(other), 7});
    }
    Station& at(NodeId node) { return *stations[node.value - 1]; }
    sim::NodeIndex machine(NodeId node) const { return machines[node.value - 1]; }
    bool up(NodeId from, NodeId to, Lane lane = Lane::Normal) {
        return at(from).endpoint->connected(to, lane);
    }
    bool all_direct() {
        for (size_t a = 1; a <= machines.size(); ++a)
            for (size_t b = 1; b <= machines.size(); ++b)
                if (a != b && !up(NodeId(a), NodeId(b))) return false;
        return true;
    }
    // Cuts two nodes from each other, at once for both.
    void part(NodeId a, NodeId b) {
        world.cut(machine(a), machine(b));
        world.break_connections(machine(a), machine(b));
        world.run_for(milliseconds(100));
        ASSERT_FALSE(up(a, b));
    }
    // Asked as a gateway does that wants to send: again and again.
    bool finds_a_way(NodeId from, NodeId to, Duration limit = seconds(3)) {
        for (const Instant end = world.now() + limit; world.now() < end;) {
            hosts[from.value - 1]->shard().post([&s = at(from), to] { s.endpoint->relay(to); });
            world.run_for(milliseconds(20));
            if (up(from, to, Lane::Relay)) return true;
        }
        return false;
    }
    bool send(NodeId from, NodeId to, Lane lane, std::string text) {
        bool sent = false;
        hosts[from.value - 1]->shard().post(
            [&, lane, to] { sent = at(from).send(to, lane, text); });
        world.run_for(milliseconds(100));
        return sent;
    }
    uint64_t relays(NodeId node) {
        return at(node)
            .registry
            .counter("asterias_rpc_relays_total", "Connections passed on between two other nodes.")
            .value();
    }

    sim::World world;
    const Options options;
    std::vector<sim::NodeIndex> machines;
    std::vector<sim::Host*> hosts;
    std::vector<Station*> stations;
};

TEST(Relay, ACutBetweenTwoIsPassedThroughAThirdBothWays) {
    Ring r;
    r.part(kA, kB);
    ASSERT_TRUE(r.finds_a_way(kA, kB));
    EXPECT_EQ(r.at(kA).endpoint->relayed_through(kB), kC);
    EXPECT_EQ(r.relays(kC), 1u);
    const std::string large(3'000'000, 'x');
    for (const auto& text : {std::string("one"), large, std::string("two")})
        EXPECT_TRUE(r.send(kA, kB, Lane::Relay, text));
    r.world.run_for(seconds(1));
    auto& b = r.at(kB);
    ASSERT_EQ(b.heard.size(), 3u);
    EXPECT_TRUE(b.heard[0].second == "one" && b.heard[1].second == large &&
                b.heard[2].second == "two");
    EXPECT_EQ(b.from[0].node, kA) << "to whom it listens, not who passes it on";
    EXPECT_EQ(b.from[0].incarnation, Incarnation(3));
    EXPECT_TRUE(r.at(kC).heard.empty()) << "it does not look into what it passes on";
    r.hosts[1]->shard().post([&b] {
        FrameBuilder f;
        f.body().raw("answer");
        EXPECT_TRUE(b.endpoint->reply(b.from[0].link, FrameType::Raft,
                                      f.finish(b.endpoint->header(FrameType::Raft))));
    });
    r.world.run_for(milliseconds(100));
    ASSERT_EQ(r.at(kA).heard.size(), 1u);
    EXPECT_EQ(r.at(kA).from[0].node, kB);
}

// Mutant rpc_relay_half_open.
TEST(Relay, TheEndOfEitherHalfIsTheEndOfBoth) {
    for (const NodeId gone : {kB, kC}) {
        Ring r;
        r.part(kA, kB);
        ASSERT_TRUE(r.finds_a_way(kA, kB));
        if (gone == kB)
            r.world.break_connections(r.machine(kC), r.machine(kB));
        else
            r.world.crash(r.machine(kC), sim::CrashKind::Kill, sim::Farewell::Reset);
        r.world.run_for(milliseconds(500));  // less than any silence
        EXPECT_FALSE(r.up(kA, kB, Lane::Relay)) << to_string(gone);
        if (gone == kC) continue;
        // And what comes next begins with a Hello: nothing follows behind the gap.
        ASSERT_TRUE(r.finds_a_way(kA, kB));
        EXPECT_EQ(r.relays(kC), 2u);
    }
}

TEST(Relay, ARelayThatDiesWithoutAWordIsLeftForAnother) {
    Ring r(4);
    r.part(kA, kB);
    ASSERT_TRUE(r.finds_a_way(kA, kB));
    const NodeId first = r.at(kA).endpoint->relayed_through(kB);
    r.world.crash(r.machine(first), sim::CrashKind::PowerCut, sim::Farewell::Silent);
    for (int i = 0; i < 30 && r.up(kA, kB, Lane::Relay); ++i)
        r.send(kA, kB, Lane::Relay, "x");
    EXPECT_FALSE(r.up(kA, kB, Lane::Relay));
    ASSERT_TRUE(r.finds_a_way(kA, kB, seconds(10)));
    EXPECT_EQ(r.at(kA).endpoint->relayed_through(kB), first == kC ? kD : kC);
}

// C does not reach B either, D does; nobody passes on through another one.
TEST(Relay, OneHopAndNoMore) {
    Ring r(4);
    r.part(kA, kB);
    r.part(kC, kB);
    ASSERT_TRUE(r.finds_a_way(kA, kB));
    EXPECT_EQ(r.at(kA).endpoint->relayed_through(kB), kD);
    EXPECT_EQ(r.relays(kC), 0u);
    r.part(kD, kB);
    r.world.run_for(milliseconds(100));
    EXPECT_FALSE(r.finds_a_way(kA, kB));
    EXPECT_TRUE(r.at(kB).heard.empty());
}

TEST(Relay, AConnectedNodeIsNotLookedForElsewhere) {
    Ring r;
    EXPECT_FALSE(r.finds_a_way(kA, kB, milliseconds(500)));
    EXPECT_FALSE(r.finds_a_way(kA, kA, milliseconds(500))) << "nor is this node itself";
    EXPECT_FALSE(r.finds_a_way(kA, NodeId(9), milliseconds(500))) << "nor who is unknown";
    EXPECT_EQ(r.relays(kC), 0u);
}

TEST(Relay, TheDirectWayEndsTheOneAroundWhenItIsBack) {
    Ring r;
    r.part(kA, kB);
    ASSERT_TRUE(r.finds_a_way(kA, kB));
    r.world.heal_all();
    ASSERT_TRUE(r.world.run_until([&] { return r.up(kA, kB); }, seconds(10)));
    r.world.run_for(milliseconds(1));
    EXPECT_FALSE(r.up(kA, kB, Lane::Relay));
}

TEST(Relay, ADirectWayThatIsSilentGoesWhenOneAroundIsThere) {
    Ring r;
    r.world.cut(r.machine(kA), r.machine(kB));  // nobody hears of it
    EXPECT_TRUE(r.send(kA, kB, Lane::Normal, "lost"));
    r.world.run_for(r.options.heartbeat_silence_max);
    ASSERT_TRUE(r.up(kA, kB));
    EXPECT_TRUE(r.at(kA).endpoint->silent(kB));
    ASSERT_TRUE(r.finds_a_way(kA, kB));
    r.world.run_for(milliseconds(1));
    EXPECT_FALSE(r.up(kA, kB));
}

// Each of the two judges the other's start, whoever stands between them.
TEST(Relay, AnOldCopyDoesNotGetInThroughAnother) {
    for (const NodeId knows : {kB, kC}) {
        Ring r;
        r.part(kA, kB);
        r.at(knows).refused = Incarnation(2);
        r.world.crash(r.machine(kA));
        r.boot(kA, Incarnation(2));
        r.world.run_for(milliseconds(500));
        EXPECT_FALSE(r.finds_a_way(kA, kB)) << to_string(knows);
        EXPECT_EQ(r.at(kA).disowned, "an old copy");
        EXPECT_EQ(r.relays(kC) > 0, knows == kB) << "who does not know it passes it on";
    }
}

TEST(Relay, TheyEndWithTheEndpointsInOrder) {
    for (const NodeId closes : {kA, kC}) {
        Ring r;
        r.part(kA, kB);
        ASSERT_TRUE(r.finds_a_way(kA, kB));
        bool closed = false;
        const auto close = [](Endpoint* endpoint, bool* done) -> port::Task<> {
            co_await endpoint->close();
            *done = true;
        };
        r.hosts[closes.value - 1]->scope().spawn("close",
                                                 close(r.at(closes).endpoint.get(), &closed));
        EXPECT_TRUE(r.world.run_until([&] { return closed; }, seconds(2))) << to_string(closes);
        EXPECT_TRUE(r.world.run_until([&] { return !r.up(kA, kB, Lane::Relay); }, seconds(2)));
    }
}

TEST(Relay, TheirNumberIsBounded) {
    Options options;
    options.relays_max = 1;
    Ring r(4, options);
    r.part(kA, kB);
    ASSERT_TRUE(r.finds_a_way(kA, kB));
    const NodeId first = r.at(kA).endpoint->relayed_through(kB);
    const NodeId second = first == kC ? kD : kC;
    r.part(second, kB);
    EXPECT_FALSE(r.finds_a_way(second, kB, seconds(1))) << "the only one who could is in use";
    EXPECT_EQ(r.relays(first), 1u);
    EXPECT_TRUE(r.up(kA, kB, Lane::Relay));
}

// Mutant rpc_relay_unbounded: whoever does not read is not read for.
TEST(Relay, WhoPassesOnHoldsNoMoreThanTheMarkForAReaderThatIsSlow) {
    Ring r;
    r.part(kA, kB);
    rpc::FrameBuilder hello;
    wire::field(hello.body(), 1, kA.value);
    wire::field(hello.body(), 2, uint64_t{3});
    wire::field(hello.body(), 4, static_cast<uint64_t>(Lane::Relay));
    wire::field(hello.body(), 5, kB.value);
    wire::field(hello.body(), 9, kC.value);
    auto& raw = r.hosts[0]->own<sim::Collector>();
    auto& dialed = r.hosts[0]->own<sim::DialResult>();
    r.hosts[0]->scope().spawn(
        "raw", sim::dial_into(r.hosts[0]->shard(), {"n3", 7}, "", seconds(1), raw, dialed));
    ASSERT_TRUE(r.world.run_until([&] { return dialed.done && raw.connection; }, seconds(2)));
    const auto say = [&](const Bytes& bytes) {
        r.hosts[0]->shard().post([&raw, bytes] { raw.connection->out().append(bytes); });
    };
    say(hello.finish({FrameType::Hello, kCluster, Incarnation(1), 0, 0, 0}));
    r.world.run_for(milliseconds(100));
    ASSERT_EQ(r.relays(kC), 1u);
    ASSERT_FALSE(raw.received.empty()) << "the Hello of B";
    r.world.pause(r.machine(kB), seconds(2));
    constexpr size_t kBytes = 24 * 1024 * 1024;
    say(Bytes::copy(std::string(kBytes, 'x')));
    r.world.run_for(seconds(1));
    EXPECT_GT(raw.connection->unsent(), kBytes / 2);
    EXPECT_FALSE(raw.closed || raw.ended);
}

}  // namespace
}  // namespace asterias::rpc
