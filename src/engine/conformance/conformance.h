// engine/conformance/conformance.h: random sequences of write, flush, read, snapshot, staged
// install, fault, crash and reopen against one engine, compared with a model that is a list of
// batches. Checked (port/engine.h): after a crash the state is exactly that after some prefix S of
// the writes, S >= the last durable() seen; durable() is monotone and never above written();
// install is atomic with its meta and durable on return; what is staged and not installed is never
// seen; reads return the newest value or report damage; snapshots stay frozen; a refused write
// changed nothing. And, because a suite that never sees the interesting states proves nothing: each
// kind of allowed state is counted. The suite knows neither engine. Tests only; nothing of the
// product links this room.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.h"
#include "base/result.h"
#include "port/engine.h"

namespace asterias::engine {

enum class Trouble : unsigned char {
    Stall,       // write answers NoSpace; nothing else is wrong
    DiskFull,    // write answers NoSpace until clear()
    Broken,      // flushing fails: write answers Io from some call on, until reopened
    CutInstall,  // the next staging or install may fail with Io, the latter having happened or not
    SlowReads,   // try_get answers WouldBlock at times
};

// The engine under test, with the means of breaking it.
class Subject {
public:
    virtual ~Subject() = default;
    // A new, empty disk; everything random from now on follows `prng`.
    virtual void fresh(Prng prng) = 0;
    virtual Result<std::unique_ptr<port::Engine>> open() = 0;
    // kill -9, then whatever the disk forgets. Ends any trouble. `staging`: of that engine, or
    // null.
    virtual void crash(std::unique_ptr<port::Engine> engine,
                       std::unique_ptr<port::Staging> staging) = 0;
    // From now on `trouble` shows, at once or after some writes. False: cannot happen here.
    virtual bool start(Trouble trouble) = 0;
    virtual void clear() = 0;
    // With the engine closed: some bytes at rest change. False: there were none.
    virtual bool damage() = 0;
    // Called between two looks at an engine that works in the background: blocks until something
    // may have changed since the last pause. Before it there was a flush requested, or a write
    // refused that will not be for ever.
    virtual void pause() = 0;
};

enum class Seen : unsigned char {
    CrashAtDurable,        // the state of durable(), with newer writes lost
    CrashInBetween,        // more than durable() covered, less than all
    CrashAtWritten,        // all, though durable() had not covered it
    CrashNothingToLose,    // durable() covered all
    InstallCarriedWrites,  // a crash after an install that had volatile writes before it
    InstallCutBefore,      // a failed install that had not happened
    InstallCutAfter,       // a failed install that had happened
    StagedInSteps,         // an install whose content came in pieces, with writes in between
    StagedRefused,         // a piece for which there was no space
    StagedLost,            // a crash with staged content
    StagedThrownAway,
    CleanReopen,
    Stalled,
    StallEnded,
    Full,
    SpaceReturned,
    FailedForGood,
    DamageReported,
    DamageHarmless,  // damage that no read touched: all values right
    OpenRefused,     // damage that open() reported
    WouldBlock,
    AsyncRead,
    SnapshotOutlivedChanges,
    ScanLimited,  // at its number of entries
    ScanLimitedByBytes,
    Count_,
};
std::string_view to_string(Seen seen);

struct Outcome {
    std::array<uint64_t, static_cast<size_t>(Seen::Count_)> seen{};
    uint64_t sequences = 0, steps = 0;
    std::vector<std::string> failures;  // the first few; each names its sequence's seed

    uint64_t count(Seen what) const { return seen[static_cast<size_t>(what)]; }
    std::string describe() const;
};

// Runs sequences first_seed, first_seed + 1, …; stops at the third failure. Environment
// CONFORMANCE_SEED replaces first_seed, to replay a failure.
Outcome run_conformance(Subject& subject, uint64_t first_seed, uint64_t sequences);

// Environment CONFORMANCE_SEQUENCES, or `otherwise`.
uint64_t sequences_asked_for(uint64_t otherwise);

}  // namespace asterias::engine
