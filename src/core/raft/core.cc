#include "core/raft/core.h"

#include <algorithm>
#include <utility>

#include "core/raft/impl.h"

namespace asterias::raft {
namespace {

const Recovered& checked(const Recovered& recovered) {
    CHECK(recovered.log_start <= recovered.applied, "only what is applied was compacted");
    CHECK(
        recovered.entries.empty() || recovered.entries.front().index == recovered.log_start.next(),
        "recovered entries follow the compacted part without a gap");
    return recovered;
}

// Those who were born with their group count from there.
Memberships::At base_of(Membership membership, LogIndex index) {
    for (const Member& m : membership.voters)
        membership.last_replica = std::max(membership.last_replica, m.replica);
    return {index, std::move(membership)};
}

template <typename... Fs>
struct Overloads : Fs... {
    using Fs::operator()...;
};

}  // namespace

bool Output::empty() const {
    return !hard_state && append.empty() && messages.empty() && committed.empty() &&
           reads_confirmed.empty() && reads_refused.empty() && !role_change && !forgotten &&
           snapshots_wanted.empty() && !membership && !removed;
}

uint64_t quorum_value(std::vector<uint64_t>& values, size_t majority) {
    const auto at = values.begin() + static_cast<ptrdiff_t>(majority - 1);
    std::nth_element(values.begin(), at, values.end(), std::greater<>());
    return *at;
}

Core::Impl::Impl(Config config_in, Recovered recovered, Prng prng_in, Instant now)
    : config(std::move(config_in)),
      prng(prng_in),
      log(checked(recovered).log_start, recovered.log_start_term, std::move(recovered.entries)),
      durability(log.last()),
      memberships(base_of(config.membership, recovered.membership_index)),
      clock(now),
      last_input(now),
      term(recovered.hard_state.term),
      vote(recovered.hard_state.vote),
      commit(recovered.applied),
      given(recovered.applied),
      applied_index(recovered.applied),
      matched(recovered.applied) {
    CHECK(std::is_sorted(membership().voters.begin(), membership().voters.end()),
          "voters ascend by replica");
    CHECK(recovered.membership_index <= recovered.applied, "the base is part of the applied state");
    CHECK(config.election_timeout_min <= config.election_timeout_max &&
              config.heartbeat_interval < config.election_timeout_min,
          "several heartbeats fit into an election timeout");
    // The term of an installed snapshot may not have come to the journal; nobody voted in it here.
    if (term < log.term(log.start())) set_hard_state(log.term(log.start()), ReplicaId(0));
    CHECK(term >= log.last_term(), "the journal keeps a term no later than its entries");
    for (LogIndex i = log.start().next(); i <= log.last(); i = i.next())
        if (log.at(i).kind == EntryKind::Config && i > memberships.index())
            config_appended(log.at(i));
    out.membership.reset();  // membership() says it
    CHECK(applied_index <= log.last(), "applied <= last (I1)");
    disk_moved = promised = last_use = clock;
    reported = role_now();
    restart_election_timer();
    if (known_removed(config.self)) leave();
}

// Turns --------------------------------------------------------------------------------------

void Core::Impl::step(Input input) {
    advance_clock(input.now);
    std::visit(
        Overloads{[&](Tick) { tick(); }, [&](Received& e) { receive(std::move(e.message)); },
                  [&](Persisted e) { persisted(e.through); },
                  [&](Applied e) { applied(e.through); },
                  [&](PeerDisconnected e) { peer_disconnected(e.peer); },
                  [&](ReadRequested e) { read_requested(e.context); },
                  [&](Stalled e) { stalled(e.stalled); }, [&](Compact e) { compact(e.through); },
                  [&](const SnapshotSent& e) { snapshot_sent(e); },
                  [&](const Installed& e) { installed(e.meta); }, [&](Wake) { used(); }},
        input.event);
    check_invariants();
}

// A process that was paused for a minute finds its peers' messages waiting; taking the whole minute
// as silence would fire an election (or depose a leader) before they are read.
void Core::Impl::advance_clock(Instant now) {
    if (now <= last_input) return;
    clock += std::min<Duration>(now - last_input, config.heartbeat_interval);
    last_input = now;
}

void Core::Impl::tick() {
    if (!durability.writing()) disk_moved = clock;
    refuse_forwarded_reads(clock - config.election_timeout_min);
    if (quiet) return;
    if (Leader* l = leading()) {
        check_quorum_contact();
        if (leading()) check_fitness();
        if (leading()) continue_transfer();
        if (leading()) continue_change();
        if (leading() && may_go_quiet()) go_quiet();
        if (leading() && clock >= l->next_heartbeat) {
            l->heartbeat_due = sends_due = true;
            l->next_heartbeat = clock + config.heartbeat_interval;
        }
        return;
    }
    // Alone there is nobody to hear from first.
    if (clock < election_deadline && !(alone() && role_name() == Role::Follower)) return;
    if (promise_holds()) {  // its own vote is one, too
        election_deadline = promised + config.election_timeout_min;
        return;
    }
    if (!may_campaign())
        ask_whether_still_a_member();
    else if (!lets_others_go_first())
        return start_pre_vote();
    leader = ReplicaId(0);
    heard_leader.reset();
    restart_election_timer();
}

void Core::Impl::receive(Message message) {
    if (removed) return;
    // Whoever sends it may be one of a newer membership than is known here (rule 13).
    const bool ours = message.to == config.self && message.from != config.self && message.from;
    if (!ours && !MUTANT(raft_accept_other_life)) {
        ++foreign_messages;
        return;
    }
    if (contradicts(message)) {
        ++malformed_messages;
        return;
    }
    if (auto* said = std::get_if<Removed>(&message.body)) return on_removed(*said);
    // Vote requests judge the term themselves: asking alone moves nobody's term (9.6).
    if (auto* request = std::get_if<VoteRequest>(&message.body)) {
        wake();  // somebody misses the leader
        if (request->pre)
            on_pre_vote_request(message, *request);
        else
            on_vote_request(message, *request);
        return;
    }
    if (!adopt_term(message)) return;
    std::visit(
        Overloads{[](VoteRequest&) {}, [](Removed&) {}, [&](auto& body) { on(message, body); }},
        message.body);
}

// What no correct peer can say to this replica. Judged before anything of the message is taken, its
// term included; only what the sender says as of now is held against what is known now.
bool Core::Impl::contradicts(const Message& message) const {
    if (message.term > kTermMax) return true;
    const auto* append = std::get_if<AppendRequest>(&message.body);
    const auto* heartbeat = std::get_if<Heartbeat>(&message.body);
    if (append && !well_formed(message.term, *append)) return true;
    if (heartbeat && heartbeat->commit > kIndexMax) return true;
    const auto* place = std::get_if<ReadIndexReply>(&message.body);
    if (place && place->index > kIndexMax) return true;
    if (message.term < term) return false;
    if (append || heartbeat || std::holds_alternative<TimeoutNow>(message.body)) {
        const bool another = leader && leader != message.from && !MUTANT(raft_second_leader_heard);
        if (!message.term || (message.term == term && another)) return true;
        return append && contradicts_commit(*append);
    }
    const auto* reply = std::get_if<AppendReply>(&message.body);
    // Nobody matches more than the leader of the term has.
    return reply && reply->accepted && message.term == term && leading() &&
           reply->match > log.last();
}

// Rules for all servers [3.3]; false: the message has been dealt with.
bool Core::Impl::adopt_term(const Message& message) {
    const bool from_leader = std::holds_alternative<AppendRequest>(message.body) ||
                             std::holds_alternative<Heartbeat>(message.body) ||
                             std::holds_alternative<TimeoutNow>(message.body);
    if (message.term > term) {
        // A granted pre-vote names the term asked about, in which nobody is yet.
        auto* reply = std::get_if<VoteReply>(&message.body);
        if (reply && reply->pre && reply->granted) return true;
        become_follower(message.term, from_leader ? message.from : ReplicaId(0));
        return true;
    }
    if (message.term == term) return true;
    // A leader of an earlier term. Silence would strand us: our higher term refuses it, pre-vote
    // and its healthy quorum refuse us. Our term in the answer makes it step up (rule 11).
    if (std::holds_alternative<AppendRequest>(message.body))
        answer(message.from, AppendReply{});
    else if (std::holds_alternative<Heartbeat>(message.body))
        answer(message.from, HeartbeatReply{});
    return false;
}

void Core::Impl::persisted(PersistId through) {
    const bool waited_for_hard_state = durability.hard_state_pending();
    if (durability.completed(through)) write_completed();
    if (waited_for_hard_state && !durability.hard_state_pending()) {
        std::move(held.begin(), held.end(), std::back_inserter(out.messages));
        held.clear();
        count_own_vote();
    }
    if (leading())
        advance_commit_by_quorum();
    else if (ack_is_due)
        acknowledge(acknowledged.next());
}

// `disk_moved` is when the one before completed, or this one began, up to a tick earlier.
void Core::Impl::write_completed() {
    const bool slow = clock - disk_moved > config.election_timeout_min / 2;
    const bool others_faster = leading() && commit >= durability.index();
    slow_writes = slow && others_faster ? std::min(slow_writes + 1, kSlowWrites) : 0;
    disk_moved = clock;
}

void Core::Impl::applied(LogIndex through) {
    CHECK(through <= given, "only what was given as committed is applied (I1)");
    if (through <= applied_index) return;
    applied_index = through;
    serve_forwarded_reads();
    if (leading()) sends_due = true;  // reads may have waited for the no-op
}

void Core::Impl::stalled(bool stalled) {
    if (!stalled) return stalled_since.reset();
    if (!stalled_since) stalled_since = clock;
    wake();
}

void Core::Impl::compact(LogIndex through) {
    log.compact(std::min(through, applied_index));
    memberships.compacted(log.start());
    if (Leader* l = leading()) {
        for (Progress& p : l->peers)
            p.compacted(log.start());
    }
}

// Output -------------------------------------------------------------------------------------

bool Core::Impl::has_output() const {
    return sends_due || !out.empty() || durability.dirty() || role_now() != reported ||
           (!installing && std::min(commit, durability.index()) > given);
}

Output Core::Impl::take_output() {
    if (Leader* l = leading()) {
        if (l->heartbeat_due || (ready_to_lead() && !l->reads_new.empty())) broadcast_heartbeats();
        if (sends_due) send_appends();
    }
    sends_due = false;
    give_committed();
    give_writes();
    if (const RoleChange current = role_now(); current != reported)
        out.role_change = reported = current;
    return std::exchange(out, Output{});
}

// Only what is durable here as well: applied state never gets ahead of the own journal.
void Core::Impl::give_committed() {
    const LogIndex through = std::min(commit, durability.index());
    if (through <= given || (installing && !MUTANT(raft_install_given))) return;
    log.copy(given.next(), through, out.committed);
    given = through;
}

void Core::Impl::give_writes() {
    if (!durability.dirty()) return;
    if (durability.hard_state_dirty()) out.hard_state = HardState{term, vote};
    if (durability.unsaved_from()) log.copy(durability.unsaved_from(), log.last(), out.append);
    out.persist_id = durability.begin_write(log.last());
}

RoleChange Core::Impl::role_now() const { return {role_name(), term, node_of(leader)}; }

void Core::Impl::send(ReplicaId to, Term message_term, MessageBody body) {
    out.messages.push_back({config.self, to, message_term, std::move(body)});
}

// Sends as soon as the term (and vote) in which this is said is durable: after a crash this replica
// must still be bound by it (rules 1, 8).
void Core::Impl::answer(ReplicaId to, MessageBody body) {
    if (removed) return;
    const bool wait = durability.hard_state_pending() && !MUTANT(raft_vote_not_synced);
    Message message{config.self, to, term, std::move(body)};
    if (!wait) {
        out.messages.push_back(std::move(message));
        return;
    }
    // However long the disk takes, one heartbeat answer waits: a later round speaks for the
    // earlier.
    if (std::holds_alternative<HeartbeatReply>(message.body))
        std::erase_if(held, [&](const Message& m) {
            return m.to == to && std::holds_alternative<HeartbeatReply>(m.body);
        });
    held.push_back(std::move(message));
}

void Core::Impl::set_hard_state(Term new_term, ReplicaId new_vote) {
    CHECK(new_term >= term, "terms never go back (I5)");
    CHECK(new_term > term || !vote || vote == new_vote || MUTANT(raft_double_vote),
          "at most one vote per term (I2)");
    if (new_term == term && new_vote == vote) return;
    if (new_term > term) {
        refuse_forwarded_reads(Instant::max());
        held.clear();
        leader = ReplicaId(0);
        heard_leader.reset();
        matched = commit;
        acknowledged = LogIndex(0);
        ack_is_due = false;
    }
    term = new_term;
    vote = new_vote;
    durability.hard_state_changed();
}

void Core::Impl::check_invariants() const {
    CHECK(applied_index <= given && given <= commit && commit <= log.last(),
          "applied <= commit <= last (I1)");
    CHECK(durability.index() <= log.last(), "only what exists is durable");
    CHECK(log.start() <= applied_index, "only what is applied is compacted");
    CHECK(log.last_term() <= term, "no entry is of a term that is yet to come");
}

// Looking in ---------------------------------------------------------------------------------

bool Core::Impl::alone() const {
    const Membership& m = membership();
    return !m.joint() && m.voters.size() == 1 && m.voters.front().replica == config.self;
}

// Also one that leads and is in no membership in force any more: it is as empty as before.
bool Core::Impl::is_witness() const {
    const Member* self = memberships.find(config.self);
    return self && self->witness;
}

NodeId Core::Impl::node_of(ReplicaId replica) const {
    // A leader that is about to leave is in no membership in force any more, and leads.
    const Member* m = memberships.find(replica);
    return m ? m->node : NodeId(0);
}

const Progress* Core::Impl::peer(ReplicaId replica) const {
    const Leader* l = leading();
    if (!l) return nullptr;
    for (const Progress& p : l->peers)
        if (p.member().replica == replica) return &p;
    return nullptr;
}

Progress* Core::Impl::peer(ReplicaId replica) {
    return const_cast<Progress*>(std::as_const(*this).peer(replica));
}

Status Core::Impl::status() const {
    Status s{.role = role_name(),
             .term = term,
             .leader = node_of(leader),
             .first = log.start().next(),
             .last = log.last(),
             .commit = commit,
             .applied = applied_index,
             .uncommitted_bytes = 0,
             .peers = {},
             .durable = durability.index(),
             .foreign_messages = foreign_messages,
             .malformed_messages = malformed_messages,
             .membership = membership(),
             .membership_index = memberships.index(),
             .membership_committed = memberships.index() <= commit,
             .quiet = quiet,
             .lease = lease_holds(),
             .snapshots_installed = snapshots_installed};
    if (const Leader* l = leading()) {
        s.uncommitted_bytes = l->uncommitted_bytes;
        if (l->transfer) s.transferring_to = node_of(l->transfer->to);
        for (const Progress& p : l->peers)
            s.peers.push_back(
                {.member = p.member(),
                 .match = p.match(),
                 .next = p.next(),
                 .recently_heard = clock - p.last_heard() < config.election_timeout_min,
                 .needs_snapshot = p.needs_snapshot(),
                 .inflight_messages = p.inflight_messages(),
                 .inflight_bytes = p.inflight_bytes()});
    }
    return s;
}

Core::Core(Config config, Recovered recovered, Prng prng, Instant now)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(recovered), prng, now)) {}
Core::~Core() = default;
Core::Core(Core&&) noexcept = default;
Core::Core(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Core Core::clone() const { return Core(std::make_unique<Impl>(*impl_)); }

void Core::step(Input input) { impl_->step(std::move(input)); }
ProposeOutcome Core::propose(Instant now, EntryKind kind, Bytes payload) {
    impl_->advance_clock(now);
    return impl_->propose(kind, std::move(payload));
}
ChangeOutcome Core::change(Instant now, const Change& change) {
    impl_->advance_clock(now);
    return impl_->change(change);
}
ChangeOutcome Core::transfer(Instant now, NodeId to) {
    impl_->advance_clock(now);
    return impl_->transfer(to);
}
bool Core::begin_install(Instant now, const SnapshotMeta& meta) {
    impl_->advance_clock(now);
    return impl_->begin_install(meta);
}
Output Core::take_output() { return impl_->take_output(); }
bool Core::has_output() const { return impl_->has_output(); }
Role Core::role() const { return impl_->role_name(); }
Term Core::term() const { return impl_->term; }
NodeId Core::leader() const { return impl_->node_of(impl_->leader); }
LogIndex Core::commit() const { return impl_->commit; }
LogIndex Core::last_index() const { return impl_->log.last(); }
size_t Core::uncommitted_bytes() const {
    const Leader* l = impl_->leading();
    return l ? l->uncommitted_bytes : 0;
}
bool Core::ready_to_lead() const { return impl_->ready_to_lead(); }
bool Core::quorum_stalls() const { return impl_->quorum_stalls(); }
const Membership& Core::membership() const { return impl_->membership(); }
SnapshotMeta Core::meta_at(LogIndex index) const { return impl_->meta_at(index); }
bool Core::holds(LogIndex index, Term term) const { return impl_->holds(index, term); }
uint64_t Core::malformed_messages() const { return impl_->malformed_messages; }
Status Core::status() const { return impl_->status(); }

LogIndex Core::slowest_match() const {
    const Leader* l = impl_->leading();
    if (!l) return LogIndex(0);
    LogIndex slowest = impl_->own_match();
    for (const Progress& p : l->peers)
        slowest = std::min(slowest, p.match());
    return slowest;
}

}  // namespace asterias::raft
