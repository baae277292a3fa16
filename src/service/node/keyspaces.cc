#include "service/node/keyspaces.h"

namespace asterias::node {

using catalogue::State;

catalogue::Catalogue catalogue_at_birth(const Founding& founding) {
    catalogue::Catalogue c;
    for (const auto& k : catalogue_of(founding).keyspaces) {
        catalogue::Keyspace made;
        made.id = k.id;
        made.name = k.name;
        for (const NodeId node : members_of(founding, k.group))
            made.members.push_back({node, 0});
        made.copies = static_cast<uint32_t>(made.members.size());
        c.keyspaces.push_back(std::move(made));
        c.next = KeyspaceId(k.id.value + 1);
    }
    return c;
}

router::Catalogue routes_of(const catalogue::Catalogue& catalogue) {
    router::Catalogue routes;
    routes.generation = catalogue.generation;
    routes.moving = catalogue.moving();
    for (const auto& k : catalogue.keyspaces) {
        // Until the fence stands `default` serves it.
        if (k.state == State::Founding || k.state == State::Fencing) continue;
        const bool serves =
            k.state == State::Serving || k.state == State::Clearing || k.state == State::Closing;
        routes.keyspaces.push_back({k.id, k.name, serves ? k.group() : GroupId()});
    }
    return routes;
}

std::vector<GroupId> groups_of(const catalogue::Catalogue& catalogue) {
    std::vector<GroupId> groups{kSystemGroup};
    for (const auto& k : catalogue.keyspaces)
        groups.push_back(k.group());
    return groups;
}

std::string keyspace_name(const catalogue::Catalogue& catalogue, GroupId group) {
    if (group == kSystemGroup) return "system";
    const auto* k = catalogue.of(group);
    return k ? k->name : "";
}

bool is_founding_group(const Founding& founding, GroupId group) {
    for (const GroupId born : groups_of(founding))
        if (born == group) return true;
    return false;
}

std::vector<catalogue::Birth> births_of(const Founding& founding,
                                        const catalogue::Catalogue& catalogue, GroupId group) {
    if (const auto* k = catalogue.of(group)) return k->members;
    std::vector<catalogue::Birth> births;
    if (group == kSystemGroup)
        for (const NodeId node : members_of(founding, group))
            births.push_back({node, 0});
    return births;
}

std::map<GroupId, std::vector<NodeId>> members_of(const Founding& founding,
                                                  const catalogue::Catalogue& catalogue) {
    std::map<GroupId, std::vector<NodeId>> all;
    for (const GroupId group : groups_of(catalogue))
        for (const auto& birth : births_of(founding, catalogue, group))
            all[group].push_back(birth.node);
    return all;
}

size_t wanted_copies(const Founding& founding, const catalogue::Catalogue& catalogue,
                     GroupId group) {
    if (const auto* k = catalogue.of(group)) return k->copies;
    return members_of(founding, group).size();
}

}  // namespace asterias::node
