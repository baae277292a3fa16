// Frames and the bodies that this room reads. What is accepted comes back byte for byte.
#include <cstdlib>

#include "service/rpc/call.h"
#include "service/rpc/frame.h"
#include "wire/fields.h"

using namespace asterias;

namespace {
void require(bool condition) {
    if (!condition) std::abort();
}

// The input as it comes from a network, then once more with its checksum made right, so that what
// lies behind the checksum is reached.
void frames(const Bytes& data) {
    size_t at = 0;
    for (;;) {
        size_t used = 0;
        const Bytes rest = data.suffix(at);
        auto read = rpc::read_frame(rest, used);
        if (!read) return;
        if (auto* more = std::get_if<rpc::NeedMore>(&*read)) {
            require(more->wanted > rest.size());
            require(more->wanted <= rpc::kFrameBytesMax + 12);
            return;
        }
        const auto& frame = std::get<rpc::Frame>(*read);
        require(used == rpc::kHeaderBytes + frame.body.size() && used <= rest.size());
        rpc::FrameBuilder again;
        again.body().raw(frame.body.view());
        require(again.finish(frame.header) == rest.slice(0, used));
        at += used;
    }
}

void bodies(const Bytes& body) {
    if (auto call = rpc::read_call(body)) {
        size_t used = 0;
        auto again = rpc::read_frame(rpc::call_frame({rpc::FrameType::Call}, *call), used);
        auto same = rpc::read_call(std::get<rpc::Frame>(*again).body);
        require(same && same->name == call->name && same->payload == call->payload);
    }
    (void)rpc::read_reply(body);
    wire::Fields fields(body);
    uint64_t sum = 0;
    while (fields.next())
        sum += fields.id() % 2 ? fields.number() : fields.body().size();
    (void)sum;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    const Bytes data = Bytes::copy({reinterpret_cast<const char*>(bytes), size});
    frames(data);
    bodies(data);
    if (size >= 4) {
        rpc::FrameBuilder right;
        right.body().raw(data.suffix(4).view());
        rpc::Header header;
        header.type = static_cast<rpc::FrameType>(bytes[0]);
        header.cluster = ClusterId(bytes[1]);
        header.request = bytes[2];
        frames(right.finish(header));
    }
    return 0;
}
