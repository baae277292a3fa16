// runtime/epoll/runtime.h: the real world: threads, sockets, files and clocks behind port::Shard.
// One thread per shard, each with its own epoll loop; a small pool for calls that block (name
// resolution, opening and preallocating files); one disk thread per shard, started only when its
// device is too slow to sync inline (blueprint 6 and 7).
// Threading: create, run and destruction on one thread; stop() from anywhere; everything else on
// the shard that it belongs to. Connections, listeners, files and tasks die before the Runtime.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/budget.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/time.h"
#include "port/net.h"
#include "port/shard.h"

namespace asterias::runtime {

// PEM files.
struct TlsFiles {
    std::string certificate;  // with what lies between it and its root
    std::string key;
    std::string client_ca;  // not empty: who connects shows a certificate of one of these
};

struct RuntimeOptions {
    size_t shards = 1;            // >= 1
    size_t blocking_threads = 1;  // >= 1; started on first use

    // One receive asks for at most this much; shared by the connections of a shard.
    size_t read_buffer_bytes = 64 * 1024;
    Budget* read_budget = nullptr;  // charged for read buffers in use; outlives the Runtime
    // A handler that wants a longer message than this loses its connection (Errc::Limit).
    size_t max_message_bytes = 1u << 30;
    // Per shard; connections accepted beyond it are closed at once and counted.
    size_t max_connections = 65536;
    // How long a connection may take to deliver its last output after close_after_flush().
    Duration linger = seconds(5);
    // TLS: from the accept to the end of the handshake; and how many a shard has under way, beyond
    // which the oldest is given up.
    Duration tls_handshake_timeout = seconds(10);
    size_t tls_handshakes_max = 256;

    // A synced write runs on the shard while the moving average of recent syncs is below this, and
    // on the disk thread from then on until it falls below a half of it. 0: always on the thread.
    Duration inline_sync_limit = milliseconds(1);

    Duration slow_turn = milliseconds(10);  // a longer turn is counted and logged
    Duration stall_warn = seconds(1);       // a turn or sync that hangs this long is logged
    Duration stall_exit = seconds(20);      // ... and this long ends the process; 0: never
};

class TlsContext;

// How connections that somebody accepts speak TLS. Threading: any.
class Tls {
public:
    // Errors: InvalidArgument: a file that cannot be read, no PEM, a key of another certificate.
    static Result<std::shared_ptr<Tls>> load(const TlsFiles& files);
    // The next connections are with these files. Errors: as load(); then nothing has changed.
    Result<void> renew(const TlsFiles& files);

    // For this room.
    std::shared_ptr<TlsContext> context() const;

private:
    explicit Tls(std::shared_ptr<TlsContext> context) : context_(std::move(context)) {}
    mutable std::mutex mutex_;
    std::shared_ptr<TlsContext> context_;
};

// What a listener of this runtime can be beyond port::Net::listen.
struct Listening {
    std::shared_ptr<Tls> tls;  // null: its connections are plain
    // Connections of this listener, those included that only send their last bytes. Who comes
    // beyond them is told what `refuse` returns, as far as it can leave at once, and closed.
    // Handshakes under way are beside them (tls_handshakes_max). 0: no bound but max_connections.
    size_t connections_max = 0;
    std::function<std::string_view()> refuse;  // empty: told nothing
};

class Runtime {
public:
    // Errors: InvalidArgument (options), Limit (out of file descriptors). `registry` and the sink
    // of `log` outlive the Runtime; the sink is written to by every thread.
    static Result<std::unique_ptr<Runtime>> create(RuntimeOptions options, Registry& registry,
                                                   Log log);
    ~Runtime();
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    port::Shard& shard(ShardId id);
    size_t shard_count() const;

    // SIGTERM, SIGINT and SIGHUP are delivered to `handler` on shard 0 from now on, instead of
    // ending the process. Call it before run() and before starting other threads, at most once.
    Result<void> on_signal(std::move_only_function<void(int signal)> handler);

    // As port::Net::listen of the shard `id`, on its thread.
    Result<std::unique_ptr<port::Listener>> listen(ShardId id, const port::Address& address,
                                                   Listening how, port::AcceptHandler accept);

    // Runs `start` on every shard's own thread (shard 0: the caller's), then its loop. Returns when
    // stop() was called and every loop has finished its turn. Called once. What is still posted,
    // armed or awaited then never runs: close Scopes first, then stop.
    void run(std::function<void(port::Shard&)> start);
    void stop();

private:
    struct Impl;
    explicit Runtime(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace asterias::runtime
