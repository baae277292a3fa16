// service/router/catalogue.h: which keyspaces there are and which group holds each. A key belongs
// to the keyspace whose name is the key's prefix before its first ':', if there is one of that
// name; everything else lives in `default`. One that is on its way in or out has no group here: its
// keys wait for the next catalogue.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "core/raft/types.h"

namespace asterias::router {

struct Keyspace {
    KeyspaceId id;
    std::string name;
    GroupId group;  // 0: on its way
    bool operator==(const Keyspace&) const = default;
};

struct Catalogue {
    uint64_t generation = 1;
    std::vector<Keyspace> keyspaces;  // the first one is `default`
    bool moving = false;              // nobody may speak of all keys now: see core/catalogue
    bool operator==(const Catalogue&) const = default;

    // The key's keyspace, for every key, the empty one too; `keyspaces` is not empty. Linear in the
    // number of keyspaces, which are few.
    const Keyspace& of(std::string_view key) const;
    // Of all keys that begin with `name` and a colon.
    const Keyspace& named(std::string_view name) const;
};

}  // namespace asterias::router
