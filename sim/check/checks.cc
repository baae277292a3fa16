#include "sim/check/checks.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "sim/check/atomic.h"
#include "sim/check/linearizable.h"
#include "sim/check/order.h"

namespace asterias::sim {

namespace {
constexpr std::array<std::string_view, 3> kNames = {"linearizable", "order", "atomic"};
}

std::span<const std::string_view> check_names() { return kNames; }

CheckReport run_checks(const History& history, const std::vector<std::string>& names,
                       const SearchLimits& limits, std::optional<Duration> expiry) {
    const auto wanted = [&](std::string_view name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    for (const std::string& name : names)
        CHECK(std::find(kNames.begin(), kNames.end(), name) != kNames.end(),
              "the scenario parser admits only known checks");
    CheckReport report;
    if (wanted("linearizable")) report.add(check_linearizable(history, limits, expiry));
    // A history that is not linearizable breaks the order check too, for no new reason.
    if (wanted("order") && report.verdict() != Verdict::Violation)
        report.add(check_order(history, limits, expiry));
    if (wanted("atomic")) report.add(check_atomic(history));
    report.operations = history.size();
    return report;
}

}  // namespace asterias::sim
