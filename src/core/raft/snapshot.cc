// Snapshots: who needs one, and what becomes of log, commit and membership when one is installed
// (rules 16, 26-30). The bytes are the driver's.
#include <algorithm>

#include "core/raft/impl.h"

namespace asterias::raft {

// Receiver -----------------------------------------------------------------------------------

bool Core::Impl::begin_install(const SnapshotMeta& meta) {
    const bool stale = meta.index <= commit && !MUTANT(raft_snapshot_stale_installed);
    // Its place lies behind the last that is committed here, so its term is no earlier.
    const bool absurd = meta.index > kIndexMax || meta.term > kTermMax ||
                        meta.term < log.term(commit) || meta.membership_index > meta.index;
    // A leader has what is committed, and will hear that it is.
    if (stale || absurd || meta.membership.voters.empty() || installing || leading() || removed)
        return false;
    // Somebody led in that term: it is over for who is behind it.
    if (meta.term > term)
        become_follower(meta.term, ReplicaId(0));
    else if (role_name() != Role::Follower)
        become_follower(term, leader);
    installing = meta;
    if (MUTANT(raft_install_acknowledged_early) && leader)
        answer(leader, AppendReply{.accepted = true, .match = meta.index});
    return true;
}

bool Core::Impl::holds(LogIndex index, Term at) const {
    return index <= durability.index() && log.matches(index, at);
}

void Core::Impl::installed(const SnapshotMeta& meta) {
    if (removed) return;  // it is about to be deleted
    CHECK(installing && *installing == meta, "begin_install() allowed this install");
    installing.reset();
    ++snapshots_installed;
    const bool agrees = log.matches(meta.index, meta.term) ||
                        (MUTANT(raft_snapshot_keeps_wrong_suffix) && log.last() >= meta.index);
    const Membership before = membership();
    if (!agrees) {
        log.reset(meta.index, meta.term);
        durability.installed(meta.index, false);
    } else if (durability.index() < meta.index) {
        // The journal's log ended below and now begins behind the snapshot: what follows is written
        // again.
        log.compact(meta.index);
        durability.installed(meta.index, log.last() > meta.index);
    }
    memberships.installed(meta, agrees);
    given = applied_index = meta.index;
    matched = agrees ? std::max(matched, meta.index) : meta.index;
    commit_to(meta.index);
    if (membership() != before) membership_changed();
    serve_forwarded_reads();
    ack_is_due = true;
    acknowledge(meta.index);
}

SnapshotMeta Core::Impl::meta_at(LogIndex index) const {
    CHECK(index >= log.start() && index <= commit, "a snapshot is of committed state");
    const Memberships::At& at = memberships.as_of(index);
    CHECK(at.index <= index, "the membership at the log's start is known");
    return {index, log.term(index), at.membership, at.index};
}

// Leader -------------------------------------------------------------------------------------

void Core::Impl::ask_for_snapshot(Progress& p) {
    // A witness has no state to send; who can be helped only by a snapshot waits for a data voter.
    if (!p.snapshot_due() || is_witness()) return;
    p.snapshot_asked();
    out.snapshots_wanted.push_back({p.member(), log.start()});
}

void Core::Impl::snapshot_sent(const SnapshotSent& sent) {
    Progress* p = peer(sent.to);
    if (!p) return;
    p->snapshot_sent(sent.index, sent.delivered, log, clock);
    if (MUTANT(raft_match_by_sender) && sent.delivered) {
        p->accepted(sent.index, log, clock);
        advance_commit_by_quorum();
    }
    sends_due = true;
}

}  // namespace asterias::raft
