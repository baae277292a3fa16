// app/local_cluster.h: a cluster of serving processes on this machine, for `dev --nodes` and
// `demo`: started, killed and started again, each as a child of this process.
#pragma once

#include <cstdint>
#include <signal.h>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "port/net.h"

namespace asterias::app {

struct LocalClusterOptions {
    std::string data;
    uint32_t nodes = 3;
    uint32_t shards = 1;
    uint16_t resp_port = 0;  // of the first node; 0: free ports are looked for
    uint16_t http_port = 0;
    uint16_t peer_port = 0;
    std::vector<std::string> keyspaces;
    std::string log_level = "warn";
    // What the nodes get when this process dies. Whoever stops nodes (SIGSTOP) wants SIGKILL: any
    // other signal waits for a SIGCONT that nobody sends any more.
    int death_signal = SIGTERM;
};

class LocalCluster {
public:
    explicit LocalCluster(LocalClusterOptions options);
    ~LocalCluster();  // ends every child (SIGTERM, then SIGKILL)

    // Founds the cluster if the directory is empty, starts all nodes and waits until every group
    // has a leader. Errors name a port that is taken and the flag that moves it, and carry the last
    // words of a process that ended; Conflict, too, if the directory holds a cluster of another
    // size or without a keyspace of these; InvalidArgument: `init` took the options for wrong use.
    // A data directory that this made, and in which nothing was founded, is gone again then.
    Result<void> start(Duration timeout);
    Result<void> spawn(size_t node);
    void kill_hard(size_t node);  // kill -9, and waits for its end
    void pause(size_t node);      // SIGSTOP: it is silent, and its connections stay
    void carry_on(size_t node);   // SIGCONT
    void stop();
    bool wait_ready(Duration timeout);
    // A child that ended by itself since the last call, described; empty: none.
    std::string ended_child();

    const std::string& data() const { return options_.data; }
    size_t size() const { return pids_.size(); }
    bool running(size_t node) const { return pids_[node] > 0; }
    pid_t pid(size_t node) const { return pids_[node]; }
    port::Address resp(size_t node) const { return {"127.0.0.1", port_of(resp_port_, node)}; }
    port::Address http(size_t node) const { return {"127.0.0.1", port_of(http_port_, node)}; }
    port::Address peer(size_t node) const { return {"127.0.0.1", port_of(peer_port_, node)}; }
    std::string directory(size_t node) const;
    // The number that the cluster knows it by, once it has one. That of its directory, unless the
    // cluster was born before numbers followed addresses.
    uint64_t number(size_t node) const;
    // How node `node` is started, ready to paste.
    std::string command_line(size_t node) const;
    size_t running_count() const;
    // Index of the node that leads this keyspace, by what a node answered at /status; size() if it
    // knows none. Any thread.
    size_t leader_in(const std::string& status, const std::string& keyspace) const;

private:
    static uint16_t port_of(uint16_t base, size_t node) {
        return static_cast<uint16_t>(base + node);
    }
    Result<void> check_ports() const;
    Result<void> check_same() const;
    Result<void> start_nodes(Duration timeout);
    Result<void> found();
    std::string log_path(size_t node) const { return directory(node) + "/log"; }
    std::vector<std::string> arguments(size_t node) const;

    LocalClusterOptions options_;
    uint16_t resp_port_, http_port_, peer_port_;
    std::vector<pid_t> pids_;
    std::vector<uintmax_t> log_begins_;  // of each node's latest start, in its log
};

// Where this program lies, to start it again.
std::string own_executable();
// `"name":"value"` or `"name":value` in flat JSON made by our own status; empty if not there.
std::string json_field(const std::string& json, const std::string& name, size_t from = 0);

}  // namespace asterias::app
