#include "sim/explore/replica.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace asterias::sim::explore {

using namespace raft;

namespace {

constexpr GroupId kGroup{7};
constexpr Duration kBeat = milliseconds(100);
constexpr Duration kTimeout = 2 * kBeat;

void bytes_of(const std::vector<Entry>& entries, std::string& out) {
    for (const Entry& e : entries)
        out += to_string(e.term) + "," + to_string(e.index) + "," + std::to_string(e.crc) + ";";
    out += "|";
}

void bytes_of(const std::optional<SnapshotMeta>& meta, std::string& out) {
    if (meta) out += to_string(meta->index) + "," + to_string(meta->term);
    out += "|";
}

void bytes_of(const std::optional<HardState>& state, std::string& out) {
    if (state) out += to_string(state->term) + "," + to_string(state->vote);
    out += "|";
}

Membership founders(const Setup& setup) {
    Membership m;
    for (uint64_t i = 1; i <= setup.founders; ++i)
        m.voters.push_back({ReplicaId(i), NodeId(i)});
    m.last_replica = ReplicaId(setup.founders);
    return m;
}

bool asks_for_prevote(const Parcel& p) {
    const auto* request = std::get_if<VoteRequest>(&p.message.body);
    return request && request->pre;
}

}  // namespace

// The disk -----------------------------------------------------------------------------------

bool Disk::has(LogIndex index, Term term) const {
    if (index == log_start) return term == log_start_term;
    return index > log_start && index <= last() &&
           entries[index.value - log_start.value - 1].term == term;
}

void Disk::take(const Write& write) {
    if (write.hard_state) hard_state = *write.hard_state;
    if (write.installed) installing.reset();
    if (write.reset) reset(*write.reset);
    if (write.append.empty()) return;
    const LogIndex first = write.append.front().index;
    CHECK(first > log_start && first <= last().next(), "a log has no gaps");
    entries.resize(first.value - log_start.value - 1);
    entries.insert(entries.end(), write.append.begin(), write.append.end());
}

void Disk::finish_install() {
    if (!installing) return;
    const SnapshotMeta meta = *std::exchange(installing, std::nullopt);
    if (applied >= meta.index && !has(meta.index, meta.term)) reset(meta);
}

void Disk::reset(const SnapshotMeta& meta) {
    installing.reset();
    entries.clear();
    log_start = meta.index;
    log_start_term = meta.term;
}

// The replica --------------------------------------------------------------------------------

Replica::Replica(const Setup& setup, size_t number) : setup_(&setup), number_(number) {
    if (number < setup.founders) disk_.members.membership = founders(setup);
    members_ = disk_.members;
    core_.emplace(recovered());
}

Replica::Replica(const Replica& other, Core core)
    : setup_(other.setup_),
      number_(other.number_),
      now_(other.now_),
      disk_(other.disk_),
      writes_(other.writes_),
      given_(other.given_),
      members_(other.members_),
      installing_(other.installing_),
      in_engine_(other.in_engine_),
      removed_(other.removed_),
      core_(std::move(core)) {}

Replica Replica::clone() const { return Replica(*this, core_->clone()); }

Config Replica::config() const {
    Config config{.group = kGroup, .self = id(), .membership = disk_.members.membership};
    config.heartbeat_interval = kBeat;
    config.election_timeout_min = config.election_timeout_max = kTimeout;
    if (setup_->one_entry_a_message) config.append_bytes_max = 1;
    return config;
}

Core Replica::recovered() const {
    return Core(config(),
                Recovered{disk_.hard_state, disk_.log_start, disk_.log_start_term, disk_.applied,
                          disk_.entries, disk_.members.index},
                Prng(1), now_);
}

bool Replica::act(Action action, const Parcel* parcel, Effects& effects) {
    if (removed_) return false;
    switch (action.kind) {
        case Kind::Deliver:
            return deliver(*parcel, effects);
        case Kind::Persist:
            return persist(effects);
        case Kind::Crash:
            return crash(action.arg, effects);
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
        case Kind::Compact:
            return compact(effects);
        case Kind::Install:
            return install(effects);
        case Kind::Change: {
            const auto outcome = core_->change(now_, setup_->changes[action.arg]);
            drain(effects);
            return std::holds_alternative<Accepted>(outcome);
        }
        case Kind::Transfer: {
            const auto outcome = core_->transfer(now_, NodeId(action.arg));
            drain(effects);
            return std::holds_alternative<Accepted>(outcome);
        }
    }
    return false;
}

// Whoever still hears a leader is deaf to candidates; its connection may close at any time. Who
// does not know where its leader is waits until it is forgotten.
void Replica::forget_leader(Effects& effects) {
    if (core_->role() != Role::Follower) return;
    if (core_->leader()) return step(PeerDisconnected{core_->leader()}, effects);
    if (core_->membership().votes(id())) return;
    for (int i = 0; i < 2; ++i) {
        now_ += kBeat;
        step(Tick{}, effects);
    }
}

bool Replica::deliver(const Parcel& parcel, Effects& effects) {
    if (parcel.outcome) {
        step(*parcel.outcome, effects);
        return true;
    }
    if (parcel.snapshot) {
        const bool begins = core_->begin_install(now_, *parcel.snapshot);
        if (begins) {
            installing_ = parcel;
            in_engine_ = false;
            disk_.installing = parcel.snapshot;
            if (parcel.snapshot->index <= given_) effects.fault = "a stale snapshot is installed";
        } else {
            effects.parcels.push_back(
                {.message = {id(), parcel.message.from, {}, Removed{}},
                 .outcome = SnapshotSent{id(), parcel.snapshot->index, false}});
        }
        drain(effects);
        return true;
    }
    const auto* request = std::get_if<VoteRequest>(&parcel.message.body);
    if (request && !request->transfer) forget_leader(effects);
    const uint64_t malformed = core_->malformed_messages();
    step(Received{parcel.message}, effects);
    // That somebody was removed may be told to who knows it already.
    if (core_->malformed_messages() != malformed &&
        !std::holds_alternative<Removed>(parcel.message.body))
        effects.fault = "a correct peer said what no correct peer can say";
    return true;
}

bool Replica::persist(Effects& effects) {
    if (writes_.empty()) return false;
    const Write write = std::move(writes_.front());
    writes_.pop_front();
    disk_.take(write);
    if (write.id) step(Persisted{write.id}, effects);
    return true;
}

bool Replica::crash(size_t kept, Effects& effects) {
    if (kept > writes_.size()) return false;
    for (size_t i = 0; i < kept; ++i)
        disk_.take(writes_[i]);
    writes_.clear();
    if (installing_)
        effects.parcels.push_back(
            {.message = {id(), installing_->message.from, {}, Removed{}},
             .outcome = SnapshotSent{id(), installing_->snapshot->index, false}});
    installing_.reset();
    in_engine_ = false;
    disk_.finish_install();
    given_ = disk_.applied;
    members_ = disk_.members;
    core_.emplace(recovered());
    drain(effects);
    return true;
}

bool Replica::campaign(Effects& effects) {
    if (core_->role() == Role::Leader) return false;
    if (core_->role() == Role::Follower && core_->leader())
        step(PeerDisconnected{core_->leader()}, effects);
    const auto asked = [&] {
        return std::any_of(effects.parcels.begin(), effects.parcels.end(), asks_for_prevote);
    };
    for (int i = 0; i < 3 && !asked(); ++i) {
        now_ += kBeat;
        step(Tick{}, effects);
    }
    if (!asked()) return false;
    if (setup_->prevotes || core_->role() != Role::PreCandidate) return true;
    std::erase_if(effects.parcels, asks_for_prevote);
    for (const Member& m : voting_members(core_->membership()))
        if (m.replica != id() && core_->role() == Role::PreCandidate)
            step(Received{{m.replica, id(), core_->term().next(), VoteReply{true, true}}}, effects);
    return true;
}

// Flushing first: only what the engine has for good may leave the log.
bool Replica::compact(Effects& effects) {
    const bool ends = std::any_of(writes_.begin(), writes_.end(),
                                  [](const Write& w) { return w.reset || w.installed; });
    if (ends || installing_ || given_ <= disk_.log_start) return false;
    disk_.applied = given_;
    disk_.members = members_;
    const size_t count = given_.value - disk_.log_start.value;
    disk_.log_start_term = disk_.entries[count - 1].term;
    disk_.entries.erase(disk_.entries.begin(),
                        disk_.entries.begin() + static_cast<ptrdiff_t>(count));
    disk_.log_start = given_;
    step(raft::Compact{given_}, effects);
    return true;
}

bool Replica::install(Effects& effects) {
    if (!installing_) return false;
    const SnapshotMeta meta = *installing_->snapshot;
    if (given_ >= meta.index) effects.fault = "an install takes the state back";
    if (!in_engine_) {
        disk_.applied = meta.index;
        disk_.members = {meta.membership_index, meta.membership};
        return in_engine_ = true;
    }
    Write ends{};
    if (core_->holds(meta.index, meta.term))
        ends.installed = true;
    else
        ends.reset = meta;
    writes_.push_back(std::move(ends));
    const ReplicaId sender = installing_->message.from;
    installing_.reset();
    in_engine_ = false;
    given_ = meta.index;
    members_ = disk_.members;
    effects.parcels.push_back({.message = {id(), sender, {}, Removed{}},
                               .outcome = SnapshotSent{id(), meta.index, true}});
    step(Installed{meta}, effects);
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
        for (Message& m : out.messages)
            effects.parcels.push_back({.message = std::move(m)});
        for (const ReadConfirmed& r : out.reads_confirmed)
            effects.reads_confirmed.push_back(r.context);
        if (out.persist_id)
            writes_.push_back({out.persist_id, out.hard_state, std::move(out.append)});
        take_committed(out.committed, effects);
        for (const SnapshotWanted& wanted : out.snapshots_wanted) {
            if (given_ < wanted.at_least)
                effects.fault = "a snapshot is wanted that nobody can make";
            else
                effects.parcels.push_back({.message = {id(), wanted.to.replica, {}, Removed{}},
                                           .snapshot = core_->meta_at(given_)});
        }
        if (out.removed) removed_ = true;
        while (setup_->writes_at_once && persist(effects)) {
        }
    }
}

// In order, and never ahead of the own disk.
void Replica::take_committed(const std::vector<Entry>& entries, Effects& effects) {
    for (const Entry& e : entries) {
        if (e.index != given_.next()) effects.fault = "committed entries are given out of order";
        given_ = e.index;
        if (e.kind == EntryKind::Config) members_ = {e.index, *decode_membership(e.payload)};
        const bool there = e.index > disk_.log_start && e.index <= disk_.last() &&
                           disk_.entries[e.index.value - disk_.log_start.value - 1] == e;
        if (!there && e.index > disk_.log_start)
            effects.fault = "entry " + to_string(e.index) + " is given before it is durable here";
    }
    if (!entries.empty()) step(Applied{given_}, effects);
}

std::string Replica::fingerprint() const {
    if (removed_) {  // what the rules still look at
        std::string out = to_string(id()) + " removed " + to_string(core_->term()) + "," +
                          to_string(core_->commit()) + "," + to_string(core_->last_index()) + "," +
                          to_string(disk_.hard_state.term) + "|";
        bytes_of(core_->entries(), out);
        return out;
    }
    std::string out = to_string(id()) + core_->fingerprint() + "|";
    bytes_of(disk_.hard_state, out);
    out += to_string(disk_.log_start) + "," + to_string(disk_.log_start_term) + "," +
           to_string(disk_.applied) + "," + to_string(disk_.members.index) + "|";
    bytes_of(disk_.entries, out);
    bytes_of(disk_.installing, out);
    for (const Write& write : writes_) {
        out += write.id ? "w" : "e";
        bytes_of(write.hard_state, out);
        bytes_of(write.append, out);
        bytes_of(write.reset, out);
    }
    if (installing_) {
        out += "i" + to_string(installing_->message.from) + (in_engine_ ? "e" : "-");
        bytes_of(installing_->snapshot, out);
    }
    return out;
}

// For people ---------------------------------------------------------------------------------

std::string describe(const Parcel& parcel) {
    const std::string way =
        to_string(parcel.message.from) + "->" + to_string(parcel.message.to) + " ";
    if (parcel.outcome)
        return way + "snapshot of " + to_string(parcel.outcome->index) +
               (parcel.outcome->delivered ? " is installed" : " is given up");
    if (parcel.snapshot)
        return way + "snapshot of " + to_string(parcel.snapshot->index) + "/" +
               to_string(parcel.snapshot->term) + ", " + describe(parcel.snapshot->membership);
    return describe(parcel.message);
}

namespace {
struct ChangeText {
    std::string operator()(const AddReplica& c) const {
        return "add a replica on n" + to_string(c.node);
    }
    std::string operator()(const RemoveReplica& c) const {
        return "remove that of n" + to_string(c.node);
    }
    std::string operator()(const ReplaceReplica& c) const {
        return "replace that of n" + to_string(c.from) + " by one on n" + to_string(c.to);
    }
};
}  // namespace

std::string describe(Action action, const Parcel* parcel, const Setup& setup) {
    const std::string who = "r" + std::to_string(action.replica + 1) + " ";
    const std::string number = std::to_string(action.arg);
    switch (action.kind) {
        case Kind::Deliver:
            return who + "gets " + describe(*parcel);
        case Kind::Persist:
            return who + "has its oldest write on disk";
        case Kind::Crash:
            return who + "crashes, keeps " + number + " of " + "the writes under way, starts again";
        case Kind::Campaign:
            return who + "hears no leader and campaigns";
        case Kind::Beat:
            return who + "lives through a heartbeat interval";
        case Kind::Propose:
            return who + "is given proposal p" + number;
        case Kind::Read:
            return who + "is asked to read, context " + number;
        case Kind::Compact:
            return who + "flushes its engine and compacts its log";
        case Kind::Install:
            return who + "goes on with its install";
        case Kind::Change:
            return who + "is told to " + std::visit(ChangeText{}, setup.changes[action.arg]);
        case Kind::Transfer:
            return who + "is told to hand over to n" + number;
    }
    return who;
}

}  // namespace asterias::sim::explore
