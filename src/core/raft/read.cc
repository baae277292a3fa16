// Heartbeats, and linearizable reads: by heartbeat rounds, or by a lease that such a round gave
// (section 6.4; rules 4, 22, 23, 33).
#include <algorithm>

#include "core/raft/impl.h"

namespace asterias::raft {

bool Core::Impl::ready_to_lead() const {
    const Leader* l = leading();
    const bool serves = is_witness() ? MUTANT(raft_witness_serves) : !l || !l->transfer;
    return l && applied_index >= l->noop && serves;
}

void Core::Impl::read_requested(uint64_t context) {
    const bool able = !is_witness() || MUTANT(raft_witness_serves);  // it has no state
    if (able && leading()) return read_at_leader({context});
    if (!able || role_name() != Role::Follower || !leader) {
        out.reads_refused.push_back({context});
        return;
    }
    wake();  // should the leader be gone, the election has to come
    reads_forwarded.push_back({context, clock});
    send(leader, term, ReadIndexRequest{context});
}

// Before the no-op is applied nobody knows here what is committed: the read waits for it. A lease
// vouches for the moment of this input only, and who asks from elsewhere may have been asked later.
void Core::Impl::read_at_leader(Leader::Read read) {
    used();
    read.index = commit;
    const bool at_once =
        (lease_holds() && !read.asker) || (MUTANT(raft_read_without_round) && ready_to_lead());
    if (at_once) return confirm(read);
    leading()->reads_new.push_back(read);
    sends_due = true;
}

void Core::Impl::confirm(const Leader::Read& read) {
    if (read.asker)
        send(read.asker, term, ReadIndexReply{read.context, read.index});
    else
        out.reads_confirmed.push_back({read.context});
}

// A round begun now vouches for every read that has come in by now: all of a turn share it. Built
// in take_output(), at most once a turn.
void Core::Impl::broadcast_heartbeats() {
    Leader& l = *leading();
    l.heartbeat_due = false;
    ++l.round;
    if (ready_to_lead()) {
        for (Leader::Read& read : l.reads_new) {
            read.round = l.round;
            read.index = commit;
            l.reads_begun.push_back(read);
        }
        l.reads_new.clear();
    }
    if (leases_on()) l.rounds.push_back({l.round, last_input});
    for (const Progress& p : l.peers)
        send(p.member().replica, term, Heartbeat{std::min(commit, p.match()), l.round, quiet});
    round_answered();  // alone, the round is over at once
}

void Core::Impl::on(const Message& message, Heartbeat& heartbeat) {
    heard_from_leader(message.from);
    // It commits only what this replica has acknowledged in this very term.
    if (heartbeat.commit > log.last()) {
        out.forgotten = {node_of(message.from), term, heartbeat.commit, log.last()};
        return;
    }
    commit_to(heartbeat.commit);
    follow_into_quiet(heartbeat);
    // Sooner than a leader acts on it: where all stall at once it hears of that first.
    const bool stalled = stalls_for(config.election_timeout_min / 2);
    answer(message.from, HeartbeatReply{heartbeat.round, stalled});
}

void Core::Impl::on(const Message& message, HeartbeatReply& reply) {
    Progress* p = peer(message.from);
    if (!p) return;
    p->heard(clock);
    p->said_stalled(reply.stalled);
    p->heartbeat_answered(std::min(reply.round, leading()->round), clock,
                          config.heartbeat_interval);
    sends_due = true;
    round_answered();
}

void Core::Impl::round_answered() {
    Leader& l = *leading();
    if (l.reads_begun.empty() && l.rounds.empty()) return;
    const uint64_t round = reached([&](ReplicaId replica) {
        const Progress* p = peer(replica);
        return p ? p->acked_round() : replica == config.self ? l.round : 0;
    });
    confirm_reads(round);
    renew_lease(round);
}

void Core::Impl::confirm_reads(uint64_t round) {
    Leader& l = *leading();
    while (!l.reads_begun.empty() && l.reads_begun.front().round <= round) {
        confirm(l.reads_begun.front());
        l.reads_begun.pop_front();
    }
}

// A quorum heard this leader after the round was sent, and each of it keeps still from then on for
// the shortest election timeout by its own clock. That ends no earlier than as much after the
// sending by this clock, less what the clocks may be apart.
void Core::Impl::renew_lease(uint64_t round) {
    Leader& l = *leading();
    const Duration keeps_still = config.election_timeout_min;
    const Duration margin = keeps_still / 1'000'000 * config.lease_drift_ppm;
    while (!l.rounds.empty() && l.rounds.front().round <= round) {
        const Instant from = MUTANT(raft_lease_from_ack_time) ? last_input : l.rounds.front().sent;
        l.lease_until = from + keeps_still - margin;
        l.rounds.pop_front();
    }
    // What is answered so late gives no lease any more.
    while (!l.rounds.empty() && last_input - l.rounds.front().sent >= keeps_still)
        l.rounds.pop_front();
}

// Once the lead was offered to anybody, voters may have been released from their promise, now or as
// late as that offer arrives: there is no lease in this term any more.
bool Core::Impl::lease_holds() const {
    const Leader* l = leading();
    return l && leases_on() && ready_to_lead() && !l->lead_offered && last_input < l->lease_until;
}

// Who asked from elsewhere hears of the next leader, or gives up.
void Core::Impl::refuse_reads(Leader& l) {
    for (const Leader::Read& read : l.reads_begun)
        if (!read.asker) out.reads_refused.push_back({read.context});
    for (const Leader::Read& read : l.reads_new)
        if (!read.asker) out.reads_refused.push_back({read.context});
    l.reads_begun.clear();
    l.reads_new.clear();
}

// Reads of followers (rule 24) ------------------------------------------------------------------

void Core::Impl::on(const Message& message, ReadIndexRequest& request) {
    const bool able = !is_witness() || MUTANT(raft_witness_serves);
    if (leading() && peer(message.from) && able)
        read_at_leader({.context = request.context, .asker = message.from});
}

void Core::Impl::on(const Message& message, ReadIndexReply& reply) {
    if (leading() || message.from != leader || !reply.index) return;
    for (ForwardedRead& read : reads_forwarded)
        if (read.context == reply.context && !read.index) read.index = reply.index;
    serve_forwarded_reads();
}

void Core::Impl::serve_forwarded_reads() {
    std::erase_if(reads_forwarded, [this](const ForwardedRead& read) {
        const bool here = applied_index >= read.index || MUTANT(raft_follower_read_unapplied);
        if (!read.index || !here) return false;
        out.reads_confirmed.push_back({read.context});
        return true;
    });
}

void Core::Impl::refuse_forwarded_reads(Instant asked_before) {
    while (!reads_forwarded.empty() && reads_forwarded.front().asked < asked_before) {
        out.reads_refused.push_back({reads_forwarded.front().context});
        reads_forwarded.pop_front();
    }
}

}  // namespace asterias::raft
