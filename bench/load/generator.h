// bench/load/generator.h: closed-loop load: each connection asks again when it was answered.
// One thread, epoll. A connection that breaks or is silent for too long moves to the next endpoint;
// an error answer makes it pause, so that failing fast does not look like speed.
#pragma once

#include <cstdint>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/prng.h"
#include "load/histogram.h"
#include "load/session.h"

struct ssl_ctx_st;  // of OpenSSL

namespace asterias::load {

enum class Mode : uint8_t { Set, Get, IncrHot, SetWait, Fill };

struct Options {
    bool etcd = false;
    std::vector<std::string> endpoints;  // numeric IPv4 "a.b.c.d:port"
    Mode mode = Mode::Set;
    uint32_t connections = 1;  // spread evenly over the endpoints
    uint32_t pipeline = 1;     // outstanding operations of each
    double seconds = 5;
    double warmup_seconds = 0.5;  // not counted
    uint64_t keys = 100'000;      // Fill: each once, in order; else drawn uniformly
    uint32_t value_bytes = 256;
    uint64_t seed = 1;
    bool tls = false;  // certificates are not checked
};

struct Figures {
    Histogram latency;          // ns, of the operations that succeeded after the warm-up
    uint64_t acknowledged = 0;  // all that succeeded, the warm-up included
    uint64_t failed = 0;
    uint64_t reconnects = 0;
    double seconds = 0;
    uint64_t longest_gap_ns = 0;  // without a success
    std::string first_failure;
};

class Generator {
public:
    explicit Generator(Options options);
    ~Generator();
    // Runs to the end of the time (Fill: or of the keys); call once.
    Figures run();

private:
    struct Link;
    bool open_tls(Link& link);
    // As recv(2) and send(2) on the link, under TLS if there is one.
    static ssize_t take(Link& link, void* to, size_t room);
    static ssize_t give(Link& link, const std::string& from);
    void open(Link& link, uint64_t now);
    void restart(Link& link, uint64_t now, const std::string& why);
    void ask(Link& link, uint64_t now);
    void readable(Link& link);
    void flush(Link& link);
    void finish(Link& link, const Finished& finished, uint64_t now);
    void tick(uint64_t now);
    bool next_key(std::string& key);

    Options options_;
    Prng prng_;
    std::vector<sockaddr_in> addresses_;
    std::vector<std::unique_ptr<Link>> links_;
    int epoll_ = -1;
    std::unique_ptr<ssl_ctx_st, void (*)(ssl_ctx_st*)> tls_;
    std::string value_;
    uint64_t next_fill_ = 0;
    uint64_t counted_from_ = 0;  // ns; the end of the warm-up
    uint64_t last_success_ = 0;
    Figures figures_;
};

}  // namespace asterias::load
