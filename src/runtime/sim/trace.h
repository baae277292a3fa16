// runtime/sim/trace.h: the fingerprint of a run, and what faults it met.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace asterias::sim {

// Order-sensitive 64-bit hash of everything that happened. Equal seeds give equal hashes on every
// build, with or without a text sink. Not cryptographic.
class Trace {
public:
    void add(uint64_t word) {
        hash_ = (std::rotl(hash_, 5) ^ word) * 0x9E37'79B9'7F4A'7C15ull;
        hash_ ^= hash_ >> 32;
    }
    void add(std::string_view text);
    uint64_t hash() const { return hash_; }

    using TextSink = std::function<void(std::string_view line)>;
    void set_text_sink(TextSink sink) { sink_ = std::move(sink); }
    bool has_text_sink() const { return static_cast<bool>(sink_); }
    // Only to the sink; does not touch the hash.
    void line(std::string_view text) const { sink_(text); }

private:
    uint64_t hash_ = 0x6A09'E667'F3BC'C908ull;
    TextSink sink_;
};

// Every fault of this room. Callers count theirs by name (FaultCounters::hit).
enum class Fault : unsigned char {
    CrashBeforeTurn,
    CrashMidTurn,
    CrashBeforeWork,
    CrashMidWork,
    CrashBeforeFlush,
    CrashMidFlush,
    CrashBeforeSync,
    CrashMidSync,
    CrashAfterTurn,
    CrashFromOutside,
    CrashFatal,
    CrashPowerCut,
    PeerSawClose,
    PeerSawReset,
    PeerHalfOpen,
    Paused,
    WallStepped,
    DriftChanged,
    LinkCut,
    LinkHealed,
    LinkClogged,
    PacketStalled,
    PacketLost,
    PacketSpike,
    SegmentSplit,
    Corrupted,
    ConnectionBroken,
    ConnectionGaveUp,
    ResetLost,
    WindowFull,
    SynLost,
    ConnectRefused,
    ConnectTimedOut,
    HandshakeFailed,
    IdentityForged,
    IdentityConflict,
    SubmitDelayed,
    TurnCutShort,
    TurnDelayed,
    OutOfFiles,
    kCount,
};
std::string_view to_string(Fault fault);

class FaultCounters {
public:
    void hit(Fault fault) { ++counts_[static_cast<size_t>(fault)]; }
    uint64_t count(Fault fault) const { return counts_[static_cast<size_t>(fault)]; }
    // By name, for the faults of other rooms ("disk.torn_write").
    void hit(std::string_view site) { ++*declare(site); }
    // Makes `site` appear in the report even if it is never hit. The pointer stays valid.
    uint64_t* declare(std::string_view site);
    // All sites with their counts, sorted by name; zeros included.
    std::map<std::string, uint64_t> report() const;

private:
    std::array<uint64_t, static_cast<size_t>(Fault::kCount)> counts_{};
    std::map<std::string, uint64_t, std::less<>> named_;
};

}  // namespace asterias::sim
