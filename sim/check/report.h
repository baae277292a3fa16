// sim/check/report.h: what a sweep over seeds did, as tables; and whether it did enough. A run that
// finds nothing because nothing happened is a failure here: required figures are medians over the
// seeds, and every fault site must have been hit by some seed.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sim/check/verdict.h"

namespace asterias::sim {

// What one seed did. The names in metrics() are what `require` lines and tables use.
struct SeedStats {
    uint64_t seed = 0;
    Verdict verdict = Verdict::Pass;
    std::string failure;      // first line of what went wrong, if something did
    uint64_t operations = 0;  // completed with Ok
    uint64_t unknown = 0;
    uint64_t failed = 0;
    uint64_t leader_changes = 0;
    uint64_t crashes = 0;
    uint64_t crashes_losing_data = 0;  // that dropped at least one unsynced byte
    uint64_t partitions = 0;
    uint64_t snapshots = 0;   // installed
    uint64_t members = 0;     // changes of who votes in a group, done
    uint64_t fault_hits = 0;  // over all sites
    double simulated_seconds = 0;
    double cpu_seconds = 0;                 // measured by the caller; never decides anything
    std::map<std::string, uint64_t> sites;  // hits by fault site; 0: it exists and was not hit
};

struct Metric {
    std::string_view name;
    std::string_view title;  // of its column
    double (*value)(const SeedStats&);
    int decimals;
};
std::span<const Metric> metrics();
const Metric* find_metric(std::string_view name);  // null if there is none

// The median over the seeds must reach `minimum`, which is at least 1 of the metric's unit.
struct Requirement {
    std::string metric;
    uint64_t minimum = 1;

    bool operator==(const Requirement&) const = default;
};

// The counters of operations by fate; `reads` of the runner's own checks included.
void count_operations(const History& history, SeedStats& stats);

class SweepReport {
public:
    explicit SweepReport(std::vector<Requirement> required) : required_(std::move(required)) {}

    void add(SeedStats stats);
    // A site that the build knows, so that one which no seed even reached is listed.
    void know_site(std::string name) { sites_.try_emplace(std::move(name), 0); }

    // Of the values; of an even number the mean of the middle two. 0 if there are none.
    double median(const Metric& metric) const;
    // Everything that makes the sweep a failure, one line each: seeds, requirements, silent sites,
    // no seeds at all. Empty: it passed.
    std::vector<std::string> failures() const;
    bool passed() const { return failures().empty(); }
    // Per-seed table (failing seeds first when there are more than `rows_max`) that ends with
    // minimum, median, maximum and total of each column; requirements, sites, failures.
    std::string print(size_t rows_max = 40) const;

private:
    std::string seed_table(size_t rows_max) const;
    std::string requirement_table() const;
    std::string site_table() const;

    std::vector<Requirement> required_;
    std::vector<SeedStats> seeds_;
    std::map<std::string, uint64_t> sites_;
};

}  // namespace asterias::sim
