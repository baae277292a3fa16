#include "sim/mutants.h"

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "base/check.h"
#include "base/mutant.h"
#include "sim/sweep.h"

namespace asterias::sim {
namespace {

#ifdef ASTERIAS_MUTANTS
constexpr uint64_t kSeedsMax = 200;

struct Planted {
    const char* name;
    const char* scenario;
};
constexpr Planted kPlanted[] = {
    {"raft_vote_not_synced", "hunt"},
    {"raft_double_vote", "hunt"},
    {"raft_leader_counts_unsynced", "hunt"},
    {"raft_ack_before_sync", "hunt"},
    {"raft_truncate_matching", "hunt"},
    {"raft_read_without_round", "partition"},
    {"raft_accept_other_life", "hunt"},
    {"raft_append_aba", "hunt"},
    {"journal_ack_before_sync", "hunt"},
    {"journal_recycled_record_accepted", "hunt"},
    {"journal_chain_ignored", "hunt"},
    {"journal_vote_lost_at_segment_switch", "hunt"},
    {"journal_tail_not_synced_at_open", "hunt"},
    {"journal_torn_as_valid", "hunt"},
    {"journal_purge_early", "hunt"},
    {"replica_ack_before_commit", "hunt"},
    {"replica_overlay_survives_leadership", "hunt"},
    {"replica_retry_overtaken", "hunt"},
    {"replica_purge_early", "hunt"},
    {"router_reads_overtaken", "hunt"},
    {"session_dedupe_lost", "hunt"},
    {"engine_durable_too_early", "hunt"},
    {"engine_hole_after_crash", "hunt"},
};

struct Hunt {
    bool caught = false;
    uint64_t seeds = 0;
    std::string by;
};

Hunt hunt(const Scenario& scenario, const std::string& name, size_t jobs) {
    Hunt result;
    in_processes(
        kSeedsMax, jobs,
        [&](size_t i) {
            set_mutant(name);
            return encode(run_measured(scenario, i, false, {}));
        },
        [&](size_t i, Remains remains) {
            const SeedOutcome o = decode(i, remains);
            result.seeds = i + 1;
            if (o.stats.verdict != Verdict::Violation) return true;
            result.caught = true;
            result.by = o.stats.failure;
            return false;
        });
    return result;
}
#endif

}  // namespace

#ifdef ASTERIAS_MUTANTS
bool plant(const std::string& name) {
    set_mutant(name);
    return true;
}

bool hunt_mutants(const std::string& only, size_t jobs) {
    size_t caught = 0, hunted = 0;
    for (const Planted& planted : kPlanted) {
        if (!only.empty() && only != planted.name) continue;
        ++hunted;
        const std::string path = "sim/scenarios/" + std::string(planted.scenario) + ".txt";
        std::ifstream file(path);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        const auto scenario = parse_scenario(path, text);
        CHECK(scenario.has_value(), "the scenarios of the house parse");
        const Hunt h = hunt(*scenario, planted.name, jobs);
        caught += h.caught;
        std::printf("%-38s %-10s %s %" PRIu64 " seeds  %.150s\n", planted.name, planted.scenario,
                    h.caught ? "caught after" : "NOT CAUGHT in", h.seeds, h.by.c_str());
        std::fflush(stdout);
    }
    std::printf("%s: %zu of %zu planted bugs caught by the whole-node simulator\n",
                caught == hunted ? "passed" : "FAILED", caught, hunted);
    return hunted > 0 && caught == hunted;
}
#else
bool plant(const std::string&) {
    std::fprintf(stderr,
                 "asterias-sim: planted bugs exist in the preset `mutants` only: "
                 "./dev sim --mutants builds it\n");
    return false;
}
bool hunt_mutants(const std::string& only, size_t) { return plant(only); }
#endif

}  // namespace asterias::sim
