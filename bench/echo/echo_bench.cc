// bench/echo/echo_bench.cc: what the runtime itself costs per request: an echo server on
// port::Connection beside bare epoll and Boost Asio, all with one receive and one send per request,
// each in a thread whose CPU time is read. The reason why runtime/epoll is epoll inside
// (docs/adr): run it again when Asio or the kernel changes.
//   echo_bench [CONNECTIONS [SECONDS [ROUNDS]]]
#define BOOST_ASIO_SEPARATE_COMPILATION 1
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <boost/asio.hpp>
#include <boost/asio/impl/src.hpp>

#include "port/net.h"
#include "runtime/epoll/runtime.h"

namespace {

using namespace asterias;  // NOLINT: a program, not a header

constexpr size_t kMessage = 64;

double thread_cpu() {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

sockaddr_in loopback(uint16_t port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}
void no_delay(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
int listen_anywhere(uint16_t& port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    auto a = loopback(0);
    socklen_t size = sizeof a;
    if (::bind(fd, reinterpret_cast<sockaddr*>(&a), size) != 0 || ::listen(fd, 1024) != 0)
        std::abort();
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size);
    port = ntohs(a.sin_port);
    return fd;
}

// A server runs until its clients are gone; it tells its port first.
using Server = void (*)(std::atomic<uint16_t>& port);

void serve_epoll(std::atomic<uint16_t>& announced) {
    uint16_t port = 0;
    const int listener = listen_anywhere(port), epoll = ::epoll_create1(0);
    epoll_event event{.events = EPOLLIN, .data = {.fd = listener}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    announced = port;
    std::vector<char> buffer(64 * 1024);
    std::array<epoll_event, 512> events;
    for (size_t open = 0, seen = 0; seen == 0 || open > 0;) {
        const int n = ::epoll_wait(epoll, events.data(), events.size(), -1);
        for (int i = 0; i < n; ++i) {
            const int fd = events[i].data.fd;
            if (fd == listener) {
                event.data.fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
                no_delay(event.data.fd);
                ::epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
                ++open, ++seen;
                continue;
            }
            const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
            if (got <= 0) {
                ::close(fd);
                --open;
            } else {
                ::send(fd, buffer.data(), static_cast<size_t>(got), MSG_NOSIGNAL);
            }
        }
    }
    ::close(epoll);
    ::close(listener);
}

// Turns over Asio: handlers run until none is ready, then each connection sends once. Two ways to
// read: into a buffer that each connection owns while it waits, or by waiting for readiness and
// receiving into one shared buffer, as the port does (an idle connection then holds none).
template <bool kSharedBuffer>
class AsioServer {
public:
    explicit AsioServer(std::atomic<uint16_t>& announced)
        : io_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE),
          acceptor_(io_, {boost::asio::ip::address_v4::loopback(), 0}) {
        accept();
        announced = acceptor_.local_endpoint().port();
    }
    void run() {
        while (seen_ == 0 || open_ > 0) {
            io_.run_one();
            io_.poll();
            for (Conn* conn : dirty_) {
                ::send(conn->socket.native_handle(), conn->buffer.data(), conn->got, MSG_NOSIGNAL);
                read(*conn);
            }
            dirty_.clear();
        }
    }

private:
    struct Conn {
        boost::asio::ip::tcp::socket socket;
        std::array<char, 4096> buffer{};
        size_t got = 0;
    };
    void accept() {
        acceptor_.async_accept(
            [this](boost::system::error_code e, boost::asio::ip::tcp::socket socket) {
                if (e) return;
                no_delay(socket.native_handle());
                ++open_, ++seen_;
                conns_.push_back(std::make_unique<Conn>(Conn{std::move(socket)}));
                read(*conns_.back());
                accept();
            });
    }
    void read(Conn& conn) {
        if constexpr (kSharedBuffer) {
            conn.socket.async_wait(
                conn.socket.wait_read, [this, &conn](boost::system::error_code e) {
                    const ssize_t got =
                        e ? -1 : ::recv(conn.socket.native_handle(), conn.buffer.data(), 4096, 0);
                    if (got <= 0) {
                        --open_;
                        return;
                    }
                    conn.got = static_cast<size_t>(got);
                    dirty_.push_back(&conn);
                });
            return;
        }
        conn.socket.async_read_some(boost::asio::buffer(conn.buffer),
                                    [this, &conn](boost::system::error_code e, size_t got) {
                                        if (e) {
                                            --open_;
                                            return;
                                        }
                                        conn.got = got;
                                        dirty_.push_back(&conn);
                                    });
    }
    boost::asio::io_context io_;
    boost::asio::ip::tcp::acceptor acceptor_;
    std::vector<std::unique_ptr<Conn>> conns_;
    std::vector<Conn*> dirty_;
    size_t open_ = 0, seen_ = 0;
};
template <bool kSharedBuffer>
void serve_asio(std::atomic<uint16_t>& announced) {
    AsioServer<kSharedBuffer>(announced).run();
}

struct StderrSink final : LogSink {
    void write(LogLevel, std::string_view room, std::string text) override {
        std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(room.size()), room.data(),
                     text.c_str());
    }
    bool enabled(LogLevel level) const override { return level >= LogLevel::Warn; }
};

class PortServer {
public:
    PortServer(runtime::Runtime& runtime, port::Shard& shard, std::atomic<uint16_t>& announced)
        : runtime_(runtime) {
        listener_ = std::move(
            *shard.net().listen({"127.0.0.1", 0}, [this](std::unique_ptr<port::Connection> c) {
                auto echo = std::make_unique<Echo>(*this, std::move(c));
                auto* key = echo.get();
                echoes_.emplace(key, std::move(echo));
            }));
        announced = listener_->address().port;
    }

private:
    struct Echo final : port::ConnectionHandler {
        Echo(PortServer& s, std::unique_ptr<port::Connection> c)
            : server(s), connection(std::move(c)) {
            connection->start(*this);
        }
        port::Consumed on_data(const Bytes& available) override {
            connection->out().append(available);
            return {available.size(), 0};
        }
        void on_end_of_stream() override { server.gone(this); }
        void on_closed(const Error&) override { server.gone(this); }
        PortServer& server;
        std::unique_ptr<port::Connection> connection;
    };
    void gone(Echo* echo) {
        echoes_.erase(echo);
        if (echoes_.empty()) runtime_.stop();
    }
    runtime::Runtime& runtime_;
    std::unique_ptr<port::Listener> listener_;
    std::map<Echo*, std::unique_ptr<Echo>> echoes_;
};
void serve_port(std::atomic<uint16_t>& announced) {
    Registry registry;
    StderrSink sink;
    auto runtime = std::move(*runtime::Runtime::create({}, registry, Log(sink, "echo")));
    std::unique_ptr<PortServer> server;
    runtime->run([&](port::Shard& shard) {
        server = std::make_unique<PortServer>(*runtime, shard, announced);
    });
    server.reset();
}

// Closed loop: each connection has one request under way.
uint64_t load(uint16_t port, size_t connections, double duration) {
    const int epoll = ::epoll_create1(0);
    std::vector<int> fds;
    const std::string message(kMessage, 'm');
    const auto a = loopback(port);
    for (size_t i = 0; i < connections; ++i) {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        no_delay(fd);
        if (::connect(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a) != 0) std::abort();
        epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
        ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        fds.push_back(fd);
    }
    for (const int fd : fds)
        ::send(fd, message.data(), message.size(), 0);
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::duration<double>(duration);
    uint64_t done = 0;
    std::array<char, 4096> buffer;
    std::array<epoll_event, 512> events;
    while (Clock::now() < end) {
        const int n = ::epoll_wait(epoll, events.data(), events.size(), -1);
        for (int i = 0; i < n; ++i) {
            if (::recv(events[i].data.fd, buffer.data(), buffer.size(), 0) != kMessage)
                std::abort();
            ++done;
            ::send(events[i].data.fd, message.data(), message.size(), 0);
        }
    }
    for (const int fd : fds)
        ::close(fd);
    ::close(epoll);
    return done;
}

struct Figures {
    double cpu_micros, per_second;
};
Figures measure(Server serve, size_t connections, double duration) {
    std::atomic<uint16_t> port = 0;
    double cpu = 0;
    std::thread server([&] {
        serve(port);
        cpu = thread_cpu();
    });
    while (port == 0)
        std::this_thread::yield();
    const uint64_t done = load(port, connections, duration);
    server.join();
    return {cpu * 1e6 / static_cast<double>(done), static_cast<double>(done) / duration};
}

}  // namespace

int main(int argc, char** argv) {
    const size_t connections = argc > 1 ? static_cast<size_t>(std::atoi(argv[1])) : 64;
    const double duration = argc > 2 ? std::atof(argv[2]) : 1;
    const int rounds = argc > 3 ? std::atoi(argv[3]) : 5;
    const std::array<std::pair<const char*, Server>, 4> servers{{{"bare epoll", serve_epoll},
                                                                 {"Asio, read", serve_asio<false>},
                                                                 {"Asio, wait", serve_asio<true>},
                                                                 {"port", serve_port}}};
    std::array<std::vector<Figures>, 4> figures;
    for (int round = 0; round < rounds; ++round)  // alternating, so that a busy moment hits all
        for (size_t i = 0; i < servers.size(); ++i)
            figures[i].push_back(measure(servers[i].second, connections, duration));
    std::printf("%zu connections, %zu-byte messages, median of %d rounds of %.1f s\n", connections,
                kMessage, rounds, duration);
    for (size_t i = 0; i < servers.size(); ++i) {
        auto& all = figures[i];
        std::ranges::sort(all, {}, &Figures::cpu_micros);
        std::printf("%-12s %6.2f us of CPU per request  (%.2f-%.2f)  %8.0f requests/s\n",
                    servers[i].first, all[all.size() / 2].cpu_micros, all.front().cpu_micros,
                    all.back().cpu_micros, all[all.size() / 2].per_second);
    }
}
