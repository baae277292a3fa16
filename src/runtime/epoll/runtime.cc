#include "runtime/epoll/runtime.h"

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <sys/signalfd.h>
#include <thread>
#include <unistd.h>

#include "base/check.h"
#include "runtime/epoll/disk.h"
#include "runtime/epoll/net.h"
#include "runtime/epoll/shard.h"
#include "runtime/epoll/tls.h"

namespace asterias::runtime {
namespace {

constexpr Duration kWatchTick = milliseconds(250);

sigset_t stop_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGTERM);
    ::sigaddset(&set, SIGINT);
    ::sigaddset(&set, SIGHUP);
    return set;
}

class SignalSource final : private Pollable {
public:
    SignalSource(EpollShard& shard, Fd fd, std::move_only_function<void(int)> handler)
        : shard_(shard), fd_(std::move(fd)), handler_(std::move(handler)) {}
    ~SignalSource() {
        if (token_) shard_.poller().remove(token_, fd_.get());
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    Result<void> start() {
        const sigset_t set = stop_signals();
        ::pthread_sigmask(SIG_BLOCK, &set, &before_);
        token_ = TRY(shard_.poller().add(fd_.get(), EPOLLIN, *this));
        return {};
    }

private:
    void on_ready(uint32_t) override {
        signalfd_siginfo info{};
        while (::read(fd_.get(), &info, sizeof info) == sizeof info)
            handler_(static_cast<int>(info.ssi_signo));
    }
    EpollShard& shard_;
    Fd fd_;
    Token token_ = 0;
    std::move_only_function<void(int)> handler_;
    sigset_t before_{};
};

// Looks at every shard a few times per second, from a thread of its own.
class Watchdog {
public:
    explicit Watchdog(Common& common) : common_(common) {
        for (const auto& shard : common.shards) {
            watched_.push_back({shard.get(), "a turn", StallWatch(shard->turn_flag())});
            watched_.push_back({shard.get(), "a sync on the disk thread",
                                StallWatch(shard->epoll_disk().sync_flag())});
        }
        thread_ = std::thread([this] { run(); });
    }
    ~Watchdog() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_one();
        thread_.join();
    }

private:
    struct Watched {
        EpollShard* shard;
        const char* what;
        StallWatch watch;
    };

    void run() {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
        ::pthread_setname_np(::pthread_self(), "ast-watchdog");
        std::unique_lock lock(mutex_);
        while (!wake_.wait_for(lock, kWatchTick, [this] { return stopping_; }))
            for (auto& watched : watched_)
                look(watched);
    }

    void look(Watched& watched) {
        const auto ticks_of = [](Duration d) {
            return static_cast<uint64_t>(std::max<int64_t>(d / kWatchTick, 1));
        };
        const uint64_t ticks = watched.watch.tick();
        if (ticks == 0) return;
        const std::string text = std::string(watched.what) + " of shard " +
                                 to_string(watched.shard->id()) + " has been going on for " +
                                 std::to_string(ticks * (kWatchTick / milliseconds(1))) + " ms";
        if (ticks % ticks_of(common_.options.stall_warn) == 0) common_.log.warn(text);
        const Duration limit = common_.options.stall_exit;
        if (limit > Duration::zero() && ticks >= ticks_of(limit))
            watched.shard->fatal((text + " (stall_exit)").c_str());
    }

    Common& common_;
    std::vector<Watched> watched_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_;
};

Result<void> validate(const RuntimeOptions& o) {
    const auto bad = [](const char* what) { return fail(Errc::InvalidArgument, what); };
    if (o.shards == 0) return bad("shards: at least 1");
    if (o.blocking_threads == 0) return bad("blocking_threads: at least 1");
    if (o.read_buffer_bytes < 4096) return bad("read_buffer_bytes: at least 4096");
    if (o.max_message_bytes > (1u << 31)) return bad("max_message_bytes: at most 2 GiB");
    return {};
}

}  // namespace

struct Runtime::Impl {
    Common common;
    std::unique_ptr<SignalSource> signals;
    bool ran = false;

    Impl(RuntimeOptions o, Registry& r, Log l) : common(o, r, l.named("runtime")) {}
    ~Impl() {
        // Threads first: they deliver to shards.
        common.blocking.join();
        for (auto& shard : common.shards)
            static_cast<EpollDisk&>(shard->disk()).join();
        signals.reset();
        common.shards.clear();
    }
};

Runtime::Runtime(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Runtime::~Runtime() = default;

Result<std::unique_ptr<Runtime>> Runtime::create(RuntimeOptions options, Registry& registry,
                                                 Log log) {
    TRY(validate(options));
    auto impl = std::make_unique<Impl>(options, registry, log);
    for (size_t i = 0; i < options.shards; ++i)
        impl->common.shards.push_back(TRY(EpollShard::create(impl->common, ShardId(i))));
    return std::unique_ptr<Runtime>(new Runtime(std::move(impl)));
}

port::Shard& Runtime::shard(ShardId id) {
    CHECK(id.value < shard_count(), "a shard of this node");
    return *impl_->common.shards[id.value];
}

size_t Runtime::shard_count() const { return impl_->common.shards.size(); }

Result<void> Runtime::on_signal(std::move_only_function<void(int)> handler) {
    CHECK(!impl_->signals && !impl_->ran, "signals are claimed once, before run()");
    const sigset_t set = stop_signals();
    Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd.valid()) return errno_fail(errno, "signalfd");
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    impl_->signals =
        std::make_unique<SignalSource>(*impl_->common.shards[0], std::move(fd), std::move(handler));
    return impl_->signals->start();
}

Result<std::unique_ptr<port::Listener>> Runtime::listen(ShardId id, const port::Address& address,
                                                        Listening how, port::AcceptHandler accept) {
    auto& net = static_cast<EpollNet&>(shard(id).net());
    return net.listen(address, std::move(how), std::move(accept));
}

void Runtime::run(std::function<void(port::Shard&)> start) {
    CHECK(!std::exchange(impl_->ran, true), "a Runtime runs once");
    const Watchdog watchdog(impl_->common);
    const auto run_shard = [&start](EpollShard& shard) {
        shard.post([&start, &shard] { start(shard); });
        shard.loop();
    };
    std::vector<std::thread> threads;
    auto& shards = impl_->common.shards;
    for (size_t i = 1; i < shards.size(); ++i)
        threads.emplace_back([&run_shard, &shard = *shards[i], i] {
            ::pthread_setname_np(::pthread_self(), ("ast-shard-" + std::to_string(i)).c_str());
            run_shard(shard);
        });
    run_shard(*shards[0]);
    for (auto& thread : threads)
        thread.join();
}

void Runtime::stop() {
    for (auto& shard : impl_->common.shards)
        shard->request_stop();
}

}  // namespace asterias::runtime
