#include "runtime/epoll/system.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <netdb.h>
#include <unistd.h>

#include "runtime/epoll/host.h"

namespace asterias::runtime {
namespace {

Errc code_of(int error) {
    switch (error) {
        case ENOENT:
            return Errc::NotFound;
        case EEXIST:
        case EADDRINUSE:
            return Errc::AlreadyExists;
        case ENOSPC:
        case EDQUOT:
            return Errc::NoSpace;
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case ENOBUFS:
            return Errc::Limit;
        case ETIMEDOUT:
            return Errc::Timeout;
        case ECONNREFUSED:
        case ENETUNREACH:
        case EHOSTUNREACH:
        case ENETDOWN:
        case EHOSTDOWN:
            return Errc::Unavailable;
        case ECONNRESET:
        case EPIPE:
        case ENOTCONN:
            return Errc::Closed;
        case EACCES:
        case EPERM:
        case EROFS:
            return Errc::Conflict;
        case ENOTDIR:
        case EISDIR:
        case ENAMETOOLONG:
        case EADDRNOTAVAIL:
        case EAFNOSUPPORT:
        case EINVAL:
            return Errc::InvalidArgument;
        default:
            return Errc::Io;
    }
}

int64_t read_clock(clockid_t clock) {
    timespec t{};
    ::clock_gettime(clock, &t);
    return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

void Fd::reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Error errno_error(int error, std::string_view what) {
    char text[128] = {};
    return Error{code_of(error), std::string(what) + ": " + ::strerror_r(error, text, sizeof text)};
}

Instant monotonic_now() { return Instant(Duration(read_clock(CLOCK_BOOTTIME))); }
WallTime wall_now() { return WallTime{read_clock(CLOCK_REALTIME) / 1000}; }

port::Address SocketAddress::to_address() const {
    char host[INET6_ADDRSTRLEN] = {};
    if (family() == AF_INET6) {
        const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&storage);
        ::inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        return {host, ntohs(in6->sin6_port)};
    }
    const auto* in4 = reinterpret_cast<const sockaddr_in*>(&storage);
    ::inet_ntop(AF_INET, &in4->sin_addr, host, sizeof host);
    return {host, ntohs(in4->sin_port)};
}

std::optional<std::array<uint8_t, 16>> parse_host(const std::string& host) {
    std::array<uint8_t, 16> bytes{};
    const auto address = numeric_address({host, 0});
    if (!address) return std::nullopt;
    if (address->family() == AF_INET6) {
        const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&address->storage);
        std::memcpy(bytes.data(), &in6->sin6_addr, bytes.size());
    } else {
        const auto* in4 = reinterpret_cast<const sockaddr_in*>(&address->storage);
        bytes[10] = bytes[11] = 0xff;
        std::memcpy(bytes.data() + 12, &in4->sin_addr, 4);
    }
    return bytes;
}

std::optional<SocketAddress> numeric_address(const port::Address& address) {
    std::string host = address.host;
    if (host == "localhost") host = "127.0.0.1";
    if (host == "*") host = "0.0.0.0";
    SocketAddress result;
    auto* in4 = reinterpret_cast<sockaddr_in*>(&result.storage);
    if (::inet_pton(AF_INET, host.c_str(), &in4->sin_addr) == 1) {
        in4->sin_family = AF_INET;
        in4->sin_port = htons(address.port);
        result.size = sizeof *in4;
        return result;
    }
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&result.storage);
    if (::inet_pton(AF_INET6, host.c_str(), &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(address.port);
        result.size = sizeof *in6;
        return result;
    }
    return std::nullopt;
}

Result<std::vector<SocketAddress>> resolve_name(const port::Address& address) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const std::string service = std::to_string(address.port);
    if (const int e = ::getaddrinfo(address.host.c_str(), service.c_str(), &hints, &found); e != 0)
        return fail(Errc::Unavailable,
                    "resolve " + address.host + ": " + std::string(::gai_strerror(e)));
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
    std::vector<SocketAddress> all;
    for (const addrinfo* a = found; a; a = a->ai_next) {
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
        SocketAddress one;
        std::memcpy(&one.storage, a->ai_addr, a->ai_addrlen);
        one.size = a->ai_addrlen;
        all.push_back(one);
    }
    if (all.empty()) return fail(Errc::Unavailable, "resolve " + address.host + ": no address");
    return all;
}

SocketAddress local_address(int fd) {
    SocketAddress result;
    result.size = sizeof result.storage;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&result.storage), &result.size);
    return result;
}

bool LogGate::open(Instant now, uint64_t& held_back) {
    if (last_ && now - *last_ < seconds(1)) {
        ++held_back_;
        return false;
    }
    last_ = now;
    held_back = std::exchange(held_back_, 0);
    return true;
}

}  // namespace asterias::runtime
