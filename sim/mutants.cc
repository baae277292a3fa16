#include "sim/mutants.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <string_view>

#include "base/check.h"
#include "base/mutant.h"
#include "sim/scenarios.h"
#include "sim/sweep.h"

namespace asterias::sim {
namespace {

struct Planted {
    const char* name;
    const char* scenario;  // of the house
};
constexpr Planted kPlanted[] = {
    {"raft_vote_not_synced", "votes"},
    {"raft_double_vote", "hunt"},
    {"raft_leader_counts_unsynced", "hunt"},
    {"raft_ack_before_sync", "hunt"},
    {"raft_truncate_matching", "hunt"},
    {"raft_read_without_round", "reads"},
    {"raft_append_aba", "aba"},
    {"journal_damage_as_tail", "rot_votes"},
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
    {"replica_flush_not_applied", "spans"},
    {"replica_flush_not_hidden", "spans"},
    {"replica_span_before_own_writes", "spans"},
    {"router_reads_overtaken", "hunt"},
    {"session_dedupe_lost", "hunt"},
    {"engine_durable_too_early", "hunt"},
    {"engine_hole_after_crash", "hunt"},
    {"raft_joint_one_majority", "joint"},
    {"raft_learner_votes", "joint"},
    {"raft_witness_serves", "witness"},
    {"raft_config_not_rolled_back", "rollbacks"},
    {"raft_two_changes", "rollbacks"},
    {"raft_snapshot_keeps_wrong_suffix", "snapshots"},
    {"replica_applied_not_in_snapshot", "snapshots"},
    {"replica_sessions_not_in_snapshot", "snapshots"},
    {"replica_install_before_begin", "snapshots"},
    {"replica_old_life_revived", "members"},
    {"journal_install_bracket_lost", "snapshots"},
    {"replica_orphan_stays", "members"},
    {"engine_install_keeps_old_keys", "snapshots"},
    {"engine_install_not_atomic", "snapshots"},
    {"journal_reset_forgotten_at_segment_switch", "snapshots"},
    {"journal_marks_without_self", "members"},
    {"raft_promote_unready", "rollbacks"},
    {"raft_removed_leader_counts_itself", "rollbacks"},
    {"replica_log_dropped_early", "snapshots"},
    {"rpc_handshake_without_end", "wire"},
    {"sim_door_impatient", "basic"},  // judges the demand that a healed cluster serves
    {"replica_fence_not_checked", "keyspaces"},
    {"replica_fence_not_in_snapshot", "keyspaces"},
    {"node_move_leaves_a_key", "keyspaces"},
    {"node_clear_forgotten", "keyspaces"},
    {"node_drop_uncounted", "keyspaces"},
    {"catalogue_close_ignored", "keyspaces_all_keys"},
    {"resp_span_out_of_turn", "keyspaces_all_keys"},
    {"node_older_catalogue_heard", "keyspaces_all_keys"},
    {"replica_span_sees_hidden", "keyspaces_all_keys"},
    {"router_spans_do_not_wait", "keyspaces_all_keys"},
    {"kv_expiry_not_logged", "clocks"},
    {"kv_expire_early", "expiry"},
    {"kv_expire_never", "expiry"},
    {"kv_incr_keeps_passed_deadline", "clocks"},
};

// Planted bugs that need an order of events which a whole cluster shows too rarely, that another
// layer makes up for, or that lie where the simulator does not reach; with the test binary that
// fails with MUTANT=name (tools/proof.d/mutants_units.sh runs each).
struct Elsewhere {
    const char* name;
    const char* test;
    const char* why;
};
constexpr Elsewhere kElsewhere[] = {
    {"raft_follower_read_unapplied", "test_core_raft", "rule 24: nobody asks followers yet"},
    {"journal_prepared_twice", "test_journal", "a slow start on a nearly full disk"},
    {"replica_void_number_heard", "test_service_replica", "a number that is given twice"},
    {"node_start_not_drawn", "test_service_node", "a directory that is copied"},
    {"node_old_copy_admitted", "test_service_node", "a directory that is rolled back"},
    {"node_history_not_asked", "test_service_node", "an old copy that is started often"},
    {"node_place_taken_with_replicas", "test_service_node", "an empty directory in a place"},
    {"node_place_noted_alone", "test_service_node", "who gave a place away is gone"},
    {"node_number_of_another_life", "test_service_node", "a copy given to a lost directory"},
    {"node_order_unforced", "test_service_node", "orders that leave too few copies"},
    {"node_unborn_opened", "test_service_node", "two crashes around a birth"},
    {"catalogue_reopened_called_off", "test_core_catalogue", "a drop in the ms of an opening"},
    {"node_slice_of_later", "test_service_node", "a replica removed while a slow disk reads"},
    {"node_copy_starts_over", "test_service_node", "many orders during one copy"},
    {"replica_lift_unwatched", "test_service_replica", "nobody watches"},
    {"node_move_leaves_requests", "test_service_node", "a request sent again after a move"},
    {"node_held_not_noted", "test_service_node", "a journal that is emptied"},
    {"node_fence_forgotten", "test_service_node", "a refused directory that is started again"},
    {"raft_commit_old_term", "test_core_raft", "rule 3's script"},
    {"raft_no_prevote_lease", "test_core_raft", "rule 9's script"},
    {"raft_accept_other_life", "test_core_raft", "rule 47"},
    {"raft_number_given_twice", "test_core_raft", "rule 47"},
    {"raft_second_leader_heard", "test_core_raft", "a lying peer"},
    {"raft_slow_disk_leads", "test_core_raft", "a matter of time, not of answers"},
    {"raft_full_leader_gives_up", "test_core_raft", "a matter of time, not of answers"},
    {"raft_self_counted_unsynced", "test_core_raft", "rules 8, 45"},
    {"raft_prevote_raises_term", "test_core_raft", "rule 9"},
    {"raft_no_check_quorum", "test_core_raft", "rule 10"},
    {"raft_vote_counted_twice", "test_core_raft", "rule 12"},
    {"raft_change_before_noop", "test_core_raft", "rules 4, 15"},
    {"raft_removed_disturbs", "test_core_raft", "rule 19; nemesis"},
    {"raft_transfer_proposes", "test_core_raft", "rule 21"},
    {"raft_lease_from_ack_time", "test_core_raft", "rule 23"},
    {"raft_install_acknowledged_early", "test_core_raft", "rule 26; nemesis"},
    {"raft_snapshot_stale_installed", "test_core_raft", "rule 27, nemesis"},
    {"raft_install_given", "test_core_raft", "rule 29"},
    {"raft_match_by_sender", "test_core_raft", "rule 30"},
    {"raft_quiet_never_wakes", "test_core_raft", "rule 40, nemesis"},
    {"kv_batch_blind", "test_core_kv", "its transactions write each key once"},
    {"kv_watch_ignored", "test_core_kv", "nobody watches"},
    {"kv_version_without_group", "test_core_kv", "nobody watches"},
    {"catalogue_move_forgets_deadlines", "test_core_catalogue", "no deadlines while keys move"},
    {"resp_cursor_forgets_generation", "test_edge_resp", "a scan that goes over several nodes"},
    {"router_older_catalogue_taken", "test_service_router", "nodes take no older one, either"},
    {"router_moved_keys_overtake", "test_service_router", "one seed in hundreds shows it"},
    {"replica_span_over_fence", "test_service_replica", "one seed in a hundred shows it"},
    {"catalogue_late_orders_taken", "test_core_catalogue", "an order that waited for a minute"},
    {"kv_flush_deletes_nothing", "test_core_kv", "nobody watches"},
    {"replica_span_expiry_not_logged", "test_service_replica", "its keys have no deadline"},
    {"replica_version_of_open_entry", "test_service_replica", "nobody watches"},
    {"raft_removed_leader_forgets", "test_core_raft", "rule 18's script: one seed in fifty"},
    {"replica_expired_unlooked", "test_service_replica", "a long wait for the first commit"},
    {"replica_retry_overtaken", "test_service_replica", "gateways send again in order"},
    {"replica_same_round_refused", "test_service_replica", "the router now says UNKNOWN"},
    {"replica_answered_forgotten", "test_service_replica", "the router now says UNKNOWN"},
    {"replica_no_effect_not_logged", "test_service_replica", "one seed in hundreds shows it"},
    {"replica_read_before_own_writes", "test_service_replica",
     "a read of other keys, then a crash"},
    {"replica_reads_overtake", "test_service_replica", "a read of other keys, then a crash"},
    {"replica_replies_unbounded", "test_service_replica", "memory, not an answer"},
    {"replica_round_works_on", "test_service_replica", "time, not an answer"},
    {"router_refusal_speaks_for_all", "test_service_router", "copies meet rarely"},
    {"router_refusals_forget", "test_service_router", "copies meet rarely"},
    {"router_old_reads_answer", "test_service_router", "needs both leaders' answers at once"},
    {"router_unsent_reads_answer", "test_service_router", "one seed in hundreds shows it"},
    {"replica_reads_miss_applied", "test_service_replica", "the tick mostly comes first"},
    {"replica_reads_stalled_engine", "test_service_replica", "three guards, one after the other"},
    {"replica_snapshot_unverified", "test_service_replica", "frames have a checksum, too"},
    {"replica_full_follower_takes", "test_service_replica", "a simulated disk is rarely so full"},
    {"replica_applies_unnamed", "test_service_replica", "rule 46; not seen in 40 seeds"},
    {"replica_witness_drops_tail", "test_service_replica", "rule 46"},
    {"replica_given_up_not_fenced", "test_service_replica", "one seed in thousands shows it"},
    {"replica_below_low_water_logged", "test_service_replica", "no correct gateway sends it"},
    {"replica_changes_take_no_room", "test_service_replica", "a command as large as the limit"},
    {"replica_unwritten_unbounded", "test_service_replica", "memory, not an answer"},
    {"replica_full_quorum_ignored", "test_service_replica", "a quorum is rarely full at once"},
    {"rpc_length_unchecked", "test_service_rpc", "silence ends such a connection now"},
    {"rpc_waits_out_its_pause", "test_service_rpc", "a matter of time, not of answers"},
    {"rpc_stale_lane_waits", "test_service_rpc", "a matter of time, not of answers"},
    {"rpc_silence_without_end", "test_service_rpc", "the simulated transport gives up itself"},
    {"rpc_relay_half_open", "test_service_rpc", "silence ends such a connection, too"},
    {"rpc_relay_unbounded", "test_service_rpc", "memory, not an answer"},
    {"node_relay_keeps_epoch", "test_service_node", "refused for good: UNKNOWN, not wrong"},
    {"node_relay_end_unnoticed", "test_service_node", "refused for good: UNKNOWN, not wrong"},
    {"rpc_idle_lane_outlives_peer", "test_service_rpc", "only the words of an error differ"},
    {"session_old_start_is_new", "test_core_session", "gateways that come back are rare"},
    {"journal_lost_segment_unnoticed", "test_journal", "no file vanishes in the simulator"},
    {"journal_reserve_ignored", "test_journal", "the simulator fills a disk at once"},
    {"engine_owner_unchecked", "test_engine_mem", "no directory is swapped"},
    {"engine_staged_leftover_installed", "test_engine_mem", "not seen in 40 seeds"},
    {"pubsub_publish_early", "test_sim_world", "a message ahead of what was written before it"},
    {"pubsub_refused_forgotten", "test_service_pubsub", "connections that are full and stay up"},
    {"pubsub_change_unbounded", "test_service_pubsub", "the size of a frame"},
    {"pubsub_doubled", "test_sim_world", "a message that comes twice"},
    {"pubsub_disordered", "test_sim_world", "a message that comes behind a later one"},
    {"resp_error_splits", "test_proto_resp", "hostile bytes"},
    {"resp_http_runs", "test_proto_resp", "hostile bytes"},
    {"resp_unauthenticated_bulk", "test_proto_resp", "hostile bytes"},
    {"resp_unauthenticated_count", "test_proto_resp", "hostile bytes"},
    {"resp_runs_unauthenticated", "test_edge_resp", "the simulator has no users"},
    {"resp_monitor_shows_passwords", "test_edge_resp", "the simulator has no users"},
    {"resp_pause_ignored", "test_edge_resp", "nobody pauses in the simulator"},
    {"resp_pause_runs_for_the_gone", "test_edge_resp", "nobody pauses in the simulator"},
    {"resp_slowlog_secrets", "test_edge_resp", "the simulator has no users"},
    {"epoll_any_password", "test_runtime_epoll", "a real machine's"},
    {"epoll_close_without_linger", "test_runtime_epoll", "a real machine's"},
    {"epoll_end_of_stream_missed", "test_runtime_epoll", "a real machine's"},
    {"epoll_kept_slice_overwritten", "test_runtime_epoll", "a real machine's"},
    {"epoll_port_shared_with_strangers", "test_runtime_epoll", "a real machine's"},
    {"epoll_tls_event_forgotten", "test_runtime_epoll", "a real machine's"},
    {"epoll_tls_rest_forgotten", "test_runtime_epoll", "a real machine's"},
    {"epoll_submit_no_wake", "test_runtime_epoll", "a real machine's"},
    {"epoll_sync_skipped", "test_runtime_epoll", "a real machine's"},
    {"sim_identity_unchecked", "test_runtime_sim", "the simulator's own"},
    {"sim_stream_reordered", "test_runtime_sim", "the simulator's own"},
    {"sim_submit_reordered", "test_runtime_sim", "the simulator's own"},
};

}  // namespace

void list_mutants() {
    for (const Planted& planted : kPlanted)
        std::printf("%-38s asterias-sim          %s\n", planted.name, planted.scenario);
    for (const Elsewhere& e : kElsewhere)
        std::printf("%-38s %-21s %s\n", e.name, e.test, e.why);
}

#ifdef ASTERIAS_MUTANTS
namespace {

constexpr uint64_t kSeedsMax = 1000;
constexpr uint64_t kControlSeeds = 60;
constexpr uint64_t kSlow = 100;  // seeds; what takes longer deserves a better scenario

Scenario load(const char* name) {
    auto scenario = find_scenario(name);
    CHECK(scenario.has_value(), "the scenarios of the house are there and parse");
    return std::move(*scenario);
}

bool known(std::string_view name) {
    const auto is_it = [name](const auto& planted) { return planted.name == name; };
    return std::ranges::any_of(kPlanted, is_it) || std::ranges::any_of(kElsewhere, is_it);
}

struct Hunt {
    bool caught = false;
    uint64_t seeds = 0;
    std::string failure;
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
            result.failure = o.stats.failure;
            return false;
        });
    return result;
}

// Who saw it: a judge of what clients were told, the simulator's look at the replicas, the demand
// that a healed cluster serves, or an assertion in the node itself.
std::string caught_by(std::string_view failure) {
    if (failure.find("CHECK") != std::string_view::npos) return "a CHECK of the node";
    const std::string_view check = failure.substr(0, failure.find(':'));
    if (check == "linearizable" || check == "order" || check == "atomic")
        return "checker " + std::string(check);
    if (check == "replicas") return "look at replicas";
    if (check == "liveness") return "liveness";
    return std::string(check);
}

// Without a bug planted nothing may be caught, or the hunt would prove nothing.
bool control(size_t jobs) {
    for (const char* name : {"clocks", "hunt", "joint", "keyspaces", "keyspaces_all_keys",
                             "keyspaces_drops", "members", "reads", "rollbacks", "rot_votes",
                             "snapshots", "spans", "swarm", "votes", "wire", "witness"}) {
        const Scenario scenario = load(name);
        bool clean = true;
        in_processes(
            kControlSeeds, jobs,
            [&](size_t i) { return encode(run_measured(scenario, i, false, {})); },
            [&](size_t i, Remains remains) {
                const SeedOutcome o = decode(i, remains);
                clean = o.stats.verdict == Verdict::Pass;
                if (!clean)
                    std::printf("seed %zu of %s fails without a planted bug: %s\n", i, name,
                                o.stats.failure.c_str());
                return clean;
            });
        if (!clean) return false;
    }
    std::printf("no bug planted: %" PRIu64 " seeds of each scenario pass\n\n", kControlSeeds);
    return true;
}

}  // namespace

bool plant(const std::string& name) {
    if (!known(name)) {
        std::fprintf(stderr, "there is no planted bug '%s'; --mutants --list names them\n",
                     name.c_str());
        return false;
    }
    set_mutant(name);
    return true;
}

bool hunt_mutants(const std::string& only, size_t jobs) {
    if (!control(jobs)) {
        std::printf("FAILED: the simulator fails without a planted bug\n");
        return false;
    }
    size_t caught = 0, hunted = 0, by_check = 0, slow = 0;
    std::printf("%-38s %-10s %-7s %-21s %s\n", "planted bug", "scenario", "seeds", "caught by",
                "what it said");
    for (const Planted& planted : kPlanted) {
        if (!only.empty() && only != planted.name) continue;
        ++hunted;
        const Hunt h = hunt(load(planted.scenario), planted.name, jobs);
        const std::string by = h.caught ? caught_by(h.failure) : "NOT CAUGHT";
        caught += h.caught;
        by_check += h.caught && by.starts_with("a CHECK");
        slow += h.seeds > kSlow;
        std::printf("%-38s %-10s %-7" PRIu64 " %-21s %.110s\n", planted.name, planted.scenario,
                    h.seeds, by.c_str(), h.failure.c_str());
        std::fflush(stdout);
    }
    if (only.empty()) {
        std::printf("\nleft to tests (MUTANT=name %s):\n", "build/mutants/TEST fails");
        for (const Elsewhere& e : kElsewhere)
            std::printf("%-38s %-21s %s\n", e.name, e.test, e.why);
    }
    const bool passed = hunted > 0 && caught == hunted;
    std::printf(
        "%s: %zu of %zu planted bugs caught by the whole-node simulator, %zu of them by a "
        "CHECK of the node; %zu took more than %" PRIu64 " seeds\n",
        passed ? "passed" : "FAILED", caught, hunted, by_check, slow, kSlow);
    return passed;
}
#else
bool plant(const std::string&) {
    std::fprintf(
        stderr, "planted bugs exist in the preset `mutants` only: ./dev sim --mutants builds it\n");
    return false;
}
bool hunt_mutants(const std::string& only, size_t) { return plant(only); }
#endif

}  // namespace asterias::sim
