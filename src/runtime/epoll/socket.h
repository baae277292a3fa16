// runtime/epoll/socket.h: one connected TCP socket. The owner of the connection holds a handle; the
// socket itself may outlive it while its last output is on the way (close_after_flush).
// Edge-triggered: epoll is told once what to watch, and the flags here remember what it said.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>

#include "base/chain.h"
#include "port/net.h"
#include "port/shard.h"
#include "runtime/epoll/poller.h"
#include "runtime/epoll/read_buffer.h"
#include "runtime/epoll/system.h"
#include "runtime/epoll/tls.h"

namespace asterias::runtime {

class EpollNet;

class Socket final : public Pollable {
public:
    // How many connections a listener has. Null: nobody counts.
    using Count = std::shared_ptr<size_t>;
    // Registers with the shard. Errors: Limit.
    static Result<std::unique_ptr<port::Connection>> open(EpollNet& net, Fd fd,
                                                          const SocketAddress& remote,
                                                          Count count = nullptr);

    // With TLS: `ready` is called when the handshake is done, in a later turn; never if it fails.
    // It calls admit() or refuse().
    using Ready = std::move_only_function<void(Socket*)>;
    static Result<void> open_tls(EpollNet& net, Fd fd, const SocketAddress& remote,
                                 std::shared_ptr<TlsContext> context, Ready ready);
    // For the listener and the deadline.
    void give_up_handshake(std::string why);
    // Bytes came from the other side, read or not.
    bool spoke() const { return spoke_ || readable_; }
    std::unique_ptr<port::Connection> admit(Count count);
    void refuse(std::string_view text);
    // As much as leaves at once; what has come is thrown away, since it would make a reset of the
    // close.
    static void send_last(const Fd& fd, std::string_view text);

    // For EpollNet: one writev of what is collected.
    void flush();
    // For EpollNet: the shard is going away.
    void destroy() { delete this; }

private:
    friend class Handle;
    class Handle;
    enum class Stage : unsigned char {
        Handshaking,  // no handle yet
        Open,
        Flushing,   // close_after_flush(): output is on its way
        Lingering,  // everything sent and our side shut; waiting for theirs, so that no reset eats
                    // the output on their side
        Closed,     // no descriptor any more
    };

    Socket(EpollNet& net, Fd fd, const SocketAddress& remote);
    ~Socket();

    static Result<Socket*> make(EpollNet& net, Fd fd, const SocketAddress& remote);
    void handshake_step();
    void handshake_done();
    ssize_t read_some(std::span<uint8_t> room);
    void seal();
    void release_output();
    size_t unsent() const { return out_.size() + sealed_.size(); }

    void on_ready(uint32_t events) override;
    void call_again();
    void advance();
    void receive();
    void receive_into_rest();
    void keep(const Bytes& rest);
    bool received(ssize_t result, size_t room);
    void present(const Bytes& available, bool from_shared);
    void fail(Error why);
    void report_closed();
    void close_descriptor();
    void linger_step();
    void finish_flush();
    void end_of_life();
    bool may_call() const { return stage_ == Stage::Open && handler_; }

    // For the handle.
    void start(port::ConnectionHandler& handler);
    Chain& out() {
        if (!dirty_ && !blocked_) mark_dirty();
        return out_;
    }
    void mark_dirty();
    void pause_reading(bool paused);
    void close_after_flush();
    void release();

    EpollNet& net_;
    Fd fd_;
    Token token_ = 0;
    port::PeerIdentity peer_;
    port::ConnectionHandler* handler_ = nullptr;
    Stage stage_ = Stage::Open;
    bool readable_ = false;  // a receive may yield something
    bool hangup_ = false;    // an end of file or error waits behind the data
    bool blocked_ = false;   // the send buffer is full; EPOLLOUT will come
    bool paused_ = false;
    bool show_again_ = false;  // the remainder was not yet shown as it is now
    bool end_seen_ = false;
    bool dirty_ = false;  // on the list of sockets to flush
    bool again_ = false;  // on the shard's list to be called again
    bool above_high_ = false;
    bool drained_ = false;       // on_drained is due
    bool full_receive_ = false;  // the last receive filled its buffer: a busy stream
    bool busy_ = false;          // inside on_ready, which then does the deletion
    bool doomed_ = false;        // to be deleted at the end of on_ready
    bool lingers_ = false;       // released while its output was on the way
    size_t wanted_ = 0;
    std::optional<Error> failure_;
    port::TimerId linger_timer_;
    Remainder rest_;
    Chain out_;
    std::unique_ptr<TlsSession> tls_;  // null: plain
    Ready ready_;
    Count count_;
    bool spoke_ = false;     // in its handshake
    Chain sealed_;           // out_ as the network gets it
    bool more_raw_ = false;  // under TLS: a receive may yield something
    bool goodbye_ = false;   // said
    port::TimerId handshake_timer_;
};

}  // namespace asterias::runtime
