// Five nodes that ping each other under every fault of the room: bytes that pass their checksum are
// in order and whole on each connection, and after healing everybody hears everybody again.
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "runtime/sim/test_support.h"

namespace asterias::sim {
namespace {

using port::Task;

constexpr size_t kNodes = 5;
constexpr Duration kTick = milliseconds(20);

struct Tally {
    uint64_t pongs[kNodes][kNodes] = {};  // by asker, answerer
    uint64_t bad_checksums = 0, lost_connections = 0, disordered = 0;
};

// Frame: length of the body (4), crc32c of the body (4), body: kind (1), number (8), padding.
void append_frame(Chain& out, char kind, uint64_t number, size_t padding) {
    std::string body(9 + padding, kind);
    for (size_t i = 0; i < 8; ++i)
        body[1 + i] = static_cast<char>(number >> (8 * i));
    std::string head(8, '\0');
    const uint32_t size = static_cast<uint32_t>(body.size()), crc = crc32c(body);
    for (size_t i = 0; i < 4; ++i) {
        head[i] = static_cast<char>(size >> (8 * i));
        head[4 + i] = static_cast<char>(crc >> (8 * i));
    }
    out.append(head);
    out.append(body);
}

uint64_t little_endian(std::string_view text) {
    uint64_t value = 0;
    for (size_t i = text.size(); i > 0; --i)
        value = value << 8 | static_cast<uint8_t>(text[i - 1]);
    return value;
}

// One connection of a pinger: asks (who dialed) or answers (who accepted).
class Session : public port::ConnectionHandler {
public:
    Session(std::unique_ptr<port::Connection> c, Tally& tally, uint64_t* pongs)
        : connection_(std::move(c)), tally_(tally), pongs_(pongs) {
        connection_->start(*this);
    }
    bool dead() const { return !connection_; }
    void ask(size_t padding) {
        if (connection_ && connection_->unsent() < 100'000)
            append_frame(connection_->out(), 'q', ++asked_, padding);
    }
    port::Consumed on_data(const Bytes& available) override {
        std::string_view rest = available.view();
        size_t used = 0;
        while (rest.size() >= 8) {
            const uint64_t size = little_endian(rest.substr(0, 4));
            if (size < 9 || size > 10'000) return corrupt();
            if (rest.size() < 8 + size) return {used, 8 + size};
            if (little_endian(rest.substr(4, 4)) != crc32c(rest.substr(8, size))) return corrupt();
            on_body(rest.substr(8, size));
            rest.remove_prefix(8 + size);
            used += 8 + size;
        }
        return {used, 8};
    }
    void on_end_of_stream() override { lose(); }
    void on_closed(const Error&) override { lose(); }

private:
    port::Consumed corrupt() {
        ++tally_.bad_checksums;
        connection_.reset();
        return {};
    }
    void lose() {
        ++tally_.lost_connections;
        connection_.reset();
    }
    void on_body(std::string_view body) {
        if (little_endian(body.substr(1, 8)) != ++heard_) ++tally_.disordered;
        if (body[0] == 'q')
            append_frame(connection_->out(), 'a', heard_, body.size() % 100);
        else
            ++*pongs_;
    }
    std::unique_ptr<port::Connection> connection_;
    Tally& tally_;
    uint64_t* pongs_;
    uint64_t asked_ = 0, heard_ = 0;
};

class Pinger {
public:
    Pinger(port::Shard& shard, size_t self, Tally& tally)
        : shard_(shard), self_(self), tally_(tally), scope_(shard) {
        auto made = shard.net().listen({"n" + std::to_string(self), 7}, [this](auto connection) {
            answering_.push_back(std::make_unique<Session>(std::move(connection), tally_, nullptr));
        });
        listener_ = std::move(*made);
        scope_.spawn("tick", tick());
        for (size_t peer = 0; peer < kNodes; ++peer)
            if (peer != self) scope_.spawn("ask", ask(peer));
    }

private:
    Task<void> tick() {
        for (;;) {
            co_await port::sleep(shard_, kTick);
            std::erase_if(answering_, [](const auto& session) { return session->dead(); });
            for (auto& session : asking_)
                if (session && !session->dead()) session->ask(shard_.entropy().next() % 400);
        }
    }
    Task<void> ask(size_t peer) {
        const std::string name = "n" + std::to_string(peer);
        for (;;) {
            auto connection = co_await shard_.net().connect({name, 7}, name, milliseconds(500));
            if (connection) {
                asking_[peer] = std::make_unique<Session>(std::move(*connection), tally_,
                                                          &tally_.pongs[self_][peer]);
                while (!asking_[peer]->dead())
                    co_await port::sleep(shard_, kTick);
                asking_[peer].reset();
            }
            co_await port::sleep(shard_, milliseconds(100));
        }
    }

    port::Shard& shard_;
    const size_t self_;
    Tally& tally_;
    std::unique_ptr<port::Listener> listener_;
    std::vector<std::unique_ptr<Session>> answering_;
    std::unique_ptr<Session> asking_[kNodes];
    port::Scope scope_;
};

struct Cluster {
    explicit Cluster(uint64_t seed) : world(seed), prng(world.split_prng()) {
        for (size_t i = 0; i < kNodes; ++i)
            nodes.push_back(
                world.add_node("n" + std::to_string(i),
                               {.drift_ppm = static_cast<int64_t>(prng.below(2'000)) - 1'000}));
        world.set_crash_listener([this](NodeIndex node, std::string_view) {
            const Duration down = milliseconds(prng.between(1, 2'000));
            world.call_at(world.now() + down, [this, node] { boot(node); });
        });
        for (const NodeIndex node : nodes)
            boot(node);
    }
    void boot(NodeIndex node) {
        world.boot(node, [&](const auto& shards) {
            return std::make_shared<Pinger>(*shards[0], slot_of(node), tally);
        });
    }
    NodeIndex any() { return nodes[prng.below(nodes.size())]; }
    void disturb() {
        const NodeIndex x = any(), y = any();
        switch (prng.below(10)) {
            case 0:
                return world.arm_crash(x, prng.between(1, 200));
            case 1:
                return world.arm_crash(x, prng.between(1, 200), CrashKind::PowerCut);
            case 2:
                return world.pause(x, milliseconds(prng.between(1, 3'000)));
            case 3:
                return world.cut(x, y, true);
            case 4:
                return world.partition({x, y});
            case 5:
                return world.clog(x, y, milliseconds(prng.between(1, 3'000)));
            case 6:
                return world.set_drift(x, static_cast<int64_t>(prng.below(100'000)) - 50'000);
            case 7:
                return world.break_connections(x, y, Farewell::Drawn);
            default:
                return world.heal_all();
        }
    }
    // Safety phase, then liveness phase.
    void run(int disturbances) {
        for (const NodeIndex x : nodes)
            for (const NodeIndex y : nodes)
                if (prng.below(2) == 0) world.set_link(x, y, draw_link_profile(prng));
        for (int i = 0; i < disturbances; ++i) {
            world.run_for(milliseconds(prng.between(1, 1'000)));
            disturb();
        }
        world.heal_all();
        for (const NodeIndex x : nodes) {
            world.arm_crash(x, 0);
            for (const NodeIndex y : nodes)
                world.set_link(x, y, LinkProfile{});
        }
        world.run_for(seconds(40));
    }
    World world;
    Prng prng;
    Tally tally;
    std::vector<NodeIndex> nodes;
};

TEST(Cluster, PingsSurviveEveryFaultInOrderAndEverybodyHearsEverybodyAfterHealing) {
    FaultCounters hits;
    uint64_t bad_checksums = 0;
    for (uint64_t seed = 0; seed < 12; ++seed) {
        Cluster cluster(seed);
        cluster.run(60);
        EXPECT_EQ(cluster.tally.disordered, 0u) << seed;
        const Tally before = cluster.tally;
        cluster.world.run_for(seconds(2));
        for (size_t x = 0; x < kNodes; ++x)
            for (size_t y = 0; y < kNodes; ++y)
                if (x != y) {
                    EXPECT_GT(cluster.tally.pongs[x][y], before.pongs[x][y] + 80)
                        << seed << " " << x << " " << y;
                }
        EXPECT_EQ(cluster.tally.lost_connections, before.lost_connections) << seed;
        EXPECT_LE(cluster.world.connection_count(), kNodes * (kNodes - 1) * 3) << seed;
        bad_checksums += cluster.tally.bad_checksums;
        for (size_t f = 0; f < static_cast<size_t>(Fault::kCount); ++f)
            if (cluster.world.faults().count(static_cast<Fault>(f)))
                hits.hit(static_cast<Fault>(f));
    }
    EXPECT_GT(bad_checksums, 0u);
    for (const Fault fault :
         {Fault::PeerSawClose, Fault::PeerSawReset, Fault::PeerHalfOpen, Fault::Paused,
          Fault::PacketStalled, Fault::PacketLost, Fault::PacketSpike, Fault::Corrupted,
          Fault::ConnectionBroken, Fault::ConnectionGaveUp, Fault::ResetLost, Fault::WindowFull,
          Fault::SynLost, Fault::ConnectRefused, Fault::ConnectTimedOut, Fault::CrashPowerCut})
        EXPECT_GT(hits.count(fault), 0u) << to_string(fault);
}

TEST(Cluster, RunsAlikeForTheSameSeed) {
    for (uint64_t seed = 100; seed < 104; ++seed) {
        Cluster one(seed), two(seed);
        one.run(30);
        two.run(30);
        EXPECT_EQ(one.world.trace_hash(), two.world.trace_hash()) << seed;
        EXPECT_EQ(one.world.events_executed(), two.world.events_executed());
        EXPECT_EQ(one.world.faults().report(), two.world.faults().report());
    }
}

}  // namespace
}  // namespace asterias::sim
