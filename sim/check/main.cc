// check-history: judges a history of clients that is kept as text (sim/check/history.h), such as
// the one that tests/kill_nodes.py records from real clients.
//   check-history FILE   exit codes: 0 explained · 1 a violation · 2 wrong use or no history ·
//                        3 undecided within the search's bound, which is not a pass
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "sim/check/checks.h"

namespace {

struct Fates {
    size_t ok = 0, failed = 0, unknown = 0;
};

Fates fates_of(const asterias::sim::History& history) {
    using asterias::sim::Outcome;
    Fates fates;
    for (const auto& op : history)
        ++(op.outcome == Outcome::Ok       ? fates.ok
           : op.outcome == Outcome::Failed ? fates.failed
                                           : fates.unknown);
    return fates;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace asterias::sim;
    if (argc != 2) {
        std::fputs("usage: check-history FILE\n", stderr);
        return 2;
    }
    std::ifstream in(argv[1], std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    if (!in || text.str().empty()) {
        std::fprintf(stderr, "check-history: %s holds no history\n", argv[1]);
        return 2;
    }
    const auto history = parse_history(text.str());
    if (!history) {
        std::fprintf(stderr, "check-history: %s: %s\n", argv[1], history.error().context.c_str());
        return 2;
    }
    const Fates fates = fates_of(*history);
    const CheckReport report = run_checks(*history, {"linearizable", "order", "atomic"});
    std::fputs(report.print().c_str(), stdout);
    std::printf("%s: %zu operations (%zu ok, %zu failed, %zu unknown), %llu steps\n",
                std::string(to_string(report.verdict())).c_str(), history->size(), fates.ok,
                fates.failed, fates.unknown, static_cast<unsigned long long>(report.steps));
    switch (report.verdict()) {
        case Verdict::Pass:
            return 0;
        case Verdict::Violation:
            return 1;
        case Verdict::Undecided:
            return 3;
    }
    return 3;
}
