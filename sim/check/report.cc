#include "sim/check/report.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>

#include "base/check.h"

namespace asterias::sim {

namespace {

template <auto Member>
double value_of(const SeedStats& stats) {
    return static_cast<double>(stats.*Member);
}

constexpr std::array<Metric, 12> kMetrics = {{
    {"operations", "ops", value_of<&SeedStats::operations>, 0},
    {"unknown", "unknown", value_of<&SeedStats::unknown>, 0},
    {"failed", "failed", value_of<&SeedStats::failed>, 0},
    {"leader_changes", "leaders", value_of<&SeedStats::leader_changes>, 0},
    {"crashes", "crashes", value_of<&SeedStats::crashes>, 0},
    {"crashes_losing_data", "losing", value_of<&SeedStats::crashes_losing_data>, 0},
    {"partitions", "partitions", value_of<&SeedStats::partitions>, 0},
    {"snapshots", "snapshots", value_of<&SeedStats::snapshots>, 0},
    {"members", "members", value_of<&SeedStats::members>, 0},
    {"fault_hits", "faults", value_of<&SeedStats::fault_hits>, 0},
    {"simulated_seconds", "sim s", value_of<&SeedStats::simulated_seconds>, 1},
    {"cpu_seconds", "cpu s", value_of<&SeedStats::cpu_seconds>, 2},
}};

std::string number(double value, int decimals) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", decimals, value);
    return text;
}

// A median may be a half even of counts.
std::string median_text(double value, int decimals) {
    const bool half = decimals == 0 && value != static_cast<double>(static_cast<int64_t>(value));
    return number(value, half ? 1 : decimals);
}

using Row = std::vector<std::string>;

// Columns as wide as their widest cell, two blanks apart; numbers to the right, the rest (`left`,
// and the last column) to the left.
std::string table(const std::vector<Row>& rows, const std::vector<bool>& left) {
    std::vector<size_t> width(left.size(), 0);
    for (const Row& row : rows)
        for (size_t c = 0; c < row.size(); ++c)
            width[c] = std::max(width[c], row[c].size());
    std::string out;
    for (const Row& row : rows) {
        std::string line = " ";
        for (size_t c = 0; c < row.size(); ++c) {
            const std::string pad(width[c] - row[c].size(), ' ');
            line += " " + (left[c] ? row[c] + pad : pad + row[c]) + (c + 1 < row.size() ? " " : "");
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

Row seed_row(const SeedStats& stats) {
    Row row = {std::to_string(stats.seed)};
    for (const Metric& metric : kMetrics)
        row.push_back(number(metric.value(stats), metric.decimals));
    row.push_back(std::string(to_string(stats.verdict)));
    if (!stats.failure.empty()) row.back() += ": " + stats.failure;
    return row;
}

bool went_wrong(const SeedStats& stats) {
    return stats.verdict != Verdict::Pass || !stats.failure.empty();
}

}  // namespace

std::span<const Metric> metrics() { return kMetrics; }

const Metric* find_metric(std::string_view name) {
    for (const Metric& metric : kMetrics)
        if (metric.name == name) return &metric;
    return nullptr;
}

void count_operations(const History& history, SeedStats& stats) {
    for (const Op& op : history) {
        stats.operations += op.outcome == Outcome::Ok;
        stats.unknown += op.outcome == Outcome::Unknown;
        stats.failed += op.outcome == Outcome::Failed;
    }
}

void SweepReport::add(SeedStats stats) {
    for (const auto& [site, hits] : stats.sites)
        sites_[site] += hits;
    seeds_.push_back(std::move(stats));
}

double SweepReport::median(const Metric& metric) const {
    std::vector<double> values;
    for (const SeedStats& stats : seeds_)
        values.push_back(metric.value(stats));
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<std::string> SweepReport::failures() const {
    std::vector<std::string> found;
    if (seeds_.empty()) found.push_back("no seed was run");
    for (const SeedStats& stats : seeds_)
        if (went_wrong(stats))
            found.push_back("seed " + std::to_string(stats.seed) + ": " +
                            std::string(to_string(stats.verdict)) +
                            (stats.failure.empty() ? "" : ": " + stats.failure));
    for (const Requirement& required : required_) {
        const Metric* metric = find_metric(required.metric);
        CHECK(metric, "the scenario parser admits only known metrics");
        const uint64_t minimum = std::max<uint64_t>(required.minimum, 1);
        if (median(*metric) < static_cast<double>(minimum))
            found.push_back("median of " + required.metric + " is " +
                            median_text(median(*metric), metric->decimals) + ", required " +
                            std::to_string(minimum));
    }
    for (const auto& [site, hits] : sites_)
        if (hits == 0) found.push_back("fault site " + site + " was never hit");
    return found;
}

std::string SweepReport::seed_table(size_t rows_max) const {
    Row header = {"seed"}, least = {"min"}, middle = {"median"}, most = {"max"}, sum = {"total"};
    std::vector<bool> left = {false};
    for (const Metric& metric : kMetrics) {
        double low = std::numeric_limits<double>::max(), high = 0, total = 0;
        for (const SeedStats& stats : seeds_) {
            const double value = metric.value(stats);
            low = std::min(low, value);
            high = std::max(high, value);
            total += value;
        }
        header.push_back(std::string(metric.title));
        least.push_back(number(seeds_.empty() ? 0 : low, metric.decimals));
        middle.push_back(median_text(median(metric), metric.decimals));
        most.push_back(number(high, metric.decimals));
        sum.push_back(number(total, metric.decimals));
        left.push_back(false);
    }
    header.push_back("verdict");
    left.push_back(true);
    std::vector<Row> rows = {header};
    for (const bool wrong : {true, false})
        for (const SeedStats& stats : seeds_)
            if (went_wrong(stats) == wrong && rows.size() <= rows_max)
                rows.push_back(seed_row(stats));
    const size_t hidden = seeds_.size() + 1 - rows.size();
    for (Row* row : {&least, &middle, &most, &sum})
        rows.push_back(std::move(*row));
    return table(rows, left) +
           (hidden ? "  (" + std::to_string(hidden) + " more seeds not shown)\n" : "");
}

std::string SweepReport::requirement_table() const {
    std::vector<Row> rows = {{"required", "median", "minimum", ""}};
    for (const Requirement& required : required_) {
        const Metric* metric = find_metric(required.metric);
        CHECK(metric, "the scenario parser admits only known metrics");
        const double value = median(*metric);
        const bool met = value >= static_cast<double>(std::max<uint64_t>(required.minimum, 1));
        rows.push_back({required.metric, median_text(value, metric->decimals),
                        std::to_string(required.minimum), met ? "ok" : "FAILURE"});
    }
    return table(rows, {true, false, false, true});
}

std::string SweepReport::site_table() const {
    std::vector<Row> rows = {{"fault site", "hits", "seeds", ""}};
    for (const auto& [site, hits] : sites_) {
        const auto reached = std::count_if(seeds_.begin(), seeds_.end(), [&](const SeedStats& s) {
            const auto at = s.sites.find(site);
            return at != s.sites.end() && at->second > 0;
        });
        rows.push_back(
            {site, std::to_string(hits), std::to_string(reached), hits ? "" : "NEVER HIT"});
    }
    return table(rows, {true, false, false, true});
}

std::string SweepReport::print(size_t rows_max) const {
    std::string out = seed_table(rows_max);
    if (!required_.empty()) out += "\n" + requirement_table();
    if (!sites_.empty()) out += "\n" + site_table();
    const std::vector<std::string> wrong = failures();
    if (wrong.empty()) return out + "\nPASS: " + std::to_string(seeds_.size()) + " seeds\n";
    out += "\nFAIL:\n";
    for (const std::string& line : wrong)
        out += "  " + line + "\n";
    return out;
}

}  // namespace asterias::sim
