// Bodies of other nodes. What is accepted and written again reads the same.
#include <cstdlib>

#include "service/pubsub/codec.h"

using namespace asterias;

namespace {
void require(bool condition) {
    if (!condition) std::abort();
}

Bytes written(const pubsub::Body& body) {
    wire::Writer out;
    if (const auto* interest = std::get_if<pubsub::Interest>(&body)) {
        pubsub::write_interest(out, *interest);
    } else if (const auto* known = std::get_if<pubsub::InterestKnown>(&body)) {
        pubsub::write_known(out, *known);
    } else {
        pubsub::begin_delivery(out);
        for (const auto& m : std::get<pubsub::Delivery>(body).messages)
            pubsub::write_message(out, m.number, m.message);
    }
    return out.take();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    auto body = pubsub::read_body(Bytes::copy({reinterpret_cast<const char*>(bytes), size}));
    if (!body) return 0;
    const Bytes once = written(*body);
    auto again = pubsub::read_body(once);
    require(again.has_value() && written(*again) == once);
    return 0;
}
