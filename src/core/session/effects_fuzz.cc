// Payloads of Effects entries and stored session windows. A log is read by every replica: what one
// accepts, all accept, and mean the same by it.
#include <cstdlib>

#include "core/session/effects.h"

using namespace asterias;
using namespace asterias::session;

namespace {
void require(bool condition) {
    if (!condition) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    if (size == 0) return 0;
    const Bytes data = Bytes::copy({reinterpret_cast<const char*>(bytes) + 1, size - 1});
    if (bytes[0] % 2) {
        if (auto e = decode_effects(data)) {
            auto same = decode_effects(encode(*e));
            require(same && *same == *e);
        }
        return 0;
    }
    Table table;
    if (!table.load(data)) return 0;
    wire::Reader in(data);
    in.u8();
    const NodeId node(in.varint());
    const ShardId shard(in.varint());
    const SessionId id{node, Incarnation(in.varint()), shard};
    Table again;
    require(again.load(table.encode(id)).has_value());
    require(again.encode(id) == table.encode(id));
    return 0;
}
