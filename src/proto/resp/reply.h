// proto/resp/reply.h: ReplyWriter, replies -> bytes at the end of a Chain, in RESP2 or RESP3.
// What RESP2 lacks is sent in the form that Redis gives it there: map and set as array, double, big
// number and verbatim as bulk, boolean as :1/:0, push as array.
// Contract: an aggregate header announces how many values follow; the caller writes just so many.
// Reference: github.com/redis/redis-specifications protocol/RESP3.md; Redis 7.0 networking.c.
// Threading: as the Chain.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/chain.h"

namespace asterias::resp {

enum class ProtocolVersion : uint8_t { Resp2 = 2, Resp3 = 3 };

// Is told of every error that a writer writes.
class ErrorWitness {
public:
    virtual void on_error(std::string_view text) = 0;

protected:
    ~ErrorWitness() = default;
};

class ReplyWriter {
public:
    ReplyWriter(Chain& out, ProtocolVersion version, ErrorWitness* witness = nullptr)
        : out_(out), version_(version), witness_(witness) {}

    ProtocolVersion version() const { return version_; }
    // Of the Chain.
    size_t size() const { return out_.size(); }
    // From the next reply on.
    void speak(ProtocolVersion version) { version_ = version; }

    void ok() { literal("+OK\r\n"); }
    // A short status without line ends: "PONG", "QUEUED".
    void simple(std::string_view text);
    // The whole text with its code ("ERR ...", "WRONGTYPE ..."); line ends in it become blanks.
    void error(std::string_view text);
    void integer(int64_t value);
    void bulk(std::string_view text);
    // Large values are linked, not copied.
    void bulk(const Bytes& value);
    void null() { resp3() ? literal("_\r\n") : literal("$-1\r\n"); }
    // The null of replies that are arrays otherwise (an aborted EXEC, a timed-out BLPOP).
    void null_array() { resp3() ? literal("_\r\n") : literal("*-1\r\n"); }
    void boolean(bool value);
    // Shortest text that reads back as the same number; inf, -inf, nan.
    void real(double value);
    // Decimal digits, perhaps with a sign.
    void big_number(std::string_view digits);
    // `format` is three letters: txt, mkd.
    void verbatim(std::string_view format, std::string_view text);
    void verbatim(std::string_view format, const Bytes& text);

    void array(size_t items) { header('*', items); }
    void map(size_t pairs) { resp3() ? header('%', pairs) : header('*', pairs * 2); }
    void set(size_t items) { header(resp3() ? '~' : '*', items); }
    // Out of band; RESP2 clients see an array and must expect it (pub/sub).
    void push(size_t items) { header(resp3() ? '>' : '*', items); }

private:
    bool resp3() const { return version_ == ProtocolVersion::Resp3; }
    template <size_t N>
    void literal(const char (&text)[N]) {
        __builtin_memcpy(out_.extend(N - 1), text, N - 1);
    }
    void header(char type, size_t count);
    void line(char type, std::string_view text);

    Chain& out_;
    ProtocolVersion version_;
    ErrorWitness* witness_;
};

}  // namespace asterias::resp
