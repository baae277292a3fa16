#include "service/pubsub/codec.h"

#include "wire/reader.h"

namespace asterias::pubsub {
namespace {

enum class What : uint8_t { Whole = 1, Change = 2, Known = 3, Delivery = 4 };

Kind read_kind(wire::Reader& in) {
    const uint8_t kind = in.u8();
    if (kind == 0 || kind > kLastKind) in.set_failed();
    return static_cast<Kind>(kind);
}

Interest read_interest(wire::Reader& in, bool whole) {
    Interest interest{whole, in.varint(), {}};
    while (in.ok() && !in.at_end()) {
        const Kind kind = read_kind(in);
        Bytes name = in.bytes();
        interest.wanted.push_back({kind, std::move(name), in.varint()});
    }
    return interest;
}

InterestKnown read_known(wire::Reader& in) {
    InterestKnown known{in.varint(), false};
    const uint8_t lost = in.u8();
    known.lost = lost == 1;
    if (lost > 1 || !in.at_end()) in.set_failed();
    return known;
}

Delivery read_delivery(wire::Reader& in) {
    Delivery delivery;
    while (in.ok() && !in.at_end()) {
        Numbered one;
        one.number = in.varint();
        one.message.kind = read_kind(in);
        if (one.message.kind == Kind::Pattern) in.set_failed();
        one.message.channel = in.bytes();
        one.message.payload = in.bytes();
        delivery.messages.push_back(std::move(one));
    }
    return delivery;
}

}  // namespace

void write_interest(wire::Writer& out, const Interest& interest) {
    out.u8(static_cast<uint8_t>(interest.whole ? What::Whole : What::Change));
    out.varint(interest.version);
    for (const Wanted& w : interest.wanted)
        out.u8(static_cast<uint8_t>(w.kind)).bytes(w.name).varint(w.count);
}

void write_known(wire::Writer& out, const InterestKnown& known) {
    out.u8(static_cast<uint8_t>(What::Known)).varint(known.version).u8(known.lost);
}

void begin_delivery(wire::Writer& out) { out.u8(static_cast<uint8_t>(What::Delivery)); }

void write_message(wire::Writer& out, uint64_t number, const Message& message) {
    out.varint(number).u8(static_cast<uint8_t>(message.kind));
    out.bytes(message.channel).bytes(message.payload);
}

Result<Body> read_body(const Bytes& body) {
    wire::Reader in(body);
    const auto done = [&in](auto&& read) -> Result<Body> {
        if (!in.ok()) return fail(Errc::Corrupt, "a pubsub body that does not decode");
        return Body(std::move(read));
    };
    const auto what = static_cast<What>(in.u8());
    switch (what) {
        case What::Whole:
        case What::Change:
            return done(read_interest(in, what == What::Whole));
        case What::Known:
            return done(read_known(in));
        case What::Delivery:
            return done(read_delivery(in));
    }
    return fail(Errc::Corrupt, "a pubsub body of an unknown kind");
}

}  // namespace asterias::pubsub
