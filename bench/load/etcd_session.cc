// The least HTTP/2 and gRPC that puts and ranges need, hand-laid so that the generator costs little
// beside the servers it measures. A call that returns a message counts as done; one that ends
// without (gRPC's trailers-only error) as failed: so response headers need no HPACK decoder.
// Reference: RFC 9113 (frames, flow control), RFC 7541 (the static table), gRPC PROTOCOL-HTTP2.md.
#include "load/etcd_session.h"

#include <algorithm>
#include <map>

namespace asterias::load {
namespace {

enum FrameType : uint8_t {
    kData = 0,
    kHeaders = 1,
    kResetStream = 3,
    kSettings = 4,
    kPing = 6,
    kGoAway = 7,
    kWindowUpdate = 8,
};
constexpr uint8_t kAck = 0x1, kEndStream = 0x1, kEndHeaders = 0x4;
constexpr size_t kFrameHead = 9;
constexpr uint32_t kReceiveWindow = 1u << 30;

void big_endian(std::string& out, uint32_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i)
        out.push_back(static_cast<char>(value >> (8 * i)));
}

uint32_t big_endian(const uint8_t* at, int bytes) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; ++i)
        value = value << 8 | at[i];
    return value;
}

void frame(std::string& out, FrameType type, uint8_t flags, uint32_t stream,
           std::string_view body) {
    big_endian(out, static_cast<uint32_t>(body.size()), 3);
    out.push_back(static_cast<char>(type));
    out.push_back(static_cast<char>(flags));
    big_endian(out, stream, 4);
    out.append(body);
}

void varint(std::string& out, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        out.push_back(static_cast<char>(value | 0x80));
    out.push_back(static_cast<char>(value));
}

void bytes_field(std::string& out, uint8_t number, std::string_view text) {
    out.push_back(static_cast<char>(number << 3 | 2));
    varint(out, text.size());
    out.append(text);
}

// HPACK: a literal that enters the dynamic table, its name from the static table or spelled out.
// Texts here are shorter than 127 bytes.
void indexed_literal(std::string& out, uint8_t name_index, std::string_view name,
                     std::string_view value) {
    out.push_back(static_cast<char>(0x40 | name_index));
    if (name_index == 0) {
        out.push_back(static_cast<char>(name.size()));
        out.append(name);
    }
    out.push_back(static_cast<char>(value.size()));
    out.append(value);
}

class EtcdSession : public Session {
public:
    explicit EtcdSession(std::string authority) : authority_(std::move(authority)) {}

    void greet(std::string& out) override {
        out.append("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        std::string settings;
        big_endian(settings, 4, 2);  // INITIAL_WINDOW_SIZE
        big_endian(settings, kReceiveWindow, 4);
        frame(out, kSettings, 0, 0, settings);
        std::string window;
        big_endian(window, kReceiveWindow, 4);
        frame(out, kWindowUpdate, 0, 0, window);
    }

    void ask(Operation operation, std::string_view key, std::string_view value,
             std::string& out) override {
        const bool put = operation == Operation::Set;
        message_.clear();
        bytes_field(message_, 1, key);  // key of PutRequest and of RangeRequest (linearizable)
        if (put) bytes_field(message_, 2, value);
        call_.clear();
        headers(put ? "/etcdserverpb.KV/Put" : "/etcdserverpb.KV/Range");
        std::string request;
        frame(request, kHeaders, kEndHeaders, next_stream_, call_);
        std::string body(1, '\0');  // not compressed
        big_endian(body, static_cast<uint32_t>(message_.size()), 4);
        body.append(message_);
        const auto body_bytes = static_cast<int64_t>(body.size());
        frame(request, kData, kEndStream, next_stream_, body);
        // A RangeResponse without the key is a header of less than 40 bytes.
        const size_t least = put ? 5 : std::max<size_t>(40, value.size());
        streams_.emplace(next_stream_, Stream{static_cast<uint32_t>(least), 0});
        next_stream_ += 2;
        if (!waiting_.empty() || send_window_ < body_bytes) {
            waiting_.append(request);  // in the order of the streams
            waiting_bytes_ += body_bytes;
            return;
        }
        send_window_ -= body_bytes;
        out.append(request);
    }

    size_t receive(const Bytes& input, std::string& out, Finished& finished) override {
        size_t at = 0;
        while (!finished.broken && input.size() - at >= kFrameHead) {
            const uint8_t* head = input.data() + at;
            const uint32_t length = big_endian(head, 3);
            if (input.size() - at < kFrameHead + length) break;
            take(head[3], head[4], big_endian(head + 5, 4) & 0x7fffffff, head + kFrameHead, length,
                 out, finished);
            at += kFrameHead + length;
        }
        return at;
    }

private:
    struct Stream {
        uint32_t least_bytes;  // of a good answer
        uint32_t bytes;
    };

    // All headers of a call enter the dynamic table with the first; later calls name them by index.
    // One session sends one kind of call only.
    void headers(std::string_view path) {
        call_.append("\x83\x86");  // :method POST, :scheme http
        if (next_stream_ == 1) {
            indexed_literal(call_, 4, "", path);
            indexed_literal(call_, 1, "", authority_);
            indexed_literal(call_, 31, "", "application/grpc");
            indexed_literal(call_, 0, "te", "trailers");
        } else {
            call_.append("\xc1\xc0\xbf\xbe");  // 65, 64, 63, 62: the newest comes first
        }
    }

    void take(uint8_t type, uint8_t flags, uint32_t stream, const uint8_t* body, uint32_t length,
              std::string& out, Finished& finished) {
        switch (type) {
            case kData:
                consumed(length, out);
                if (const auto it = streams_.find(stream); it != streams_.end())
                    it->second.bytes += length;
                [[fallthrough]];
            case kHeaders:
                if (flags & kEndStream) end(stream, finished);
                return;
            case kResetStream:
                return end(stream, finished);
            case kSettings:
                if (!(flags & kAck)) frame(out, kSettings, kAck, 0, "");
                return;
            case kPing:
                if (!(flags & kAck))
                    frame(out, kPing, kAck, 0, {reinterpret_cast<const char*>(body), length});
                return;
            case kGoAway:
                finished.broken = true;
                finished.first_failure = "GOAWAY";
                return;
            case kWindowUpdate:
                if (stream == 0 && length == 4) widen(big_endian(body, 4), out);
                return;
            default:
                return;
        }
    }

    void end(uint32_t stream, Finished& finished) {
        const auto it = streams_.find(stream);
        if (it == streams_.end()) return;
        finished.done++;
        if (it->second.bytes < it->second.least_bytes) {
            finished.failed++;
            if (finished.first_failure.empty())
                finished.first_failure = it->second.bytes ? "the key is not there" : "gRPC error";
        }
        streams_.erase(it);
    }

    void widen(uint32_t by, std::string& out) {
        send_window_ += by;
        if (waiting_.empty() || send_window_ < waiting_bytes_) return;
        send_window_ -= waiting_bytes_;
        waiting_bytes_ = 0;
        out.append(waiting_);
        waiting_.clear();
    }

    void consumed(uint32_t bytes, std::string& out) {
        unannounced_ += bytes;
        if (unannounced_ < kReceiveWindow / 2) return;
        std::string window;
        big_endian(window, unannounced_, 4);
        frame(out, kWindowUpdate, 0, 0, window);
        unannounced_ = 0;
    }

    std::string authority_, message_, call_;
    uint32_t next_stream_ = 1;
    std::map<uint32_t, Stream> streams_;
    int64_t send_window_ = 65535;
    std::string waiting_;  // requests that found no window
    int64_t waiting_bytes_ = 0;
    uint32_t unannounced_ = 0;
};

}  // namespace

std::unique_ptr<Session> make_etcd_session(std::string authority) {
    return std::make_unique<EtcdSession>(std::move(authority));
}

}  // namespace asterias::load
