// runtime/epoll/system.h: file descriptors, errno and socket addresses, as the rest of the room
// wants them.
#pragma once

#include <netinet/in.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "port/net.h"

namespace asterias::runtime {

// Owns a file descriptor.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
    Fd& operator=(Fd&& o) noexcept {
        std::swap(fd_, o.fd_);
        return *this;
    }
    ~Fd() { reset(); }

    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }
    void reset();

private:
    int fd_ = -1;
};

// `what` names the call and its object, e.g. "open data/journal".
Error errno_error(int error, std::string_view what);
inline std::unexpected<Error> errno_fail(int error, std::string_view what) {
    return std::unexpected(errno_error(error, what));
}

// CLOCK_BOOTTIME: time that the machine slept counts as passed, so that no lease survives a nap.
Instant monotonic_now();
WallTime wall_now();

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;

    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    int family() const { return storage.ss_family; }
    port::Address to_address() const;
};

// Numeric addresses, "localhost", and "*" for all interfaces; never blocks. Nothing for names.
std::optional<SocketAddress> numeric_address(const port::Address& address);
// getaddrinfo: blocks. Errors: Unavailable.
Result<std::vector<SocketAddress>> resolve_name(const port::Address& address);
SocketAddress local_address(int fd);

// For log lines that could come in floods: one per second, and how many were held back.
class LogGate {
public:
    // True when a line may be written; `held_back` is then what was suppressed since the last.
    bool open(Instant now, uint64_t& held_back);

private:
    std::optional<Instant> last_;
    uint64_t held_back_ = 0;
};

}  // namespace asterias::runtime
