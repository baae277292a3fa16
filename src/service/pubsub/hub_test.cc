// Hubs of two nodes of two shards, whose connections the test plays.
#include "service/pubsub/hub.h"

#include <gtest/gtest.h>

#include "runtime/sim/test_support.h"

namespace asterias::pubsub {
namespace {

struct Ear : Listener {
    std::vector<std::string> heard;
    void on_message(const Message& message, const std::string* pattern) override {
        heard.push_back((pattern ? *pattern + "/" : "") + message.channel.str() + ":" +
                        message.payload.str());
    }
};

// A shard of a node: what it sends lies here until the test carries it on.
struct Station : Outlet {
    struct Sent {
        NodeId to;
        Bytes body;
    };
    std::unique_ptr<Hub> own;
    std::deque<Sent> sent, replied;
    bool room = true;

    static Bytes body_of(rpc::FrameBuilder frame) {
        size_t used = 0;
        auto read = rpc::read_frame(frame.finish({rpc::FrameType::Pubsub}), used);
        return std::get<rpc::Frame>(*read).body;
    }
    bool send_pubsub(NodeId to, rpc::FrameBuilder frame) override {
        if (room) sent.push_back({to, body_of(std::move(frame))});
        return room;
    }
    void reply_pubsub(rpc::LinkId, rpc::FrameBuilder frame) override {
        replied.push_back({{}, body_of(std::move(frame))});
    }
    Hub& hub(ShardId) override { return *own; }
};

struct Pair {
    explicit Pair(size_t names_bytes_max = 1000) : world(1) {
        for (int i = 0; i < 2; ++i) {
            host[i] = sim::boot_host(world, world.add_node(i ? "b" : "a", {}));
            auto& registry = host[i]->own<Registry>();
            station[i] = &host[i]->own<Station>();
            Options options;
            options.self = NodeId(static_cast<uint64_t>(i) + 1);
            options.incarnation = Incarnation(1);
            options.names_bytes_max = names_bytes_max;
            station[i]->own =
                std::make_unique<Hub>(host[i]->shard(), options, *station[i], registry);
            registries[i] = &registry;
        }
    }
    Hub& hub(int i) { return *station[i]->own; }
    rpc::Peer peer(int i, uint64_t link = 7) const {
        return {NodeId(static_cast<uint64_t>(i) + 1), Incarnation(1), ShardId(0), rpc::Lane::Normal,
                rpc::LinkId(link)};
    }
    void up() {
        for (int i = 0; i < 2; ++i)
            hub(i).node_up(NodeId(static_cast<uint64_t>(2 - i)));
        carry();
    }
    // Everything that is on its way arrives, in order.
    void carry() {
        for (int round = 0; round < 4; ++round)
            for (int i = 0; i < 2; ++i) {
                hub(i).flush();
                while (!station[i]->sent.empty()) {
                    EXPECT_TRUE(hub(1 - i).receive(peer(i), station[i]->sent.front().body));
                    station[i]->sent.pop_front();
                    while (!station[1 - i]->replied.empty()) {
                        EXPECT_TRUE(hub(i).receive(peer(1 - i), station[1 - i]->replied[0].body));
                        station[1 - i]->replied.pop_front();
                    }
                }
            }
    }
    Messages::Taken listen(int i, Ear& ear, Kind kind, std::vector<std::string> names) {
        return hub(i).subscribe(reinterpret_cast<uintptr_t>(&ear) % 1000 + 1, ear, kind, names,
                                [this] { ++known; });
    }
    uint64_t say(int i, std::string_view channel, std::string_view text,
                 Kind kind = Kind::Channel) {
        return hub(i).publish({kind, Bytes::copy(channel), Bytes::copy(text)});
    }
    uint64_t counted(int i, const char* name) { return registries[i]->counter(name, "").value(); }

    sim::World world;
    sim::Host* host[2];
    Station* station[2];
    Registry* registries[2];
    int known = 0;
};

using Strings = std::vector<std::string>;

TEST(PubsubHub, ASubscriptionIsKnownWhenTheOtherNodeHasIt) {
    Pair p;
    Ear ear;
    EXPECT_EQ(p.listen(0, ear, Kind::Channel, {"early"}), Messages::Taken::Known);
    p.up();
    EXPECT_EQ(p.say(1, "early", "x"), 1u) << "the whole state came with the connection";
    EXPECT_EQ(p.listen(0, ear, Kind::Channel, {"late"}), Messages::Taken::Later);
    p.hub(0).flush();
    EXPECT_EQ(p.known, 0);
    p.carry();
    EXPECT_EQ(p.known, 1);
    EXPECT_EQ(p.say(1, "late", "y"), 1u);
    EXPECT_EQ(p.say(1, "nobody", "z"), 0u);
    p.carry();
    EXPECT_EQ(ear.heard, (Strings{"early:x", "late:y"}));
    EXPECT_EQ(p.counted(1, "asterias_pubsub_sent_total"), 2u) << "only what is wanted is sent";
}

TEST(PubsubHub, ASilentNodeDelaysAConfirmationForASecondAtMost) {
    Pair p;
    p.up();
    Ear ear;
    EXPECT_EQ(p.listen(0, ear, Kind::Channel, {"a"}), Messages::Taken::Later);
    p.hub(0).flush();
    p.station[0]->sent.clear();
    p.host[0]->shard().timers().after(milliseconds(900), [&p] { p.hub(0).tick(); });
    p.world.run_for(milliseconds(950));
    EXPECT_EQ(p.known, 0);
    p.host[0]->shard().timers().after(milliseconds(100), [&p] { p.hub(0).tick(); });
    p.world.run_for(milliseconds(150));
    EXPECT_EQ(p.known, 1);
}

TEST(PubsubHub, WhatComesAgainOrBehindALaterOneIsNotHeard) {
    Pair p;
    p.up();
    Ear ear;
    p.listen(0, ear, Kind::Channel, {"a"});
    p.carry();
    for (const char* text : {"1", "2", "3"}) {
        p.say(1, "a", text);
        p.hub(1).flush();
    }
    const auto sent = std::exchange(p.station[1]->sent, {});
    for (const size_t i : {0, 0, 2, 1, 2})
        EXPECT_TRUE(p.hub(0).receive(p.peer(1), sent[i].body));
    EXPECT_EQ(ear.heard, (Strings{"a:1", "a:3"}));
    EXPECT_EQ(p.counted(0, "asterias_pubsub_stale_total"), 3u);
}

TEST(PubsubHub, AMissedChangeIsMadeUpByTheWholeState) {
    Pair p;
    p.up();
    Ear ear;
    p.listen(0, ear, Kind::Channel, {"a"});
    p.carry();
    p.listen(0, ear, Kind::Channel, {"lost"});
    p.hub(0).flush();
    p.station[0]->sent.clear();
    EXPECT_EQ(p.say(1, "lost", "x"), 0u);
    p.hub(0).unsubscribe(reinterpret_cast<uintptr_t>(&ear) % 1000 + 1, Kind::Channel, "a");
    p.carry();
    EXPECT_EQ(p.say(1, "lost", "y"), 1u);
    EXPECT_EQ(p.say(1, "a", "z"), 0u);
    EXPECT_EQ(p.hub(1).names(Kind::Channel), (Strings{"lost"}));
    EXPECT_EQ(p.hub(1).name_count(Kind::Channel), 1u);
}

TEST(PubsubHub, ANodeThatIsGoneWantsNothingAndOneWithoutRoomIsCounted) {
    Pair p;
    p.up();
    Ear ear;
    p.listen(0, ear, Kind::Channel, {"a"});
    p.carry();
    p.station[1]->room = false;
    EXPECT_EQ(p.say(1, "a", "x"), 1u);
    p.hub(1).flush();
    EXPECT_EQ(p.counted(1, "asterias_pubsub_dropped_total"), 1u);
    p.station[1]->room = true;
    p.hub(1).node_down(NodeId(1));
    EXPECT_EQ(p.say(1, "a", "y"), 0u) << "nothing can go there";
    p.hub(1).node_up(NodeId(1));
    EXPECT_EQ(p.say(1, "a", "z"), 1u);
    p.hub(1).source_down(p.peer(0, 6));
    EXPECT_EQ(p.say(1, "a", "z"), 1u) << "an older connection of it ended";
    p.hub(1).source_down(p.peer(0));
    EXPECT_EQ(p.say(1, "a", "z"), 0u);
}

TEST(PubsubHub, ANewStartOfANodeBeginsAnew) {
    Pair p;
    p.up();
    Ear ear;
    p.listen(0, ear, Kind::Channel, {"a"});
    p.carry();
    wire::Writer change, message;
    rpc::Peer born = p.peer(1);
    for (int i = 0; i < 5; ++i)
        p.say(1, "a", "old");
    p.carry();
    born.incarnation = Incarnation(2);
    begin_delivery(message);
    write_message(message, 1, {Kind::Channel, Bytes::copy("a"), Bytes::copy("new")});
    EXPECT_TRUE(p.hub(0).receive(born, message.take()));
    EXPECT_EQ(ear.heard.back(), "a:new");
    begin_delivery(message);
    write_message(message, 9, {Kind::Channel, Bytes::copy("a"), Bytes::copy("ghost")});
    EXPECT_TRUE(p.hub(0).receive(p.peer(1), message.take()));
    EXPECT_EQ(ear.heard.back(), "a:new") << "of a start before this one";
}

TEST(PubsubHub, NamesAreBoundedAndNothingIsDoneBeyond) {
    Pair p;
    Ear ear;
    EXPECT_EQ(p.listen(0, ear, Kind::Channel, {std::string(900, 'x')}), Messages::Taken::Known);
    EXPECT_EQ(p.listen(0, ear, Kind::Channel, {"a", "b"}), Messages::Taken::Full);
    EXPECT_EQ(p.hub(0).names(Kind::Channel).size(), 1u);
    p.hub(0).unsubscribe(reinterpret_cast<uintptr_t>(&ear) % 1000 + 1, Kind::Channel,
                         std::string(900, 'x'));
    EXPECT_EQ(p.listen(0, ear, Kind::Channel, {"a", "b"}), Messages::Taken::Known);
}

TEST(PubsubHub, ASubscriptionIsChargedForEachListenerAndOnce) {
    Pair p;
    Ear ear;
    const auto listen = [&](uint64_t id, std::vector<std::string> names) {
        return p.hub(0).subscribe(id, ear, Kind::Pattern, names, [] {});
    };
    const std::string name(300, 'x');
    for (const uint64_t id : {1, 2})
        EXPECT_EQ(listen(id, {name, name}), Messages::Taken::Known);
    EXPECT_EQ(listen(3, {name}), Messages::Taken::Full) << "the third listener of one name";
    EXPECT_EQ(listen(2, {name}), Messages::Taken::Known) << "it has that";
    p.hub(0).unsubscribe(1, Kind::Pattern, name);
    p.hub(0).unsubscribe(1, Kind::Pattern, name);
    EXPECT_EQ(listen(3, {name}), Messages::Taken::Known);
    EXPECT_EQ(listen(1, {name}), Messages::Taken::Full);
}

TEST(PubsubHub, WhatIsKnownAlreadyIsConfirmedAtOnce) {
    Pair p;
    p.up();
    Ear ear;
    p.listen(0, ear, Kind::Channel, {"a"});
    p.carry();
    EXPECT_EQ(p.listen(0, ear, Kind::Channel, {"a"}), Messages::Taken::Known);
}

TEST(PubsubHub, NamesThatComeAndGoInATurnDoNotMakeOneLongChange) {
    Pair p(4 * 1024 * 1024);
    p.up();
    Ear ear;
    const std::string name(300'000, 'x');
    for (int i = 0; i < 20; ++i) {
        p.listen(0, ear, Kind::Channel, {name + std::to_string(i)});
        p.hub(0).unsubscribe(reinterpret_cast<uintptr_t>(&ear) % 1000 + 1, Kind::Channel,
                             name + std::to_string(i));
    }
    p.listen(0, ear, Kind::Channel, {"last"});
    p.hub(0).flush();
    EXPECT_GE(p.station[0]->sent.size(), 5u);
    for (const auto& sent : p.station[0]->sent)
        EXPECT_LT(sent.body.size(), rpc::kBodyBytesGoal + name.size() + 100);
    p.carry();
    EXPECT_EQ(p.known, 21);
    EXPECT_EQ(p.hub(1).names(Kind::Channel), (Strings{"last"}));
}

TEST(PubsubHub, AnInterestThatFoundNoRoomIsToldLater) {
    Pair p;
    p.up();
    Ear ear;
    p.station[0]->room = false;
    p.listen(0, ear, Kind::Channel, {"a"});
    p.carry();
    EXPECT_EQ(p.say(1, "a", "x"), 0u);
    p.station[0]->room = true;
    p.host[0]->shard().timers().after(milliseconds(300), [&p] { p.hub(0).tick(); });
    p.world.run_for(milliseconds(350));
    p.carry();
    EXPECT_EQ(p.known, 1);
    EXPECT_EQ(p.say(1, "a", "y"), 1u);
    p.host[0]->shard().timers().after(seconds(60), [&p] { p.hub(0).tick(); });
    p.world.run_for(seconds(61));
    EXPECT_TRUE(p.station[0]->sent.empty()) << "it is known";
}

TEST(PubsubHub, AnInterestWhoseAnswerIsLostIsToldAgain) {
    Pair p;
    p.up();
    Ear ear;
    p.listen(0, ear, Kind::Channel, {"a"});
    p.hub(0).flush();
    p.station[0]->sent.clear();
    p.host[0]->shard().timers().after(seconds(1), [&p] { p.hub(0).tick(); });
    p.world.run_for(seconds(2));
    EXPECT_TRUE(p.station[0]->sent.empty()) << "it may still come";
    p.host[0]->shard().timers().after(seconds(4), [&p] { p.hub(0).tick(); });
    p.world.run_for(seconds(5));
    p.carry();
    EXPECT_EQ(p.say(1, "a", "x"), 1u);
}

TEST(PubsubHub, OneWholeStateMakesUpForAllThatWasMissed) {
    Pair p;
    p.up();
    Ear ear;
    p.listen(0, ear, Kind::Channel, {"lost"});
    p.hub(0).flush();
    p.station[0]->sent.clear();
    for (const char* name : {"a", "b", "c"}) {
        p.listen(0, ear, Kind::Channel, {name});
        p.hub(0).flush();
    }
    for (const auto& sent : std::exchange(p.station[0]->sent, {}))
        EXPECT_TRUE(p.hub(1).receive(p.peer(0), sent.body));
    for (const auto& sent : std::exchange(p.station[1]->replied, {}))
        EXPECT_TRUE(p.hub(0).receive(p.peer(1), sent.body));
    EXPECT_EQ(p.station[0]->sent.size(), 1u);
    p.carry();
    EXPECT_EQ(p.say(1, "lost", "x"), 1u);
}

TEST(PubsubHub, AMessageKeptForLongDoesNotHoldTheFrameThatItCameIn) {
    struct Keeper : Listener {
        Message kept;
        void on_message(const Message& message, const std::string*) override { kept = message; }
    } keeper;
    Pair p;
    p.up();
    p.hub(0).subscribe(1, keeper, Kind::Channel, {"a"}, [] {});
    p.carry();
    p.say(1, "a", std::string(2000, 'x'));
    p.say(1, "a", std::string(500'000, 'x'));
    p.say(1, "a", std::string(2000, 'y'));
    p.hub(1).flush();
    const Bytes body = p.station[1]->sent.front().body;
    EXPECT_TRUE(p.hub(0).receive(p.peer(1), body));
    EXPECT_EQ(keeper.kept.payload.str(), std::string(2000, 'y'));
    const auto within = [&body](const Bytes& part) {
        return part.data() >= body.data() && part.data() < body.data() + body.size();
    };
    EXPECT_FALSE(within(keeper.kept.payload) || within(keeper.kept.channel));
}

TEST(PubsubHub, BadBodiesDoNothing) {
    Pair p;
    for (const std::string_view body :
         {"", "\x05", "\x01", "\x02\x01\x09", "\x03\x01\x02", "\x04\x01\x02\x01p\x01x"})
        EXPECT_FALSE(p.hub(0).receive(p.peer(1), Bytes::copy(body)));
}

}  // namespace
}  // namespace asterias::pubsub
