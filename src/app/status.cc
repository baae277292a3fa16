// asterias status: nodes and groups as one node sees them, on one screen.
#include <cstdio>

#include "app/commands.h"
#include "app/operate.h"
#include "app/view.h"

namespace asterias::app {
namespace {

constexpr size_t kGroupsShown = 12;

void print_members(const View& view) {
    std::printf("nodes:");
    for (const auto& m : view.members)
        std::printf(" %llu%s", static_cast<unsigned long long>(m.node),
                    m.connected ? "" : " (away)");
    std::printf("\n");
    for (const auto& m : view.members)
        if (!m.connected)
            std::printf("node %llu at %s is not connected (%s); asterias why says more\n",
                        static_cast<unsigned long long>(m.node), m.peer.c_str(), m.since.c_str());
}

void print_group(const View::Group& g) {
    const auto number = [](uint64_t n) { return std::to_string(n); };
    std::printf("%-6s %-14s %-12s %6s %6s %10s %10s %7s\n", number(g.group).c_str(),
                g.keyspace.c_str(), g.role.c_str(), g.leader ? number(g.leader).c_str() : "none",
                number(g.term).c_str(), number(g.commit).c_str(), number(g.applied).c_str(),
                g.copies.empty() ? "?" : (g.copies + "/" + g.wanted).c_str());
    if (!g.below.empty()) std::printf("       %s\n", g.below.c_str());
    if (!g.stopped.empty()) std::printf("       stopped: %s\n", g.stopped.c_str());
}

}  // namespace

int run_status(const StatusOptions& options) {
    const Caller caller{"status", "--node", options.json};
    const auto address = door_of(options.address, caller);
    if (!address) return kUsage;
    const auto json = http_get(*address, "/status", seconds(5));
    if (!json) return unreachable(json.error(), caller);
    if (options.json) {
        std::fputs(json->c_str(), stdout);
        return kDone;
    }
    const View view = view_of(*json);
    std::printf("cluster %s, seen from node %llu (start %s)\n", view.cluster.c_str(),
                static_cast<unsigned long long>(view.node), view.incarnation.c_str());
    print_members(view);
    std::printf("%-6s %-14s %-12s %6s %6s %10s %10s %7s\n", "group", "keyspace", "role here",
                "leader", "term", "commit", "applied", "copies");
    // On a screen there must be room for what is not well.
    size_t told = 0;
    for (const bool well : {false, true})
        for (const auto& group : view.groups) {
            if (group.well() != well || (well && !options.all && told >= kGroupsShown)) continue;
            print_group(group);
            ++told;
        }
    if (told < view.groups.size())
        std::printf("and %zu more, all well: --all shows them\n", view.groups.size() - told);
    return kDone;
}

}  // namespace asterias::app
