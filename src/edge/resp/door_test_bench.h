// edge/resp/door_test_bench.h: the Redis door over the simulated network, in front of a strategy
// that the test plays.
#pragma once

#include <map>

#include <gtest/gtest.h>

#include "base/glob.h"
#include "edge/resp/door.h"
#include "runtime/sim/test_support.h"

namespace asterias::edge_resp {
// Keeps what it is given; the test answers in any order.
struct Played : execute::Strategy {
    struct Asked {
        execute::Request request;
        execute::Completion done;
    };
    std::vector<Asked> asked;
    void execute(execute::Request request, execute::Completion done) override {
        asked.push_back({std::move(request), std::move(done)});
    }
    execute::Listing there{7, {KeyspaceId(1)}};
    void answer(size_t i, kv::Reply reply) {
        asked[i].done({std::move(reply), {}, std::make_shared<execute::Listing>(there)});
    }
};

// The messages of one shard, as a hub that has no others keeps them; the test confirms.
struct FakeMessages : pubsub::Messages {
    std::map<pubsub::Kind, std::map<std::string, std::map<uint64_t, pubsub::Listener*>>> names_of;
    Taken taken = Taken::Known;
    std::vector<port::Callback> unconfirmed;
    std::vector<std::string> published;

    Taken subscribe(uint64_t id, pubsub::Listener& listener, pubsub::Kind kind,
                    const std::vector<std::string>& names, port::Callback known) override {
        if (taken == Taken::Full) return taken;
        for (const auto& name : names)
            names_of[kind][name].emplace(id, &listener);
        if (taken == Taken::Later) unconfirmed.push_back(std::move(known));
        return taken;
    }
    void unsubscribe(uint64_t id, pubsub::Kind kind, std::string_view name) override {
        auto& names = names_of[kind];
        const auto it = names.find(std::string(name));
        if (it != names.end() && it->second.erase(id) && it->second.empty()) names.erase(it);
    }
    uint64_t publish(pubsub::Message m) override {
        published.push_back(m.payload.str());
        uint64_t count = 0;
        const auto give = [&](const auto& listeners, const std::string* pattern) {
            for (const auto& [id, listener] : listeners)
                ++count, listener->on_message(m, pattern);
        };
        for (const auto& [name, listeners] : names_of[m.kind])
            if (name == m.channel.view()) give(listeners, nullptr);
        if (m.kind == pubsub::Kind::Shard) return count;
        for (const auto& [pattern, listeners] : names_of[pubsub::Kind::Pattern])
            if (glob_match(pattern, m.channel.view())) give(listeners, &pattern);
        return count;
    }
    std::vector<std::string> names(pubsub::Kind kind) const override {
        std::vector<std::string> out;
        if (names_of.contains(kind))
            for (const auto& [name, listeners] : names_of.at(kind))
                out.push_back(name);
        return out;
    }
    size_t name_count(pubsub::Kind kind) const override { return names(kind).size(); }
    uint64_t listeners(pubsub::Kind kind, std::string_view name) const override {
        const auto of_kind = names_of.find(kind);
        if (of_kind == names_of.end()) return 0;
        const auto it = of_kind->second.find(std::string(name));
        return it == of_kind->second.end() ? 0 : it->second.size();
    }
};

struct Bench {
    explicit Bench(Options options = {}, uint64_t seed = 1) : world(seed) {
        server = world.add_node("s", {});
        client = world.add_node("c", {});
        host = sim::boot_host(world, server);
        guest = sim::boot_host(world, client);
        strategy = &host->own<Played>();
        About about;
        about.messages = messages;
        options.address = {"s", 6379};
        registry = &host->own<Registry>();
        door = &host->own<std::unique_ptr<Door>>(std::make_unique<Door>(
            host->shard(), *strategy, about, options, *registry, Log(world.log(server), "t")));
        EXPECT_TRUE((*door)->listen());
    }
    sim::Collector& connect() {
        auto& c = guest->own<sim::Collector>();
        auto& result = guest->own<sim::DialResult>();
        guest->scope().spawn(
            "dial", sim::dial_into(guest->shard(), {"s", 6379}, "", seconds(1), c, result));
        EXPECT_TRUE(world.run_until([&] { return result.done; }, seconds(1)));
        return c;
    }
    void say(sim::Collector& c, std::string text) {
        guest->shard().post([&c, text] { c.connection->out().append(text); });
        world.run_for(milliseconds(50));
    }
    void answer(size_t i, kv::Reply reply) {
        host->shard().post(
            [this, i, r = std::move(reply)]() mutable { strategy->answer(i, std::move(r)); });
        world.run_for(milliseconds(50));
    }

    FakeMessages heard;  // outlives the door, which the world holds
    FakeMessages* messages = &heard;
    sim::World world;
    sim::NodeIndex server, client;
    sim::Host *host, *guest;
    Played* strategy;
    Registry* registry;
    std::unique_ptr<Door>* door;
};

}  // namespace asterias::edge_resp
