// runtime/sim/test_support.h: what the tests of this room share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "port/scope.h"
#include "port/sync.h"
#include "runtime/sim/world.h"

namespace asterias::sim {

// A process that is only a Scope per shard; tests spawn into it.
struct Host {
    explicit Host(const std::vector<port::Shard*>& all) : shards(all) {
        for (auto* shard : all)
            scopes.push_back(std::make_unique<port::Scope>(*shard));
    }
    std::vector<port::Shard*> shards;
    std::vector<std::unique_ptr<port::Scope>> scopes;
    std::vector<std::shared_ptr<void>> belongings;  // die first

    port::Shard& shard(size_t i = 0) { return *shards[i]; }
    port::Scope& scope(size_t i = 0) { return *scopes[i]; }
    template <typename T, typename... Args>
    T& own(Args&&... args) {
        auto owned = std::make_shared<T>(std::forward<Args>(args)...);
        belongings.push_back(owned);
        return *owned;
    }
};

// Boots `node` with a Host; the pointer holds until the node's process ends.
inline Host* boot_host(World& world, NodeIndex node) {
    Host* host = nullptr;
    world.boot(node, [&](const std::vector<port::Shard*>& shards) {
        auto made = std::make_shared<Host>(shards);
        host = made.get();
        return made;
    });
    return host;
}

// Collects what a connection delivers.
struct Collector : port::ConnectionHandler {
    std::unique_ptr<port::Connection> connection;
    std::string received;
    size_t calls = 0;
    bool ended = false, closed = false, drained = false;
    Errc why{};

    void take(std::unique_ptr<port::Connection> c) {
        connection = std::move(c);
        connection->start(*this);
    }
    port::Consumed on_data(const Bytes& available) override {
        EXPECT_FALSE(closed);
        ++calls;
        received += available.view();
        return {available.size(), 0};
    }
    void on_end_of_stream() override {
        EXPECT_FALSE(ended || closed);
        ended = true;
    }
    void on_closed(const Error& error) override {
        EXPECT_FALSE(closed);
        closed = true;
        why = error.code;
    }
    void on_drained() override { drained = true; }
};

struct DialResult {
    bool done = false;
    std::optional<Errc> error;
};

// Connects, and gives the connection to `collector`.
inline port::Task<void> dial_into(port::Shard& shard, port::Address to, std::string expected,
                                  Duration timeout, Collector& collector, DialResult& result) {
    auto connection = co_await shard.net().connect(std::move(to), std::move(expected), timeout);
    result.done = true;
    if (connection)
        collector.take(std::move(*connection));
    else
        result.error = connection.error().code;
}

// Two nodes "a" and "b", b listening on port 7, a connected to it.
struct Pair {
    explicit Pair(uint64_t seed, LinkProfile profile = {}) : world(seed) {
        world.set_default_link(profile);
        a = world.add_node("a", {});
        b = world.add_node("b", {});
        host_a = boot_host(world, a);
        host_b = boot_host(world, b);
        listen();
    }
    void listen() {
        server = &host_b->own<Collector>();
        auto made = host_b->shard().net().listen(
            {"b", 7},
            [c = server](std::unique_ptr<port::Connection> in) { c->take(std::move(in)); });
        host_b->own<std::unique_ptr<port::Listener>>(std::move(*made));
    }
    void connect(std::string expected = "", Duration timeout = seconds(5)) {
        dialed = {};
        client = &host_a->own<Collector>();
        host_a->scope().spawn("dial", dial_into(host_a->shard(), {"b", 7}, std::move(expected),
                                                timeout, *client, dialed));
    }
    void connected() {
        connect();
        ASSERT_TRUE(world.run_until([&] { return dialed.done && server->connection; }, seconds(5)));
        ASSERT_FALSE(dialed.error);
    }
    // Output from outside a turn: a turn must follow to flush it.
    void say(Host* host, Collector* from, std::string text) {
        host->shard().post([from, text] { from->connection->out().append(text); });
    }

    World world;
    NodeIndex a, b;
    Host *host_a = nullptr, *host_b = nullptr;
    Collector *client = nullptr, *server = nullptr;
    DialResult dialed;
};

}  // namespace asterias::sim
