// service/node/orders.h: what an operator asks of a group: who holds it, and that this be changed.
// Any node takes an order; it is carried to the node that leads the group.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "core/raft/core.h"
#include "service/node/copies.h"
#include "service/node/identity.h"
#include "service/replica/replica.h"

namespace asterias::node {

struct Order {
    enum class What : uint8_t { List = 1, Add = 2, Remove = 3, Replace = 4, Transfer = 5 };
    What what = What::List;
    std::string keyspace;
    NodeId node;  // added, removed, put in the place of another, to lead; Transfer: 0 for the best
    NodeId from;  // Replace: who goes
    bool witness = false;  // Add
    bool force = false;    // although it is risky (copies.h)
    bool operator==(const Order&) const = default;
};

// The payload of the Call `replica` (docs/formats/identity.md). Error: Corrupt.
Bytes encode(const Order& order);
Result<Order> decode_order(const Bytes& payload);

// From the words of the command line. Errors: InvalidArgument, with what is missing or not known.
Result<Order::What> what_of(const std::string& word);
Result<void> check(const Order& order, const Founding& founding);
// For the log: "add node 3 as a witness, forced".
std::string describe(const Order& order);
// Not of List and Transfer.
raft::Change change_of(const Order& order);

// Who holds a group, as its leader says: docs/formats/identity.md.
std::string members_json(const replica::Status& group, const std::string& keyspace, NodeId leader,
                         const Copies& copies);

}  // namespace asterias::node
