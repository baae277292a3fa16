// Whole nodes over runtime/sim, each with its disk and engine, for tests of this room. Included by
// tests only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/mem/mem.h"
#include "runtime/sim/disk.h"
#include "runtime/sim/test_support.h"
#include "service/node/node.h"

namespace asterias::node {

struct Machine {
    sim::NodeIndex index{};
    sim::DiskImage image;
    engine::MemImage engine;
    sim::DiskFaults faults;
    Prng prng{0};
};

struct Process {
    Process(const std::vector<port::Shard*>& all, Options o, engine::MemImage& image, uint64_t seed,
            LogSink& sink, const bool* refuse_engine, Duration read_delay)
        : shards(all), options(std::move(o)), scope(*all[0]) {
        node = std::make_unique<Node>(
            shards, options,
            [&image, seed, refuse_engine,
             read_delay](std::string) -> Result<std::unique_ptr<port::Engine>> {
                if (refuse_engine && *refuse_engine) return fail(Errc::Io, "no engine");
                engine::MemOptions how{.prng = Prng(seed)};
                if (read_delay > Duration(0)) how.read_delay_min = how.read_delay_max = read_delay;
                return engine::open_mem(image, std::move(how));
            },
            registry, Log(sink, "n"));
        node->on_end([this](const Error& why) { ended = why.context; });
    }
    port::Task<> run(uint32_t init_nodes) {
        if (init_nodes) {
            auto made = co_await init(*shards[0], options.directory, init_nodes, {"q"},
                                      static_cast<uint32_t>(shards.size()));
            if (!made && made.error().code != Errc::AlreadyExists) {
                started = made;
                co_return;
            }
        }
        started = co_await node->start();
    }
    std::vector<port::Shard*> shards;
    Options options;
    Registry registry;
    std::unique_ptr<Node> node;
    std::optional<Result<void>> started;
    std::string ended;
    port::Scope scope;  // dies first
};

class Cluster {
public:
    explicit Cluster(uint32_t nodes, uint64_t seed = 1, size_t shards = 1)
        : world(seed), size(nodes), seed_(seed) {
        for (uint32_t i = 0; i < nodes + 1; ++i) {  // one more than expected
            auto& m = *machines.emplace_back(std::make_unique<Machine>());
            m.prng = Prng(seed * 100 + i);
            sim::NodeOptions options;
            options.shards = shards;
            options.disk = [&m](port::Shard& shard, Prng prng) {
                return std::make_unique<sim::SimDisk>(m.image, shard, m.faults, prng);
            };
            options.after_crash = [&m](sim::CrashKind kind) {
                if (kind == sim::CrashKind::Kill)
                    m.image.kill();
                else
                    m.image.crash(m.prng);
                m.engine.crash(m.prng);
            };
            m.index = world.add_node("n" + std::to_string(i), std::move(options));
        }
        processes.resize(nodes + 1);
    }

    std::vector<std::unique_ptr<Machine>> machines;  // outlive the world
    sim::World world;
    const uint32_t size;
    std::vector<Process*> processes;
    // Of nodes booted from now on.
    rpc::Options rpc;
    uint64_t log_retained_bytes_max = 64 * 1024 * 1024;
    uint64_t compact_entries = 1000;
    NodeId replace;
    Duration read_delay{};                // of their engines; 0: the usual
    const bool* refuse_engine = nullptr;  // true: every engine fails to open
    std::string directory = "data";

    void boot(size_t i, bool join = true) {
        world.boot(machines[i]->index, [&](const std::vector<port::Shard*>& shards) {
            Options options;
            options.directory = directory;
            options.peer_address = {"n" + std::to_string(i), 7};
            options.door_address = {"n" + std::to_string(i), 8};
            if (i > 0 && join) options.join = {"n0", 7};
            options.replace = replace;
            options.journal_segment_bytes = 4 * 1024 * 1024;
            options.rpc = rpc;
            options.log_retained_bytes_max = log_retained_bytes_max;
            options.compact_entries = compact_entries;
            auto p =
                std::make_shared<Process>(shards, options, machines[i]->engine, seed_ + i,
                                          world.log(machines[i]->index), refuse_engine, read_delay);
            processes[i] = p.get();
            p->scope.spawn("run", p->run(i == 0 ? size : 0));
            return p;
        });
    }
    void crash(size_t i, sim::CrashKind kind = sim::CrashKind::PowerCut,
               sim::Farewell farewell = sim::Farewell::Drawn) {
        world.crash(machines[i]->index, kind, farewell);
        processes[i] = nullptr;
    }
    bool up(size_t i) const {
        return world.up(machines[i]->index) && processes[i] && processes[i]->started &&
               processes[i]->started->has_value();
    }
    bool all_up() const {
        for (size_t i = 0; i < size; ++i)
            if (!up(i)) return false;
        return true;
    }
    bool started() {
        return world.run_until([&] { return all_up(); }, seconds(20));
    }
    const Founding& founding(size_t i) const { return processes[i]->node->identity().founding; }

    kv::Reply execute(size_t i, kv::Command command, size_t shard = 0) {
        auto reply = std::make_shared<std::optional<kv::Reply>>();
        Process* p = processes[i];
        p->shards[shard]->post([p, shard, reply, c = std::move(command)]() mutable {
            p->node->strategy(ShardId(shard))
                .execute(
                    {std::move(c), execute::Bound::Linearizable, seconds(10), execute::StreamId(1)},
                    [reply](execute::Outcome o) { *reply = std::move(o.reply); });
        });
        EXPECT_TRUE(world.run_until([&] { return reply->has_value(); }, seconds(15)));
        return reply->value_or(kv::Reply::error("no answer at all"));
    }

private:
    const uint64_t seed_;
};

inline kv::Command command(kv::Op op, std::vector<std::string> keys,
                           std::vector<Bytes> values = {}) {
    kv::Command c;
    c.op = op;
    if (op == kv::Op::IncrBy) c.number = 1;
    for (const auto& k : keys)
        c.keys.push_back(Bytes::copy(k));
    c.values = std::move(values);
    return c;
}

// Its node was told to end.
inline bool ends(Cluster& c, size_t i) {
    return c.world.run_until([&] { return c.processes[i] && !c.processes[i]->ended.empty(); },
                             seconds(20));
}

// The answer may come when nobody waits any more.
inline port::Task<> give(Node* node, Order order,
                         std::shared_ptr<std::optional<Result<std::string>>> answer) {
    *answer = co_await node->order(order);
}

inline std::string order(Cluster& c, size_t i, const Order& o) {
    const auto answer = std::make_shared<std::optional<Result<std::string>>>();
    Process* p = c.processes[i];
    p->scope.spawn("order", give(p->node.get(), o, answer));
    EXPECT_TRUE(c.world.run_until([&] { return answer->has_value(); }, seconds(30)));
    if (!*answer) return "";
    return **answer ? ***answer : (*answer)->error().context;
}

// Ordered, and done.
inline void change(Cluster& c, size_t i, const Order& o) {
    const std::string told = order(c, i, o);
    EXPECT_TRUE(told.starts_with("{\"done\":")) << told;
    const std::string mark = "{\"node\":" + to_string(o.node) + ",";
    std::string list;
    for (int looks = 0; looks < 100; ++looks) {
        list = order(c, i, {Order::What::List, o.keyspace, {}, {}, false});
        const bool there = list.find(mark) != std::string::npos;
        if (there == (o.what == Order::What::Add) &&
            list.find("\"settled\":true") != std::string::npos)
            return;
        c.world.run_for(milliseconds(100));
    }
    ADD_FAILURE() << list;
}

}  // namespace asterias::node
