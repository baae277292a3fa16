// Snapshot and SnapshotReply frames from a peer that says anything. What is read can be written,
// and is read again as the same; what a piece holds is pairs, or refused.
#include <cstdlib>

#include "service/replica/snapshot.h"

using namespace asterias;
using namespace asterias::replica;

namespace {
void require(bool condition) {
    if (!condition) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    if (size == 0) return 0;
    const Bytes data = Bytes::copy({reinterpret_cast<const char*>(bytes) + 1, size - 1});
    wire::Writer out;
    if (bytes[0] % 2) {
        const auto reply = read_snapshot_reply(data);
        if (!reply) return 0;
        write_snapshot_reply(out, *reply);
        const auto same = read_snapshot_reply(out.take());
        require(same && *same == *reply);
        return 0;
    }
    const auto message = read_snapshot(data);
    if (!message) return 0;
    write_snapshot(out, *message);
    const auto same = read_snapshot(out.take());
    require(same && *same == *message);
    const auto* piece = std::get_if<SnapshotPiece>(&message->body);
    if (!piece) return 0;
    const auto pairs = decode_pairs(piece->content);
    if (pairs) require(*decode_pairs(encode_pairs(*pairs)) == *pairs);
    return 0;
}
