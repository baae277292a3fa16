#include "core/raft/testing/cluster.h"

#include <algorithm>
#include <utility>

#include <gtest/gtest.h>

#include "base/check.h"
#include "test_support/mutants.h"

namespace asterias::raft::testing {
namespace {
struct MutantEnvironment : ::testing::Environment {
    void SetUp() override { test::take_mutant_from_environment(); }
};
[[maybe_unused]] const auto* const kMutants =
    ::testing::AddGlobalTestEnvironment(new MutantEnvironment);
constexpr Duration kStep = milliseconds(20);
constexpr GroupId kGroup{7};
}  // namespace

void Disk::take(const Write& write) {
    if (write.hard_state) hard_state = *write.hard_state;
    if (write.begin) installing = write.begin;
    if (write.installed) installing.reset();
    if (write.reset) reset(*write.reset);
    if (write.append.empty()) return;
    const LogIndex first = write.append.front().index;
    CHECK(first > log_start && first <= log_start.plus(entries.size() + 1), "a log has no gaps");
    entries.resize(first.value - log_start.value - 1);
    entries.insert(entries.end(), write.append.begin(), write.append.end());
}

void Disk::reset(const SnapshotMeta& meta) {
    installing.reset();
    entries.clear();
    log_start = meta.index;
    log_start_term = meta.term;
}

bool Disk::has(LogIndex index, Term term) const {
    if (index == log_start) return term == log_start_term;
    return index > log_start && index <= last() &&
           entries[index.value - log_start.value - 1].term == term;
}

void Disk::finish_install() {
    if (!installing) return;
    const SnapshotMeta meta = *std::exchange(installing, std::nullopt);
    if (applied >= meta.index && !has(meta.index, meta.term)) reset(meta);
}

Cluster::Cluster(size_t count, uint64_t seed, std::function<void(Config&)> tune)
    : tune_(std::move(tune)), seeds_(seed) {
    Membership founders;
    founders.last_replica = ReplicaId(count);
    for (uint64_t i = 1; i <= count; ++i)
        founders.voters.push_back({ReplicaId(i), NodeId(i)});
    for (const Member& m : founders.voters) {
        make(m.replica, m.node);
        node(m.replica).disk.members.membership = founders;
    }
    committed_members.membership = founders;
}

void Cluster::make(ReplicaId id, NodeId where) {
    Node n;
    n.id = id;
    n.node = homes[id] = where;
    nodes_.emplace(id, std::move(n));
}

void Cluster::start(ReplicaId id) {
    Node& n = node(id);
    if (n.removed) return;
    n.disk.finish_install();
    Config config{.group = kGroup, .self = id, .membership = n.disk.members.membership};
    if (tune_) tune_(config);
    ++n.lives;
    n.given = n.applied = n.disk.applied;
    n.members = n.disk.members;
    n.core.emplace(config,
                   Recovered{n.disk.hard_state, n.disk.log_start, n.disk.log_start_term,
                             n.disk.applied, n.disk.entries, n.disk.members.index},
                   seeds_.split(), n.now);
    drain(id);
}

void Cluster::crash(ReplicaId id, size_t kept) {
    Node& n = node(id);
    n.core.reset();
    for (size_t i = 0; i < kept && i < n.writes.size(); ++i)
        n.disk.take(n.writes[i]);
    n.writes.clear();
    if (!n.installing) return;
    // The sender's connection breaks.
    const Snapshot lost = *std::exchange(n.installing, std::nullopt);
    if (exists(lost.from)) feed(lost.from, SnapshotSent{id, lost.meta.index, false});
}

void Cluster::feed(ReplicaId id, Event event) {
    if (!up(id)) return;
    if (auto* read = std::get_if<ReadRequested>(&event))
        reads_asked[read->context] = highest_committed();
    core(id).step({node(id).now, std::move(event)});
    drain(id);
}

ProposeOutcome Cluster::propose(ReplicaId id, std::string payload) {
    auto outcome = core(id).propose(node(id).now, EntryKind::Effects, Bytes::copy(payload));
    drain(id);
    return outcome;
}

ChangeOutcome Cluster::change(ReplicaId id, const Change& change) {
    auto outcome = core(id).change(node(id).now, change);
    drain(id);
    return outcome;
}

ChangeOutcome Cluster::transfer(ReplicaId id, NodeId to) {
    auto outcome = core(id).transfer(node(id).now, to);
    drain(id);
    return outcome;
}

void Cluster::drain(ReplicaId id) {
    Node& n = node(id);
    while (n.core && n.core->has_output()) {
        Output out = n.core->take_output();
        if (on_output) on_output(id, out);
        check_leader(id);
        if (out.membership)
            for (const Member& m : all_members(*out.membership))
                homes[m.replica] = m.node;
        for (const SnapshotWanted& wanted : out.snapshots_wanted)
            take_snapshot(id, wanted);
        if (out.forgotten) fault(id, "lost what it had acknowledged");
        for (const auto& r : out.reads_confirmed)
            check_read(id, r.context);
        for (const auto& r : out.reads_refused)
            reads_refused.push_back(r.context);
        bag.insert(bag.end(), out.messages.begin(), out.messages.end());
        check_committed(id, out.committed);
        if (out.persist_id)
            n.writes.push_back({out.persist_id, out.hard_state, std::move(out.append)});
        if (n.writes_at_once)
            while (persist(id)) {
            }
        if (n.applies_at_once) apply(id);
        if (out.removed && n.core) {
            crash(id);
            n.removed = true;
        }
    }
}

bool Cluster::persist(ReplicaId id) {
    Node& n = node(id);
    if (!n.core || n.writes.empty()) return false;
    const Write write = std::move(n.writes.front());
    n.writes.pop_front();
    n.disk.take(write);
    if (write.id) feed(id, Persisted{write.id});
    return true;
}

bool Cluster::apply(ReplicaId id) {
    Node& n = node(id);
    if (!n.core || n.installing || n.applied == n.given) return false;
    while (n.applied < n.given) {
        n.applied = n.applied.next();
        const Entry& e = history.at(n.applied);
        if (e.kind == EntryKind::Config) n.members = {e.index, *decode_membership(e.payload)};
    }
    feed(id, Applied{n.applied});
    return true;
}

void Cluster::flush(ReplicaId id) {
    Node& n = node(id);
    if (!n.core || n.installing) return;
    n.disk.applied = n.applied;
    n.disk.members = n.members;
}

bool Cluster::compact(ReplicaId id, LogIndex through) {
    Node& n = node(id);
    Disk& disk = n.disk;
    const bool resets = std::any_of(n.writes.begin(), n.writes.end(), [](const Write& w) {
        return w.begin || w.reset || w.installed;
    });
    if (!n.core || resets || n.installing || through <= disk.log_start || through > disk.applied)
        return false;
    const auto count = static_cast<ptrdiff_t>(through.value - disk.log_start.value);
    disk.log_start_term = disk.entries[static_cast<size_t>(count) - 1].term;
    disk.log_start = through;
    disk.entries.erase(disk.entries.begin(), disk.entries.begin() + count);
    feed(id, Compact{through});
    return true;
}

// Snapshots ----------------------------------------------------------------------------------

void Cluster::take_snapshot(ReplicaId id, const SnapshotWanted& wanted) {
    const Node& n = node(id);
    if (n.applied < wanted.at_least) fault(id, "wants a snapshot that it cannot make");
    const SnapshotMeta meta = n.core->meta_at(n.applied);
    if (meta.membership != n.members.membership || meta.membership_index != n.members.index)
        fault(id, "another membership in the snapshot than in the state");
    snapshots.push_back({id, wanted.to.replica, meta});
}

void Cluster::deliver_snapshot(size_t at, bool lost) {
    const Snapshot snapshot = snapshots[at];
    snapshots.erase(snapshots.begin() + static_cast<ptrdiff_t>(at));
    const ReplicaId to = snapshot.to;
    if (!lost && exists(to) && up(to) && link_open(snapshot.from, to)) {
        Node& n = node(to);
        if (n.core->begin_install(n.now, snapshot.meta)) {
            if (snapshot.meta.index <= n.applied) fault(to, "a stale snapshot is installed");
            n.installing = snapshot;
            n.installed_in_engine = false;
            Write begins{};
            begins.begin = snapshot.meta;
            n.writes.push_back(std::move(begins));
            return drain(to);
        }
    }
    feed(snapshot.from, SnapshotSent{to, snapshot.meta.index, false});
}

bool Cluster::step_install(ReplicaId id) {
    Node& n = node(id);
    if (!n.core || !n.installing) return false;
    const Snapshot snapshot = *n.installing;
    const SnapshotMeta& meta = snapshot.meta;
    // Before the engine is touched, the journal has to know.
    if (n.disk.installing != meta) return persist(id);
    if (!n.installed_in_engine) {
        n.disk.applied = meta.index;
        n.disk.members = {meta.membership_index, meta.membership};
        return n.installed_in_engine = true;
    }
    Write ends{};
    if (n.core->holds(meta.index, meta.term))
        ends.installed = true;
    else
        ends.reset = meta;
    n.writes.push_back(std::move(ends));
    n.installing.reset();
    n.applied = n.given = meta.index;
    n.members = n.disk.members;
    ++installs;
    feed(id, Installed{meta});
    if (exists(snapshot.from)) feed(snapshot.from, SnapshotSent{id, meta.index, true});
    return true;
}

bool Cluster::settle_snapshots() {
    bool moved = false;
    for (; !snapshots.empty(); moved = true)
        deliver_snapshot(0);
    for (const ReplicaId id : ids())
        while (step_install(id))
            moved = true;
    return moved;
}

void Cluster::pass(ReplicaId id, Duration duration) {
    Node& n = node(id);
    const Instant end = n.now + duration;
    while (n.now < end) {
        n.now = std::min(end, n.now + kStep);
        feed(id, Tick{});
    }
}

bool Cluster::link_open(ReplicaId from, ReplicaId to) const {
    auto it = links_.find({from, to});
    return it == links_.end() || it->second;
}

void Cluster::deliver(size_t at, bool keep) {
    Message message = bag[at];
    if (!keep) bag.erase(bag.begin() + static_cast<ptrdiff_t>(at));
    const ReplicaId to = message.to;
    if (!link_open(message.from, to)) return;
    if (!exists(to)) {
        if (!homes.contains(to)) return;
        make(to, homes.at(to));
        node(to).now = node(message.from).now;
        if (on_new) on_new(to);
        start(to);
    }
    feed(to, Received{std::move(message)});
}

bool Cluster::settle(size_t most) {
    for (size_t i = 0; i < most; ++i) {
        bool moved = false;
        for (const ReplicaId id : ids())
            if (node(id).writes_at_once) moved |= persist(id);
        for (const ReplicaId id : ids())
            if (node(id).applies_at_once) moved |= apply(id);
        if (snapshots_at_once) moved |= settle_snapshots();
        if (bag.empty() && !moved) return true;
        if (!bag.empty()) deliver(0);
    }
    return false;
}

void Cluster::run(Duration duration) {
    for (Duration passed{}; passed < duration; passed += kStep) {
        for (const ReplicaId id : ids()) {
            if (up(id))
                pass(id, kStep);
            else
                node(id).now += kStep;
        }
        if (!settle()) return fault(ReplicaId(0), "messages do not come to rest");
    }
}

ReplicaId Cluster::elect() {
    for (int i = 0; i < 1500 && !ready_leader(); ++i)
        run(kStep);
    return ready_leader();
}

std::vector<ReplicaId> Cluster::ids() const {
    std::vector<ReplicaId> all;
    for (const auto& [id, n] : nodes_)
        all.push_back(id);
    return all;
}

ReplicaId Cluster::ready_leader() {
    ReplicaId found;
    Term highest;
    for (const ReplicaId id : ids())
        if (up(id) && core(id).ready_to_lead() && core(id).term() > highest) {
            found = id;
            highest = core(id).term();
        }
    return found;
}

LogIndex Cluster::highest_committed() const {
    return history.empty() ? LogIndex(0) : history.rbegin()->first;
}

void Cluster::fault(ReplicaId id, const std::string& what) {
    violations.push_back("replica " + to_string(id) + ": " + what);
}

// Election safety, and leader completeness against everything anybody gave as committed.
void Cluster::check_leader(ReplicaId id) {
    if (core(id).role() != Role::Leader) return;
    auto [it, is_new] = leaders.emplace(core(id).term(), id);
    if (it->second != id) fault(id, "second leader of term " + to_string(core(id).term()));
    // Entries of later terms are not this leader's to have.
    for (auto h = history.rbegin(); is_new && h != history.rend(); ++h)
        if (h->second.term <= core(id).term()) {
            if (core(id).last_index() < h->first)
                fault(id, "leads without committed entry " + to_string(h->first));
            break;
        }
}

void Cluster::check_committed(ReplicaId id, const std::vector<Entry>& entries) {
    Node& n = node(id);
    if (n.installing && !entries.empty()) fault(id, "given in the middle of an install");
    for (const Entry& e : entries) {
        if (e.index != n.given.next()) fault(id, "committed entries are not in order");
        n.given = e.index;
        auto [it, is_new] = history.emplace(e.index, e);
        if (!is_new && !(it->second == e))
            fault(id, "another entry at committed index " + to_string(e.index));
        if (is_new && e.kind == EntryKind::Config) check_membership(id, e);
        const uint64_t durable = n.disk.log_start.value + n.disk.entries.size();
        if (e.index.value > durable ||
            !(n.disk.entries.empty() || e.index <= n.disk.log_start ||
              n.disk.entries[e.index.value - n.disk.log_start.value - 1] == e))
            fault(id, "given before it was durable here: " + to_string(e.index));
    }
}

// Every change of voters is joint, one at a time, and no number is given twice (rules 14, 15, 47).
void Cluster::check_membership(ReplicaId id, const Entry& entry) {
    const Membership before = committed_members.membership;
    const Membership now = *decode_membership(entry.payload);
    committed_members = {entry.index, now};
    ++changes_committed;
    const bool leaves = before.joint() && !now.joint() && now.voters == before.voters;
    const bool enters = !before.joint() && now.joint() && now.outgoing == before.voters;
    const bool stays = !before.joint() && !now.joint() && now.voters == before.voters;
    if (!leaves && !enters && !stays)
        fault(id, "from {" + describe(before) + "} to {" + describe(now) + "} is no step");
    for (const Member& m : all_members(now))
        if (!before.find(m.replica) && m.replica <= before.last_replica)
            fault(id, "the number " + to_string(m.replica) + " is given again");
    if (now.last_replica < before.last_replica) fault(id, "numbers given are forgotten");
}

void Cluster::check_read(ReplicaId id, uint64_t context) {
    reads_confirmed.push_back(context);
    const bool leads = core(id).role() == Role::Leader;
    const LogIndex seen = leads ? core(id).commit() : core(id).status().applied;
    if (seen < reads_asked[context]) fault(id, "stale read " + std::to_string(context));
}

std::string Cluster::difference() {
    std::string reason;
    for (const ReplicaId id : ids()) {
        if (!committed_members.membership.find(id)) continue;
        if (node(id).applied != highest_committed())
            reason += "replica " + to_string(id) + " applied " + to_string(node(id).applied) +
                      " of " + to_string(highest_committed()) + "; ";
    }
    return reason;
}

}  // namespace asterias::raft::testing
