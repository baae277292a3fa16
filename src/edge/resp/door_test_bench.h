// edge/resp/door_test_bench.h: the Redis door over the simulated network, in front of a strategy
// that the test plays.
#pragma once

#include <gtest/gtest.h>

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
    void answer(size_t i, kv::Reply reply) { asked[i].done({std::move(reply), {}}); }
};

struct Bench {
    explicit Bench(Options options = {}, uint64_t seed = 1) : world(seed) {
        server = world.add_node("s", {});
        client = world.add_node("c", {});
        host = sim::boot_host(world, server);
        guest = sim::boot_host(world, client);
        strategy = &host->own<Played>();
        options.address = {"s", 6379};
        registry = &host->own<Registry>();
        door = &host->own<std::unique_ptr<Door>>(std::make_unique<Door>(
            host->shard(), *strategy, About{}, options, *registry, Log(world.log(server), "t")));
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

    sim::World world;
    sim::NodeIndex server, client;
    sim::Host *host, *guest;
    Played* strategy;
    Registry* registry;
    std::unique_ptr<Door>* door;
};

}  // namespace asterias::edge_resp
