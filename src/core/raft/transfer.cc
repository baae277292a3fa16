// Handing the lead over: on demand, by a leader that is not fit to lead, by one that left the
// group, and by a witness (section 3.10; rules 18, 21, 35, 46).
#include <algorithm>

#include "core/raft/impl.h"

namespace asterias::raft {

bool Core::Impl::heard_lately(ReplicaId replica) const {
    const Progress* p = peer(replica);
    return p && clock - p->last_heard() < config.election_timeout_min;
}

// Of the voters that could serve: the one that has most of the log. One whose state takes no writes
// only if there is no other.
const Progress* Core::Impl::best_voter() const {
    const Progress* best = nullptr;
    for (const Member& m : membership().voters) {
        const Progress* p = peer(m.replica);
        if (!p || m.witness || !heard_lately(m.replica)) continue;
        if (!best || p->stalled() < best->stalled() ||
            (p->stalled() == best->stalled() && p->match() > best->match()))
            best = p;
    }
    return best;
}

ChangeOutcome Core::Impl::transfer(NodeId to) {
    Leader* l = leading();
    if (!l) return NotLeader{node_of(leader)};
    const Progress* target = to ? nullptr : best_voter();
    if (to) {
        const auto& voters = membership().voters;
        const auto found = std::find_if(voters.begin(), voters.end(),
                                        [&](const Member& m) { return m.node == to; });
        const std::string node = "node " + to_string(to);
        if (found == voters.end()) return Refused{node + " has no voter of this group"};
        if (found->replica == config.self) return Refused{node + " leads already"};
        if (found->witness)
            return Refused{node + " has a witness, which holds no state: name another"};
        if (!heard_lately(found->replica))
            return Refused{node + " was not heard lately: see that it runs, or name another"};
        target = peer(found->replica);
    }
    if (!target) return Refused{"no other voter that could lead was heard lately"};
    const ReplicaId heir = target->member().replica;
    used();
    l->transfer = {heir, clock + config.election_timeout_min};
    continue_transfer();
    return Accepted{log.last(), term};
}

// Nothing is proposed meanwhile, so that the log stands still and its end can be matched. Given up
// after an election timeout: by then the group would have had an election without it.
void Core::Impl::continue_transfer() {
    Leader& l = *leading();
    if (!l.transfer && is_witness()) {
        const Progress* p = best_voter();
        if (p && p->match() == log.last())
            l.transfer = {p->member().replica, clock + config.election_timeout_min};
    }
    if (!l.transfer) return;
    const Progress* p = peer(l.transfer->to);
    if (!p || clock >= l.transfer->until) {
        l.transfer.reset();
        sends_due = true;  // reads may wait
        // It would ask the same one again: whoever else has all of the log may win instead.
        if (is_witness()) become_follower(term, ReplicaId(0));
        return;
    }
    if (l.transfer->offered || p->match() < log.last()) return;
    l.transfer->offered = true;
    offer_lead(*p);
}

// From now on there may be another leader at any moment: whoever votes for it has the word of this
// one that it need not be waited for.
void Core::Impl::offer_lead(const Progress& to) {
    leading()->lead_offered = true;
    send(to.member().replica, term, TimeoutNow{});
}

// Without waiting for anything, least of all for the own disk (rule 35). Whoever lacks what is
// committed could not win.
void Core::Impl::hand_over() {
    const Progress* best = best_voter();
    if (best && best->match() >= commit) offer_lead(*best);
}

void Core::Impl::on(const Message& message, TimeoutNow&) {
    heard_from_leader(message.from);
    // A witness is never asked: it could only give the lead on.
    if (may_campaign() && !is_witness() && !disk_hangs()) start_election(true);
}

}  // namespace asterias::raft
