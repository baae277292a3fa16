// service/pubsub/codec.h: what nodes tell each other about messages (docs/formats/rpc.md, Pubsub):
// bodies of frames. Reading trusts nothing; what reads comes back byte for byte. Pure.
#pragma once

#include <variant>
#include <vector>

#include "base/result.h"
#include "service/pubsub/messages.h"
#include "wire/writer.h"

namespace asterias::pubsub {

// What a shard of a node wants to hear.
struct Wanted {
    Kind kind = Kind::Channel;
    Bytes name;
    uint64_t count = 0;  // subscriptions; 0: none any more
};
struct Interest {
    bool whole = false;    // else what changed since `version` - 1
    uint64_t version = 0;  // counts from 1, for a start of the node
    std::vector<Wanted> wanted;
};

// The answer: its receiver sends by that version now; or it lacks what came before it.
struct InterestKnown {
    uint64_t version = 0;
    bool lost = false;
};

// A message by its number, ascending for a shard of a node and its start; not all go to everybody.
struct Numbered {
    uint64_t number = 0;
    Message message;
};
struct Delivery {
    std::vector<Numbered> messages;
};

using Body = std::variant<Interest, InterestKnown, Delivery>;

void write_interest(wire::Writer& out, const Interest& interest);
void write_known(wire::Writer& out, const InterestKnown& known);
void begin_delivery(wire::Writer& out);  // then any number of
void write_message(wire::Writer& out, uint64_t number, const Message& message);

// Slices of `body`. Error: Corrupt.
Result<Body> read_body(const Bytes& body);

}  // namespace asterias::pubsub
