// app/commands.h: the commands of the program. Each returns the process's exit code.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "app/access.h"

namespace asterias::app {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kUnreachable = 3;
inline constexpr int kCheckFailed = 4;
inline constexpr int kRefused = 5;

struct ExitCode {
    int code;
    const char* means;
};
// What help, the manual and docs/cli.md say of them.
std::span<const ExitCode> exit_codes();

std::string version();

struct InitOptions {
    std::string data = "asterias-data";
    uint32_t nodes = 1;
    uint32_t shards = 1;
    std::vector<std::string> keyspaces;
    bool json = false;
};
int run_init(const InitOptions& options);

// Settings as they were said on the command line; the environment is read with them.
struct ConfigOptions {
    std::string file;                          // empty: none
    std::map<std::string, std::string> flags;  // by the name of their row (app/config)
    bool markdown = false;
    bool json = false;
};
int run_serve(const ConfigOptions& options);
int run_config(const ConfigOptions& options);
// kUsage when something is wrong with it.
int run_check_config(const std::string& file, bool json);

struct UserOptions {
    std::string user = "default";
    bool json = false;
};
// Reads a password from standard input and prints the line for [users].
int run_user_hash(const UserOptions& options);

struct DevOptions {
    std::string program = "asterias";  // as it was called: the card's commands can be copied
    std::string data = "asterias-data";
    uint32_t nodes = 1;
    uint32_t shards = 1;
    uint16_t resp_port = 6379;  // of the first node; the others follow
    uint16_t http_port = 8080;
    uint16_t peer_port = 7400;
    std::vector<std::string> keyspaces;
    std::string log_level = "warn";
    bool json = false;
};
int run_dev(const DevOptions& options);

struct StatusOptions {
    std::string address = "127.0.0.1:8080";
    bool all = false;  // every group, also when that is more than a screen
    bool json = false;
};
int run_status(const StatusOptions& options);

struct WhyOptions {
    std::string address = "127.0.0.1:8080";
    std::string keyspace;  // empty: all
    bool json = false;
};
// kCheckFailed when something is not as it should be.
int run_why(const WhyOptions& options);

struct ReplicaOptions {
    std::string op;  // list | add | remove | replace | transfer
    std::string address = "127.0.0.1:8080";
    std::string keyspace;
    uint64_t node = 0, from = 0;
    bool witness = false;
    bool force = false;
    bool no_wait = false;
    uint32_t timeout_s = 600;
    bool json = false;
};
// kRefused when the cluster refuses; kFailed when it is not done in time, nobody leads, or another
// change is under way; list: kCheckFailed when some keyspaces could not be asked.
int run_replica(const ReplicaOptions& options);

struct KeyspaceOptions {
    std::string op;  // list | describe | create | drop
    std::string address = "127.0.0.1:8080";
    std::string name;
    uint32_t copies = 0;
    std::string on;  // "1,2,3"
    bool move = false;
    bool force = false;
    bool no_wait = false;
    uint32_t timeout_s = 600;
    bool json = false;
};
// kRefused when the cluster refuses, at once or later; kFailed when it is not done in time.
int run_keyspace(const KeyspaceOptions& options);

struct DemoOptions {
    std::string file;    // empty: the text that is built in
    std::string column;  // of a CSV file: its name, or its number from 1; empty: words of a text
    uint32_t nodes = 3;
    uint32_t clients = 24;
    std::string chaos = "leader";  // one of kDemoChaos
    std::string seed;              // of the order of `all`, a number; empty: drawn
    uint32_t loop = 1;             // rounds; 0: until Ctrl-C
    std::string data;              // empty: a temporary directory
    bool json = false;
};
inline constexpr const char* kDemoChaos[] = {"leader",    "follower", "stop",
                                             "all-nodes", "all",      "none"};
// kCheckFailed when a count is wrong; kFailed when it could not be counted to the end, or was ended
// by Ctrl-C before a round was done.
int run_demo(const DemoOptions& options);

struct KvOptions {
    std::string op;  // get | put | del | scan | watch
    AccessOptions access;
    std::string key;          // scan: the prefix, or nothing
    std::string value, file;  // put: one of the two; the file `-` is standard input
    double ttl_s = 0;         // put; 0: none
    bool if_absent = false, if_present = false;
    bool raw = false;     // get: the bytes alone
    bool values = false;  // scan
    uint64_t limit = 0;   // scan; 0: none
    bool prefix = false;  // watch
    uint32_t interval_ms = 500;
    double seconds = 0;  // watch; 0: no end
    uint64_t count = 0;  // watch: changes; 0: no end
    bool json = false;
};
// kCheckFailed: the key is not there (get), or not as --if-absent, --if-present want it (put).
int run_kv(const KvOptions& options);

struct BenchOptions {
    AccessOptions access;
    std::string mode = "mixed";  // set | get | mixed
    uint32_t connections = 50;
    uint32_t pipeline = 1;
    double seconds = 10, warmup_seconds = 0.5;
    uint32_t value_bytes = 256;
    uint64_t keys = 10'000;
    std::string prefix = "bench";
    uint64_t seed = 1;
    bool keep = false;  // the keys that it wrote
    bool json = false;
};
// kCheckFailed: it ran, and some operations failed.
int run_bench(const BenchOptions& options);

struct TopOptions {
    std::string address = "127.0.0.1:8080";
    AccessOptions access;  // of the reads that measure; its nodes are not used
    uint32_t interval_ms = 1000;
    bool once = false;
    bool json = false;
};
// kCheckFailed, with `once`: not all nodes answered, or a group has no leader.
int run_top(const TopOptions& options);

struct MapOptions {
    std::vector<std::string> words;  // a number, or what stands in a row; empty: the overview
    bool all = false;
    bool json = false;
};
int run_map(const MapOptions& options);

}  // namespace asterias::app
