// proto/resp/parser.h: the server side of RESP: bytes of a client -> requests, incrementally.
//
// Contract: hand over all bytes that were received and not yet consumed, in one piece, and call
// next() until it returns something other than a Request. Whole arguments are consumed as soon as
// they are here, so that nothing is scanned twice; the arguments of an unfinished request wait in
// the parser as slices of the read buffers that they came in.
//
//     size_t at = 0;
//     for (;;) {
//         Outcome outcome = parser.next(available, at);
//         if (auto* request = std::get_if<Request>(&outcome)) { run(std::move(*request)); continue;
//         }
//         ...
//         return port::Consumed{at, need_more.wanted};
//     }
//
// Invariants: (I1) the requests do not depend on how the input was cut into pieces. (I2) Memory
// grows only with bytes received, never with a length that was announced. (I3) After a
// ProtocolError or ForeignProtocol nothing behind it is parsed.
// Reference: RESP as Redis 7.0 reads it (networking.c: processInlineBuffer and
// processMultibulkBuffer; sds.c: sdssplitargs), including that the two bytes behind a bulk are
// skipped unseen.
// Threading: one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "proto/resp/request.h"

namespace asterias::resp {

struct Limits {
    size_t line_bytes_max = 64 * 1024;  // an inline request; a count line without an end
    int64_t arguments_max = 1024 * 1024;
    int64_t bulk_bytes_max = 512ll * 1024 * 1024;
    size_t request_bytes_max = 1024ull * 1024 * 1024;  // all arguments of one request
    // Before the client has authenticated, where that is required.
    int64_t unauthenticated_arguments_max = 10;
    int64_t unauthenticated_bulk_bytes_max = 16 * 1024;
};

// Everything up to here is used up.
struct NeedMore {
    // Do not call again before this many unconsumed bytes are there; 0: any more will do. It is
    // what the client announced (within Limits): no reason to allocate it.
    size_t wanted = 0;
};

// Send the text as an error reply, then close.
struct ProtocolError {
    std::string text;  // with its code: "ERR Protocol error: ..."
};

// The client speaks HTTP (`POST`, `Host:`): maybe a browser that was made to attack this port.
// Close without a word.
struct ForeignProtocol {};

using Outcome = std::variant<Request, NeedMore, ProtocolError, ForeignProtocol>;

class Parser {
public:
    explicit Parser(const Limits& limits = {}, bool authenticated = true)
        : limits_(limits), authenticated_(authenticated) {}

    // Parses from input[at] on and moves `at` behind what was consumed. A Request has at least one
    // argument (empty lines, `*0` and `*-1` are skipped).
    Outcome next(const Bytes& input, size_t& at);

    // Takes effect with the next request.
    void set_authenticated(bool authenticated) { authenticated_ = authenticated; }
    // What the arguments that wait for the rest of their request hold.
    size_t held_bytes() const { return request_.bytes(); }
    // Whether the input ended inside a request.
    bool in_request() const { return arguments_left_ > 0; }

private:
    enum class Step : uint8_t { Done, More, Failed };

    Step read_inline(const Bytes& input, size_t& at);
    Step read_argument_count(const Bytes& input, size_t& at);
    Step read_bulk_length(const Bytes& input, size_t& at);
    Step read_arguments(const Bytes& input, size_t& at);
    // A number line "<type><number>\r\n"; Done sets `number` and moves `at`.
    enum class Number : uint8_t { Valid, Invalid };
    Step read_number(const Bytes& input, size_t& at, const char* too_big, Number& valid,
                     int64_t& number);
    Step fail(std::string text);
    Outcome finish();
    void release_input();

    Limits limits_;
    bool authenticated_;
    bool closed_ = false;
    int64_t arguments_left_ = 0;  // 0: between requests
    int64_t bulk_bytes_ = -1;     // -1: the length is not read yet
    size_t scanned_ = 0;          // unconsumed bytes known to hold no line end
    size_t wanted_ = 0;
    Request request_;
    size_t compacted_ = 0;  // arguments of request_ that hold no read buffer
    std::string error_;
};

}  // namespace asterias::resp
