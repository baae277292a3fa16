// edge/resp/tuning.h: what CONFIG SET changes of a door that runs, and whom CONFIG asks for the
// settings of the node, which are the composition root's. Threading: Live is a value; Parameters is
// called on any shard with a door.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.h"

namespace asterias::edge_resp {

// A door has a copy of its own.
struct Live {
    Duration command_timeout = seconds(5);  // command-timeout
    Duration auth_timeout = seconds(10);    // auth-timeout: who is no user for so long is closed
    uint32_t idle_timeout = 0;              // timeout: seconds without a command; 0: for ever
    // pubsub-unsent-bytes-max: unsent bytes at which who listens is cut off
    size_t pubsub_unsent_bytes_max = 32 * 1024 * 1024;
    int64_t slowlog_slower_than = 10'000;  // slowlog-log-slower-than, in microseconds; -1: nothing
    uint64_t slowlog_max_len = 128;        // slowlog-max-len
    uint64_t latency_threshold = 0;        // latency-monitor-threshold, in milliseconds; 0: nothing
};

class Parameters {
public:
    struct Value {
        std::string name, value;
    };
    // Nothing was set. `text` is what Redis would say, with its code.
    struct Refused {
        std::string text;
    };

    virtual ~Parameters() = default;
    // By name, ascending, as CONFIG GET shows them.
    virtual std::vector<Value> all() const = 0;
    // All of them or none, on every door of the node: on the one that asks by what is returned, on
    // the others in a moment. A restart forgets it.
    virtual std::variant<Live, Refused> set(const std::vector<Value>& wanted) = 0;
};

}  // namespace asterias::edge_resp
