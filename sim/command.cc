#include "sim/command.h"

#include <cinttypes>
#include <cstdio>
#include <optional>

#include <CLI/CLI.hpp>

#include "sim/mutants.h"
#include "sim/scenarios.h"
#include "sim/story.h"
#include "sim/sweep.h"

namespace asterias::sim {
namespace {

constexpr int kPassed = 0, kFailed = 1, kUsage = 2;

struct Asked {
    SweepPlan plan;
    std::optional<uint64_t> seed;
    bool no_shrink = false, operations = false;
    bool trace = false, mutants = false, list = false, show = false;
    std::string mutant;
};

std::string footer(const std::string& program) {
    std::string names;
    for (const HouseScenario& scenario : house_scenarios())
        names += (names.empty() ? "" : ", ") + std::string(scenario.name);
    return "A sweep prints what each seed did, medians and required minima, and how often each "
           "fault "
           "happened;\na failing seed with the line that replays it and the shortest history that "
           "shows what was wrong;\nof the first of them also the smallest scenario that was found "
           "to fail so.\n"
           "Scenarios that are built in: " +
           names +
           ".\n"
           "Exit codes: 0 passed, 1 failed, 2 wrong use.\n"
           "Examples:\n  " +
           program + " --scenario crash --seeds 20\n  " + program +
           " --scenario swarm --show > mine.txt; " + program + " --scenario mine.txt\n  " +
           program + " --seed 7 --trace";
}

void declare(CLI::App& cli, Asked& asked) {
    SweepPlan& plan = asked.plan;
    cli.add_option("--scenario", plan.scenario, "One that is built in, or a file")
        ->capture_default_str();
    cli.add_flag("--list", asked.list,
                 "The scenarios that are built in; with --mutants: the planted bugs");
    cli.add_flag("--show", asked.show, "The text of the scenario");
    auto* seeds = cli.add_option("--seeds", plan.seeds, "How many seeds")
                      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40))
                      ->capture_default_str();
    auto* from = cli.add_option("--from", plan.from, "The first of them")->capture_default_str();
    auto* seed = cli.add_option("--seed", asked.seed, "One seed")->excludes(seeds)->excludes(from);
    cli.add_option("--jobs", plan.jobs, "Seeds at a time")
        ->check(CLI::Range(size_t{1}, size_t{256}))
        ->capture_default_str();
    auto* trace = cli.add_flag("--trace", asked.trace, "Tell what happens")->needs(seed);
    cli.add_flag("--operations", asked.operations,
                 "With --trace: every operation, and every word of a node")
        ->needs(trace);
    cli.add_flag("--no-shrink", asked.no_shrink,
                 "Do not look for a smaller scenario in which the first failing seed fails");
    cli.add_flag("--hash", plan.hashes, "Print each seed's hash");
    cli.add_flag("--twice", plan.twice, "Each seed twice; the hashes must agree");
    cli.add_flag("--mutants", asked.mutants,
                 "Plant each known bug; the checkers must catch it (preset `mutants` only)");
    cli.add_option("--mutant", asked.mutant,
                   "With --mutants: this one only; else: planted in what is run");
}

int list(bool mutants) {
    if (mutants) {
        list_mutants();
        return kPassed;
    }
    for (const HouseScenario& scenario : house_scenarios())
        std::printf("%-10s %s\n", std::string(scenario.name).c_str(), summary(scenario).c_str());
    return kPassed;
}

int wrong(const std::string& program, const std::string& text) {
    std::fprintf(stderr, "%s: %s\n", program.c_str(), text.c_str());
    return kUsage;
}

// One seed, here, told as it happens.
int tell(const Scenario& scenario, const SweepPlan& plan, bool operations) {
    Storyteller teller(
        [](std::string_view line) {
            std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
        },
        operations);
    const SeedOutcome o = run_measured(scenario, plan.from, plan.twice,
                                       [&teller](std::string_view line) { teller.hear(line); });
    teller.end();
    const bool passed = o.stats.verdict == Verdict::Pass;
    std::printf("%s", o.profile.c_str());
    if (!passed) std::printf("\n%s", o.explanation.c_str());
    std::printf("%s: seed %" PRIu64 " of %s, hash %016" PRIx64 ", %" PRIu64 " operations, %" PRIu64
                " events, %.0f simulated s in %.2f CPU s\n",
                passed ? "passed" : "FAILED", plan.from, plan.scenario.c_str(), o.hash,
                o.stats.operations, o.events, o.stats.simulated_seconds, o.stats.cpu_seconds);
    return passed ? kPassed : kFailed;
}

int carry_out(Asked asked) {
    SweepPlan& plan = asked.plan;
    if (asked.list) return list(asked.mutants);
    if (asked.mutants) return hunt_mutants(asked.mutant, plan.jobs) ? kPassed : kFailed;
    if (!asked.mutant.empty() && !plant(asked.mutant)) return kUsage;
    const auto text = scenario_text(plan.scenario);
    if (!text) return wrong(plan.program, text.error().context);
    if (asked.show) {
        std::printf("%s", text->c_str());
        return kPassed;
    }
    const auto scenario = parse_scenario(plan.scenario, *text);
    if (!scenario) return wrong(plan.program, scenario.error().context);
    if (asked.seed) {
        plan.from = *asked.seed;
        plan.seeds = 1;
    }
    if (asked.no_shrink) plan.shrink_cpu_seconds = 0;
    if (asked.trace) return tell(*scenario, plan, asked.operations);
    return run_sweep(plan, *scenario) ? kPassed : kFailed;
}

}  // namespace

int run_command(int argc, const char* const* argv, const std::string& program) {
    CLI::App cli{
        "Runs simulated clusters - the node's own code in virtual time - under crashes, cuts, "
        "lost\n"
        "messages, failing disks and wrong clocks, and judges what their clients saw.",
        program};
    Asked asked;
    asked.plan.program = program;
    declare(cli, asked);
    cli.footer(footer(program));
    try {
        cli.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return cli.exit(e) == 0 ? kPassed : kUsage;
    }
    return carry_out(std::move(asked));
}

}  // namespace asterias::sim
