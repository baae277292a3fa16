// engine/mem/mem.h: the seeded twin of RocksDB-without-WAL, for the simulator and for tests.
// It is not a map: what was written is volatile until a flush, drawn from the seed, has covered it,
// and a crash rewinds to some Seq S with durable() <= S <= written(). Contract: port/engine.h.
//
// Fault model (what it may do, and what it never does):
//   - a flush begins and ends at drawn calls; one is in flight at a time; it covers a prefix;
//   - a write may stall or find the disk full (NoSpace, nothing written);
//   - a flush may fail: every later write then fails with Io, until the node restarts;
//   - what is staged takes space, and is gone after a crash; staging and installing may stall or
//     find the disk full, and an install may fail with Io: it has then happened wholly or not at
//     all;
//   - a block may turn out to be damaged: reads of its key then answer Corrupt until the key is
//     written again or its span is installed anew; data not yet flushed is never damaged;
//   - a read of flushed data may not be in the cache: try_get answers WouldBlock, get takes time;
//   - it never leaves a hole, never serves an older value, never forgets what durable() covered.
// Closing (destroying the engine, then opening the image again without crash()) keeps everything,
// as RocksDB flushes when it closes.
// Threading: none; all shards of a simulated node share one thread. Same seed and same calls, same
// answers.
#pragma once

#include <limits>
#include <memory>
#include <string_view>

#include "base/prng.h"
#include "base/result.h"
#include "base/time.h"
#include "port/engine.h"

namespace asterias::engine {

// Probabilities are per occasion, 0..1. All zero: a healthy disk.
struct MemFaults {
    double stall_begins = 0;         // per write, piece that is staged, or install
    uint32_t stall_writes_max = 16;  // how many of them one stall refuses at most
    double flush_fails = 0;          // per flush: a background error
    double install_fails = 0;        // per install
    double read_corrupt = 0;         // per read of flushed data: its block turns out damaged
    double would_block = 0;          // per try_get of flushed data
    // Puts that would grow the stored bytes (keys and values) beyond this find the disk full; what
    // is staged counts.
    uint64_t capacity_bytes = std::numeric_limits<uint64_t>::max();
};

// How often each of them happened, since the image was made.
struct MemCounts {
    uint64_t stalls = 0, flush_failures = 0, install_failures = 0, damaged_reads = 0;
    uint64_t would_block = 0, full = 0;
};

struct MemOptions {
    Prng prng{0};
    double flush_begins = 1.0 / 64;  // per write: the memtable is full
    double flush_ends = 1.0 / 8;     // per call of write() or durable() while a flush is in flight
    Duration read_delay_min = microseconds(20);  // of get(), scan() and the calls of Staging
    Duration read_delay_max = microseconds(200);
};

class MemStore;

// What one node's disk holds for its engine. It survives crashes; the simulator keeps it per node.
class MemImage {
public:
    MemImage();
    ~MemImage();
    MemImage(MemImage&&) noexcept;
    MemImage& operator=(MemImage&&) noexcept;

    // kill -9: rewinds to the state after a drawn S (mostly durable(), sometimes a flush that was
    // in flight, sometimes anything up to written()). The engine that was open must not be called
    // again; destroying it and its snapshots afterwards is fine.
    void crash(Prng& prng);

    // In force from the next call on, also for an engine that is open (the simulator's liveness
    // phase turns faults off). A damaged key stays damaged.
    void set_faults(const MemFaults& faults);
    const MemFaults& faults() const;
    const MemCounts& counts() const;

    // Damages the block of `key` at rest; false if there is no flushed value to damage.
    bool damage(std::string_view key);
    uint64_t bytes() const;  // of live keys and values
    uint64_t keys() const;

private:
    friend Result<std::unique_ptr<port::Engine>> open_mem(MemImage& image,
                                                          const MemOptions& options);
    std::shared_ptr<MemStore> store_;
};

// Errors: Conflict if an engine is open on the image. The engine may outlive the image object.
Result<std::unique_ptr<port::Engine>> open_mem(MemImage& image, const MemOptions& options);

}  // namespace asterias::engine
