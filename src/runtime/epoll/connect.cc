// Outgoing connections: resolve, connect without blocking, give up at the deadline.
#include <cerrno>
#include <memory>

#include "port/sync.h"
#include "runtime/epoll/net.h"

namespace asterias::runtime {
namespace {

// Waits for one connect(2): the errno it ends with, ETIMEDOUT at the deadline.
class Attempt final : private Pollable {
public:
    Attempt(EpollShard& shard, Fd fd) : shard_(shard), fd_(std::move(fd)), done_(shard) {}
    ~Attempt() { stop_watching(); }
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;

    int begin(const SocketAddress& to, Duration timeout) {
        if (::connect(fd_.get(), to.get(), to.size) == 0) {
            done_.set(0);
            return 0;
        }
        if (errno != EINPROGRESS) return errno;
        auto token = shard_.poller().add(fd_.get(), EPOLLOUT | EPOLLET, *this);
        if (!token) return ENOMEM;
        token_ = *token;
        timer_ = shard_.timers().after(timeout, [this] {
            timer_ = {};
            finish(ETIMEDOUT);
        });
        return 0;
    }
    auto& done() { return done_; }
    Fd take() { return std::move(fd_); }

private:
    void on_ready(uint32_t) override {
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
        finish(error);
    }
    void finish(int error) {
        stop_watching();
        done_.set(error);
    }
    void stop_watching() {
        if (timer_) shard_.timers().cancel(std::exchange(timer_, {}));
        if (token_) shard_.poller().remove(std::exchange(token_, 0), fd_.get());
    }

    EpollShard& shard_;
    Fd fd_;
    Token token_ = 0;
    port::TimerId timer_;
    port::OneShot<int> done_;
};

using Addresses = Result<std::vector<SocketAddress>>;

// A name being looked up: the thread's answer and the deadline race for `done`; both may come after
// the asking task is gone.
struct Lookup {
    explicit Lookup(port::Shard& shard) : done(shard) {}
    port::OneShot<Addresses> done;
    bool abandoned = false;
    void finish(Addresses found) {
        if (!abandoned && !done.is_set()) done.set(std::move(found));
    }
};

}  // namespace

port::Task<Addresses> EpollNet::resolve(port::Address address, Duration timeout) {
    if (auto numeric = numeric_address(address)) co_return std::vector{*numeric};
    const auto lookup = std::make_shared<Lookup>(shard_);
    const std::unique_ptr<Lookup, void (*)(Lookup*)> guard(lookup.get(),
                                                           [](Lookup* l) { l->abandoned = true; });
    shard_.common().blocking.push([&shard = shard_, lookup, address] {
        shard.deliver([lookup, found = resolve_name(address)]() mutable {
            lookup->finish(std::move(found));
        });
    });
    const auto timer = shard_.timers().after(timeout, [lookup, address] {
        lookup->finish(fail(Errc::Timeout, "resolve " + address.host));
    });
    auto found = co_await lookup->done;
    shard_.timers().cancel(timer);
    co_return found;
}

port::Task<Result<std::unique_ptr<port::Connection>>> EpollNet::connect_one(SocketAddress to,
                                                                            Duration timeout) {
    const std::string what = "connect to " + to.to_address().describe();
    Fd fd(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) co_return errno_fail(errno, what);
    Attempt attempt(shard_, std::move(fd));
    int error = attempt.begin(to, timeout);
    if (error == 0) error = co_await attempt.done();
    if (error == ETIMEDOUT) co_return fail(Errc::Timeout, what);
    if (error != 0) {
        Error why = errno_error(error, what);
        // Whatever the network said, nothing was sent.
        if (why.code == Errc::Closed || why.code == Errc::Io) why.code = Errc::Unavailable;
        co_return std::unexpected(std::move(why));
    }
    co_return Socket::open(*this, attempt.take(), to);
}

port::Task<Result<std::unique_ptr<port::Connection>>> EpollNet::connect(port::Address address,
                                                                        std::string expected,
                                                                        Duration timeout) {
    if (!expected.empty())
        co_return fail(Errc::Unsupported,
                       "connect to " + address.describe() + " as '" + expected +
                           "': outgoing connections have no TLS, so no identity can be "
                           "checked; leave the expected identity empty");
    const Instant deadline = shard_.now() + timeout;
    auto addresses = co_await resolve(address, timeout);
    if (!addresses) co_return std::unexpected(addresses.error());
    Result<std::unique_ptr<port::Connection>> result =
        fail(Errc::Timeout, "connect to " + address.describe());
    for (const SocketAddress& one : *addresses) {
        const Duration left = deadline - shard_.now();
        if (left <= Duration::zero()) break;
        result = co_await connect_one(one, left);
        if (result) break;
    }
    co_return result;
}

}  // namespace asterias::runtime
