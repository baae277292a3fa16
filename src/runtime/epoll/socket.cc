#include "runtime/epoll/socket.h"

#include <array>
#include <cerrno>
#include <netinet/tcp.h>
#include <sys/uio.h>

#include "base/check.h"
#include "base/mutant.h"
#include "runtime/epoll/net.h"
#include "runtime/epoll/socket_handle.h"

namespace asterias::runtime {
namespace {
constexpr size_t kPiecesPerSend = 64;
constexpr size_t kMostPerReceive = 1024 * 1024;  // of a long message; others have their turn, too
constexpr size_t kQuietRemainder = 4096;         // buffer for the rest of a message, to begin with

// Whoever lost its power says no goodbye. A silent connection is probed after as long as Redis'
// tcp-keepalive, and given up three probes later.
constexpr int kKeepAliveIdleSeconds = 300;
constexpr int kKeepAliveIntervalSeconds = 60;
constexpr int kKeepAliveProbes = 3;
// The same patience while output waits for an acknowledgement, when there are no such probes. Less
// would cut the probes short (tcp(7)); it also ends a peer that keeps its window shut for so long.
constexpr unsigned kUserTimeoutMilliseconds =
    1000 * (kKeepAliveIdleSeconds + kKeepAliveIntervalSeconds * kKeepAliveProbes);

// A kernel that refuses one of these still has a connection worth having.
void set_options(const Fd& fd) {
    const auto set = [&fd](int level, int name, auto value) {
        ::setsockopt(fd.get(), level, name, &value, sizeof value);
    };
    set(IPPROTO_TCP, TCP_NODELAY, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdleSeconds);
    set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveIntervalSeconds);
    set(IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveProbes);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMilliseconds);
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
}

}  // namespace

Result<std::unique_ptr<port::Connection>> Socket::open(EpollNet& net, Fd fd,
                                                       const SocketAddress& remote, Count count) {
    return TRY(make(net, std::move(fd), remote))->admit(std::move(count));
}

std::unique_ptr<port::Connection> Socket::admit(Count count) {
    count_ = std::move(count);
    if (count_) ++*count_;
    return std::make_unique<Handle>(*this);
}

Result<Socket*> Socket::make(EpollNet& net, Fd fd, const SocketAddress& remote) {
    set_options(fd);
    auto* socket = new Socket(net, std::move(fd), remote);
    auto token = net.shard().poller().add(socket->fd_.get(),
                                          EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *socket);
    if (!token) {
        delete socket;
        return std::unexpected(token.error());
    }
    socket->token_ = *token;
    return socket;
}

Socket::Socket(EpollNet& net, Fd fd, const SocketAddress& remote)
    : net_(net), fd_(std::move(fd)), peer_{remote.to_address().describe(), false} {
    net_.opened();
}

Socket::~Socket() {
    handler_ = nullptr;
    lingers_ = false;
    close_descriptor();
    if (dirty_) net_.forget_dirty(*this);
    if (count_) --*count_;
    net_.closed();
}

// --- what the handle asks

void Socket::start(port::ConnectionHandler& handler) {
    CHECK(!handler_, "a connection is started once");
    if (stage_ != Stage::Open) return;
    handler_ = &handler;
    if (readable_ || failure_) call_again();
}

void Socket::pause_reading(bool paused) {
    if (paused_ == paused) return;
    paused_ = paused;
    if (paused || stage_ != Stage::Open) return;
    show_again_ = !rest_.empty();
    if (readable_ || show_again_) call_again();
}

void Socket::close_after_flush() {
    handler_ = nullptr;
    if (stage_ != Stage::Open) return;
    if (failure_) return close_descriptor();
    stage_ = Stage::Flushing;
    rest_ = {};
    linger_timer_ = net_.shard().timers().after(net_.shard().common().options.linger,
                                                [this] { close_descriptor(); });
    mark_dirty();
}

void Socket::release() {
    handler_ = nullptr;
    if (stage_ == Stage::Flushing || stage_ == Stage::Lingering) {
        lingers_ = true;
        net_.add_lingering(*this);
        return;
    }
    close_descriptor();
    end_of_life();
}

void Socket::mark_dirty() {
    if (dirty_ || blocked_) return;
    dirty_ = true;
    net_.add_dirty(*this);
}

// --- events

void Socket::on_ready(uint32_t events) {
    constexpr uint32_t kGone = EPOLLHUP | EPOLLERR;
    if (events == 0) again_ = false;
    if (events & (EPOLLIN | EPOLLRDHUP | kGone)) {
        readable_ = true;
        // Under TLS the next read may be content with what was received before.
        if (!MUTANT(epoll_tls_event_forgotten)) more_raw_ = true;
    }
    if (events & (EPOLLRDHUP | kGone)) hangup_ = true;
    if ((events & EPOLLOUT) && blocked_) {
        blocked_ = false;
        mark_dirty();
    }
    // Gone in both directions, and no receive is going to find out.
    if ((events & kGone) && (end_seen_ || paused_) && !failure_) {
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
        failure_ = errno_error(error ? error : ECONNRESET, peer_.name);
    }
    busy_ = true;
    advance();
    busy_ = false;
    if (doomed_) delete this;
}

void Socket::call_again() {
    if (again_ || token_ == 0) return;
    again_ = true;
    net_.shard().again(token_);
}

// Every callback may pause, close or destroy the connection, so each step looks again.
void Socket::advance() {
    if (stage_ == Stage::Handshaking) return handshake_step();
    if (stage_ == Stage::Lingering) return linger_step();
    if (stage_ == Stage::Flushing && failure_) return close_descriptor();
    if (!may_call()) return;
    if (!failure_ && std::exchange(drained_, false)) handler_->on_drained();
    if (may_call() && !failure_ && !paused_ && std::exchange(show_again_, false) &&
        rest_.size() >= std::max<size_t>(wanted_, 1))
        present(rest_.bytes(), false);
    if (may_call() && !failure_ && !paused_ && readable_ && !end_seen_) receive();
    if (may_call() && failure_) report_closed();
}

void Socket::receive() {
    if (!rest_.empty()) return receive_into_rest();
    auto& chunk = net_.chunk();
    const auto room = chunk.room();
    const ssize_t n = read_some(room);
    if (received(n, room.size())) {
        const Bytes got = chunk.take(static_cast<size_t>(n));
        if (got.size() >= wanted_) {
            present(got, true);
        } else {
            keep(got);
        }
    }
    chunk.settle();
}

void Socket::keep(const Bytes& rest) {
    const auto& options = net_.shard().common().options;
    rest_.keep(rest, full_receive_ ? options.read_buffer_bytes : kQuietRemainder,
               options.read_budget);
}

void Socket::receive_into_rest() {
    const auto& options = net_.shard().common().options;
    auto room = rest_.room(wanted_, full_receive_ ? options.read_buffer_bytes : kQuietRemainder,
                           options.read_budget);
    room = room.first(std::min(room.size(), kMostPerReceive));
    const ssize_t n = read_some(room);
    if (!received(n, room.size())) return;
    rest_.fill(static_cast<size_t>(n));
    if (rest_.size() >= wanted_) present(rest_.bytes(), false);
}

// What a receive says about the socket; true if it brought bytes.
bool Socket::received(ssize_t n, size_t room) {
    auto& counts = net_.shard().counts();
    ++counts.receives;
    if (n > 0) {
        counts.received_bytes += static_cast<size_t>(n);
        full_receive_ = static_cast<size_t>(n) == room;
        // A short receive emptied the queue; whatever comes later is a new event. Only an end of
        // file that was announced together with the data has no event of its own.
        readable_ = full_receive_ || (hangup_ && !MUTANT(epoll_end_of_stream_missed)) ||
                    (tls_ && (more_raw_ || tls_->pending()) && !MUTANT(epoll_tls_rest_forgotten));
        if (readable_) call_again();
        return true;
    }
    readable_ = false;
    if (n == 0) {
        end_seen_ = true;
        handler_->on_end_of_stream();
    } else if (errno == EINTR) {
        readable_ = true;
        call_again();
    } else if (errno != EAGAIN) {
        failure_ = tls_ && errno == EPROTO
                       ? Error{Errc::Closed, peer_.name + ": " + tls_->failure()}
                       : errno_error(errno, peer_.name);
    }
    return false;
}

void Socket::present(const Bytes& available, bool from_shared) {
    const auto consumed = handler_->on_data(available);
    CHECK(consumed.bytes <= available.size(), "a handler consumes what it was shown");
    if (stage_ != Stage::Open || doomed_) return;
    const auto& options = net_.shard().common().options;
    if (!from_shared) {
        rest_.consume(consumed.bytes);
    } else if (consumed.bytes < available.size()) {
        keep(available.suffix(consumed.bytes));
    }
    wanted_ = consumed.wanted;
    if (std::max(wanted_, rest_.size()) > options.max_message_bytes) {
        failure_ = Error{Errc::Limit, peer_.name + ": a message of more than " +
                                          std::to_string(options.max_message_bytes) +
                                          " bytes (max_message_bytes)"};
    } else if (consumed.bytes > 0 && wanted_ > 0 && rest_.size() >= wanted_) {
        show_again_ = true;
        call_again();
    }
}

// --- output

void Socket::flush() {
    dirty_ = false;
    if (stage_ == Stage::Closed || failure_) {
        sealed_.clear();
        return out_.clear();
    }
    if (blocked_) return;
    if (unsent() > port::kHighOutputMark) above_high_ = true;
    if (tls_) seal();
    if (failure_) return;
    Chain& network = tls_ ? sealed_ : out_;
    if (network.empty()) return finish_flush();

    std::array<std::string_view, kPiecesPerSend> pieces;
    std::array<iovec, kPiecesPerSend> vectors;
    const size_t count = network.front(pieces);
    size_t offered = 0;
    for (size_t i = 0; i < count; ++i) {
        vectors[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
        offered += pieces[i].size();
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    const ssize_t n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    ++net_.shard().counts().sends;
    if (n < 0) {
        if (errno == EINTR) return mark_dirty();
        if (errno != EAGAIN) return fail(errno_error(errno, peer_.name));
        blocked_ = true;
        return;
    }
    const auto sent = static_cast<size_t>(n);
    net_.shard().counts().sent_bytes += sent;
    network.consume(sent);
    if (sent < offered) {
        blocked_ = true;
    } else if (unsent() > 0) {
        mark_dirty();
    }
    if (above_high_ && unsent() < port::kLowOutputMark) {
        above_high_ = false;
        drained_ = true;
        call_again();
    }
    if (unsent() > 0) return;
    if (tls_) release_output();
    finish_flush();
}

// Outside of on_ready: the handler hears of it in the next turn.
void Socket::fail(Error why) {
    failure_ = std::move(why);
    out_.clear();
    sealed_.clear();
    call_again();
}

void Socket::report_closed() {
    auto* handler = std::exchange(handler_, nullptr);
    const Error why = *failure_;
    close_descriptor();
    handler->on_closed(why);
}

// --- the end

void Socket::finish_flush() {
    if (stage_ != Stage::Flushing) return;
    if (end_seen_ || MUTANT(epoll_close_without_linger)) return close_descriptor();
    ::shutdown(fd_.get(), SHUT_WR);
    stage_ = Stage::Lingering;
    if (readable_) call_again();
}

void Socket::linger_step() {
    const auto room = net_.chunk().room();
    const ssize_t n = ::recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (n > 0) return call_again();
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    close_descriptor();
}

void Socket::close_descriptor() {
    if (token_ != 0) net_.shard().poller().remove(std::exchange(token_, 0), fd_.get());
    fd_.reset();
    stage_ = Stage::Closed;
    rest_ = {};
    if (handshake_timer_) net_.shard().timers().cancel(std::exchange(handshake_timer_, {}));
    if (linger_timer_) net_.shard().timers().cancel(std::exchange(linger_timer_, {}));
    if (std::exchange(lingers_, false)) {
        net_.forget_lingering(*this);
        end_of_life();
    }
}

void Socket::send_last(const Fd& fd, std::string_view text) {
    (void)::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::shutdown(fd.get(), SHUT_WR);
    std::array<char, 4096> unread;
    (void)::recv(fd.get(), unread.data(), unread.size(), MSG_DONTWAIT);
}

void Socket::end_of_life() {
    if (busy_) {
        doomed_ = true;
    } else {
        delete this;
    }
}

}  // namespace asterias::runtime
