// asterias dev: a cluster on this machine without configuration, and the card that says what it is.
#include <chrono>
#include <cstdio>
#include <signal.h>

#include "app/commands.h"
#include "app/local_cluster.h"
#include "app/operate.h"
#include "app/text.h"

namespace asterias::app {
namespace {

void print_card(const LocalCluster& cluster, const DevOptions& options, double seconds_taken) {
    const std::string resp = std::to_string(cluster.resp(0).port);
    std::printf("\n  Asterias %s: %zu node%s, one computer.   (ready in %.1f s)\n\n",
                version().c_str(), cluster.size(), cluster.size() == 1 ? "" : "s", seconds_taken);
    for (size_t i = 0; i < cluster.size(); ++i)
        std::printf("  node %s    redis %s   http %s   peers %s   pid %d%s\n",
                    std::to_string(cluster.number(i)).c_str(), cluster.resp(i).describe().c_str(),
                    cluster.http(i).describe().c_str(), cluster.peer(i).describe().c_str(),
                    cluster.pid(i),
                    cluster.number(i) == i + 1 ? "" : ("   in " + cluster.directory(i)).c_str());
    std::printf("\n  Redis      redis-cli -p %s set hello world\n", resp.c_str());
    if (cluster.size() > 1)
        std::printf("             redis-cli -p %u get hello        # any node, same answer\n",
                    cluster.resp(cluster.size() - 1).port);
    std::printf("  Metrics    curl http://%s/metrics\n", cluster.http(0).describe().c_str());
    std::printf("  Status     %s status --node %s\n", options.program.c_str(),
                cluster.http(0).describe().c_str());
    std::printf("  Live       %s top --node %s\n", options.program.c_str(),
                cluster.http(0).describe().c_str());
    std::printf("\n  Data       %s\n", options.data.c_str());
    if (cluster.size() > 2)
        std::printf(
            "  Promise    linearizable; an acknowledged write is on disk on two of the three nodes "
            "that\n             hold its keyspace\n");
    else
        std::printf("  Promise    linearizable; an acknowledged write is on disk on every node\n");
    std::printf("  Security   loopback only, no password, no TLS (asterias serve has both)\n");
    std::printf("\n  Next       %s demo    # counts words while its leader is killed\n",
                options.program.c_str());
    std::printf("             Ctrl-C stops the nodes; the data stays.\n\n");
    std::fflush(stdout);
}

}  // namespace

int run_dev(const DevOptions& options) {
    LocalCluster cluster({options.data, options.nodes, options.shards, options.resp_port,
                          options.http_port, options.peer_port, options.keyspaces,
                          options.log_level});
    const auto begun = std::chrono::steady_clock::now();
    if (auto started = cluster.start(seconds(30)); !started) {
        const Caller caller{"dev", "", options.json};
        return caller.fail(started.error().code == Errc::InvalidArgument ? kUsage : kFailed,
                           started.error().context);
    }
    const double taken =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    // Before the card is out: whoever reads it may end us at once. The children are there already,
    // so they inherit nothing of this.
    sigset_t ends;
    sigemptyset(&ends);
    for (int s : {SIGINT, SIGTERM, SIGCHLD})
        sigaddset(&ends, s);
    sigprocmask(SIG_BLOCK, &ends, nullptr);
    if (options.json) {
        std::string nodes;
        for (size_t i = 0; i < cluster.size(); ++i)
            nodes += std::string(i ? "," : "") + "{\"node\":" + std::to_string(cluster.number(i)) +
                     ",\"directory\":" + json_string(cluster.directory(i)) + ",\"redis\":\"" +
                     cluster.resp(i).describe() + "\",\"http\":\"" + cluster.http(i).describe() +
                     "\",\"pid\":" + std::to_string(cluster.pid(i)) + "}";
        std::printf("{\"ready_seconds\":%.3f,\"data\":%s,\"nodes\":[%s]}\n", taken,
                    json_string(options.data).c_str(), nodes.c_str());
        std::fflush(stdout);
    } else {
        print_card(cluster, options, taken);
    }
    for (;;) {
        const timespec wait{1, 0};
        const int got = sigtimedwait(&ends, nullptr, &wait);
        if (got == SIGINT || got == SIGTERM) break;
        for (std::string ended; !(ended = cluster.ended_child()).empty();)
            std::fprintf(stderr, "asterias dev: %s\n", ended.c_str());
        if (cluster.running_count() == 0) return kFailed;
    }
    cluster.stop();
    return kDone;
}

}  // namespace asterias::app
