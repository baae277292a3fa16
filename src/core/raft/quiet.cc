// Quiescence: a group that nobody needs sends nothing, and notices when it is needed (rule 40).
//
// The leader says so in a last heartbeat, once everybody has everything. From then on silence means
// nothing to its followers; that its node died they hear from the driver (PeerDisconnected, Wake),
// or from one of them that missed the last heartbeat and asks for votes. Who is mistaken about the
// others being quiet costs them one pre-vote, never an election of a group that has a leader.
#include <algorithm>

#include "core/raft/impl.h"

namespace asterias::raft {

bool Core::Impl::may_go_quiet() const {
    const Leader& l = *leading();
    const Membership& m = membership();
    if (config.quiesce_after == Duration{} || clock - last_use < config.quiesce_after) return false;
    const bool changing = m.joint() || m.promote || memberships.index() > commit;
    const bool reading = !l.reads_new.empty() || !l.reads_begun.empty();
    const bool at_rest = commit == log.last() && applied_index == commit &&
                         durability.index() == log.last() && !durability.writing();
    if (!ready_to_lead() || changing || reading || stalled_since || !at_rest) return false;
    return std::all_of(l.peers.begin(), l.peers.end(), [this](const Progress& p) {
        return p.match() == log.last() && heard_lately(p.member().replica);
    });
}

void Core::Impl::go_quiet() {
    quiet = true;
    leading()->heartbeat_due = sends_due = true;  // the last one says so
}

// Whoever lacks anything of what the leader has must not rest.
void Core::Impl::follow_into_quiet(const Heartbeat& heartbeat) {
    quiet = heartbeat.quiesce && heartbeat.commit == log.last() &&
            durability.index() == log.last() && !installing;
}

void Core::Impl::used() {
    last_use = clock;
    wake();
}

void Core::Impl::wake() {
    if (!quiet || MUTANT(raft_quiet_never_wakes)) return;
    quiet = false;
    if (Leader* l = leading()) {
        for (Progress& p : l->peers)
            p.heard(clock);  // they were silent because they were told to be
        last_use = clock;
        l->heartbeat_due = sends_due = true;
        l->next_heartbeat = clock + config.heartbeat_interval;
        return;
    }
    if (heard_leader) heard_leader = clock;
    election_deadline = clock + election_timeout;
}

}  // namespace asterias::raft
