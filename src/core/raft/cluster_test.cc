#include "core/raft/testing/cluster.h"

#include <algorithm>

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
    if (write.append.empty()) return;
    const LogIndex first = write.append.front().index;
    CHECK(first > log_start && first <= log_start.plus(entries.size() + 1), "a log has no gaps");
    entries.resize(first.value - log_start.value - 1);
    entries.insert(entries.end(), write.append.begin(), write.append.end());
}

Cluster::Cluster(size_t count, uint64_t seed, std::function<void(Config&)> tune)
    : tune_(std::move(tune)), seeds_(seed) {
    for (uint64_t i = 1; i <= count; ++i) {
        Node n;
        n.id = ReplicaId(i);
        nodes_.emplace(n.id, std::move(n));
    }
}

void Cluster::start(ReplicaId id) {
    Node& n = node(id);
    Config config{.group = kGroup, .self = id, .membership = {}};
    for (const ReplicaId other : ids())
        config.membership.voters.push_back({other, NodeId(other.value)});
    if (tune_) tune_(config);
    ++n.lives;
    n.given = n.applied = n.disk.applied;
    n.core.emplace(config,
                   Recovered{n.disk.hard_state, n.disk.log_start, n.disk.log_start_term,
                             n.disk.applied, n.disk.entries},
                   seeds_.split(), n.now);
}

void Cluster::crash(ReplicaId id, size_t kept) {
    Node& n = node(id);
    n.core.reset();
    for (size_t i = 0; i < kept && i < n.writes.size(); ++i)
        n.disk.take(n.writes[i]);
    n.writes.clear();
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

void Cluster::drain(ReplicaId id) {
    Node& n = node(id);
    while (n.core && n.core->has_output()) {
        Output out = n.core->take_output();
        if (on_output) on_output(id, out);
        check_leader(id);
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
    }
}

bool Cluster::persist(ReplicaId id) {
    Node& n = node(id);
    if (!n.core || n.writes.empty()) return false;
    const Write write = std::move(n.writes.front());
    n.writes.pop_front();
    n.disk.take(write);
    feed(id, Persisted{write.id});
    return true;
}

bool Cluster::apply(ReplicaId id) {
    Node& n = node(id);
    if (!n.core || n.applied == n.given) return false;
    n.applied = n.given;
    feed(id, Applied{n.applied});
    return true;
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
    if (!nodes_.contains(to) || !link_open(message.from, to)) return;
    feed(to, Received{std::move(message)});
}

bool Cluster::settle(size_t most) {
    for (size_t i = 0; i < most; ++i) {
        bool moved = false;
        for (const ReplicaId id : ids())
            if (node(id).writes_at_once) moved |= persist(id);
        for (const ReplicaId id : ids())
            if (node(id).applies_at_once) moved |= apply(id);
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
    for (const Entry& e : entries) {
        if (e.index != n.given.next()) fault(id, "committed entries are not in order");
        n.given = e.index;
        auto [it, is_new] = history.emplace(e.index, e);
        if (!is_new && !(it->second == e))
            fault(id, "another entry at committed index " + to_string(e.index));
        const uint64_t durable = n.disk.log_start.value + n.disk.entries.size();
        if (e.index.value > durable ||
            !(n.disk.entries.empty() || e.index <= n.disk.log_start ||
              n.disk.entries[e.index.value - n.disk.log_start.value - 1] == e))
            fault(id, "given before it was durable here: " + to_string(e.index));
    }
}

void Cluster::check_read(ReplicaId id, uint64_t context) {
    reads_confirmed.push_back(context);
    if (core(id).commit() < reads_asked[context])
        fault(id, "stale read " + std::to_string(context));
}

std::string Cluster::difference() {
    std::string reason;
    for (const ReplicaId id : ids()) {
        if (!up(id)) continue;
        if (node(id).applied != highest_committed())
            reason += "replica " + to_string(id) + " applied " + to_string(node(id).applied) +
                      " of " + to_string(highest_committed()) + "; ";
    }
    return reason;
}

}  // namespace asterias::raft::testing
