// proto/resp/reply_parser.h: the client side of RESP: bytes of a server -> values, incrementally.
// For our own command line, demo, load generator and the workloads of the simulator.
//
// Contract: as Parser: hand over all unconsumed bytes in one piece; call next() until it returns
// something other than a Value. RESP3 attributes are read and dropped; streamed values ($?, *?) are
// an error, since no server sends them.
// Invariants: (I1) the values do not depend on how the input was cut. (I2) Memory grows only with
// bytes received. (I3) Depth, sizes and the number of values are bounded by ReplyLimits.
// Reference: github.com/redis/redis-specifications protocol/RESP3.md.
// Threading: one owner.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "proto/resp/parser.h"

namespace asterias::resp {

enum class ValueKind : uint8_t {
    Simple,
    Error,  // also RESP3's bulk error
    Integer,
    Bulk,
    Null,  // $-1, *-1, _
    Array,
    Map,  // items: key, value, key, value, ...
    Set,
    Push,
    Double,
    Boolean,
    BigNumber,
    Verbatim,  // text without its "txt:"
};

struct Value {
    ValueKind kind = ValueKind::Null;
    Bytes text;           // Simple, Error, Bulk, BigNumber, Verbatim
    int64_t integer = 0;  // Integer; Boolean: 0 or 1
    double real = 0;      // Double
    std::vector<Value> items;

    bool is_error() const { return kind == ValueKind::Error; }
    bool is_null() const { return kind == ValueKind::Null; }
    // One line for people and tests: ok, (integer) 3, "bulk", [1, "a"], {"k": 1}.
    std::string describe() const;

    bool operator==(const Value&) const = default;
};

struct ReplyLimits {
    size_t line_bytes_max = 64 * 1024;
    int64_t bulk_bytes_max = 512ll * 1024 * 1024;
    size_t values_max = 16ull * 1024 * 1024;  // in one reply, nested ones counted
    size_t depth_max = 32;
};

using ReplyOutcome = std::variant<Value, NeedMore, ProtocolError>;

class ReplyParser {
public:
    explicit ReplyParser(const ReplyLimits& limits = {}) : limits_(limits) {}

    // Parses from input[at] on and moves `at` behind what was consumed. After a ProtocolError (its
    // text is for a log, there is nobody to send it to) everything is consumed unseen.
    ReplyOutcome next(const Bytes& input, size_t& at);

private:
    enum class Step : uint8_t { Done, More, Failed };
    struct Frame {
        Value value;
        int64_t left = 0;
        bool dropped = false;  // an attribute
    };

    Step read_value(const Bytes& input, size_t& at, Value& value);
    Step read_line(const Bytes& input, size_t& at, Bytes& line);
    Step read_body(const Bytes& input, size_t& at, Value& value);
    Step scalar(char type, const Bytes& text, Value& value);
    Step aggregate(char type, const Bytes& text, Value& value);
    Step bulk(char type, const Bytes& text, Value& value);
    // Puts a finished value into the frames; true if it completed a reply, now in `value`.
    bool place(Value& value);
    Step fail(std::string text);

    ReplyLimits limits_;
    bool closed_ = false;
    bool opened_ = false;  // read_value opened a frame instead of finishing a value
    char bulk_type_ = 0;   // of the bulk whose length was read, else 0
    int64_t bulk_bytes_ = 0;
    size_t scanned_ = 0;
    size_t wanted_ = 0;
    size_t values_ = 0;  // of this reply
    std::vector<Frame> frames_;
    std::string error_;
};

}  // namespace asterias::resp
