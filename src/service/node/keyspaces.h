// service/node/keyspaces.h: what follows from the catalogue: groups, names, members at birth,
// routes. Until the first change is committed it is a function of the founding record, the same on
// every node. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/catalogue/catalogue.h"
#include "service/node/identity.h"

namespace asterias::node {

// `founding` is complete.
catalogue::Catalogue catalogue_at_birth(const Founding& founding);
// What routers need of it; a keyspace that is on its way in or out has no group there.
router::Catalogue routes_of(const catalogue::Catalogue& catalogue);
// The system group first, then those of the keyspaces, ascending.
std::vector<GroupId> groups_of(const catalogue::Catalogue& catalogue);
std::string keyspace_name(const catalogue::Catalogue& catalogue, GroupId group);
// Was the group there when the cluster was born?
bool is_founding_group(const Founding& founding, GroupId group);
// Its members at birth, ascending. Empty: there is no such group.
std::vector<catalogue::Birth> births_of(const Founding& founding,
                                        const catalogue::Catalogue& catalogue, GroupId group);
std::map<GroupId, std::vector<NodeId>> members_of(const Founding& founding,
                                                  const catalogue::Catalogue& catalogue);
size_t wanted_copies(const Founding& founding, const catalogue::Catalogue& catalogue,
                     GroupId group);

}  // namespace asterias::node
