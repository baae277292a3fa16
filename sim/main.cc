// asterias-sim: whole clusters in virtual time, under faults, judged by what their clients saw.
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>

#include <CLI/CLI.hpp>

#include "sim/mutants.h"
#include "sim/sweep.h"

namespace asterias::sim {
namespace {

constexpr int kPassed = 0, kFailed = 1, kUsage = 2;

std::optional<Scenario> load(const std::string& path) {
    std::ifstream file(path);
    if (!file) {
        std::fprintf(stderr,
                     "asterias-sim: no scenario at %s (run it from the checkout's root, or "
                     "name one with --scenario)\n",
                     path.c_str());
        return {};
    }
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    auto scenario = parse_scenario(path, text);
    if (scenario) return std::move(*scenario);
    std::fprintf(stderr, "asterias-sim: %s\n", scenario.error().describe().c_str());
    return {};
}

// One seed, here, told as it happens.
int tell(const Scenario& scenario, const std::string& path, uint64_t seed, bool twice) {
    const auto story = [](std::string_view line) {
        std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
    };
    const SeedOutcome o = run_measured(scenario, seed, twice, story);
    std::printf("%s", o.profile.c_str());
    if (o.stats.verdict != Verdict::Pass) std::printf("\n%s", o.explanation.c_str());
    std::printf("%s: seed %" PRIu64 " of %s, hash %016" PRIx64 ", %" PRIu64 " operations, %" PRIu64
                " events, %.0f simulated s in %.2f CPU s\n",
                o.stats.verdict == Verdict::Pass ? "passed" : "FAILED", seed, path.c_str(), o.hash,
                o.stats.operations, o.events, o.stats.simulated_seconds, o.stats.cpu_seconds);
    return o.stats.verdict == Verdict::Pass ? kPassed : kFailed;
}

int run(int argc, char** argv) {
    CLI::App cli{"Runs simulated clusters under faults and judges what their clients saw."};
    SweepPlan plan;
    plan.scenario_path = "sim/scenarios/swarm.txt";
    std::optional<uint64_t> seed;
    bool trace = false, mutants = false;
    std::string only;
    cli.add_option("--scenario", plan.scenario_path, "the scenario's file")->capture_default_str();
    cli.add_option("--seeds", plan.seeds, "how many seeds")->capture_default_str();
    cli.add_option("--from", plan.from, "the first of them")->capture_default_str();
    cli.add_option("--seed", seed, "one seed");
    cli.add_option("--jobs", plan.jobs, "seeds at a time")
        ->check(CLI::Range(size_t{1}, size_t{256}))
        ->capture_default_str();
    cli.add_flag("--trace", trace, "with --seed: tell what happens");
    cli.add_flag("--hash", plan.hashes, "print each seed's hash");
    cli.add_flag("--twice", plan.twice, "each seed twice; the hashes must agree");
    cli.add_flag("--mutants", mutants, "plant each known bug; the checkers must catch it");
    cli.add_option("--mutant", only, "with --mutants: this one only; with --seed: planted in it");
    try {
        cli.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return cli.exit(e) == 0 ? kPassed : kUsage;
    }
    if (mutants) return hunt_mutants(only, plan.jobs) ? kPassed : kFailed;
    if (!only.empty() && !plant(only)) return kUsage;
    const auto scenario = load(plan.scenario_path);
    if (!scenario) return kUsage;
    if (seed && trace) return tell(*scenario, plan.scenario_path, *seed, plan.twice);
    if (seed) {
        plan.from = *seed;
        plan.seeds = 1;
    }
    return run_sweep(plan, *scenario) ? kPassed : kFailed;
}

}  // namespace
}  // namespace asterias::sim

int main(int argc, char** argv) { return asterias::sim::run(argc, argv); }
