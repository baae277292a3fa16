// service/node/join.h: the question and the answer of whoever joins (docs/formats/identity.md).
#pragma once

#include "service/node/identity.h"

namespace asterias::node {

struct JoinRequest {
    uint64_t nonce = 0;
    port::Address peer_address, door_address;
    NodeId replace;  // 0: a founding member
};
struct Joined {
    NodeId node;
    Incarnation before;  // what the first start follows on; 0: the first life
    Founding founding;
};

// Errors of decoding: Corrupt.
Bytes encode(const JoinRequest& request);
Result<JoinRequest> decode_join(const Bytes& bytes);
Bytes encode(const Joined& joined);
Result<Joined> decode_joined(const Bytes& bytes);

}  // namespace asterias::node
