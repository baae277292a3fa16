#include "service/node/join.h"

#include "wire/reader.h"
#include "wire/writer.h"

namespace asterias::node {

Bytes encode(const JoinRequest& r) {
    wire::Writer out;
    out.u64(r.nonce).bytes(r.peer_address.host).u16(r.peer_address.port);
    out.bytes(r.door_address.host).u16(r.door_address.port).u64(r.replace.value);
    return out.take();
}

Result<JoinRequest> decode_join(const Bytes& bytes) {
    wire::Reader in(bytes);
    JoinRequest r;
    r.nonce = in.u64();
    r.peer_address = {in.bytes().str(), in.u16()};
    r.door_address = {in.bytes().str(), in.u16()};
    r.replace = NodeId(in.u64());
    if (!in.ok() || !in.at_end() || r.nonce == 0) return fail(Errc::Corrupt, "join request");
    return r;
}

Bytes encode(const Joined& joined) {
    wire::Writer out;
    out.u64(joined.node.value).u64(joined.before.value).raw(encode(joined.founding).view());
    return out.take();
}

Result<Joined> decode_joined(const Bytes& bytes) {
    wire::Reader in(bytes);
    Joined joined;
    joined.node = NodeId(in.u64());
    joined.before = Incarnation(in.u64());
    if (!in.ok() || !joined.node) return fail(Errc::Corrupt, "answer to a join");
    auto founding = decode_founding(in.raw(in.remaining()));
    if (!founding) return std::unexpected(founding.error());
    joined.founding = std::move(*founding);
    return joined;
}

}  // namespace asterias::node
