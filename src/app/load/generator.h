// app/load/generator.h: closed-loop load: each connection asks again when it was answered.
// A connection that breaks or is silent for too long moves to the next endpoint; an error answer
// makes it pause, so that failing fast does not look like speed. Threading: one thread, epoll.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/types.h>
#include <vector>

#include "app/load/histogram.h"
#include "app/load/session.h"
#include "app/tls/client_tls.h"
#include "base/prng.h"
#include "base/result.h"

namespace asterias::load {

// Get: a key that is not there is a failure. Mixed: half Set, half Get.
enum class Mode : uint8_t { Set, Get, Mixed, IncrHot, SetWait, Fill };

struct Figures;

struct Options {
    std::vector<std::string> endpoints;  // numeric IPv4 "a.b.c.d:port"
    // The protocol of a connection to this endpoint.
    std::function<std::unique_ptr<Session>(const std::string& endpoint)> session;
    Mode mode = Mode::Set;
    std::string prefix = "key";  // of the names of keys, with a colon behind it
    uint32_t connections = 1;    // spread evenly over the endpoints
    uint32_t pipeline = 1;       // outstanding operations of each
    double seconds = 5;
    double warmup_seconds = 0.5;  // not counted
    uint64_t keys = 100'000;      // Fill: each once, in order; else drawn uniformly
    uint32_t value_bytes = 256;
    uint64_t seed = 1;
    std::shared_ptr<tls::ClientContext> tls;  // null: plain; SIGPIPE is ignored where it is set
    // Asked every few milliseconds; false ends the run. May be empty.
    std::function<bool(const Figures&)> go_on;
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

// "PREFIX:000000000007"
std::string key_name(const std::string& prefix, uint64_t number);

class Generator {
public:
    // InvalidArgument: an endpoint is none. Limit: the machine gives no descriptor.
    static Result<std::unique_ptr<Generator>> make(Options options);
    ~Generator();
    // Runs to the end of the time (Fill: or of the keys), and until what is under way is answered,
    // which is not counted; call once.
    Figures run();

private:
    struct Link;
    Generator(Options options, std::vector<sockaddr_in> addresses, int epoll);
    Result<void> connect(Link& link);
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
    void wait_for_events();
    void drain();
    void on_event(Link& link);
    bool next_key(std::string& key);
    Operation next_operation();

    Options options_;
    Prng prng_;
    std::vector<sockaddr_in> addresses_;
    std::vector<std::unique_ptr<Link>> links_;
    const int epoll_;
    std::string value_;
    bool draining_ = false;  // nothing is asked any more
    uint64_t next_fill_ = 0;
    uint64_t counted_from_ = 0;  // ns; the end of the warm-up
    uint64_t last_success_ = 0;
    Figures figures_;
};

}  // namespace asterias::load
