// The log: proposals, replication, acknowledgement, commit (sections 3.5, 3.6 and 10.2.1; rules
// 2, 3, 5-8, 32, 45).
#include <algorithm>
#include <utility>

#include "core/raft/impl.h"

namespace asterias::raft {

// Leader: appending --------------------------------------------------------------------------

ProposeOutcome Core::Impl::propose(EntryKind kind, Bytes payload) {
    CHECK(kind != EntryKind::Config, "change() makes them");
    const bool proposes_anyway =
        MUTANT(raft_transfer_proposes) && leading() && applied_index >= leading()->noop;
    if (!ready_to_lead() && !proposes_anyway) {
        // Who leads to hand over names nobody yet.
        const bool hands_over = leading() && (leading()->transfer || is_witness());
        return NotLeader{hands_over ? NodeId(0) : node_of(leader)};
    }
    Leader& l = *leading();
    // One entry of any size always has room, so that no limit can block a group for good.
    if (l.uncommitted_bytes > 0 &&
        l.uncommitted_bytes + payload.size() > config.uncommitted_bytes_max)
        return Overloaded{};
    used();
    append_as_leader(kind, std::move(payload));
    return Accepted{log.last(), term};
}

void Core::Impl::append_as_leader(EntryKind kind, Bytes payload) {
    leading()->uncommitted_bytes += payload.size();
    log.append(wire::make_entry(config.group, term, log.last().next(), kind, std::move(payload)));
    durability.appended(log.last());
    sends_due = true;
    if (kind == EntryKind::Config) config_appended(log.at(log.last()));
}

// Leader: sending ----------------------------------------------------------------------------

void Core::Impl::send_appends() {
    const Progress::Window window{config.inflight_messages_max, config.inflight_bytes_max};
    for (Progress& p : leading()->peers) {
        if (p.state() == Progress::State::Snapshot) {
            ask_for_snapshot(p);
            continue;
        }
        if (p.state() == Progress::State::Probe) {
            if (p.may_send(window)) send_append(p);
            continue;
        }
        while (p.next() <= log.last() && p.may_send(window))
            send_append(p);
        if (p.query_due()) {
            // Is anything missing there? Empty, because what is merely slow need not be sent twice.
            send(p.member().replica, term,
                 AppendRequest{p.next().prev(), log.term(p.next().prev()), commit, {}});
            p.sent(0, 0, clock);
        }
    }
}

void Core::Impl::send_append(Progress& p) {
    AppendRequest request{p.next().prev(), log.term(p.next().prev()), commit, {}};
    size_t bytes = 0;
    LogIndex last = request.prev_index;
    while (last < log.last()) {
        const size_t size = log.at(last.next()).payload.size();
        if (last > request.prev_index && bytes + size > config.append_bytes_max) break;
        bytes += size;
        last = last.next();
    }
    log.copy(p.next(), last, request.entries);
    const size_t count = request.entries.size();
    send(p.member().replica, term, std::move(request));
    p.sent(count, bytes, clock);
}

// Leader: commit -----------------------------------------------------------------------------

void Core::Impl::on(const Message& message, AppendReply& reply) {
    Progress* p = peer(message.from);
    if (!p) return;
    p->heard(clock);
    sends_due = true;
    if (!reply.accepted) return p->refused(reply, log, clock);
    p->accepted(reply.match, log, clock);
    continue_transfer();
    continue_change();
    advance_commit_by_quorum();
}

// The leader's disk is one of the voters' disks: it counts for what it has written (rules 2, 45).
LogIndex Core::Impl::own_match() const {
    return MUTANT(raft_leader_counts_unsynced) ? log.last() : durability.index();
}

void Core::Impl::advance_commit_by_quorum() {
    const LogIndex index(reached([this](ReplicaId replica) {
        const Progress* p = peer(replica);
        return (p ? p->match() : replica == config.self ? own_match() : LogIndex(0)).value;
    }));
    if (index <= commit) return;
    // Figure 8: an entry of an earlier term on a quorum may still be overwritten (rule 3).
    if (log.term(index) != term && !MUTANT(raft_commit_old_term)) return;
    commit_to(index);
    continue_change();
}

void Core::Impl::commit_to(LogIndex index) {
    if (index <= commit) return;
    CHECK(index <= log.last(), "commit <= last (I1)");
    if (Leader* l = leading()) {
        for (LogIndex i = commit.next(); i <= index; i = i.next())
            l->uncommitted_bytes -= log.at(i).payload.size();
    }
    const LogIndex before = std::exchange(commit, index);
    membership_committed(before);
}

// Follower -----------------------------------------------------------------------------------

bool well_formed(Term sender, const AppendRequest& request) {
    if (request.prev_index > kIndexMax) return false;
    LogIndex index = request.prev_index;
    Term last_term = request.prev_term;
    for (const Entry& e : request.entries) {
        if (e.index != index.next() || e.term < last_term || e.term > sender) return false;
        if (e.kind == EntryKind::Config && !decode_membership(e.payload)) return false;
        index = e.index;
        last_term = e.term;
    }
    return last_term <= sender;
}

// What is committed is in the log of every later leader [3.4, leader completeness].
bool Core::Impl::contradicts_commit(const AppendRequest& request) const {
    const auto apart = [this](LogIndex index, Term at) {
        return index >= log.start() && index <= commit && log.term(index) != at;
    };
    if (apart(request.prev_index, request.prev_term)) return true;
    for (const Entry& e : request.entries) {
        if (e.index > commit) break;
        if (apart(e.index, e.term)) return true;
    }
    return false;
}

void Core::Impl::on(const Message& message, AppendRequest& request) {
    heard_from_leader(message.from);
    if (refuse_if_apart(message.from, request)) return;
    const LogIndex end = request.prev_index.plus(request.entries.size());
    take_entries(std::move(request.entries));
    if (MUTANT(raft_truncate_matching) && end < log.last() && end >= commit)
        truncate_from(end.next());
    matched = std::max(matched, end);
    commit_to(std::min(request.commit, end));
    ack_is_due = true;
    acknowledge(end);
}

// The consistency check [3.5]. What is at or below commit agrees with every leader.
bool Core::Impl::refuse_if_apart(ReplicaId from, const AppendRequest& request) {
    const LogIndex prev = request.prev_index;
    if (prev <= commit || log.matches(prev, request.prev_term)) return false;
    AppendReply reply{};
    if (prev > log.last()) {
        reply.conflict_index = log.last().next();
    } else {
        reply.conflict_term = log.term(prev);
        reply.conflict_index = std::max(log.run_start(prev), commit.next());
    }
    answer(from, reply);
    return true;
}

// Only an entry that contradicts ours truncates: a late, shorter request must not undo what a later
// one brought and we have acknowledged (rule 5).
void Core::Impl::take_entries(std::vector<Entry> entries) {
    for (Entry& e : entries) {
        if (e.index <= commit || log.matches(e.index, e.term)) continue;
        if (e.index <= log.last()) truncate_from(e.index);
        durability.appended(e.index);
        const bool is_config = e.kind == EntryKind::Config;
        log.append(std::move(e));
        if (is_config) config_appended(log.at(log.last()));
    }
}

void Core::Impl::truncate_from(LogIndex index) {
    log.truncate_from(index, commit);
    durability.truncated(index);
    if (memberships.truncated(index)) membership_changed();
}

// Tells the leader how far this log is durable in agreement with its own, if that is `at_least`
// or everything there is. One answer may stand for many requests; while the disk works, each
// completed write moves it on (rules 1, 7).
void Core::Impl::acknowledge(LogIndex at_least) {
    if (durability.hard_state_pending() || !leader) return;
    const LogIndex match =
        MUTANT(raft_ack_before_sync) ? matched : std::min(matched, durability.index());
    if (match < std::min(at_least, matched)) return;
    answer(leader, AppendReply{.accepted = true, .match = match});
    acknowledged = std::max(acknowledged, match);
    ack_is_due = match < matched;
}

}  // namespace asterias::raft
