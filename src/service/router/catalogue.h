// service/router/catalogue.h: which keyspaces there are and which group holds each. A key belongs
// to the keyspace whose name is the key's prefix before its first ':', if there is one of that
// name; everything else lives in `default`. Fixed at the cluster's birth for now.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "core/raft/types.h"

namespace asterias::router {

struct Keyspace {
    KeyspaceId id;
    std::string name;
    GroupId group;
    bool operator==(const Keyspace&) const = default;
};

struct Catalogue {
    uint64_t generation = 1;
    std::vector<Keyspace> keyspaces;  // the first one is `default`
    bool operator==(const Catalogue&) const = default;

    // The key's keyspace, for every key, the empty one too; `keyspaces` is not empty. Linear in the
    // number of keyspaces, which are few.
    const Keyspace& of(std::string_view key) const;
};

}  // namespace asterias::router
