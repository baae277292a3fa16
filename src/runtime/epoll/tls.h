// runtime/epoll/tls.h: the layer between a socket's descriptor and its handler, server side. Bytes
// of the network go in and come out here, in memory; the socket moves them (ADR 0018).
// TLS 1.2 and 1.3 (RFC 8446), no renegotiation, no compression, no resumption.
// Threading: a context is immutable and shared; a session is its socket's.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "base/chain.h"
#include "base/result.h"
#include "runtime/epoll/runtime.h"

namespace asterias::runtime {

class TlsContext {
public:
    // Errors: InvalidArgument: a file that cannot be read, no PEM, a key of another certificate.
    static Result<std::shared_ptr<TlsContext>> load(const TlsFiles& files);
    ~TlsContext();

private:
    friend class TlsSession;
    struct Impl;
    explicit TlsContext(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

class TlsSession {
public:
    explicit TlsSession(std::shared_ptr<TlsContext> context);
    ~TlsSession();

    enum class Step : unsigned char { Done, More, Failed };
    Step handshake();

    // Bytes of the network.
    void feed(std::span<const uint8_t> bytes);
    // As recv(2): the bytes, as many as there is room and records for; 0 at the other side's end;
    // -1 with EAGAIN (feed more) or EPROTO. What brings no data is bounded, for handshake(), too:
    // 64 KiB in a row, a KeyUpdate (RFC 8446, 4.6.3) for each thousand records with data and 64
    // more, 64 KiB of answers that nobody takes. Beyond that the session fails.
    ssize_t read(std::span<uint8_t> room);
    // Whether read() may bring something without more bytes of the network.
    bool pending() const;
    // All of it; the handshake is done. False: the session has failed.
    bool write(std::string_view text);
    void say_goodbye();
    // What the network is to get, appended; whether there was anything.
    bool take_output(Chain& to);
    bool has_output() const;

    const std::string& failure() const { return failure_; }
    // The subject of the other side's certificate, if one was asked for and checked.
    std::string subject() const;

private:
    struct Impl;
    bool failed(int result);
    bool overdone();
    std::shared_ptr<TlsContext> context_;
    std::unique_ptr<Impl> impl_;
    std::string failure_;
    std::optional<int> end_;  // what read() says from now on: 0, or an errno
    size_t barren_ = 0;       // bytes of the network since the last that brought data
    uint64_t records_ = 0, key_updates_ = 0;
};

}  // namespace asterias::runtime
