// raft-explore: explores one setup, or says which there are.
//   raft-explore --list
//   raft-explore NAME [--states N] [--audit N] [--mutant NAME]
// Exit codes: 0 all states within the bounds seen, no rule broken · 1 a rule is broken (the way
// there follows) · 2 wrong use · 3 not complete within --states
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/mutant.h"
#include "sim/explore/explorer.h"
#include "sim/explore/setups.h"

namespace {

using namespace asterias::sim::explore;

int usage() {
    std::fputs("usage: raft-explore --list | NAME [--states N] [--audit N] [--mutant NAME]\n",
               stderr);
    return 2;
}

void print(const Setup& setup, const Report& report) {
    for (const std::string& line : report.script)
        std::printf("%s%s", line.c_str(), line.ends_with('\n') ? "" : "\n");
    const char* verdict = !report.broken.empty() ? "BROKEN"
                          : report.complete      ? "complete"
                                                 : "NOT COMPLETE";
    std::printf("%s: %s, %" PRIu64 " states, %" PRIu64 " transitions, depth %u%s%s\n",
                setup.name.c_str(), verdict, report.states, report.transitions, report.depth,
                report.broken.empty() ? "" : ": ", report.broken.c_str());
    std::printf("    of %" PRIu64 " replica states (%" PRIu64 " in an install), %" PRIu64
                " parcels, %" PRIu64 " histories; at most %" PRIu64 " entries committed, %" PRIu64
                " memberships; %" PRIu64 " audited\n",
                report.replicas, report.installs, report.parcels, report.histories, report.commits,
                report.changes, report.audited);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return usage();
    const std::string_view name = argv[1];
    if (name == "--list") {
        for (const Setup& setup : setups())
            std::printf("%-24s %-6s %s\n", setup.name.c_str(), setup.brief ? "brief" : "long",
                        setup.about.c_str());
        return 0;
    }
    Limits limits;
    for (int i = 2; i < argc; i += 2) {
        const std::string_view option = argv[i];
        if (i + 1 >= argc) return usage();
        if (option == "--states")
            limits.states = std::strtoull(argv[i + 1], nullptr, 10);
        else if (option == "--audit")
            limits.audit_every = std::strtoull(argv[i + 1], nullptr, 10);
#ifdef ASTERIAS_MUTANTS
        else if (option == "--mutant")
            asterias::set_mutant(argv[i + 1]);
#endif
        else
            return usage();
    }
    const Setup* setup = find_setup(name);
    if (!setup) {
        std::fprintf(stderr, "raft-explore: no setup '%s'; --list names them\n", argv[1]);
        return 2;
    }
    Explorer explorer(*setup, limits);
    const Report report = explorer.run();
    print(*setup, report);
    if (!report.broken.empty()) return 1;
    return report.complete ? 0 : 3;
}
