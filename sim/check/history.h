// sim/check/history.h: what the clients of one run saw: every operation with its window in time and
// what it was told about its fate. The checkers judge nothing else; a history kept as text is a
// test on its own.
//
// Fates. Ok: it took effect once, between `invoked` and `completed`, with these results. Failed: it
// certainly never took and never will take effect (the honest errors -CLUSTERDOWN and -TRYAGAIN).
// Unknown: it took effect once at some time after `invoked`, however late, or never (-UNKNOWN, a
// lost connection, or the end of the run).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace asterias::sim {

enum class OpKind : uint8_t { Get, Set, Del, Incr, SetNx, SetPx, MSet, MGet, Wipe };
enum class Outcome : uint8_t { Ok, Failed, Unknown };

// A value of a key, or nil. Integer replies are their decimal digits.
using Value = std::optional<std::string>;

inline constexpr Duration kNever{std::numeric_limits<int64_t>::max()};

// The reply of an INCR that met a value which is no integer, as its only result.
inline constexpr std::string_view kNotAnInteger = "error";

struct Op {
    uint64_t client = 0;
    uint64_t connection = 0;  // 0: no order is promised to this operation
    uint64_t sequence = 0;    // place among the operations of its connection, from 1
    uint64_t request = 0;     // not 0: wrapped in ASTERIAS.REQUEST <client> <request>; its retries
                              // carry the same number and together take effect at most once
    OpKind kind = OpKind::Get;
    std::vector<std::string> keys;       // one; MSet, MGet, Wipe: one or more, distinct
    std::vector<std::string> arguments;  // Set, SetNx: the value; SetPx: the value and after how
                                         // many milliseconds it is due to expire; Incr: the
                                         // amount; MSet: one value per key; else none
    Duration invoked{0};                 // simulated time since the start of the run
    Duration completed = kNever;         // kNever: no reply was seen
    Outcome outcome = Outcome::Unknown;
    // Only with Ok. Get: one; MGet: one per key; Del, SetNx: "0" or "1"; Incr: the new number or
    // kNotAnInteger; Set, SetPx, MSet, Wipe (deletes all its keys): none.
    std::vector<Value> results;

    bool operator==(const Op&) const = default;
};

// In any order; what the checkers say refers to operations by their text.
using History = std::vector<Op>;

inline bool is_read(OpKind kind) { return kind == OpKind::Get || kind == OpKind::MGet; }
std::string_view to_string(OpKind kind);

// One line, without its end:
//   c1 n4.2 100..250 set x 5 -> ok            client 1, connection 4, its second operation
//   c1 n4.3 r7 110..- incr x 1 -> unknown     request 7; no reply seen
//   c2 n5.1 20..30 mset a=1 b=1 -> ok         c2 n5.2 40..50 mget a b -> 1 nil
//   c3 n6.1 5..9 del x -> failed                c3 n6.2 10..15 setpx x 5 100 -> ok
// Times are nanoseconds. Words outside [A-Za-z0-9_.:-] or equal to a reserved word are quoted;
// within quotes \xHH stands for bytes that are not printable, '"' and '\'.
std::string print(const Op& op);
std::string print(const History& history);

// Skips empty lines and lines that begin with '#'. Errors: InvalidArgument with the line number.
Result<History> parse_history(std::string_view text);

// Builds the history while the world runs. Stamps rise strictly in the order of the calls, because
// two events at the same simulated instant still have an order, and the checkers need it.
class Recorder {
public:
    using Id = size_t;

    // `op` needs client, connection, request, kind, keys and arguments; the rest is filled in here.
    Id invoked(Duration now, Op op);
    void ok(Id id, Duration now, std::vector<Value> results);
    void failed(Id id, Duration now);
    void unknown(Id id, Duration now);

    size_t open() const { return open_; }
    const History& history() const { return history_; }
    // Operations still open stay Unknown without a reply.
    History take() { return std::move(history_); }

private:
    Duration stamp(Duration now);
    void complete(Id id, Duration now, Outcome outcome);

    History history_;
    std::vector<std::pair<uint64_t, uint64_t>> sequences_;  // (connection, last), sorted
    Duration last_{-1};
    size_t open_ = 0;
};

// Attempts that carry the same (client, request) become one operation: from the first attempt that
// may have happened to the first that was answered. One with several attempts loses its connection:
// which attempt took effect is not known, so no order is promised to it.
// `disagreements` gets one text per request whose answered attempts differ.
History merge_requests(const History& history, std::vector<std::string>* disagreements = nullptr);

// Keys that some operation of the history writes and may have written, sorted: what to read once
// more after healing.
std::vector<std::string> written_keys(const History& history);

// How many reads show that a key had expired: nil, and the last write begun before it, answered
// earlier, gave a value and a deadline. For tables: what an unanswered write leaves open is not
// counted, and a deletion at the same time as the read not told apart.
uint64_t expirations_seen(const History& history);

}  // namespace asterias::sim
