#include "sim/explore/history.h"

#include <algorithm>

namespace asterias::sim::explore {

namespace {

// From one committed membership to the next (rules 14, 15, 47).
bool is_step(const raft::Membership& before, const raft::Membership& now) {
    const bool leaves = before.joint() && !now.joint() && now.voters == before.voters;
    const bool enters = !before.joint() && now.joint() && now.outgoing == before.voters;
    const bool stays = !before.joint() && !now.joint() && now.voters == before.voters;
    if (!leaves && !enters && !stays) return false;
    for (const raft::Member& m : raft::all_members(now))
        if (!before.find(m.replica) && m.replica <= before.last_replica) return false;
    return now.last_replica >= before.last_replica;
}

}  // namespace

std::vector<Vote> votes_in(const std::vector<Parcel>& parcels) {
    std::vector<Vote> votes;
    for (const Parcel& parcel : parcels) {
        const raft::Message& m = parcel.message;
        const auto* reply = std::get_if<raft::VoteReply>(&m.body);
        const auto* request = std::get_if<raft::VoteRequest>(&m.body);
        const size_t from = m.from.value - 1;
        if (reply && reply->granted && !reply->pre)
            votes.push_back({m.term.value, from, m.to.value - 1});
        else if (request && !request->pre)
            votes.push_back({m.term.value, from, from});
    }
    return votes;
}

std::string History::note(const std::vector<const View*>& views, size_t moved, const View& was,
                          const std::vector<Vote>& cast,
                          const std::vector<uint64_t>& reads_confirmed,
                          const raft::Membership& founders, const MembershipOf& membership_of) {
    const View& view = *views[moved];
    std::string broken = note_votes(cast);
    if (broken.empty() && view.leads) broken = note_leader(view, moved);
    if (broken.empty()) broken = note_commit(view, was, founders, membership_of);
    if (broken.empty()) broken = check_majority(views, members(founders, membership_of));
    for (size_t i = 0; i < views.size() && broken.empty(); ++i)
        if (i != moved && !views[i]->removed && !logs_match(view, *views[i]))
            broken = "log matching: two logs differ";
    for (const uint64_t context : reads_confirmed) {
        const auto read = std::find_if(reads.begin(), reads.end(),
                                       [&](const Asked& r) { return r.context == context; });
        if (read == reads.end()) return "reads: a read is confirmed that nobody waits for";
        if (view.commit < read->committed && broken.empty())
            broken = "reads: a confirmed read misses entry " + std::to_string(read->committed);
        reads.erase(read);
    }
    forget(views);
    return broken;
}

std::string History::note_votes(const std::vector<Vote>& cast) {
    for (const Vote& vote : cast) {
        const auto at = std::find_if(votes.begin(), votes.end(), [&](const Vote& v) {
            return v.term == vote.term && v.voter == vote.voter;
        });
        if (at == votes.end())
            votes.push_back(vote);
        else if (at->candidate != vote.candidate)
            return "votes: r" + std::to_string(vote.voter + 1) + " votes twice in term " +
                   std::to_string(vote.term);
    }
    return "";
}

std::string History::note_leader(const View& view, size_t replica) {
    const auto at = std::find_if(leaders.begin(), leaders.end(),
                                 [&](const Lead& l) { return l.term == view.term; });
    if (at == leaders.end())
        leaders.push_back({view.term, replica});
    else if (at->replica != replica)
        return "election safety: two leaders of term " + std::to_string(view.term);
    for (size_t i = 0; i < committed.size(); ++i)
        if (committed[i].by < view.term && !View::has(view.log, i, committed[i].entry))
            return "leader completeness: the leader of term " + std::to_string(view.term) +
                   " lacks committed entry " + std::to_string(i + 1);
    return "";
}

// A leader that commits its own removal leads no more in the same turn.
std::string History::note_commit(const View& view, const View& was,
                                 const raft::Membership& founders,
                                 const MembershipOf& membership_of) {
    const bool led = view.leads || (was.leads && view.removed);
    for (size_t i = committed.size(); led && i < view.commit; ++i) {
        if (i >= view.log.size() || view.log[i] == View::kCompacted)
            return "state machine safety: a leader commits what it does not have";
        const raft::Membership* next = membership_of(view.log[i]);
        if (next && !is_step(members(founders, membership_of), *next))
            return "membership: from {" + describe(members(founders, membership_of)) + "} to {" +
                   describe(*next) + "} is no step";
        committed.push_back({view.log[i], view.term});
    }
    if (view.commit > committed.size())
        return "state machine safety: a commit that no leader has made";
    for (size_t i = 0; i < view.commit; ++i)
        if (!View::has(view.log, i, committed[i].entry))
            return "state machine safety: another entry at committed index " +
                   std::to_string(i + 1);
    return "";
}

const raft::Membership& History::members(const raft::Membership& founders,
                                         const MembershipOf& membership_of) const {
    for (auto c = committed.rbegin(); c != committed.rend(); ++c)
        if (const raft::Membership* m = membership_of(c->entry)) return *m;
    return founders;
}

std::string History::check_majority(const std::vector<const View*>& views,
                                    const raft::Membership& members) const {
    for (size_t i = 0; i < committed.size(); ++i)
        for (const auto* half : {&members.voters, &members.outgoing}) {
            size_t disks = 0, logs = 0;
            for (const raft::Member& m : *half) {
                const View& v = *views[m.replica.value - 1];
                disks += !v.removed && View::has(v.disk, i, committed[i].entry);
                logs += !v.removed && View::has(v.log, i, committed[i].entry);
            }
            if (!half->empty() && (2 * disks <= half->size() || 2 * logs <= half->size()))
                return "durability: committed entry " + std::to_string(i + 1) + " is on " +
                       std::to_string(disks) + " disks and in " + std::to_string(logs) +
                       " logs of " + std::to_string(half->size());
        }
    return "";
}

// A vote cannot be cast any more in a term that its voter's disk is beyond, nor can a term get a
// leader when all disks are beyond it.
void History::forget(const std::vector<const View*>& views) {
    std::erase_if(votes, [&](const Vote& v) { return v.term < views[v.voter]->disk_term; });
    uint64_t lowest = ~uint64_t{0};
    for (const View* v : views)
        if (!v->removed) lowest = std::min(lowest, v->disk_term);
    std::erase_if(leaders, [&](const Lead& l) {
        return l.term < lowest && !(views[l.replica]->leads && views[l.replica]->term == l.term);
    });
    const auto by_term = [](const auto& a, const auto& b) { return a.term < b.term; };
    std::sort(leaders.begin(), leaders.end(), by_term);
    std::sort(votes.begin(), votes.end(), [](const Vote& a, const Vote& b) {
        return std::pair(a.term, a.voter) < std::pair(b.term, b.voter);
    });
}

std::string History::bytes() const {
    std::string out;
    for (const Committed& c : committed)
        out += std::to_string(c.entry) + "," + std::to_string(c.by) + ";";
    out += "|";
    for (const Lead& l : leaders)
        out += std::to_string(l.term) + "," + std::to_string(l.replica) + ";";
    out += "|";
    for (const Vote& v : votes)
        out += std::to_string(v.term) + "," + std::to_string(v.voter) + "," +
               std::to_string(v.candidate) + ";";
    out += "|";
    for (const Asked& r : reads)
        out += std::to_string(r.context) + "," + std::to_string(r.committed) + ";";
    return out;
}

bool logs_match(const View& a, const View& b) {
    const size_t both = std::min(a.log.size(), b.log.size());
    size_t agree = 0;  // the logs are equal up to here
    while (agree < both && (a.log[agree] == b.log[agree] || !a.log[agree] || !b.log[agree]))
        ++agree;
    for (size_t i = agree; i < both; ++i)
        if (a.log[i] && b.log[i] && a.log_terms[i] == b.log_terms[i]) return false;
    return true;
}

}  // namespace asterias::sim::explore
