// sim/strategy/primary_backup.h: a second replication strategy behind service/execute: asynchronous
// primary and backups, as many systems ship it. It shows that the seam holds another strategy, and
// that the checkers see what such a strategy loses.
//
// View v belongs to one node: number (v mod nodes) + 1. The primary evaluates, answers at once, and
// tells the backups afterwards. Who does not hear the primary moves to a view of its own. State is
// in memory only; who returns asks the primary for a copy.
// Promises: without faults linearizable, in the order of each connection.
// Does not promise, and the tests show it: acknowledged writes survive their primary (RPO > 0); a
// primary that was cut off or paused knows that it was replaced (stale reads, lost writes).
// Threading: one shard.
#pragma once

#include <map>
#include <vector>

#include "port/scope.h"
#include "service/execute/execute.h"
#include "service/rpc/endpoint.h"
#include "sim/world/process.h"

namespace asterias::sim {

class PrimaryBackup final : public execute::Strategy, rpc::Receiver {
public:
    // `nodes`: addresses of all; node number i + 1 is nodes[i].
    PrimaryBackup(port::Shard& shard, NodeId self, Incarnation incarnation,
                  std::vector<port::Address> nodes, Registry& registry, Log log);
    Result<void> start();

    void execute(execute::Request request, execute::Completion done) override;

    bool leads() const { return in_sync_ && primary() == self_; }
    uint64_t view() const { return view_; }
    uint64_t version() const { return version_; }  // writes in this copy
    const std::map<Bytes, Bytes>& data() const { return data_; }

private:
    enum class Kind : uint8_t {
        Alive = 1,
        Writes = 2,
        AskCopy = 3,
        Copy = 4,
        Command = 5,
        Answer = 6
    };
    struct Pending {
        execute::Completion done;
        Instant deadline;
        bool write;
    };

    void on_frame(const rpc::Peer& from, rpc::Frame frame) override;
    Result<void> admit(const rpc::Peer&) override { return {}; }
    void on_peer_up(const rpc::Peer&, bool) override {}
    void on_peer_down(const rpc::Peer&, bool) override {}

    NodeId primary() const { return NodeId(view_ % nodes_.size() + 1); }
    void tick();
    void adopt(uint64_t view);
    void send(NodeId to, Kind kind, const wire::Writer& body);
    void to_backups(Kind kind, const wire::Writer& body);
    kv::Reply evaluate(const kv::Command& command);
    void take(wire::Reader& in);
    void answer(uint64_t ticket, kv::Reply reply);

    port::Shard& shard_;
    const NodeId self_;
    const std::vector<port::Address> nodes_;
    rpc::Endpoint endpoint_;
    std::map<Bytes, Bytes> data_;
    uint64_t view_ = 0, version_ = 0;
    bool in_sync_ = false;  // this copy follows the view from its beginning
    Instant heard_;         // from the primary
    std::map<uint64_t, Pending> pending_;
    uint64_t next_ticket_ = 1;
};

// A node that runs it behind a RESP door.
std::shared_ptr<Process> make_primary_backup(Birth birth);

}  // namespace asterias::sim
