// Elections: pre-vote and check-quorum together (dissertation 9.6 and 6.2; rules 8-12, 34), and the
// step from one role into another.
#include <algorithm>

#include "core/raft/impl.h"

namespace asterias::raft {
namespace {

// A closed connection is good evidence of a dead leader; a little randomness keeps all its
// followers from asking at once.
constexpr Duration kAfterDisconnect = milliseconds(50);

bool contains(const std::vector<ReplicaId>& replicas, ReplicaId replica) {
    return std::find(replicas.begin(), replicas.end(), replica) != replicas.end();
}

size_t count_of(const std::vector<Member>& half, const std::vector<ReplicaId>& replicas) {
    size_t count = 0;
    for (const ReplicaId replica : replicas)
        count += std::any_of(half.begin(), half.end(),
                             [&](const Member& m) { return m.replica == replica; });
    return count;
}

bool won_by(const std::vector<Member>& half, const Tally& tally) {
    return count_of(half, tally.granted) > half.size() / 2;
}

// So many refused that the others are no majority.
bool lost_by(const std::vector<Member>& half, const Tally& tally) {
    return 2 * (half.size() - count_of(half, tally.refused)) <= half.size();
}

}  // namespace

void Tally::count(ReplicaId voter, bool grant) {
    const bool again = contains(granted, voter) || contains(refused, voter);
    if (again && !MUTANT(raft_vote_counted_twice)) return;
    (grant ? granted : refused).push_back(voter);
}

// Roles --------------------------------------------------------------------------------------

void Core::Impl::become_follower(Term new_term, ReplicaId new_leader) {
    if (Leader* l = leading()) refuse_reads(*l);
    if (new_leader != leader) refuse_forwarded_reads(Instant::max());
    if (new_term > term) set_hard_state(new_term, ReplicaId(0));
    quiet = false;
    if (role_name() != Role::Follower) {
        role = Follower{};
        held.clear();
        restart_election_timer();
    }
    leader = new_leader;
}

void Core::Impl::start_pre_vote() {
    refuse_forwarded_reads(Instant::max());
    leader = ReplicaId(0);
    heard_leader.reset();
    held.clear();
    restart_election_timer();
    role = PreCandidate{.tally = {}, .since = clock};
    std::get<PreCandidate>(role).tally.count(config.self, true);
    if (alone()) return start_election(false);
    for (const Member& m : voting_members(membership()))
        if (m.replica != config.self)
            send(m.replica, term.next(), VoteRequest{true, log.last(), log.last_term()});
}

// The requests wait for the own vote to be durable. Were they to leave before, a crash could bring
// this replica back with a shorter log and the term free, to ask again in the same term; a vote
// granted to the longer log would then count for the shorter one.
void Core::Impl::start_election(bool transfer) {
    set_hard_state(term.next(), config.self);
    restart_election_timer();
    role = Candidate{};
    for (const Member& m : voting_members(membership()))
        if (m.replica != config.self)
            answer(m.replica, VoteRequest{false, log.last(), log.last_term(), transfer});
    if (MUTANT(raft_vote_not_synced) || MUTANT(raft_self_counted_unsynced)) count_own_vote();
}

void Core::Impl::count_own_vote() {
    auto* candidate = std::get_if<Candidate>(&role);
    if (!candidate) return;
    candidate->tally.count(config.self, true);
    if (won(candidate->tally)) become_leader();
}

bool Core::Impl::won(const Tally& tally) const {
    const Membership& m = membership();
    if (MUTANT(raft_joint_one_majority)) return won_by(m.voters, tally);
    return won_by(m.voters, tally) && (!m.joint() || won_by(m.outgoing, tally));
}

bool Core::Impl::lost(const Tally& tally) const {
    const Membership& m = membership();
    return lost_by(m.voters, tally) || (m.joint() && lost_by(m.outgoing, tally));
}

// Whoever votes in the membership in force, in either half of it. Also whoever voted in the last
// one that is committed: the entry that removes it may be in its log alone, and then the others
// need its vote, which it can only give itself. It does not count itself [4.2.2]. Which one that is
// nobody knows after a restart, so it may be any from the last one known to be committed on. Not
// while the state is being replaced.
bool Core::Impl::may_campaign() const {
    // What a witness can bring to others is its log; without any it could only stand in their way.
    const bool empty_witness = is_witness() && log.last() == log.start();
    const bool voter = MUTANT(raft_removed_leader_forgets)
                           ? membership().votes(config.self) ||
                                 memberships.as_of(commit).membership.votes(config.self)
                           : memberships.votes_since(commit, config.self);
    return voter && !installing && !removed && !empty_witness;
}

// Who may not campaign and hears from no leader was perhaps removed, and the word of it lost: its
// question disturbs nobody, and a member that knows will say so (rule 19).
void Core::Impl::ask_whether_still_a_member() {
    if (removed || installing || MUTANT(raft_removed_disturbs)) return;
    for (const Member& m : voting_members(membership()))
        if (m.replica != config.self)
            send(m.replica, term.next(), VoteRequest{true, log.last(), log.last_term()});
}

void Core::Impl::become_leader() {
    CHECK(vote == config.self, "a leader voted for itself");
    Leader l;
    l.noop = log.last().next();
    passed_over = slow_writes = 0;
    l.since = last_use = clock;
    l.next_heartbeat = clock + config.heartbeat_interval;
    for (const Member& m : all_members(membership()))
        if (m.replica != config.self) l.peers.emplace_back(m, l.noop, clock);
    for (LogIndex i = commit.next(); i <= log.last(); i = i.next())
        l.uncommitted_bytes += log.at(i).payload.size();
    role = std::move(l);
    leader = config.self;
    heard_leader.reset();
    // Of its own term, for commits of earlier ones cannot be counted (rule 3, section 3.6.2).
    append_as_leader(EntryKind::Noop, Bytes());
}

// Time ---------------------------------------------------------------------------------------

void Core::Impl::restart_election_timer() {
    const auto low = static_cast<uint64_t>(config.election_timeout_min.count());
    const auto high = static_cast<uint64_t>(config.election_timeout_max.count());
    election_timeout = Duration(static_cast<int64_t>(prng.between(low, high)));
    election_deadline = clock + election_timeout;
}

void Core::Impl::heard_from_leader(ReplicaId from) {
    CHECK(!leader || leader == from, "contradicts() keeps a second leader of the term away");
    if (role_name() != Role::Follower) become_follower(term, from);
    leader = from;
    heard_leader = promised = clock;
    quiet = false;
    passed_over = 0;
    election_deadline = clock + election_timeout;
}

void Core::Impl::peer_disconnected(NodeId peer) {
    if (role_name() != Role::Follower || !leader || node_of(leader) != peer) return;
    wake();
    heard_leader.reset();
    const auto bound = static_cast<uint64_t>(kAfterDisconnect.count());
    const Duration wait(static_cast<int64_t>(prng.between(0, bound)));
    election_deadline = std::min(election_deadline, clock + wait);
}

// A leader that has not heard from a quorum for the shortest election timeout may be deposed
// already: it steps down, so that its clients look elsewhere (rule 10).
void Core::Impl::check_quorum_contact() {
    const uint64_t heard = reached([this](ReplicaId replica) {
        const Progress* p = peer(replica);
        const Instant at = p ? p->last_heard() : replica == config.self ? clock : Instant();
        return static_cast<uint64_t>(at.time_since_epoch().count());
    });
    const Instant contact{Duration(static_cast<int64_t>(heard))};
    if (MUTANT(raft_no_check_quorum)) return;
    if (clock - contact >= config.election_timeout_min) become_follower(term, ReplicaId(0));
}

bool Core::Impl::disk_hangs() const {
    return durability.writing() && clock - disk_moved >= config.election_timeout_min;
}

bool Core::Impl::stalls_for(Duration patience) const {
    return stalled_since && clock - *stalled_since >= patience;
}

bool Core::Impl::quorum_stalls() const {
    const auto too_many = [this](const std::vector<Member>& half) {
        const auto stalled = std::ranges::count_if(half, [this](const Member& m) {
            const Progress* p = peer(m.replica);
            return p && p->stalled();
        });
        return !half.empty() && half.size() - static_cast<size_t>(stalled) < half.size() / 2 + 1;
    };
    return too_many(membership().voters) || too_many(membership().outgoing);
}

// A leader whose own log makes no progress, while a quorum without it has what its disk has not, or
// whose applied state takes no writes, makes room for a healthy one (D2, D8, D10). Where all disks
// are slow or full nobody is better, and a change of leaders would help nobody.
void Core::Impl::check_fitness() {
    if (alone()) return;
    const bool hangs = disk_hangs() && commit > durability.index();
    const bool slow = slow_writes >= kSlowWrites && !MUTANT(raft_slow_disk_leads);
    const Duration patience = config.election_timeout_min;
    bool stalled = stalls_for(patience) && clock - leading()->since >= patience;
    if (stalled) {
        const Progress* heir = best_voter();
        stalled = (heir && !heir->stalled()) || MUTANT(raft_full_leader_gives_up);
    }
    if (!stalled && !hangs && !slow) return;
    slow_writes = 0;
    hand_over();
    become_follower(term, ReplicaId(0));
}

// With a hanging disk its own vote could not become durable: asking would only raise terms. With a
// stalled state it could lead and not serve, but its log may be the only complete one: so it asks,
// if nobody else has won meanwhile, and as leader brings the others up to date. So does a witness.
bool Core::Impl::lets_others_go_first() {
    constexpr unsigned kPatience = 4;
    if (alone()) return false;
    return disk_hangs() || ((stalled_since || is_witness()) && ++passed_over < kPatience);
}

// Voters -------------------------------------------------------------------------------------

bool Core::Impl::leader_is_alive() const {
    if (leading()) return true;  // check-quorum would have ended it
    return heard_leader && (quiet || clock - *heard_leader < config.election_timeout_min);
}

bool Core::Impl::promise_holds() const {
    return leases_on() && clock - promised < config.election_timeout_min;
}

// The election restriction [3.6.1].
bool Core::Impl::log_is_current(const VoteRequest& request) const {
    if (request.last_term != log.last_term()) return request.last_term > log.last_term();
    return request.last_index >= log.last();
}

// Two survivors that notice a dead leader at once would grant each other's pre-vote and then split
// the vote for a whole timeout. So for one heartbeat interval after it has asked, a pre-candidate
// grants only to a better log or, of equals, to the lower replica. Only so long: the preferred one
// may be unable to win, and nobody may have to wait for it for ever.
bool Core::Impl::prefers_own_candidacy(ReplicaId rival, const VoteRequest& request) const {
    const auto* own = std::get_if<PreCandidate>(&role);
    if (!own || is_witness() || clock - own->since >= config.heartbeat_interval) return false;
    return request.last_term == log.last_term() && request.last_index == log.last() &&
           config.self < rival;
}

void Core::Impl::on_pre_vote_request(const Message& message, const VoteRequest& request) {
    if (known_removed(message.from)) return say_removed(message.from);
    if (MUTANT(raft_prevote_raises_term) && message.term > term)
        become_follower(message.term, ReplicaId(0));
    const bool held_off = (leader_is_alive() || promise_holds()) && !MUTANT(raft_no_prevote_lease);
    const bool grant = message.term > term && !held_off && log_is_current(request) &&
                       !prefers_own_candidacy(message.from, request);
    // It promises nothing, so it waits for nothing. Refused, it tells our term: a pre-candidate
    // that has missed terms catches up by it.
    send(message.from, grant ? message.term : term, VoteReply{true, grant});
}

void Core::Impl::on_vote_request(const Message& message, const VoteRequest& request) {
    if (known_removed(message.from)) return say_removed(message.from);
    if (promise_holds() && !request.transfer) return;
    if (message.term > term) {
        // While the leader is alive nobody has a reason to ask; not even the term moves (rule 9).
        // A candidate stranded at a higher term is freed by its answers to the leader (rule 11).
        // Unless the leader itself wants to be succeeded.
        if (leader_is_alive() && !request.transfer) return;
        become_follower(message.term, ReplicaId(0));
    }
    if (message.term < term) return answer(message.from, VoteReply{false, false});
    const bool free = (!vote && !leader) || vote == message.from ||
                      (MUTANT(raft_double_vote) && role_name() == Role::Follower);
    const bool grant = free && log_is_current(request);
    if (grant) {
        become_follower(term, leader);
        set_hard_state(term, message.from);
        election_deadline = clock + election_timeout;
    }
    answer(message.from, VoteReply{false, grant});
}

// Candidates ---------------------------------------------------------------------------------

void Core::Impl::on(const Message& message, VoteReply& reply) {
    Tally* tally = nullptr;
    if (auto* c = std::get_if<PreCandidate>(&role); c && reply.pre)
        tally = !reply.granted || message.term == term.next() ? &c->tally : nullptr;
    else if (auto* d = std::get_if<Candidate>(&role); d && !reply.pre)
        tally = &d->tally;
    if (!tally) return;
    tally->count(message.from, reply.granted);
    if (won(*tally)) return reply.pre ? start_election(false) : become_leader();
    if (lost(*tally)) become_follower(term, ReplicaId(0));
}

}  // namespace asterias::raft
