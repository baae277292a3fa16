// core/kv/span.h: reads of all keys of a database (DBSIZE, KEYS, SCAN, RANDOMKEY). They are not
// evaluated like commands on some keys: a leader reads its engine in slices, once all that is to be
// seen is in there, and gives each to a SpanRead (docs/adr/0016). Threading: none; pure.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "base/glob.h"
#include "base/prng.h"
#include "core/kv/evaluate.h"

namespace asterias::kv {

// Of the keys in one reply, each counted with what holds it in memory.
inline constexpr size_t kSpanReplyBytesMax = 32 * 1024 * 1024;
inline constexpr std::string_view kSpanReplyTooLong =
    "ERR the keys found exceed 33554432 bytes of memory (span-reply-bytes-max); use SCAN";
// Passed deadlines that one read may meet: their deletions are logged before it is answered.
inline constexpr size_t kSpanExpiredMax = 16'384;
inline constexpr size_t kSpanExpiredBytesMax = 8 * 1024 * 1024;  // of their names
inline constexpr std::string_view kSpanTooManyExpired =
    "TRYAGAIN more than 16384 keys, or 8388608 bytes of their names, are past their deadline "
    "(span-expired-max); they are being deleted, ask again";
// A read of all keys gives up when three quarters of its time are over, and says so.
inline constexpr std::string_view kSpanTooSlow =
    "ERR to read all keys took too long (command-timeout); use SCAN";
// Records that one SCAN looks at, whatever its COUNT.
inline constexpr size_t kScanCountMax = 10'000;

class SpanRead {
public:
    // `command` is one whose traits say span, and outlives this. `seed`: for RandomKey.
    SpanRead(const Command& command, int64_t now_ms, uint64_t seed);

    // The engine keys that are to be read: from <= key < to, ascending.
    const Bytes& from() const { return from_; }
    const Bytes& to() const { return to_; }
    // How many of them before anything else at most.
    size_t entries_most() const;

    // The next record, encoded. Errors: those of decode_record().
    Result<void> take(const Bytes& key, const Bytes& record);
    // The next one, which is to be taken for absent.
    void skip(const Bytes& key);
    // What matching patterns took so far, as base/glob.h counts it: whoever takes many records at
    // once looks after other work in between.
    uint64_t steps() const { return steps_; }
    // No more is wanted. So from the beginning if the pattern is too long.
    bool full() const { return full_; }
    // Behind the last one taken. `ended`: nothing follows in the span.
    Reply finish(bool ended);
    // Records past their deadline that were counted as absent: engine keys. Before the reply is
    // given their deletion has to be in the log, so that no later read shows them, whose leader's
    // clock is behind.
    std::vector<Bytes> take_expired() { return std::move(expired_); }
    int64_t now_ms() const { return now_ms_; }

private:
    void found(const Bytes& user_key);

    const Command& command_;
    const int64_t now_ms_;
    const Glob pattern_;
    uint64_t steps_ = 0;
    Prng random_;
    Bytes from_, to_;
    Bytes last_;  // engine key; empty: none
    bool full_ = false;
    std::string_view error_;
    uint64_t looked_at_ = 0, count_ = 0;
    size_t bytes_ = 0, expired_bytes_ = 0;
    Bytes chosen_;
    std::vector<Reply> keys_;
    std::vector<Bytes> expired_;
};

// What Flush, or a read of all keys, answers of a keyspace that is not there any more.
Reply nothing_there(Op op);

}  // namespace asterias::kv
