#include "sim/explore/replica.h"

#include <algorithm>

#include "base/check.h"

namespace asterias::sim::explore {

using namespace raft;

namespace {

constexpr GroupId kGroup{7};
constexpr Duration kBeat = milliseconds(100);
constexpr Duration kTimeout = 2 * kBeat;

// What an output has appended, put into `log`.
void overwrite(std::vector<Entry>& log, const std::vector<Entry>& append) {
    if (append.empty()) return;
    const uint64_t first = append.front().index.value;
    CHECK(first >= 1 && first <= log.size() + 1, "a log has no gaps");
    log.resize(first - 1);
    log.insert(log.end(), append.begin(), append.end());
}

void bytes_of(const Entry& e, std::string& out) {
    out += to_string(e.term) + "," + to_string(e.index) + "," +
           std::to_string(static_cast<int>(e.kind)) + "," + std::to_string(e.crc) + ";";
}

}  // namespace

void Disk::take(const Write& write) {
    if (write.hard_state) hard_state = *write.hard_state;
    overwrite(entries, write.append);
}

Replica::Replica(const Setup& setup, size_t number)
    : setup_(&setup), number_(number), core_(recovered()) {}

Replica::Replica(const Replica& other, Core core)
    : setup_(other.setup_),
      number_(other.number_),
      now_(other.now_),
      disk_(other.disk_),
      writes_(other.writes_),
      log_(other.log_),
      given_(other.given_),
      core_(std::move(core)) {}

Replica Replica::clone() const { return Replica(*this, core_->clone()); }

Config Replica::config() const {
    Config config{.group = kGroup, .self = id(), .membership = {}};
    for (uint64_t i = 1; i <= setup_->replicas; ++i)
        config.membership.voters.push_back({ReplicaId(i), NodeId(i)});
    config.heartbeat_interval = kBeat;
    config.election_timeout_min = config.election_timeout_max = kTimeout;
    if (setup_->one_entry_a_message) config.append_bytes_max = 1;
    return config;
}

Core Replica::recovered() const {
    return Core(config(), Recovered{disk_.hard_state, {}, {}, {}, disk_.entries}, Prng(1), now_);
}

bool Replica::act(Action action, const Message* message, Effects& effects) {
    switch (action.kind) {
        case Kind::Deliver:
            return deliver(*message, effects);
        case Kind::Persist:
            return persist(effects);
        case Kind::Crash:
            if (action.arg > writes_.size()) return false;
            for (size_t i = 0; i < action.arg; ++i)
                disk_.take(writes_[i]);
            writes_.clear();
            log_ = disk_.entries;
            given_ = LogIndex(0);
            core_.emplace(recovered());
            return true;
        case Kind::Campaign:
            return campaign(effects);
        case Kind::Beat:
            if (core_->role() != Role::Leader) return false;
            now_ += kBeat;
            step(Tick{}, effects);
            return true;
        case Kind::Propose: {
            // Two bytes, more than append_bytes_max when one entry a message is wanted.
            const std::string payload = "p" + std::to_string(action.arg);
            const auto outcome = core_->propose(now_, EntryKind::Effects, Bytes::copy(payload));
            drain(effects);
            return std::holds_alternative<Accepted>(outcome);
        }
        case Kind::Read:
            if (core_->role() != Role::Leader) return false;
            step(ReadRequested{action.arg}, effects);
            return true;
    }
    return false;
}

// Whoever still hears a leader is deaf to candidates; its connection may close at any time.
bool Replica::deliver(const Message& message, Effects& effects) {
    const auto* request = std::get_if<VoteRequest>(&message.body);
    if (request && core_->role() == Role::Follower && core_->leader())
        step(PeerDisconnected{core_->leader()}, effects);
    const uint64_t malformed = core_->malformed_messages();
    step(Received{message}, effects);
    if (core_->malformed_messages() != malformed)
        effects.fault = "a correct peer said what no correct peer can say";
    return true;
}

bool Replica::persist(Effects& effects) {
    if (writes_.empty()) return false;
    const Write write = std::move(writes_.front());
    writes_.pop_front();
    disk_.take(write);
    step(Persisted{write.id}, effects);
    return true;
}

bool Replica::campaign(Effects& effects) {
    if (core_->role() == Role::Leader) return false;
    if (core_->role() == Role::Follower && core_->leader())
        step(PeerDisconnected{core_->leader()}, effects);
    const auto asks = [](const Message& m) {
        const auto* request = std::get_if<VoteRequest>(&m.body);
        return request && request->pre;
    };
    for (int i = 0; i < 3 && std::none_of(effects.messages.begin(), effects.messages.end(), asks);
         ++i) {
        now_ += kBeat;
        step(Tick{}, effects);
    }
    if (std::none_of(effects.messages.begin(), effects.messages.end(), asks)) return false;
    if (setup_->prevotes) return true;
    std::erase_if(effects.messages, asks);
    for (uint64_t i = 1; i <= setup_->replicas && core_->role() == Role::PreCandidate; ++i)
        if (ReplicaId(i) != id())
            step(Received{{ReplicaId(i), id(), core_->term().next(), VoteReply{true, true}}},
                 effects);
    return true;
}

void Replica::step(Event event, Effects& effects) {
    if (effects.tell) effects.trace += "    " + raft::describe(Input{now_, event}) + "\n";
    core_->step({now_, std::move(event)});
    drain(effects);
}

void Replica::drain(Effects& effects) {
    while (core_->has_output()) {
        Output out = core_->take_output();
        if (effects.tell && !out.empty()) effects.trace += raft::describe(out) + "\n";
        if (out.forgotten) effects.fault = "a leader counts what this replica does not have";
        effects.messages.insert(effects.messages.end(), out.messages.begin(), out.messages.end());
        for (const ReadConfirmed& r : out.reads_confirmed)
            effects.reads_confirmed.push_back(r.context);
        overwrite(log_, out.append);
        if (out.persist_id)
            writes_.push_back({out.persist_id, out.hard_state, std::move(out.append)});
        take_committed(out.committed, effects);
        while (setup_->writes_at_once && persist(effects)) {
        }
    }
    if (log_.size() > core_->last_index().value) log_.resize(core_->last_index().value);
}

// In order, and never ahead of the own disk.
void Replica::take_committed(const std::vector<Entry>& entries, Effects& effects) {
    for (const Entry& e : entries) {
        if (e.index != given_.next()) effects.fault = "committed entries are given out of order";
        given_ = e.index;
        if (e.index.value > disk_.entries.size() || disk_.entries[e.index.value - 1] != e)
            effects.fault = "entry " + to_string(e.index) + " is given before it is durable here";
    }
    if (!entries.empty()) step(Applied{given_}, effects);
}

std::string Replica::fingerprint() const {
    std::string out = to_string(id()) + core_->fingerprint() + "|" +
                      to_string(disk_.hard_state.term) + "," + to_string(disk_.hard_state.vote) +
                      ";";
    for (const Entry& e : disk_.entries)
        bytes_of(e, out);
    for (const Write& write : writes_) {
        out += "|";
        if (write.hard_state)
            out += to_string(write.hard_state->term) + "," + to_string(write.hard_state->vote);
        out += ";";
        for (const Entry& e : write.append)
            bytes_of(e, out);
    }
    return out;
}

std::string describe(Action action, const Message* message) {
    const std::string who = "r" + std::to_string(action.replica + 1) + ": ";
    switch (action.kind) {
        case Kind::Deliver:
            return who + "gets " + raft::describe(*message);
        case Kind::Persist:
            return who + "the oldest write is durable";
        case Kind::Crash:
            return who + "crashes, " + std::to_string(action.arg) +
                   " writes under way are kept; starts again";
        case Kind::Campaign:
            return who + "hears no leader and campaigns";
        case Kind::Beat:
            return who + "a heartbeat interval passes";
        case Kind::Propose:
            return who + "is given proposal p" + std::to_string(action.arg);
        case Kind::Read:
            return who + "is asked to read, context " + std::to_string(action.arg);
    }
    return who;
}

}  // namespace asterias::sim::explore
