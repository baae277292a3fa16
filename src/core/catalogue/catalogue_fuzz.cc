// The two records and the orders that change a boundary: what one node accepts, all accept, and
// mean the same by it.
#include <cstdlib>

#include "core/catalogue/boundary.h"
#include "core/catalogue/catalogue.h"

using namespace asterias;
using namespace asterias::catalogue;

namespace {
void require(bool condition) {
    if (!condition) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    if (size == 0) return 0;
    const Bytes data = Bytes::copy({reinterpret_cast<const char*>(bytes) + 1, size - 1});
    switch (bytes[0] % 3) {
        case 0: {
            const auto c = decode_catalogue(data);
            if (c) require(decode_catalogue(encode(*c)).value() == *c);
            break;
        }
        case 1: {
            const auto b = decode_boundary(data);
            if (b) require(decode_boundary(encode(*b)).value() == *b);
            break;
        }
        default: {
            const auto order = decode_order(data);
            if (!order) break;
            require(decode_order(encode(*order)).value() == *order);
            Boundary now;
            now.generation = now.since = 1;
            now.fenced.push_back("cart");
            const Place place{GroupId(2), KeyspaceId(1)};
            const auto decided = evaluate(now, command_of(*order, place.keyspace), place,
                                          {1, HybridTime(1), LogIndex(1)});
            require(decided.boundary.has_value() == !decided.evaluation.writes.empty());
            if (decided.boundary)
                require(decode_boundary(encode(*decided.boundary)).value() == *decided.boundary);
        }
    }
    return 0;
}
