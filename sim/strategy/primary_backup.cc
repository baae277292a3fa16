#include "sim/strategy/primary_backup.h"

#include "base/crc32c.h"
#include "core/kv/evaluate.h"
#include "edge/resp/door.h"
#include "wire/reader.h"

namespace asterias::sim {
namespace {

constexpr Duration kTick = milliseconds(50);
constexpr Duration kPatience = milliseconds(400);  // with a silent primary; more for later nodes
constexpr ClusterId kCluster{4711};

void write_pairs(wire::Writer& out, const std::vector<kv::Write>& writes) {
    out.varint(writes.size());
    for (const kv::Write& w : writes)
        out.bytes(w.key).bytes(w.record).bytes(w.until);
}

}  // namespace

PrimaryBackup::PrimaryBackup(port::Shard& shard, NodeId self, Incarnation incarnation,
                             std::vector<port::Address> nodes, Registry& registry, Log log)
    : shard_(shard),
      self_(self),
      nodes_(std::move(nodes)),
      endpoint_(shard, {kCluster, Incarnation(1), self, incarnation}, {}, *this, registry, log),
      heard_(shard.clock().now()) {}

Result<void> PrimaryBackup::start() {
    if (auto listening = endpoint_.listen(nodes_[self_.value - 1]); !listening) return listening;
    for (size_t i = 0; i < nodes_.size(); ++i)
        if (NodeId(i + 1) != self_) endpoint_.add_peer(NodeId(i + 1), nodes_[i]);
    tick();
    return {};
}

// --- who leads ---------------------------------------------------------------------------------

void PrimaryBackup::tick() {
    const Instant now = shard_.clock().now();
    if (leads()) {
        heard_ = now;
        to_backups(Kind::Alive, wire::Writer());
    } else if (now - heard_ > kPatience + kTick * static_cast<int64_t>(6 * self_.value)) {
        // Nobody is asked: the next view that is this node's.
        do {
            ++view_;
        } while (primary() != self_);
        in_sync_ = true;
        heard_ = now;
    }
    for (auto it = pending_.begin(); it != pending_.end();) {
        if (it->second.deadline > now) {
            ++it;
            continue;
        }
        auto late = pending_.extract(it++);
        late.mapped().done(
            {kv::Reply::error(late.mapped().write ? execute::kUnknown : execute::kClusterDown),
             {}});
    }
    shard_.timers().after(kTick, [this] { tick(); });
}

void PrimaryBackup::adopt(uint64_t view) {
    if (view <= view_) return;
    view_ = view;
    in_sync_ = false;
}

// --- messages: kind u8 | view u64 | body -------------------------------------------------------

void PrimaryBackup::send(NodeId to, Kind kind, const wire::Writer& body) {
    rpc::FrameBuilder frame(body.size() + 16);
    frame.body().u8(static_cast<uint8_t>(kind)).u64(view_).u64(version_).raw(body.view());
    endpoint_.send(to, rpc::Lane::Normal, rpc::FrameType::Forward,
                   frame.finish(endpoint_.header(rpc::FrameType::Forward)));
}

void PrimaryBackup::to_backups(Kind kind, const wire::Writer& body) {
    for (uint64_t n = 1; n <= nodes_.size(); ++n)
        if (NodeId(n) != self_) send(NodeId(n), kind, body);
}

void PrimaryBackup::on_frame(const rpc::Peer& from, rpc::Frame frame) {
    wire::Reader in(std::move(frame.body));
    const Kind kind{in.u8()};
    const uint64_t view = in.u64(), version = in.u64();
    if (!in.ok()) return;
    adopt(view);
    const bool follows = view == view_ && primary() == from.node;
    if (follows) heard_ = shard_.clock().now();
    switch (kind) {
        case Kind::Alive:
            if (follows && (!in_sync_ || version != version_))
                send(from.node, Kind::AskCopy, wire::Writer());
            return;
        case Kind::Writes:
            if (!follows || !in_sync_ || version != version_ + 1) return;  // Alive will show it
            version_ = version;
            return take(in);
        case Kind::AskCopy: {
            if (!leads()) return;
            wire::Writer all;
            all.varint(data_.size());
            for (const auto& [key, record] : data_)
                all.bytes(key).bytes(record);
            return send(from.node, Kind::Copy, all);
        }
        case Kind::Copy:
            if (!follows) return;
            data_.clear();
            version_ = version;
            in_sync_ = true;
            return take(in);
        case Kind::Command: {
            const uint64_t ticket = in.u64();
            const kv::Command command = kv::decode_command(in);
            if (!in.ok()) return;
            wire::Writer reply;
            reply.u64(ticket);
            kv::encode(reply,
                       leads() ? evaluate(command) : kv::Reply::error(execute::kClusterDown));
            return send(from.node, Kind::Answer, reply);
        }
        case Kind::Answer: {
            const uint64_t ticket = in.u64();
            kv::Reply reply = kv::decode_reply(in);
            if (in.ok()) answer(ticket, std::move(reply));
            return;
        }
    }
}

void PrimaryBackup::take(wire::Reader& in) {
    for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
        Bytes key = in.bytes(), record = in.bytes(), until = in.bytes();
        if (!until.empty())
            data_.erase(data_.lower_bound(key), data_.lower_bound(until));
        else if (record.empty())
            data_.erase(key);
        else
            data_[std::move(key)] = std::move(record);
    }
}

// --- commands ----------------------------------------------------------------------------------

void PrimaryBackup::execute(execute::Request request, execute::Completion done) {
    request.command.keyspace = KeyspaceId(1);
    if (leads()) {
        shard_.post([done = std::move(done), reply = evaluate(request.command)]() mutable {
            done({std::move(reply), {}});
        });
        return;
    }
    const uint64_t ticket = next_ticket_++;
    wire::Writer body;
    body.u64(ticket);
    kv::encode(body, request.command);
    pending_.emplace(ticket, Pending{std::move(done), shard_.clock().now() + request.remaining,
                                     request.command.is_write()});
    send(primary(), Kind::Command, body);
}

void PrimaryBackup::answer(uint64_t ticket, kv::Reply reply) {
    auto found = pending_.extract(ticket);
    if (found) found.mapped().done({std::move(reply), {}});
}

// Answered before any backup has heard of it: this is where acknowledged writes are lost.
kv::Reply PrimaryBackup::evaluate(const kv::Command& command) {
    const auto keys = kv::keys_read(command);
    std::vector<kv::Record> records(keys.size());
    std::vector<const kv::Record*> present(keys.size());
    for (size_t i = 0; i < keys.size(); ++i)
        if (const auto it = data_.find(keys[i]); it != data_.end()) {
            records[i] = *kv::decode_record(it->second);
            present[i] = &records[i];
        }
    auto done = kv::evaluate(
        command, keys, present,
        {shard_.clock().wall().millis(), HybridTime(version_ + 1), LogIndex(version_ + 1)});
    if (done.writes.empty()) return std::move(done.reply);
    ++version_;
    wire::Writer body;
    write_pairs(body, done.writes);
    to_backups(Kind::Writes, body);
    wire::Reader in(body.take());
    take(in);
    return std::move(done.reply);
}

// --- a node ------------------------------------------------------------------------------------

namespace {

class PrimaryBackupProcess final : public Process {
public:
    explicit PrimaryBackupProcess(const Birth& birth)
        : log_(birth.world.log(birth.machine.index), "sim"),
          strategy_(*birth.shards[0], number_of(birth), Incarnation(birth.machine.boots),
                    addresses_of(birth), registry_, log_),
          door_(*birth.shards[0], strategy_, {}, door_options(birth), registry_, log_) {
        ready_ = strategy_.start() && door_.listen();
    }
    bool ready() const override { return ready_; }
    std::vector<ReplicaView> replicas() const override {
        ReplicaView v{GroupId(2), strategy_.leads(), Term(strategy_.view() + 1)};
        v.applied = v.commit = v.last = v.durable = v.in_engine = LogIndex(strategy_.version());
        return {v};
    }
    std::vector<ContentView> contents() const override {
        ContentView v{GroupId(2), LogIndex(strategy_.version()), strategy_.data().size()};
        for (const auto& [key, record] : strategy_.data())
            v.digest = v.digest * 31 + crc32c(record.view(), crc32c(key.view()));
        return {v};
    }

private:
    static NodeId number_of(const Birth& birth) {
        for (size_t i = 0; i < birth.machines.size(); ++i)
            if (birth.machines[i].get() == &birth.machine) return NodeId(i + 1);
        return {};
    }
    static std::vector<port::Address> addresses_of(const Birth& birth) {
        std::vector<port::Address> all;
        for (const auto& machine : birth.machines)
            all.push_back(machine->peer);
        return all;
    }
    static edge_resp::Options door_options(const Birth& birth) {
        edge_resp::Options options;
        options.address = birth.machine.door;
        options.command_timeout = birth.sizes.command_timeout;
        return options;
    }

    Log log_;
    Registry registry_;
    PrimaryBackup strategy_;
    edge_resp::Door door_;
    bool ready_ = false;
};

}  // namespace

std::shared_ptr<Process> make_primary_backup(Birth birth) {
    return std::make_shared<PrimaryBackupProcess>(birth);
}

}  // namespace asterias::sim
