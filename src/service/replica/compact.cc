// How long the log is: kept for whoever is behind, up to a bound (rule 31), and always for the
// engine until it holds durably what the entries made.
#include <algorithm>

#include "base/mutant.h"
#include "service/replica/replica.h"

namespace asterias::replica {
namespace {
constexpr Duration kFlushInterval = seconds(1);
// A witness can bring others only its log: what it drops before a data replica has it may be gone
// with the one that has (rule 46). It has no state to hold; but a log without end would end the
// node.
constexpr uint64_t kWitnessKeeps = 16;
}  // namespace

LogIndex Replica::compactable() {
    if (MUTANT(replica_purge_early)) return applied_.index;
    const LogIndex wanted = std::min(durable_applied_, applied_.matched_by_all);
    const bool keeps = is_witness() && !MUTANT(replica_witness_drops_tail);
    const uint64_t most = parts_.log_retained_bytes_max * (keeps ? kWitnessKeeps : 1);
    // Who gets a snapshot goes on with what comes behind it: to drop that would mean another one.
    if (log_sizes_.bytes() <= (sending_.empty() ? most : 2 * most)) return wanted;
    const LogIndex bound = log_sizes_.start_for(sending_.empty() ? most / 2 : most);
    if (MUTANT(replica_log_dropped_early)) return std::min(bound, applied_.index);
    const Instant now = parts_.shard.clock().now();
    if (durable_applied_ < bound && now >= next_flush_request_) {
        next_flush_request_ = now + kFlushInterval;
        parts_.engine.request_flush();
    }
    const LogIndex through = std::max(wanted, std::min(durable_applied_, bound));
    if (through > wanted && keeps) drop_tail(through);
    return through;
}

// From here on the state may be on one copy only (docs/limits.md): who looks after it has to know.
void Replica::drop_tail(LogIndex through) {
    if (dropped_ <= applied_.matched_by_all)
        log_.warn("group " + to_string(config_.group) +
                  ": this witness drops entries that a copy lacks, for it keeps no more of them");
    dropped_ = through;
}

void Replica::compact() {
    if (installing_) return;
    const port::EngineSeq durable = parts_.engine.durable();
    while (!flushing_.empty() && flushing_.front().first <= durable) {
        durable_applied_ = flushing_.front().second;
        flushing_.pop_front();
    }
    const LogIndex through = compactable();
    if (through <= compacted_) return;
    // In steps: each costs a journal record. But a few large entries are a long log, too.
    if (through.value < compacted_.value + parts_.compact_entries &&
        log_sizes_.bytes() <= parts_.log_retained_bytes_max)
        return;
    compacted_ = through;
    log_sizes_.compact(through);
    core_->step({parts_.shard.clock().now(), raft::Compact{through}});
    // The entry at the log's start stays in the journal: its term is asked for at the next start.
    parts_.journal.purge(config_.group, through.prev());
}

}  // namespace asterias::replica
