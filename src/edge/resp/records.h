// edge/resp/records.h: what the doors of one node note of the commands they ran: how many and how
// long (INFO commandstats, LATENCY HISTOGRAM), which were slow (SLOWLOG, LATENCY), which errors
// were answered. Contract: bounded by slowlog-max-len and the constants here. Reference: Redis 7.0
// slowlog.c, latency.c. Threading: Figures count on their shard and are read on any; all else of
// Records is used by one at a time, see SharedRecords.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "proto/resp/command_table.h"

namespace asterias::edge_resp {

// Of one command at one door.
struct CommandFigures {
    std::array<Counter, Histogram::kBuckets> buckets;  // of those that ran, as Histogram's
    Counter micros, rejected, failed;

    void ran(uint64_t took) {
        const size_t i = took <= 1 ? 0 : static_cast<size_t>(std::bit_width(took - 1));
        buckets[std::min(i, buckets.size() - 1)].add();
        if (took > 0) micros.add(took);
    }
};
using Figures = std::array<CommandFigures, resp::kCommandCount>;

// The same as plain numbers, of all doors.
struct CommandSums {
    std::array<uint64_t, Histogram::kBuckets> buckets{};
    uint64_t calls = 0, micros = 0, rejected = 0, failed = 0;

    // The upper bound of the bucket that holds quantile q (0..1), in microseconds.
    uint64_t quantile_micros(double q) const;
};

// Which arguments are passwords, or names that people type a password for: of AUTH, HELLO ... AUTH,
// also as ASTERIAS.REQUEST would have them. What is no form of these is hidden from there on.
class Secrets {
public:
    Secrets(const resp::CommandSpec& spec, const resp::Request& request);
    bool covers(size_t i) const {
        return i >= from_ || (!of_hello_.empty() && std::ranges::binary_search(of_hello_, i));
    }

private:
    void look_at_hello(const resp::Request& request);

    size_t from_ = SIZE_MAX;
    std::vector<size_t> of_hello_;  // ascending
};

// The arguments of a request as the slow log keeps them: 32 of 128 bytes at most, what is more
// told as a number; passwords are left out.
void append_note(std::string& out, const resp::CommandSpec& spec, const resp::Request& request);
std::string note_of(const resp::CommandSpec& spec, const resp::Request& request);
std::vector<std::string> arguments_of(std::string_view note);

struct SlowCommand {
    uint64_t id = 0;      // set by Records
    int64_t seconds = 0;  // since 1970
    int64_t micros = 0;
    std::string note;
    std::string peer, name;  // of the client
};

struct LatencyEvent {
    static constexpr size_t kSamplesMax = 160;
    struct Sample {
        int64_t seconds;  // since 1970
        uint64_t millis;
    };
    std::deque<Sample> samples;  // one for a second, its longest
    uint64_t longest = 0;
};

class Records {
public:
    static constexpr size_t kErrorCodesMax = 64;

    // The figures of another door; they stay to the end.
    Figures& add_door();

    // Since reset().
    CommandSums sums(resp::CommandId id) const;
    uint64_t errors() const { return errors_; }
    const std::map<std::string, uint64_t, std::less<>>& error_codes() const { return codes_; }
    void note_error(std::string_view text);
    // Of a counter of the node that goes on: what it had at reset().
    uint64_t& base(std::string_view counter);
    uint64_t base(std::string_view counter) const;
    // Figures and errors begin anew; the slow log and events stay.
    void reset();

    void add_slow(SlowCommand command, size_t max_len);
    void trim_slow(size_t max_len);
    const std::deque<SlowCommand>& slow() const { return slow_; }  // the latest first

    void add_event(std::string_view event, int64_t seconds, uint64_t millis);
    std::map<std::string, LatencyEvent, std::less<>>& events() { return events_; }
    const std::map<std::string, LatencyEvent, std::less<>>& events() const { return events_; }

private:
    CommandSums ever(resp::CommandId id) const;

    std::deque<Figures> doors_;
    std::vector<CommandSums> base_;  // by command; empty: nothing was reset
    std::map<std::string, uint64_t, std::less<>> codes_, counters_;
    uint64_t errors_ = 0;
    std::deque<SlowCommand> slow_;
    uint64_t next_slow_ = 0;
    std::map<std::string, LatencyEvent, std::less<>> events_;
};

// The records of a node, whose doors are on several shards.
class SharedRecords {
public:
    virtual ~SharedRecords() = default;
    // Calls `use` once, before this returns, while nobody else has the records: in it nobody asks
    // for them again, and so no error is written.
    virtual void with(const std::function<void(Records&)>& use) = 0;
};

}  // namespace asterias::edge_resp
