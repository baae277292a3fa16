#include "load/generator.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

namespace asterias::load {
namespace {

constexpr uint64_t kMillisecond = 1'000'000, kSecond = 1'000'000'000;
constexpr uint64_t kAnswerTimeout = 2 * kSecond;
constexpr uint64_t kPauseAfterFailure = 5 * kMillisecond;
constexpr int kTickMilliseconds = 5;
constexpr size_t kReadBytes = 64 * 1024;

uint64_t clock_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * kSecond + static_cast<uint64_t>(t.tv_nsec);
}

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "asterias-load: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

sockaddr_in address_of(const std::string& endpoint) {
    const size_t colon = endpoint.rfind(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (colon == endpoint.npos ||
        inet_pton(AF_INET, endpoint.substr(0, colon).c_str(), &address.sin_addr) != 1) {
        errno = EINVAL;
        die("endpoint " + endpoint + " is not a.b.c.d:port");
    }
    address.sin_port =
        htons(static_cast<uint16_t>(std::strtoul(endpoint.c_str() + colon + 1, nullptr, 10)));
    return address;
}

Operation operation_of(Mode mode) {
    switch (mode) {
        case Mode::Get:
            return Operation::Get;
        case Mode::IncrHot:
            return Operation::Incr;
        case Mode::SetWait:
            return Operation::SetWait;
        default:
            return Operation::Set;
    }
}

}  // namespace

struct Generator::Link {
    int fd = -1;
    std::unique_ptr<SSL, void (*)(SSL*)> ssl{nullptr, SSL_free};
    size_t endpoint = 0;
    std::unique_ptr<Session> session;
    std::string out;
    Bytes rest;                    // received, not consumed
    std::deque<uint64_t> started;  // of the outstanding operations, oldest first
    uint64_t resume_at = 0;        // pausing until then, 0: not
    bool idle = false;             // Fill: nothing left to ask
};

Generator::Generator(Options options)
    : options_(std::move(options)), prng_(options_.seed), tls_(nullptr, SSL_CTX_free) {
    if (options_.tls) {
        tls_.reset(SSL_CTX_new(TLS_client_method()));
        std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
    }
    for (const auto& endpoint : options_.endpoints)
        addresses_.push_back(address_of(endpoint));
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) die("epoll_create1");
    value_.resize(options_.value_bytes);
    for (char& c : value_)
        c = static_cast<char>('!' + prng_.below(94));
}

Generator::~Generator() {
    for (const auto& link : links_)
        if (link->fd >= 0) close(link->fd);
    close(epoll_);
}

void Generator::open(Link& link, uint64_t now) {
    link.session =
        options_.etcd ? make_etcd_session(options_.endpoints[link.endpoint]) : make_resp_session();
    link.out.clear();
    link.rest = {};
    link.started.clear();
    link.resume_at = 0;
    link.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (link.fd < 0) die("socket");
    const int one = 1;
    setsockopt(link.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    // Blocking: on loopback it succeeds or is refused at once.
    if (connect(link.fd, reinterpret_cast<const sockaddr*>(&addresses_[link.endpoint]),
                sizeof(sockaddr_in)) != 0)
        return restart(link, now, "connect: " + std::string(std::strerror(errno)));
    if (tls_ && !open_tls(link)) return restart(link, now, "TLS: the handshake failed");
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &link}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, link.fd, &event) != 0) die("epoll_ctl");
    link.session->greet(link.out);
    ask(link, now);
    flush(link);
}

bool Generator::open_tls(Link& link) {
    link.ssl.reset(SSL_new(tls_.get()));
    SSL_set_fd(link.ssl.get(), link.fd);
    SSL_set_mode(link.ssl.get(),
                 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_connect(link.ssl.get()) != 1) return false;
    fcntl(link.fd, F_SETFL, fcntl(link.fd, F_GETFL) | O_NONBLOCK);
    return true;
}

ssize_t Generator::take(Link& link, void* to, size_t room) {
    if (!link.ssl) return recv(link.fd, to, room, MSG_DONTWAIT);
    const int n = SSL_read(link.ssl.get(), to, static_cast<int>(room));
    if (n > 0) return n;
    const int error = SSL_get_error(link.ssl.get(), n);
    errno = error == SSL_ERROR_WANT_READ ? EAGAIN : EPROTO;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

ssize_t Generator::give(Link& link, const std::string& from) {
    if (!link.ssl) return send(link.fd, from.data(), from.size(), MSG_NOSIGNAL);
    const int n = SSL_write(link.ssl.get(), from.data(), static_cast<int>(from.size()));
    if (n > 0) return n;
    const int error = SSL_get_error(link.ssl.get(), n);
    if (error != SSL_ERROR_WANT_WRITE) {
        errno = EPROTO;
        return -1;
    }
    pollfd wait{link.fd, POLLOUT, 0};
    poll(&wait, 1, -1);
    errno = EINTR;
    return -1;
}

void Generator::restart(Link& link, uint64_t now, const std::string& why) {
    if (figures_.first_failure.empty()) figures_.first_failure = why;
    figures_.reconnects++;
    figures_.failed += link.started.size();
    link.ssl.reset();
    if (link.fd >= 0) close(link.fd);
    link.fd = -1;
    link.started.clear();
    link.endpoint = (link.endpoint + 1) % addresses_.size();
    link.resume_at = now + kPauseAfterFailure;
}

bool Generator::next_key(std::string& key) {
    uint64_t number = 0;
    if (options_.mode == Mode::Fill) {
        if (next_fill_ == options_.keys) return false;
        number = next_fill_++;
    } else if (options_.mode != Mode::IncrHot) {
        number = prng_.below(options_.keys);
    }
    char text[32];
    key.assign(text,
               static_cast<size_t>(std::snprintf(text, sizeof text, "%s:%012llu",
                                                 options_.mode == Mode::IncrHot ? "hot" : "key",
                                                 static_cast<unsigned long long>(number))));
    return true;
}

void Generator::ask(Link& link, uint64_t now) {
    std::string key;
    while (link.started.size() < options_.pipeline) {
        link.idle = !next_key(key);
        if (link.idle) return;
        link.session->ask(operation_of(options_.mode), key, value_, link.out);
        link.started.push_back(now);
    }
}

void Generator::flush(Link& link) {
    while (!link.out.empty() && link.fd >= 0) {
        const ssize_t n = give(link, link.out);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return restart(link, clock_ns(), "send: " + std::string(std::strerror(errno)));
        link.out.erase(0, static_cast<size_t>(n));
    }
}

void Generator::finish(Link& link, const Finished& finished, uint64_t now) {
    for (uint32_t i = 0; i < finished.done && !link.started.empty(); ++i) {
        // Which of a batch failed does not matter for counting.
        const bool ok = i >= finished.failed;
        if (now >= counted_from_) {
            if (ok) {
                figures_.latency.add(now - link.started.front());
                figures_.longest_gap_ns = std::max(figures_.longest_gap_ns, now - last_success_);
                last_success_ = now;
            } else {
                figures_.failed++;
            }
        }
        figures_.acknowledged += ok;
        link.started.pop_front();
    }
    if (figures_.first_failure.empty()) figures_.first_failure = finished.first_failure;
}

void Generator::readable(Link& link) {
    uint8_t buffer[kReadBytes];
    const ssize_t n = take(link, buffer, sizeof buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    const uint64_t now = clock_ns();
    if (n <= 0) return restart(link, now, n == 0 ? "closed by the server" : std::strerror(errno));
    BytesBuilder all(link.rest.size() + static_cast<size_t>(n));
    all.append(link.rest.view());
    all.append(buffer, static_cast<size_t>(n));
    const Bytes input = all.take();
    Finished finished;
    const size_t used = link.session->receive(input, link.out, finished);
    link.rest = input.suffix(used);
    finish(link, finished, now);
    if (finished.broken) return restart(link, now, finished.first_failure);
    if (finished.failed > 0)
        link.resume_at = now + kPauseAfterFailure;
    else
        ask(link, now);
    flush(link);
}

void Generator::tick(uint64_t now) {
    for (const auto& link : links_) {
        if (link->resume_at != 0) {
            if (now < link->resume_at) continue;
            link->resume_at = 0;
            if (link->fd < 0) {
                open(*link, now);
            } else {
                ask(*link, now);
                flush(*link);
            }
        } else if (!link->started.empty() && now - link->started.front() > kAnswerTimeout) {
            restart(*link, now, "no answer within 2 s");
        }
    }
}

Figures Generator::run() {
    const uint64_t begin = clock_ns();
    const auto ns = [](double seconds) { return static_cast<uint64_t>(seconds * 1e9); };
    counted_from_ = options_.mode == Mode::Fill ? begin : begin + ns(options_.warmup_seconds);
    last_success_ = counted_from_;
    const uint64_t end = counted_from_ + ns(options_.seconds);
    for (uint32_t i = 0; i < options_.connections; ++i) {
        links_.push_back(std::make_unique<Link>());
        links_.back()->endpoint = i % addresses_.size();
        open(*links_.back(), begin);
    }
    uint64_t now = clock_ns(), next_tick = now;
    std::vector<epoll_event> events(options_.connections);
    while (now < end && (options_.mode != Mode::Fill || figures_.acknowledged < options_.keys)) {
        const int n =
            epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), kTickMilliseconds);
        for (int i = 0; i < n; ++i) {
            auto& link = *static_cast<Link*>(events[static_cast<size_t>(i)].data.ptr);
            // What is decrypted and not taken has no event.
            do
                if (link.fd >= 0) readable(link);
            while (link.fd >= 0 && link.ssl && SSL_pending(link.ssl.get()) > 0);
        }
        now = clock_ns();
        if (now < next_tick) continue;
        tick(now);
        next_tick = now + kTickMilliseconds * kMillisecond;
    }
    figures_.longest_gap_ns = std::max(figures_.longest_gap_ns, now - last_success_);
    figures_.seconds = static_cast<double>(now - counted_from_) / 1e9;
    return figures_;
}

}  // namespace asterias::load
