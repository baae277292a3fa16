#include "runtime/epoll/net.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/mutant.h"

namespace asterias::runtime {
namespace {
constexpr int kBacklog = 1024;
constexpr int kAcceptsPerTurn = 64;
constexpr Duration kAcceptPause = milliseconds(100);  // when there are no descriptors left

class ListenSocket final : public Pollable, public std::enable_shared_from_this<ListenSocket> {
public:
    ListenSocket(EpollNet& net, Fd fd, Listening how, port::AcceptHandler accept)
        : net_(net),
          fd_(std::move(fd)),
          address_(local_address(fd_.get()).to_address()),
          how_(std::move(how)),
          accept_(std::move(accept)) {}

    Result<void> start() {
        token_ = TRY(net_.shard().poller().add(fd_.get(), EPOLLIN, *this));
        return {};
    }
    void close() {
        if (timer_) net_.shard().timers().cancel(timer_);
        if (token_) net_.shard().poller().remove(token_, fd_.get());
        token_ = 0;
        fd_.reset();
        net_.shard().common().listens->closed(address_);
    }
    const port::Address& address() const { return address_; }

    void on_ready(uint32_t) override {
        // The accept handler may destroy the listener.
        const auto self = shared_from_this();
        for (int i = 0; i < kAcceptsPerTurn && fd_.valid(); ++i)
            if (!accept_one()) return;
    }

private:
    bool accept_one() {
        SocketAddress remote;
        remote.size = sizeof remote.storage;
        Fd fd(::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&remote.storage), &remote.size,
                        SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd.valid()) return accept_failed(errno);
        if (net_.open() >= net_.shard().common().options.max_connections) {
            ++net_.shard().counts().accept_errors;
            complain("max_connections is reached; a new connection was closed");
            return true;
        }
        if (!how_.tls && full()) {
            ++net_.shard().counts().accept_errors;
            Socket::send_last(fd, refusal());
            return true;
        }
        if (how_.tls) return accept_tls(std::move(fd), remote, how_.tls->context());
        auto connection = Socket::open(net_, std::move(fd), remote, count_);
        if (!connection) {
            ++net_.shard().counts().accept_errors;
            complain(connection.error().describe());
            return true;
        }
        ++net_.shard().counts().accepts;
        accept_(std::move(*connection));
        return true;
    }

    bool accept_tls(Fd fd, const SocketAddress& remote, std::shared_ptr<TlsContext> tls) {
        const size_t most = net_.shard().common().options.tls_handshakes_max;
        if (Socket* least = net_.least_handshake_beyond(most))
            least->give_up_handshake("too many handshakes under way (tls_handshakes_max)");
        auto begun = Socket::open_tls(net_, std::move(fd), remote, std::move(tls),
                                      [self = weak_from_this()](Socket* socket) {
                                          const auto here = self.lock();
                                          if (!here || !here->fd_.valid())
                                              return socket->refuse("");
                                          here->handshake_done(*socket);
                                      });
        if (!begun) {
            ++net_.shard().counts().accept_errors;
            complain(begun.error().describe());
        }
        return true;
    }

    void handshake_done(Socket& socket) {
        if (full()) {
            ++net_.shard().counts().accept_errors;
            return socket.refuse(refusal());
        }
        ++net_.shard().counts().accepts;
        accept_(socket.admit(count_));
    }

    bool full() const { return how_.connections_max > 0 && *count_ >= how_.connections_max; }
    std::string_view refusal() const { return how_.refuse ? how_.refuse() : std::string_view(); }

    bool accept_failed(int error) {
        if (error == EAGAIN) return false;
        const bool exhausted =
            error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
        if (!exhausted) return true;  // that one connection is gone; accept(2), "Error handling"
        ++net_.shard().counts().accept_errors;
        complain(errno_error(error, "accept on " + address_.describe()).describe());
        net_.shard().poller().modify(token_, fd_.get(), 0);
        timer_ = net_.shard().timers().after(kAcceptPause, [this] {
            timer_ = {};
            net_.shard().poller().modify(token_, fd_.get(), EPOLLIN);
        });
        return false;
    }

    void complain(const std::string& what) {
        uint64_t held_back = 0;
        if (gate_.open(net_.shard().now(), held_back))
            net_.shard().log().warn(what + " (" + std::to_string(held_back) + " more not shown)");
    }

    EpollNet& net_;
    Fd fd_;
    Token token_ = 0;
    const port::Address address_;
    const Listening how_;
    const Socket::Count count_ = std::make_shared<size_t>(0);  // sockets may outlive this
    port::AcceptHandler accept_;
    port::TimerId timer_;
    LogGate gate_;
};

class ListenHandle final : public port::Listener {
public:
    explicit ListenHandle(std::shared_ptr<ListenSocket> socket) : socket_(std::move(socket)) {}
    ~ListenHandle() override { socket_->close(); }
    port::Address address() const override { return socket_->address(); }

private:
    std::shared_ptr<ListenSocket> socket_;
};

}  // namespace

Result<Fd> ListenTable::listen(const SocketAddress& address) {
    const std::lock_guard lock(mutex_);
    const port::Address wanted = address.to_address();
    const std::string what = "listen on " + wanted.describe();
    Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return errno_fail(errno, what);
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const auto share = [&] { ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on); };
    const bool ours = listeners_.contains(wanted);
    if (ours || MUTANT(epoll_port_shared_with_strangers)) share();
    if (::bind(fd.get(), address.get(), address.size) != 0) {
        if (errno != EADDRINUSE) return errno_fail(errno, what);
        return fail(Errc::AlreadyExists,
                    what + ": the port is taken by another process (ss -ltnp 'sport = :" +
                        std::to_string(wanted.port) + "' shows it); choose another or stop it");
    }
    // After the bind and before listening: the bind was exclusive, and our other shards may join.
    if (!ours) share();
    if (::listen(fd.get(), kBacklog) != 0) {
        if (errno != EADDRINUSE) return errno_fail(errno, what);
        return fail(Errc::AlreadyExists, what + ": the port is taken by another process");
    }
    ++listeners_[local_address(fd.get()).to_address()];
    return fd;
}

void ListenTable::closed(const port::Address& address) {
    const std::lock_guard lock(mutex_);
    const auto it = listeners_.find(address);
    CHECK(it != listeners_.end(), "what is closed was listening");
    if (--it->second == 0) listeners_.erase(it);
}

EpollNet::EpollNet(EpollShard& shard)
    : shard_(shard),
      gauge_(shard.common().registry.gauge("asterias_net_connections", "open connections",
                                           shard.label())),
      handshakes_(shard.common().registry.counter("asterias_net_tls_handshakes_total",
                                                  "TLS handshakes done", shard.label())),
      handshake_failures_(
          shard.common().registry.counter("asterias_net_tls_handshake_failures_total",
                                          "TLS handshakes that came to nothing", shard.label())),
      chunk_(shard.common().options.read_buffer_bytes, shard.common().options.read_budget) {}

EpollNet::~EpollNet() {
    while (!lingering_.empty()) {
        Socket* socket = lingering_.back();
        lingering_.pop_back();
        socket->destroy();
    }
    while (!handshaking_.empty()) {
        Socket* socket = handshaking_.back();
        handshaking_.pop_back();
        socket->destroy();
    }
    CHECK(open_ == 0, "connections are closed before their runtime");
}

void EpollNet::flush() {
    handshake_steps_ = 0;
    if (dirty_.empty()) return;
    flushing_.swap(dirty_);
    for (Socket*& socket : flushing_)
        if (socket) std::exchange(socket, nullptr)->flush();
    flushing_.clear();
}

Socket* EpollNet::least_handshake_beyond(size_t most) const {
    if (handshaking_.empty() || handshaking_.size() < most) return nullptr;
    const auto silent =
        std::ranges::find_if(handshaking_, [](const Socket* s) { return !s->spoke(); });
    return silent == handshaking_.end() ? handshaking_.front() : *silent;
}

void EpollNet::forget_dirty(Socket& socket) {
    std::ranges::replace(dirty_, &socket, nullptr);
    std::ranges::replace(flushing_, &socket, nullptr);
}

Result<std::unique_ptr<port::Listener>> EpollNet::listen(const port::Address& address,
                                                         Listening how,
                                                         port::AcceptHandler accept) {
    const auto numeric = numeric_address(address);
    if (!numeric)
        return fail(Errc::InvalidArgument,
                    "listen on " + address.describe() + ": give a numeric address, localhost or *");
    auto fd = TRY(shard_.common().listens->listen(*numeric));
    auto socket =
        std::make_shared<ListenSocket>(*this, std::move(fd), std::move(how), std::move(accept));
    auto handle = std::make_unique<ListenHandle>(socket);
    TRY(socket->start());
    return handle;
}

}  // namespace asterias::runtime
