// Membership: what happens when one comes into force, and when it is committed (rules 14-19).
#include <algorithm>

#include "core/raft/impl.h"

namespace asterias::raft {

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
    if (known_removed(config.self)) leave();
}

void Core::Impl::say_removed(ReplicaId replica) {
    send(replica, term, Removed{memberships.as_of(commit).index});
}

void Core::Impl::leave() {
    become_follower(term, ReplicaId(0));
    held.clear();
    installing.reset();
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
