// Membership: what happens when one comes into force, and when it is committed (rules 14-19).
#include <algorithm>

#include "core/raft/impl.h"

namespace asterias::raft {

namespace {

void erase(std::vector<Member>& members, ReplicaId replica) {
    std::erase_if(members, [&](const Member& m) { return m.replica == replica; });
}

std::string on_node(NodeId node) { return "node " + to_string(node); }

NodeId promoted_node(const Membership& m) {
    for (const Member& learner : m.learners)
        if (learner.replica == m.promote) return learner.node;
    return NodeId(0);
}

}  // namespace

// Asked for ----------------------------------------------------------------------------------

ChangeOutcome Core::Impl::change(const Change& change) {
    if (!leading()) return NotLeader{node_of(leader)};
    if (std::string why = what_bars_changes(); !why.empty()) return Refused{std::move(why), true};
    Planned planned = std::visit([this](const auto& c) { return plan(c); }, change);
    if (auto* refused = std::get_if<Refused>(&planned)) return std::move(*refused);
    used();
    propose_membership(std::get<Membership>(planned));
    return Accepted{log.last(), term};
}

// Two leaders that each changed the membership on top of something uncommitted could end with
// majorities that do not meet: so both the last change and an entry of this very term have to be
// committed first (rule 15).
std::string Core::Impl::what_bars_changes() const {
    const Leader& l = *leading();
    if (commit < l.noop && !MUTANT(raft_change_before_noop))
        return "the leader was just elected: ask again in a moment";
    if (l.transfer) return "the lead is being handed over: ask again in a moment";
    const bool under_way = membership().joint() || memberships.index() > commit;
    if (under_way && !MUTANT(raft_two_changes))
        return "another change is under way: wait until asterias replica list shows none";
    return "";
}

Core::Impl::Planned Core::Impl::plan(const AddReplica& add) const {
    return with_learner(add.node, add.witness, ReplicaId(0), add.life);
}

Core::Impl::Planned Core::Impl::plan(const ReplaceReplica& replace) const {
    const Member* from = membership().on(replace.from);
    if (!from || !membership().votes(from->replica))
        return Refused{on_node(replace.from) + " has no voter of this group"};
    return with_learner(replace.to, from->witness, from->replica, replace.life);
}

// By the term, so that nobody gives it again whose log lacks this entry: a later leader counts from
// no less, and further. 0: none is left.
ReplicaId Core::Impl::next_number(uint64_t life) const {
    CHECK(life >> kLifeBits == 0, "a life fits into its bits of a replica's number");
    const uint64_t step = MUTANT(raft_number_given_twice) ? 1 : term.value;
    const uint64_t last = membership().last_replica.value;
    if (life == 0 && last < (1 << kLifeBits) && step < (1 << kLifeBits) - last)
        return ReplicaId(last + step);
    const uint64_t count = last >> kLifeBits;
    if (step > (UINT64_MAX >> kLifeBits) - count) return {};
    return ReplicaId((count + step) << kLifeBits | life);
}

Core::Impl::Planned Core::Impl::with_learner(NodeId node, bool witness, ReplicaId retire,
                                             uint64_t life) const {
    Membership next = membership();
    if (!node) return Refused{"a node's number is not 0"};
    if (next.promote)
        return Refused{
            on_node(promoted_node(next)) + " is still catching up: wait for it, or remove it",
            true};
    if (next.on(node)) return Refused{on_node(node) + " is a member already"};
    next.last_replica = next_number(life);
    if (!next.last_replica) return Refused{"no replica number is left"};
    next.learners.push_back({next.last_replica, node, witness});
    next.promote = next.last_replica;
    next.retire = retire;
    return next;
}

Core::Impl::Planned Core::Impl::plan(const RemoveReplica& remove) const {
    Membership next = membership();
    const Member* found = next.on(remove.node);
    if (!found) return Refused{on_node(remove.node) + " is not a member"};
    const ReplicaId gone = found->replica;
    if (!next.votes(gone)) {
        erase(next.learners, gone);
        if (next.promote == gone) next.promote = next.retire = ReplicaId(0);
        return next;
    }
    if (next.promote)
        return Refused{
            on_node(promoted_node(next)) + " is still catching up: wait for it, or remove it",
            true};
    next.outgoing = next.voters;
    erase(next.voters, gone);
    if (std::string why = what_bars_voters(next.voters); !why.empty())
        return Refused{std::move(why)};
    return next;
}

// O1 of docs/faults.md: nobody is removed whom the others need.
std::string Core::Impl::what_bars_voters(const std::vector<Member>& voters) const {
    // State that only who leaves has would be lost: witnesses have none.
    const auto has_state = [this](const Member& m) {
        const Progress* p = peer(m.replica);
        return !m.witness && (m.replica == config.self || (p && p->match() >= commit));
    };
    if (std::none_of(voters.begin(), voters.end(), has_state))
        return "no voter that has all of the state would be left: add one, or let it catch up";
    const auto heard = std::count_if(voters.begin(), voters.end(), [this](const Member& m) {
        return m.replica == config.self || heard_lately(m.replica);
    });
    if (2 * static_cast<size_t>(heard) > voters.size()) return "";
    return "of the " + std::to_string(voters.size()) + " voters that would remain only " +
           std::to_string(heard) + " were heard lately: see that they run, or remove those first";
}

// Goes on by itself --------------------------------------------------------------------------

// A leader, this or a later one, finds in the log what is under way and takes the next step as soon
// as the last one is committed (rule 14).
void Core::Impl::continue_change() {
    const Leader* l = leading();
    if (!l || l->transfer || commit < l->noop || memberships.index() > commit) return;
    Membership next = membership();
    if (next.joint()) {
        next.outgoing.clear();
        return propose_membership(next);
    }
    const Progress* p = next.promote ? peer(next.promote) : nullptr;
    if (!p || (!caught_up(*p) && !MUTANT(raft_promote_unready))) return;
    const Member promoted = p->member();
    next.outgoing = next.voters;
    erase(next.learners, promoted.replica);
    erase(next.voters, next.retire);
    next.voters.push_back(promoted);
    std::sort(next.voters.begin(), next.voters.end());
    next.promote = next.retire = ReplicaId(0);
    if (what_bars_voters(next.voters).empty()) propose_membership(next);
}

// A voter that lags would count for the quorum and could not help it (rule 17).
bool Core::Impl::caught_up(const Progress& p) const {
    return p.state() == Progress::State::Replicate && p.match() >= commit &&
           p.match().value + config.promotion_lag_max >= log.last().value &&
           heard_lately(p.member().replica);
}

void Core::Impl::propose_membership(const Membership& next) {
    append_as_leader(EntryKind::Config, encode(next));
}

// In force -----------------------------------------------------------------------------------

void Core::Impl::config_appended(const Entry& entry) {
    auto decoded = decode_membership(entry.payload);
    CHECK(decoded.has_value(), "well_formed() and the journal let no other Config entry in");
    memberships.appended(entry.index, std::move(*decoded));
    membership_changed();
}

void Core::Impl::membership_changed() {
    out.membership = membership();
    if (leading()) sync_peers();
}

// Learners get the log like anybody and count for nothing.
void Core::Impl::sync_peers() {
    Leader& l = *leading();
    std::vector<Progress> peers;
    for (const Member& m : all_members(membership())) {
        if (m.replica == config.self) continue;
        if (Progress* known = peer(m.replica))
            peers.push_back(std::move(*known));
        else
            peers.emplace_back(m, log.last().next(), clock);
    }
    l.peers = std::move(peers);
    l.heartbeat_due = sends_due = true;
}

// Committed ----------------------------------------------------------------------------------

// Not a member of what is committed, and not somebody who is still to come: it was removed, and its
// number is never given again.
bool Core::Impl::known_removed(ReplicaId replica) const {
    const Membership& m = memberships.as_of(commit).membership;
    return !m.voters.empty() && replica <= m.last_replica && !m.find(replica);
}

void Core::Impl::membership_committed(LogIndex before) {
    const Memberships::At& now = memberships.as_of(commit);
    if (now.index <= before) return;
    if (leading()) {
        for (const Member& m : memberships.named(before, commit))
            if (m.replica != config.self && known_removed(m.replica)) say_removed(m.replica);
    }
    if (!known_removed(config.self)) return;
    if (leading()) hand_over();
    leave();
}

void Core::Impl::say_removed(ReplicaId replica) {
    send(replica, term, Removed{memberships.as_of(commit).index});
}

void Core::Impl::leave() {
    become_follower(term, ReplicaId(0));
    held.clear();
    removed = out.removed = true;
}

void Core::Impl::on_removed(const Removed& said) {
    // Up to there this replica knows better.
    if (said.index <= commit) {
        ++malformed_messages;
        return;
    }
    leave();
}

}  // namespace asterias::raft
