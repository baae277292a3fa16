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
constexpr uint64_t kSeedsMax = 1000;
constexpr uint64_t kControlSeeds = 60;

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
    {"journal_ack_before_sync", "hunt"},
    {"journal_recycled_record_accepted", "hunt"},
    {"journal_chain_ignored", "hunt"},
    {"journal_vote_lost_at_segment_switch", "hunt"},
    {"journal_tail_not_synced_at_open", "hunt"},
    {"journal_torn_as_valid", "hunt"},
    {"journal_purge_early", "hunt"},
    {"replica_ack_before_commit", "hunt"},
    {"replica_overlay_survives_leadership", "hunt"},
    {"replica_purge_early", "hunt"},
    {"router_reads_overtaken", "hunt"},
    {"session_dedupe_lost", "hunt"},
    {"engine_durable_too_early", "hunt"},
    {"engine_hole_after_crash", "hunt"},
    {"replica_no_effect_not_logged", "swarm"},
    {"rpc_handshake_without_end", "swarm"},
    {"rpc_length_unchecked", "swarm"},
};

// Planted bugs that need an order of events which a whole cluster shows too rarely, or that another
// layer makes up for; with the tests that catch them.
struct Elsewhere {
    const char* name;
    const char* caught_by;
};
constexpr Elsewhere kElsewhere[] = {
    {"raft_commit_old_term", "core/raft: rule03 script"},
    {"raft_append_aba", "core/raft: rule07 script, nemesis"},
    {"raft_no_prevote_lease", "core/raft: rule09 script"},
    {"raft_accept_other_life", "core/raft: RaftRule47"},
    {"replica_retry_overtaken", "service/replica; gateways send again in order"},
    {"replica_same_round_refused", "service/replica; the router now says UNKNOWN"},
    {"replica_answered_forgotten", "service/replica; the router now says UNKNOWN"},
    {"session_old_start_is_new", "core/session, service/replica"},
    {"engine_install_not_atomic", "engine/conformance (nothing installs yet)"},
};

struct Hunt {
    bool caught = false;
    uint64_t seeds = 0;
    std::string by;
};

Scenario load(const std::string& path) {
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    auto scenario = parse_scenario(path, text);
    CHECK(scenario.has_value(), "the scenarios of the house parse");
    return std::move(*scenario);
}

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

// Without a bug planted nothing may be caught, or the hunt would prove nothing.
bool control(size_t jobs) {
    for (const char* name : {"hunt", "partition", "swarm"}) {
        const std::string path = "sim/scenarios/" + std::string(name) + ".txt";
        bool clean = true;
        in_processes(
            kControlSeeds, jobs,
            [&](size_t i) { return encode(run_measured(load(path), i, false, {})); },
            [&](size_t i, Remains remains) {
                const SeedOutcome o = decode(i, remains);
                clean = o.stats.verdict == Verdict::Pass;
                if (!clean)
                    std::printf("seed %zu of %s fails without a planted bug: %s\n", i, path.c_str(),
                                o.stats.failure.c_str());
                return clean;
            });
        if (!clean) return false;
    }
    std::printf("no bug planted: %" PRIu64 " seeds of each scenario pass\n", kControlSeeds);
    return true;
}

bool hunt_mutants(const std::string& only, size_t jobs) {
    size_t caught = 0, hunted = 0;
    if (!control(jobs)) {
        std::printf("FAILED: the simulator fails without a planted bug\n");
        return false;
    }
    for (const Planted& planted : kPlanted) {
        if (!only.empty() && only != planted.name) continue;
        ++hunted;
        const std::string path = "sim/scenarios/" + std::string(planted.scenario) + ".txt";
        const Hunt h = hunt(load(path), planted.name, jobs);
        caught += h.caught;
        std::printf("%-38s %-10s %s %" PRIu64 " seeds  %.150s\n", planted.name, planted.scenario,
                    h.caught ? "caught after" : "NOT CAUGHT in", h.seeds, h.by.c_str());
        std::fflush(stdout);
    }
    if (only.empty())
        for (const Elsewhere& e : kElsewhere)
            std::printf("%-38s not hunted here: %s\n", e.name, e.caught_by);
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
