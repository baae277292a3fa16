// port/net.h: byte-stream connections of one shard. Identity is an attribute of the port: who the
// other side is is said by the runtime (runtime/epoll knows an address, or a certificate that it
// checked; runtime/sim forges it at will), never by the bytes that it sends.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/chain.h"
#include "base/result.h"
#include "base/time.h"
#include "port/task.h"

namespace asterias::port {

struct Address {
    std::string host;  // a numeric address or a name
    uint16_t port = 0;

    auto operator<=>(const Address&) const = default;
    std::string describe() const { return host + ":" + std::to_string(port); }
    // "host:port"; the host may be in [brackets].
    static Result<Address> parse(std::string_view text);
};

struct PeerIdentity {
    std::string name;  // certificate subject, or the remote address when there is none
    bool authenticated = false;
};

// The marks of on_drained, the same in every runtime.
inline constexpr size_t kHighOutputMark = 1024 * 1024;
inline constexpr size_t kLowOutputMark = 256 * 1024;

// What a handler made of the bytes that it was shown.
struct Consumed {
    size_t bytes = 0;   // from the front; the rest is shown again, with what follows it
    size_t wanted = 0;  // do not call again before this many bytes are there; 0: any more will do
};

class ConnectionHandler {
public:
    virtual ~ConnectionHandler() = default;
    // All bytes received and not yet consumed, in one piece. Slices of `available` may be kept:
    // they share the read buffer.
    virtual Consumed on_data(const Bytes& available) = 0;
    // The other side sent its end of file (it may still read), or the connection is gone. Called at
    // most once each; on_closed is the last call. Not called after close() or destruction.
    virtual void on_end_of_stream() {}
    virtual void on_closed(const Error& why) = 0;
    // Unsent output fell below the low mark after having been above the high mark.
    virtual void on_drained() {}
};

// Owned by whoever accepted or connected it; destroying it closes it at once (unsent output is
// lost). Threading: its shard only. Callbacks never run inside a call of send()/start()/close().
class Connection {
public:
    virtual ~Connection() = default;

    // Begins reading; `handler` must outlive this connection. Called once.
    virtual void start(ConnectionHandler& handler) = 0;
    // Output is collected and leaves at the turn end with one writev. Ask for it in every turn that
    // appends: the call itself is what marks the connection for the turn end.
    virtual Chain& out() = 0;
    // Bytes handed to out() and not yet taken by the network.
    virtual size_t unsent() const = 0;
    // Back-pressure: while paused no on_data is called. Going on shows bytes that were left
    // unconsumed again, also when nothing new has come.
    virtual void pause_reading(bool paused) = 0;
    // Sends what is in out(), then closes. No callback follows. The object may be destroyed at
    // once: the runtime finishes sending on its own.
    virtual void close_after_flush() = 0;
    virtual const PeerIdentity& peer() const = 0;
};

class Listener {
public:
    virtual ~Listener() = default;  // stops listening
    virtual Address address() const = 0;
};

using AcceptHandler = std::move_only_function<void(std::unique_ptr<Connection>)>;

class Net {
public:
    virtual ~Net() = default;
    // Port 0 picks a free one. Several shards of one node may listen on the same address: each gets
    // a share of the connections.
    virtual Result<std::unique_ptr<Listener>> listen(const Address& address,
                                                     AcceptHandler accept) = 0;
    // `expected` empty: any peer. Errors: Unavailable (refused, unreachable), Timeout, Conflict
    // (other identity than expected).
    virtual Task<Result<std::unique_ptr<Connection>>> connect(Address address, std::string expected,
                                                              Duration timeout) = 0;
};

}  // namespace asterias::port
