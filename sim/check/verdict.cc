#include "sim/check/verdict.h"

#include <algorithm>

namespace asterias::sim {

std::string_view to_string(Verdict verdict) {
    switch (verdict) {
        case Verdict::Pass:
            return "pass";
        case Verdict::Undecided:
            return "undecided";
        case Verdict::Violation:
            return "VIOLATION";
    }
    return "?";
}

Verdict CheckReport::verdict() const {
    Verdict worst = Verdict::Pass;
    for (const Finding& finding : findings)
        worst = std::max(worst, finding.verdict);
    return worst;
}

void CheckReport::add(CheckReport other) {
    for (Finding& finding : other.findings)
        findings.push_back(std::move(finding));
    operations += other.operations;
    steps += other.steps;
}

std::string CheckReport::print() const {
    if (findings.empty()) return "pass\n";
    std::string out;
    for (const Finding& finding : findings) {
        out +=
            std::string(to_string(finding.verdict)) + " of " + finding.check + ": " + finding.text;
        if (!finding.trace.empty())
            out += "A short history that shows it:\n" + sim::print(finding.trace);
    }
    return out;
}

}  // namespace asterias::sim
