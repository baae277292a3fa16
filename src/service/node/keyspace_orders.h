// service/node/keyspace_orders.h: what an operator asks of the keyspaces. Any node takes an order.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/catalogue/catalogue.h"

namespace asterias::node {

struct KeyspaceOrder {
    enum class What : uint8_t { List, Describe, Create, Drop };
    What what = What::List;
    std::string name;
    uint32_t copies = 0;     // Create; 0: three, or as many as there are nodes
    std::vector<NodeId> on;  // Create: these nodes; empty: those with the fewest replicas
    bool move = false;       // Create: with the keys that `default` holds of it
    bool force = false;      // Drop: although it holds keys
    bool operator==(const KeyspaceOrder&) const = default;
};

// From the words of a request. Errors: InvalidArgument, with what is missing or not known.
Result<KeyspaceOrder> keyspace_order_of(std::map<std::string, std::string> query, bool change);

// {"generation":..,"keyspaces":[{"name":..,"id":..,"group":..,"state":..,"settled":..,"copies":..,
// "founded_on":[..],"promise":[..]}],"refusals":[{"id":..,"name":..,"why":..}]}; `name` not empty:
// only that one.
std::string keyspaces_json(const catalogue::Catalogue& catalogue, const std::string& name);

}  // namespace asterias::node
