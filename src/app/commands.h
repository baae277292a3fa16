// app/commands.h: the commands of the program. Each returns the process's exit code:
// 0 done · 1 failed: the same again, later, may help · 2 wrong use · 3 could not reach a node ·
// 4 it answered, and not all is well (why, demo), or the answer is partial (replica list) ·
// 5 the directory or the cluster refuses: doing the same again does not help.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace asterias::app {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kUnreachable = 3;
inline constexpr int kCheckFailed = 4;
inline constexpr int kRefused = 5;

std::string version();

struct InitOptions {
    std::string data = "asterias-data";
    uint32_t nodes = 1;
    uint32_t shards = 1;
    std::vector<std::string> keyspaces;
};
int run_init(const InitOptions& options);

// Settings as they were said on the command line; the environment is read with them.
struct ConfigOptions {
    std::string file;                          // empty: none
    std::map<std::string, std::string> flags;  // by the name of their row (app/config)
    bool markdown = false;
};
int run_serve(const ConfigOptions& options);
int run_config(const ConfigOptions& options);
// kUsage when something is wrong with it.
int run_check_config(const std::string& file);

// Reads a password from standard input and prints the line for [users].
int run_user_hash(const std::string& user);

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
    std::string file;  // empty: the text that is built in
    uint32_t nodes = 3;
    uint32_t clients = 24;
    std::string kill = "leader";  // leader | all | none
    std::string data;             // empty: a temporary directory
    bool json = false;
};
int run_demo(const DemoOptions& options);

}  // namespace asterias::app
