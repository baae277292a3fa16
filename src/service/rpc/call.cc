#include "service/rpc/call.h"

#include "port/sync.h"
#include "wire/fields.h"

namespace asterias::rpc {
namespace {

// The calling side of one connection: sends Hello and the question, waits for the answer.
class Caller : public port::ConnectionHandler {
public:
    Caller(port::Shard& shard, std::unique_ptr<port::Connection> connection)
        : answer(shard), connection_(std::move(connection)) {}

    void ask(const CallBody& body) {
        FrameBuilder hello;
        connection_->out().append(hello.finish({FrameType::Hello, {}, {}, 0, 0, 0}));
        connection_->out().append(call_frame({FrameType::Call, {}, {}, 0, 1, 0}, body));
        connection_->start(*this);
    }
    port::Consumed on_data(const Bytes& available) override {
        size_t at = 0;
        while (!answer.is_set()) {
            size_t used = 0;
            auto frame = read_frame(available.suffix(at), used);
            if (!frame) {
                answer.set(std::unexpected(frame.error()));
                break;
            }
            if (auto* more = std::get_if<NeedMore>(&*frame)) return {at, more->wanted};
            at += used;
            const Frame& f = std::get<Frame>(*frame);
            if (f.header.type == FrameType::CallReply) answer.set(read_reply(f.body));
        }
        return {available.size(), 0};
    }
    // The question was sent: nobody knows what became of it.
    void on_end_of_stream() override {
        fail_with({Errc::Closed, "the node closed the connection before it answered"});
    }
    void on_closed(const Error& why) override { fail_with(why); }
    void fail_with(const Error& why) {
        if (!answer.is_set()) answer.set(std::unexpected(why));
    }

    port::OneShot<Result<Bytes>> answer;

private:
    std::unique_ptr<port::Connection> connection_;
};

}  // namespace

Bytes call_frame(const Header& header, const CallBody& body) {
    FrameBuilder b(body.payload.size() + 64);
    b.body().bytes(body.name).bytes(body.payload);
    return b.finish(header);
}

Result<CallBody> read_call(const Bytes& body) {
    wire::Reader in(body);
    CallBody c{in.bytes().str(), in.bytes()};
    if (!in.ok()) return fail(Errc::Corrupt, "Call body");
    return c;
}

Bytes reply_frame(const Header& header, const Result<Bytes>& answer) {
    FrameBuilder b;
    if (answer)
        b.body().u8(0).bytes(*answer);
    else
        b.body().u8(static_cast<uint8_t>(answer.error().code) + 1).bytes(answer.error().context);
    return b.finish(header);
}

Result<Bytes> read_reply(const Bytes& body) {
    wire::Reader in(body);
    const uint8_t status = in.u8();
    const Bytes payload = in.bytes();
    if (!in.ok() || status > static_cast<uint8_t>(Errc::Conflict) + 1)
        return fail(Errc::Corrupt, "CallReply body");
    if (status) return fail(static_cast<Errc>(status - 1), payload.str());
    return payload;
}

port::Task<Result<Bytes>> call_once(port::Shard& shard, port::Address address, CallBody body,
                                    Duration timeout) {
    auto connection = co_await shard.net().connect(address, "", timeout);
    // Whoever was not reached has heard nothing.
    if (!connection) co_return fail(Errc::Unavailable, connection.error().context);
    Caller caller(shard, std::move(*connection));
    const auto timer = shard.timers().after(timeout, [&caller] {
        caller.fail_with({Errc::Timeout, "the node did not answer in time"});
    });
    caller.ask(body);
    auto answer = co_await caller.answer;
    shard.timers().cancel(timer);
    co_return answer;
}

}  // namespace asterias::rpc
