// runtime/sim/stream.h: one TCP-like connection, both ends of it, as the network sees it. Internal
// to this room.
#pragma once

#include <coroutine>
#include <deque>
#include <optional>
#include <vector>

#include "base/chain.h"
#include "runtime/sim/kernel.h"

namespace asterias::sim {

class SimShard;
class SimConnection;
class Network;

struct Packet {
    enum class Kind : uint8_t { Established, Data, End, Reset };
    Kind kind;
    bool lost;  // sent into a cut: needs a retransmission once the cut is healed
    Instant at;
    Bytes data;
};

// One end: what it has yet to send, what it has on the way to the other end, what it has received.
struct End {
    enum class State : uint8_t {
        Pending,  // the connection is being established
        Open,     // a SimConnection exists, or existed and is flushing
        Closed,   // closed by its owner or dead with its process
    };
    State state = State::Pending;
    NodeIndex node = kNoNode;
    SimShard* shard = nullptr;  // null when Closed
    SimConnection* connection = nullptr;
    port::PeerIdentity peer;
    bool silent = false;  // the process died and nobody answers for it

    // Sending. At most one Packet event is under way: for the front of in_flight.
    Chain out;
    bool linger = false;  // close once `out` is sent
    bool above_high_mark = false;
    std::deque<Packet> in_flight;
    size_t bytes_in_flight = 0;
    Instant last_arrival{};
    bool packet_scheduled = false;
    uint64_t flights_dropped = 0;  // Packet events of an earlier flight are void
    bool window_scheduled = false;
    bool stalled = false;
    uint64_t stall_count = 0;

    // Receiving.
    std::vector<Bytes> arrived;  // in the kernel
    size_t bytes_arrived = 0;
    Bytes unread;        // read by the runtime, shown to the handler and not consumed
    size_t wanted = 0;   // Consumed::wanted
    bool fresh = false;  // `unread` may be shown again
    bool end_arrived = false, end_told = false;
    bool drained = false;          // on_drained is due
    std::optional<Error> failure;  // the connection is gone
    bool failure_told = false;
    bool serve_queued = false;

    void drop_output() {
        out.clear();
        in_flight.clear();
        bytes_in_flight = 0;
        last_arrival = {};
        stalled = packet_scheduled = false;
        ++flights_dropped;
    }
    // Bytes for this end are still welcome.
    bool accepts() const { return state != State::Closed && !linger && !failure; }
};

struct Stream {
    uint64_t id;
    uint64_t listener;
    uint64_t dial;
    size_t window_bytes;
    bool reaped = false;
    End ends[2];  // 0: who connected, 1: who accepted

    uint64_t key(int side) const { return id * 2 + static_cast<uint64_t>(side); }
};

class SimConnection final : public port::Connection {
public:
    SimConnection(Network& network, Stream& stream, int side);
    ~SimConnection() override;
    void start(port::ConnectionHandler& handler) override;
    Chain& out() override;
    size_t unsent() const override;
    void pause_reading(bool paused) override;
    void close_after_flush() override;
    const port::PeerIdentity& peer() const override { return peer_; }

    port::ConnectionHandler* handler() const { return handler_; }
    bool paused() const { return paused_; }
    void detach() { stream_ = nullptr; }

private:
    Network& network_;
    Stream* stream_;  // null once closed, or when its node has crashed
    const int side_;
    const port::PeerIdentity peer_;
    port::ConnectionHandler* handler_ = nullptr;
    bool paused_ = false;
    Chain nowhere_;  // output of a closed connection
};

}  // namespace asterias::sim
