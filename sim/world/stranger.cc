#include "sim/world/stranger.h"

#include <array>
#include <cstring>

#include "base/crc32c.h"
#include "port/sync.h"
#include "service/rpc/frame.h"
#include "wire/fields.h"

namespace asterias::sim {
namespace {

constexpr Duration kDialTimeout = seconds(1);
constexpr Duration kPatience = seconds(8);  // until the node hangs up
constexpr Duration kLook = milliseconds(20);
constexpr Duration kStormWithin = milliseconds(50);
constexpr size_t kPrefixBytes = 12;  // of a frame: its length and the checksums
constexpr size_t kFormatAt = 12, kTypeAt = 14;

std::string hello(uint64_t node, ClusterId cluster) {
    rpc::FrameBuilder b;
    constexpr uint32_t kNode = 1, kNodeIncarnation = 2, kShard = 3, kLane = 4;
    if (node) wire::field(b.body(), kNode, node);
    wire::field(b.body(), kNodeIncarnation, 1);
    wire::field(b.body(), kShard, 0);
    wire::field(b.body(), kLane, 1);
    rpc::Header header;
    header.cluster = cluster;
    header.cluster_incarnation = Incarnation(1);
    return b.finish(header).str();
}

void put(std::string& frame, size_t at, auto value) {
    std::memcpy(frame.data() + at, &value, sizeof value);
}

// An honest checksum over something odd.
std::string with_word(std::string frame, size_t at, uint16_t word) {
    put(frame, at, word);
    put(frame, 8, crc32c(std::string_view(frame).substr(kPrefixBytes)));
    return frame;
}

std::string with_length(std::string frame, uint32_t length) {
    put(frame, 0, length);
    put(frame, 4, crc32c(std::string_view(frame).substr(0, 4)));
    return frame;
}

}  // namespace

std::string_view site_of(Visit visit) {
    static constexpr std::array<std::string_view, static_cast<size_t>(Visit::kCount)> kNames = {
        "stranger.foreign_cluster", "stranger.old_version", "stranger.unknown_type",
        "stranger.truncated",       "stranger.oversized",   "stranger.long",
        "stranger.damaged",         "stranger.garbage",     "stranger.slow",
        "stranger.silent"};
    return kNames[static_cast<size_t>(visit)];
}

class Stranger::Call final : public port::ConnectionHandler {
public:
    explicit Call(std::unique_ptr<port::Connection> connection)
        : connection_(std::move(connection)) {
        connection_->start(*this);
    }
    void say(std::string_view bytes) { connection_->out().append(Bytes::copy(bytes)); }
    bool ended() const { return ended_; }

private:
    port::Consumed on_data(const Bytes& available) override { return {available.size(), 0}; }
    void on_end_of_stream() override { ended_ = true; }
    void on_closed(const Error&) override { ended_ = true; }

    std::unique_ptr<port::Connection> connection_;
    bool ended_ = false;
};

Stranger::Stranger(port::Shard& shard, FaultCounters& faults, Prng prng)
    : shard_(shard), faults_(faults), prng_(prng), scope_(shard) {}
Stranger::~Stranger() = default;

void Stranger::come(port::Address to, Visit kind) {
    shard_.post([this, to, kind] { scope_.spawn("stranger.visit", visit(to, kind, {})); });
}

void Stranger::storm(port::Address to, uint64_t connections) {
    faults_.hit(kStorm);
    const auto within = static_cast<uint64_t>(kStormWithin.count());
    for (uint64_t i = 0; i < connections; ++i) {
        const auto kind = prng_.chance(0.8)
                              ? Visit::Silent
                              : Visit(prng_.below(static_cast<uint64_t>(Visit::kCount)));
        const Duration first(static_cast<int64_t>(prng_.below(within)));
        shard_.post(
            [this, to, kind, first] { scope_.spawn("stranger.visit", visit(to, kind, first)); });
    }
}

std::string Stranger::words(Visit kind) {
    const uint64_t node = prng_.between(1, 5);
    const ClusterId cluster(prng_.next() | 1);
    switch (kind) {
        case Visit::ForeignCluster:
            return hello(node, cluster);
        case Visit::OldVersion:
            return with_word(hello(node, cluster), kFormatAt, rpc::kFormat - 1);
        case Visit::UnknownType:
            return with_word(hello(0, {}), kTypeAt, rpc::kLastFrameType + 1);
        case Visit::Truncated: {
            std::string frame = hello(node, cluster);
            frame.resize(prng_.between(1, frame.size() - 1));
            return frame;
        }
        case Visit::Oversized:
            return with_length(hello(0, {}), 0x7FFF'FFFF);
        case Visit::Long:
            return with_length(hello(0, {}), 1 << 20) + std::string(100'000, 'x');
        case Visit::Damaged: {
            std::string frame = hello(0, {});
            frame[prng_.below(frame.size())] ^= static_cast<char>(1u << prng_.below(8));
            return frame;
        }
        case Visit::Garbage: {
            std::string bytes(prng_.between(1, 500), '\0');
            for (char& c : bytes)
                c = static_cast<char>(prng_.next());
            return bytes;
        }
        case Visit::Slow:
            return hello(0, {});
        case Visit::Silent:
        case Visit::kCount:
            return {};
    }
    return {};
}

port::Task<> Stranger::visit(port::Address to, Visit kind, Duration first) {
    if (first > Duration(0)) co_await port::sleep(shard_, first);
    auto connection = co_await shard_.net().connect(to, "", kDialTimeout);
    if (!connection) co_return;
    faults_.hit(site_of(kind));
    Call call(std::move(*connection));
    std::string bytes = words(kind);
    if (kind != Visit::Slow) call.say(std::exchange(bytes, {}));
    for (Duration waited{0}; waited < kPatience && !call.ended(); waited += kLook) {
        if (!bytes.empty()) {
            call.say(bytes.substr(0, 1));
            bytes.erase(0, 1);
        }
        co_await port::sleep(shard_, kLook);
        if (kind == Visit::Truncated) co_return;
    }
    if (call.ended()) faults_.hit(kTurnedAway);
}

}  // namespace asterias::sim
