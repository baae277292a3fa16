// runtime/epoll/net.h: the sockets of one shard: who listens, who connects, who has output to send.
#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "base/metrics.h"
#include "port/net.h"
#include "runtime/epoll/read_buffer.h"
#include "runtime/epoll/shard.h"
#include "runtime/epoll/socket.h"

namespace asterias::runtime {

// Which addresses this Runtime listens on. The first shard binds an address exclusively, so that a
// foreign process on it is noticed; the others then join with SO_REUSEPORT. Thread-safe.
class ListenTable {
public:
    // A listening socket. Errors: AlreadyExists (taken), InvalidArgument, Conflict (not allowed).
    Result<Fd> listen(const SocketAddress& address);
    void closed(const port::Address& address);

private:
    std::mutex mutex_;
    std::map<port::Address, size_t> listeners_;
};

class EpollNet final : public port::Net {
public:
    explicit EpollNet(EpollShard& shard);
    ~EpollNet() override;

    Result<std::unique_ptr<port::Listener>> listen(const port::Address& address,
                                                   port::AcceptHandler accept) override {
        return listen(address, {}, std::move(accept));
    }
    Result<std::unique_ptr<port::Listener>> listen(const port::Address& address, Listening how,
                                                   port::AcceptHandler accept);
    port::Task<Result<std::unique_ptr<port::Connection>>> connect(port::Address address,
                                                                  std::string expected,
                                                                  Duration timeout) override;

    // The turn end: one write for each connection with output.
    void flush();
    bool has_unsent() const { return !dirty_.empty(); }

    // For Socket and the listeners.
    EpollShard& shard() { return shard_; }
    SharedChunk& chunk() { return chunk_; }
    size_t open() const { return open_; }
    void opened() { gauge_.set(static_cast<int64_t>(++open_)); }
    void closed() { gauge_.set(static_cast<int64_t>(--open_)); }
    void add_dirty(Socket& socket) { dirty_.push_back(&socket); }
    void forget_dirty(Socket& socket);
    void add_lingering(Socket& socket) { lingering_.push_back(&socket); }
    void forget_lingering(Socket& socket) { std::erase(lingering_, &socket); }
    // Handshakes under way; their sockets are owned here until they are done.
    void add_handshaking(Socket& socket) { handshaking_.push_back(&socket); }
    void forget_handshaking(Socket& socket) { std::erase(handshaking_, &socket); }
    // Null while there are less than `most`; else the one to give up for the next:
    // the oldest that never sent a byte, for connecting costs nothing; else the oldest.
    Socket* least_handshake_beyond(size_t most) const;
    // A signature costs as much as hundreds of commands: a turn takes a few.
    bool may_handshake() { return handshake_steps_++ < kHandshakeStepsPerTurn; }
    void handshake_ended(bool well) { (well ? handshakes_ : handshake_failures_).add(); }

private:
    port::Task<Result<std::vector<SocketAddress>>> resolve(port::Address address, Duration timeout);
    port::Task<Result<std::unique_ptr<port::Connection>>> connect_one(SocketAddress to,
                                                                      Duration timeout);

    static constexpr int kHandshakeStepsPerTurn = 8;
    EpollShard& shard_;
    Gauge& gauge_;
    Counter &handshakes_, &handshake_failures_;
    SharedChunk chunk_;
    size_t open_ = 0;
    std::vector<Socket*> dirty_, flushing_;
    std::vector<Socket*> lingering_;  // owned: their handles are gone
    std::vector<Socket*> handshaking_;
    int handshake_steps_ = 0;  // of this turn
};

}  // namespace asterias::runtime
