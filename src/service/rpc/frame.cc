#include "service/rpc/frame.h"

#include <cstring>

#include "base/crc32c.h"
#include "base/mutant.h"
#include "wire/reader.h"

namespace asterias::rpc {
namespace {
constexpr size_t kPrefixBytes = 12;  // length, its checksum, the checksum of the rest
}

FrameBuilder::FrameBuilder(size_t body_bytes) : out_(kHeaderBytes + body_bytes) {
    static constexpr char kBlank[kHeaderBytes] = {};
    out_.raw({kBlank, kHeaderBytes});
}

Bytes FrameBuilder::finish(const Header& h) {
    char head[kHeaderBytes];
    auto put = [&head](size_t at, auto v) { std::memcpy(head + at, &v, sizeof v); };
    const std::string_view body = out_.view().substr(kHeaderBytes);
    put(0, static_cast<uint32_t>(out_.size() - kPrefixBytes));
    put(4, crc32c({head, 4}));
    put(12, kFormat);
    put(14, static_cast<uint16_t>(h.type));
    put(16, h.cluster.value);
    put(24, static_cast<uint32_t>(h.cluster_incarnation.value));
    put(28, h.remaining_ms);
    put(32, h.request);
    put(40, h.trace);
    put(8, crc32c(body, crc32c({head + kPrefixBytes, kHeaderBytes - kPrefixBytes})));
    out_.patch(0, {head, kHeaderBytes});
    return out_.take();
}

Result<std::variant<Frame, NeedMore>> read_frame(const Bytes& data, size_t& used) {
    if (data.size() < kHeaderBytes) return NeedMore{kHeaderBytes};
    wire::Reader in(data);
    const uint32_t length = in.u32();
    const uint32_t length_crc = in.u32();
    const uint32_t crc = in.u32();
    if (length < kHeaderBytes - kPrefixBytes || length > kFrameBytesMax)
        return fail(Errc::Corrupt, "frame length " + std::to_string(length));
    // A damaged length must not wait for bytes that never come and swallow all that do.
    if (crc32c(data.view().substr(0, 4)) != length_crc && !MUTANT(rpc_length_unchecked))
        return fail(Errc::Corrupt, "frame length's checksum");
    const size_t whole = size_t{length} + kPrefixBytes;
    if (data.size() < whole) return NeedMore{whole};
    if (crc32c(data.view().substr(kPrefixBytes, length)) != crc)
        return fail(Errc::Corrupt, "frame checksum");
    const uint16_t format = in.u16();
    if (format != kFormat) return fail(Errc::Unsupported, "frame format " + std::to_string(format));
    const uint16_t type = in.u16();
    if (type == 0 || type > kLastFrameType)
        return fail(Errc::Unsupported, "frame type " + std::to_string(type));
    Frame f;
    f.header.type = static_cast<FrameType>(type);
    f.header.cluster = ClusterId(in.u64());
    f.header.cluster_incarnation = Incarnation(in.u32());
    f.header.remaining_ms = in.u32();
    f.header.request = in.u64();
    f.header.trace = in.u64();
    f.body = data.slice(kHeaderBytes, whole - kHeaderBytes);
    used = whole;
    return f;
}

}  // namespace asterias::rpc
