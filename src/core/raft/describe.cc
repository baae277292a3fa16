// The human form of messages, inputs and outputs, used by logs, text tests and the simulator's
// trace. An entry is index/term, a message from->to tTERM.
#include <algorithm>

#include "core/raft/core.h"

namespace asterias::raft {
namespace {

std::string entry_name(const Entry& e) {
    std::string text = to_string(e.index) + "/" + to_string(e.term);
    if (e.kind == EntryKind::Noop) return text + " noop";
    if (e.kind == EntryKind::Config) {
        const auto membership = decode_membership(e.payload);
        return text + " config {" + (membership ? describe(*membership) : "undecodable") + "}";
    }
    constexpr size_t kShown = 16;
    const std::string_view payload = e.payload.view().substr(0, kShown);
    const bool printable = std::all_of(payload.begin(), payload.end(),
                                       [](char c) { return c >= ' ' && c <= '~' && c != '"'; });
    if (e.payload.size() > kShown || !printable)
        return text + " (" + std::to_string(e.payload.size()) + " bytes)";
    return text + " \"" + std::string(payload) + "\"";
}

std::string entry_list(const std::vector<Entry>& entries) {
    constexpr size_t kShown = 6;
    if (entries.size() > kShown)
        return "[" + entry_name(entries.front()) + " .. " + entry_name(entries.back()) + "]";
    std::string text = "[";
    for (const Entry& e : entries)
        text += (text.size() > 1 ? ", " : "") + entry_name(e);
    return text + "]";
}

struct BodyText {
    std::string operator()(const VoteRequest& m) const {
        return std::string(m.pre ? "pre-vote?" : "vote?") + " log=" + to_string(m.last_index) +
               "/" + to_string(m.last_term) + (m.transfer ? " by transfer" : "");
    }
    std::string operator()(const VoteReply& m) const {
        return std::string(m.pre ? "pre-vote " : "vote ") + (m.granted ? "granted" : "refused");
    }
    std::string operator()(const AppendRequest& m) const {
        std::string text = "append prev=" + to_string(m.prev_index) + "/" + to_string(m.prev_term) +
                           " commit=" + to_string(m.commit);
        return m.entries.empty() ? text : text + " " + entry_list(m.entries);
    }
    std::string operator()(const AppendReply& m) const {
        if (m.accepted) return "accepted match=" + to_string(m.match);
        return "apart conflict=" + to_string(m.conflict_index) + "/" + to_string(m.conflict_term);
    }
    std::string operator()(const Heartbeat& m) const {
        return "heartbeat commit=" + to_string(m.commit) + " round=" + std::to_string(m.round) +
               (m.quiesce ? " quiesce" : "");
    }
    std::string operator()(const HeartbeatReply& m) const {
        return "alive round=" + std::to_string(m.round) + (m.stalled ? " stalled" : "");
    }
    std::string operator()(const TimeoutNow&) const { return "timeout-now"; }
    std::string operator()(const Removed& m) const { return "removed index=" + to_string(m.index); }
    std::string operator()(const ReadIndexRequest& m) const {
        return "read-index? " + std::to_string(m.context);
    }
    std::string operator()(const ReadIndexReply& m) const {
        return "read-index " + std::to_string(m.context) + " index=" + to_string(m.index);
    }
};

struct EventText {
    std::string operator()(const Tick&) const { return "tick"; }
    std::string operator()(const Received& e) const { return "received " + describe(e.message); }
    std::string operator()(const Persisted& e) const { return "persisted " + to_string(e.through); }
    std::string operator()(const Applied& e) const { return "applied " + to_string(e.through); }
    std::string operator()(const PeerDisconnected& e) const {
        return "disconnected from n" + to_string(e.peer);
    }
    std::string operator()(const ReadRequested& e) const {
        return "read " + std::to_string(e.context);
    }
    std::string operator()(const Stalled& e) const {
        return e.stalled ? "stalled" : "stalled no more";
    }
    std::string operator()(const Compact& e) const { return "compact " + to_string(e.through); }
    std::string operator()(const SnapshotSent& e) const {
        return "snapshot " + to_string(e.index) + " for r" + to_string(e.to) +
               (e.delivered ? " delivered" : " given up");
    }
    std::string operator()(const Installed& e) const {
        return "installed " + to_string(e.meta.index) + "/" + to_string(e.meta.term);
    }
    std::string operator()(const Wake&) const { return "wake"; }
};

}  // namespace

std::string_view to_string(Role role) {
    switch (role) {
        case Role::Follower:
            return "Follower";
        case Role::PreCandidate:
            return "PreCandidate";
        case Role::Candidate:
            return "Candidate";
        case Role::Leader:
            return "Leader";
    }
    return "?";
}

std::string describe(const Message& message) {
    return to_string(message.from) + "->" + to_string(message.to) + " t" + to_string(message.term) +
           " " + std::visit(BodyText{}, message.body);
}

std::string describe(const Input& input) {
    const auto micros =
        std::chrono::duration_cast<microseconds>(input.now.time_since_epoch()).count();
    return "@" + std::to_string(micros) + "us " + std::visit(EventText{}, input.event);
}

// One line per part, without a newline at the end; empty for an empty output.
std::string describe(const Output& output) {
    std::string text;
    auto line = [&](const std::string& part) { text += (text.empty() ? "" : "\n") + part; };
    if (output.role_change) {
        const RoleChange& r = *output.role_change;
        line(std::string(to_string(r.role)) + " term=" + to_string(r.term) +
             (r.leader ? " leader=n" + to_string(r.leader) : ""));
    }
    if (const auto& f = output.forgotten)
        line("forgotten: n" + to_string(f->leader) + " counts " + to_string(f->acknowledged) +
             ", last is " + to_string(f->last));
    if (output.persist_id) {
        std::string write = "write #" + to_string(output.persist_id);
        if (output.hard_state)
            write += " term=" + to_string(output.hard_state->term) +
                     " vote=" + to_string(output.hard_state->vote);
        line(output.append.empty() ? write : write + " " + entry_list(output.append));
    }
    if (output.membership) line("membership: " + describe(*output.membership));
    for (const Message& m : output.messages)
        line("send " + describe(m));
    for (const SnapshotWanted& s : output.snapshots_wanted)
        line("snapshot wanted for r" + to_string(s.to.replica) + "@n" + to_string(s.to.node) +
             ", at least " + to_string(s.at_least));
    if (!output.committed.empty()) line("committed " + entry_list(output.committed));
    for (const ReadConfirmed& r : output.reads_confirmed)
        line("read " + std::to_string(r.context) + " confirmed");
    for (const ReadRefused& r : output.reads_refused)
        line("read " + std::to_string(r.context) + " refused");
    if (output.removed) line("removed");
    return text;
}

}  // namespace asterias::raft
