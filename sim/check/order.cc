#include "sim/check/order.h"

namespace asterias::sim {

CheckReport check_order(const History& history, const SearchLimits& limits,
                        std::optional<Duration> expiry) {
    const History merged = merge_requests(history);
    CheckReport report =
        judge(merged, {.name = "order", .by_connection = true, .expiry = expiry}, limits);
    if (report.verdict() != Verdict::Violation) return report;
    const Verdict without =
        quick_verdict(merged, {.name = "linearizable", .expiry = expiry}, limits.steps_max);
    if (without != Verdict::Violation) return report;
    for (Finding& finding : report.findings)
        if (finding.verdict == Verdict::Violation)
            finding.text += "(The history is not linearizable even without that order.)\n";
    return report;
}

}  // namespace asterias::sim
