// app/probe.h: what a client of one node meets: ten reads a second through its Redis door, timed. A
// read is linearizable, so it needs the leader and a majority: what it waits for, every client
// waits for. Threading: a thread of its own; take() from any.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "app/client.h"

namespace asterias::app {

class Probe {
public:
    struct Seen {
        size_t reads = 0;                    // since the last take()
        uint64_t median_us = 0, max_us = 0;  // of those
        uint64_t gap_ms = 0;                 // longest time without an answer, since the start
        std::string trouble;                 // why there is none now; empty: there is
    };

    Probe(port::Address door, Access access);
    ~Probe();
    Seen take();

private:
    using Clock = std::chrono::steady_clock;
    void run();
    // False: asking again would not help.
    bool read_once();
    void failed(const std::string& why);

    const port::Address door_;
    const Access access_;
    std::optional<RespClient> client_;
    std::mutex mutex_;
    std::condition_variable stopping_;
    bool stop_ = false;
    std::vector<uint64_t> micros_;
    Clock::time_point answered_ = Clock::now();
    uint64_t gap_ms_ = 0;
    std::string trouble_ = "no answer yet";
    std::thread thread_;  // last: it uses the others
};

}  // namespace asterias::app
