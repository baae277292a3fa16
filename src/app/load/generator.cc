#include "app/load/generator.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <optional>
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

Result<sockaddr_in> address_of(const std::string& endpoint) {
    const size_t colon = endpoint.rfind(':');
    sockaddr_in address{};
    address.sin_family = AF_INET;
    uint16_t port = 0;
    const char* const end = endpoint.data() + endpoint.size();
    if (colon == endpoint.npos ||
        inet_pton(AF_INET, endpoint.substr(0, colon).c_str(), &address.sin_addr) != 1 ||
        std::from_chars(endpoint.data() + colon + 1, end, port).ptr != end || port == 0)
        return fail(Errc::InvalidArgument, "'" + endpoint + "' is not a.b.c.d:port");
    address.sin_port = htons(port);
    return address;
}

double seconds_between(uint64_t from, uint64_t to) { return static_cast<double>(to - from) / 1e9; }

}  // namespace

struct Generator::Link {
    int fd = -1;
    std::optional<tls::ClientStream> tls;
    size_t endpoint = 0;
    std::unique_ptr<Session> session;
    std::string out;
    Bytes rest;                    // received, not consumed
    std::deque<uint64_t> started;  // of the outstanding operations, oldest first
    uint64_t resume_at = 0;        // pausing until then, 0: not
    bool idle = false;             // Fill: nothing left to ask
};

std::string key_name(const std::string& prefix, uint64_t number) {
    char digits[24];
    const int size =
        std::snprintf(digits, sizeof digits, ":%012llu", static_cast<unsigned long long>(number));
    return prefix + std::string(digits, static_cast<size_t>(size));
}

Result<std::unique_ptr<Generator>> Generator::make(Options options) {
    std::vector<sockaddr_in> addresses;
    for (const auto& endpoint : options.endpoints)
        addresses.push_back(TRY(address_of(endpoint)));
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) return fail(Errc::Limit, std::string("epoll_create1: ") + strerror(errno));
    return std::unique_ptr<Generator>(
        new Generator(std::move(options), std::move(addresses), epoll));
}

Generator::Generator(Options options, std::vector<sockaddr_in> addresses, int epoll)
    : options_(std::move(options)),
      prng_(options_.seed),
      addresses_(std::move(addresses)),
      epoll_(epoll) {
    value_.resize(options_.value_bytes);
    for (char& c : value_)
        c = static_cast<char>('!' + prng_.below(94));
}

Generator::~Generator() {
    for (const auto& link : links_)
        if (link->fd >= 0) close(link->fd);
    close(epoll_);
}

Result<void> Generator::connect(Link& link) {
    const auto failed = [](const char* what) {
        return fail(Errc::Unavailable, std::string(what) + ": " + std::strerror(errno));
    };
    link.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (link.fd < 0) return failed("socket");
    const int one = 1;
    setsockopt(link.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    // Blocking, and all links wait meanwhile: a node that is there answers at once.
    const timeval patience{kAnswerTimeout / kSecond, 0};
    setsockopt(link.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(link.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (::connect(link.fd, reinterpret_cast<const sockaddr*>(&addresses_[link.endpoint]),
                  sizeof(sockaddr_in)) != 0)
        return failed("connect");
    if (options_.tls) {
        const std::string& at = options_.endpoints[link.endpoint];
        link.tls =
            TRY(tls::ClientStream::connect(options_.tls, link.fd, at.substr(0, at.rfind(':'))));
        fcntl(link.fd, F_SETFL, fcntl(link.fd, F_GETFL) | O_NONBLOCK);
    }
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &link}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, link.fd, &event) != 0) return failed("epoll_ctl");
    return {};
}

void Generator::open(Link& link, uint64_t now) {
    link.session = options_.session(options_.endpoints[link.endpoint]);
    link.out.clear();
    link.rest = {};
    link.started.clear();
    link.resume_at = 0;
    if (auto connected = connect(link); !connected)
        return restart(link, now, connected.error().context);
    link.session->greet(link.out);
    ask(link, now);
    flush(link);
}

ssize_t Generator::take(Link& link, void* to, size_t room) {
    if (link.tls) return link.tls->receive(to, room);
    return recv(link.fd, to, room, MSG_DONTWAIT);
}

ssize_t Generator::give(Link& link, const std::string& from) {
    if (!link.tls) return send(link.fd, from.data(), from.size(), MSG_NOSIGNAL);
    const ssize_t n = link.tls->send(from);
    if (n >= 0 || errno != EAGAIN) return n;
    pollfd wait{link.fd, POLLOUT, 0};
    const int ready = poll(&wait, 1, static_cast<int>(kAnswerTimeout / kMillisecond));
    errno = ready == 0 ? ETIMEDOUT : EINTR;
    return -1;
}

void Generator::restart(Link& link, uint64_t now, const std::string& why) {
    if (figures_.first_failure.empty()) figures_.first_failure = why;
    figures_.reconnects++;
    figures_.failed += link.started.size();
    link.tls.reset();
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
    key = key_name(options_.mode == Mode::IncrHot ? "hot" : options_.prefix, number);
    return true;
}

Operation Generator::next_operation() {
    switch (options_.mode) {
        case Mode::Get:
            return Operation::Get;
        case Mode::Mixed:
            return prng_.chance(0.5) ? Operation::Get : Operation::Set;
        case Mode::IncrHot:
            return Operation::Incr;
        case Mode::SetWait:
            return Operation::SetWait;
        case Mode::Set:
        case Mode::Fill:
            break;
    }
    return Operation::Set;
}

void Generator::ask(Link& link, uint64_t now) {
    std::string key;
    while (!draining_ && link.started.size() < options_.pipeline) {
        link.idle = !next_key(key);
        if (link.idle) return;
        link.session->ask(next_operation(), key, value_, link.out);
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

void Generator::on_event(Link& link) {
    do
        if (link.fd >= 0) readable(link);
    while (link.fd >= 0 && link.tls && link.tls->pending());
}

void Generator::wait_for_events() {
    std::array<epoll_event, 64> events;
    const int count =
        epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), kTickMilliseconds);
    for (int i = 0; i < count; ++i)
        on_event(*static_cast<Link*>(events[static_cast<size_t>(i)].data.ptr));
}

// What was asked and not heard of might take effect at any later time.
void Generator::drain() {
    draining_ = true;
    const uint64_t end = clock_ns() + kAnswerTimeout;
    const auto under_way = [](const auto& link) { return link->fd >= 0 && !link->started.empty(); };
    while (clock_ns() < end && std::any_of(links_.begin(), links_.end(), under_way))
        wait_for_events();
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
    const auto done = [&] {
        return options_.mode == Mode::Fill && figures_.acknowledged >= options_.keys;
    };
    while (now < end && !done()) {
        wait_for_events();
        now = clock_ns();
        if (now < next_tick) continue;
        tick(now);
        figures_.seconds = now < counted_from_ ? 0 : seconds_between(counted_from_, now);
        if (options_.go_on && !options_.go_on(figures_)) break;
        next_tick = now + kTickMilliseconds * kMillisecond;
    }
    if (now > last_success_)
        figures_.longest_gap_ns = std::max(figures_.longest_gap_ns, now - last_success_);
    figures_.seconds = now < counted_from_ ? 0 : seconds_between(counted_from_, now);
    const Figures counted = figures_;
    drain();
    return counted;
}

}  // namespace asterias::load
