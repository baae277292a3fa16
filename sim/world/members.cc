// Who is in which group: watched over the whole run, changed as an operator would, and held against
// what a healed cluster must come to.
#include <algorithm>
#include <set>

#include "sim/world/cluster.h"

namespace asterias::sim {
namespace {

constexpr GroupId kBusiest{2};  // that clients use most
constexpr size_t kFewest = 3;   // voters, below which nobody is removed for long
constexpr double kAskLeader = 0.7, kDirect = 0.5, kOnceMore = 0.3;
constexpr double kFewer = 0.3;  // that one is removed though few are left

using Nodes = std::vector<NodeId>;

Nodes voters_of(const raft::Membership& m) {
    Nodes nodes;
    for (const auto& voter : m.voters)
        nodes.push_back(voter.node);
    return nodes;
}

std::string names(const std::vector<raft::Member>& members,
                  const std::function<std::string(NodeId)>& name) {
    std::string out;
    for (const auto& m : members)
        out += " r" + to_string(m.replica) + "@" + name(m.node);
    return out;
}

bool majority_in(const std::vector<raft::Member>& voters, const std::set<NodeId>& nodes) {
    const auto in = std::ranges::count_if(
        voters, [&](const raft::Member& m) { return nodes.contains(m.node); });
    return 2 * static_cast<size_t>(in) > voters.size();
}

}  // namespace

// ------------------------------------------------------------------------------- watching

std::string Cluster::name_of(NodeId node) const {
    for (uint32_t i = 0; i < machines_.size(); ++i)
        if (node_ids_[i] == node) return machines_[i]->name;
    return "node " + to_string(node);
}

// What it sees of its group: the newest membership that anybody knows to be committed.
void Cluster::look_at_members(uint32_t i, const ReplicaView& r) {
    if (r.membership.voters.empty()) return;
    Group& g = groups_[r.group];
    const std::string group = "group " + to_string(r.group);
    if (r.leads && g.removed.contains(r.self) && r.term > g.removed[r.self] &&
        g.accused.insert(r.self).second)
        breach(group + ": replica " + to_string(r.self) + " on " + machines_[i]->name +
               " leads in term " + to_string(r.term) + ", though it was removed in term " +
               to_string(g.removed[r.self]));
    if (!r.membership_committed || r.membership_index < g.index) return;
    if (r.membership_index == g.index && !g.committed.voters.empty()) {
        if (r.membership != g.committed && g.accused.insert(r.self).second)
            breach(group + ": " + machines_[i]->name + " has another membership at " +
                   to_string(g.index) + " than was seen before: " + raft::describe(r.membership) +
                   "; " + raft::describe(g.committed));
        return;
    }
    const auto name = [this](NodeId node) { return name_of(node); };
    for (const auto* list : {&g.committed.voters, &g.committed.outgoing, &g.committed.learners})
        for (const auto& m : *list)
            if (!r.membership.find(m.replica)) g.removed.emplace(m.replica, r.term);
    if (!g.committed.voters.empty())
        say(group + ": members" + names(r.membership.voters, name) +
            (r.membership.joint() ? ", leaving" + names(r.membership.outgoing, name) : "") +
            (r.membership.learners.empty() ? "" : ", new" + names(r.membership.learners, name)) +
            " (was" + names(g.committed.voters, name) + ")");
    g.committed = r.membership;
    g.index = r.membership_index;
    if (g.committed.joint()) return;
    if (!g.settled.empty() && g.settled != g.committed.voters) ++member_changes_;
    g.settled = g.committed.voters;
}

// ------------------------------------------------------------------------------- operating

void Cluster::give_roles() {
    roles_ = {leader().value_or(0)};
    const raft::Membership m = membership_of(kBusiest);
    for (const bool member : {true, false})
        for (uint32_t i = 0; i < machines_.size(); ++i)
            if (i != roles_[0] && (m.on(node_ids_[i]) != nullptr) == member) roles_.push_back(i);
}

// The newest that anybody has, committed or not.
raft::Membership Cluster::membership_of(GroupId group) const {
    raft::Membership newest;
    LogIndex index;
    for (size_t i = 0; i < machines_.size(); ++i)
        if (const Process* p = process(i))
            for (const ReplicaView& r : p->replicas())
                if (r.group == group && !r.membership.voters.empty() &&
                    (newest.voters.empty() || r.membership_index > index || r.leads)) {
                    newest = r.membership;
                    index = r.membership_index;
                }
    return newest;
}

// Nobody whom the liveness phase leaves down for good may become one that the others need.
bool Cluster::is_fair(const Operation& op, const raft::Membership& m) const {
    const bool all_come_back = std::ranges::none_of(
        troubles_, [](const Trouble& t) { return t.doomed || t.banned || t.fated; });
    if (all_come_back || op.what == Operation::What::Transfer) return true;
    if (m.joint() || m.promote || operating_.contains(op.group)) return false;
    std::set<NodeId> alive;
    for (uint32_t i = 0; i < machines_.size(); ++i)
        if (const Trouble& t = troubles_[i]; !t.doomed && !t.banned && !t.fated)
            alive.insert(node_ids_[i]);
    std::vector<raft::Member> after = m.voters;
    std::erase_if(after, [&](const raft::Member& v) {
        return v.node == (op.what == Operation::What::Remove ? op.node : op.from);
    });
    if (op.what != Operation::What::Remove) {
        if (!alive.contains(op.node)) return false;
        after.push_back({ReplicaId(), op.node});
    }
    return majority_in(after, alive);
}

void Cluster::operate(const Operation& op) {
    const auto hit = [this](std::string_view what) {
        world_.faults().hit("members." + std::string(what));
    };
    if (!is_fair(op, membership_of(op.group))) return hit("unfair");
    std::vector<uint32_t> leading, up;
    for (uint32_t i = 0; i < machines_.size(); ++i) {
        const Process* p = process(i);
        if (!world_.up(machines_[i]->index) || !p || !p->ready()) continue;
        up.push_back(i);
        for (const ReplicaView& r : p->replicas())
            if (r.group == op.group && r.leads) leading.push_back(i);
    }
    if (up.empty()) return hit("nobody_up");
    Operation asked = op;
    const bool leader = !leading.empty() && prng_.chance(kAskLeader);
    asked.direct = leader && prng_.chance(kDirect);
    const auto& of = leader ? leading : up;
    const uint32_t at = of[prng_.below(of.size())];
    static constexpr const char* kWhat[] = {"add", "remove", "replace", "transfer"};
    const raft::Membership members = membership_of(op.group);
    const raft::Member* there = op.node ? members.on(op.node) : nullptr;
    const bool leaves = op.what == Operation::What::Remove && there && there->witness;
    if (op.witness) hit("add_witness");
    if (leaves) hit("remove_witness");
    if (op.what == Operation::What::Remove && leader && node_ids_[leading[0]] == op.node)
        hit("remove_leader");
    const std::string text =
        std::string(kWhat[static_cast<size_t>(op.what)]) + (op.witness ? " witness " : " ") +
        (op.node ? name_of(op.node) : std::string("anybody")) +
        (op.from ? " for " + name_of(op.from) : "") + " in group " + to_string(op.group);
    hit(kWhat[static_cast<size_t>(op.what)]);
    if (op.what != Operation::What::Transfer)
        for (uint32_t i = 0; i < machines_.size(); ++i)
            if (node_ids_[i] == op.node && !world_.up(machines_[i]->index)) hit("of_one_down");
    say("operator on " + machines_[at]->name + ": " + text);
    const uint64_t number = ++operations_;
    operating_[op.group].insert(number);
    // A process that ends says nothing.
    world_.call_at(world_.now() + seconds(12), [this, group = op.group, number] {
        if (const auto it = operating_.find(group); it != operating_.end())
            if (it->second.erase(number) && it->second.empty()) operating_.erase(it);
    });
    process(at)->operate(asked, [this, text, number, hit, group = op.group](std::string fate) {
        say("operator: " + text + ": " + fate);
        const bool refused = fate.starts_with("invalid argument") || fate.starts_with("conflict");
        hit(fate == "done" || fate == "under way" ? "done" : refused ? "refused" : "unknown");
        if (const auto it = operating_.find(group); it != operating_.end())
            if (it->second.erase(number) && it->second.empty()) operating_.erase(it);
    });
}

void Cluster::operate_later(Operation op, uint64_t within_ms) {
    world_.call_at(world_.now() + milliseconds(prng_.between(0, within_ms)),
                   [this, op, g = generation_] {
                       if (g == generation_) operate(op);
                   });
}

void Cluster::change_members(const FaultEvent& event) {
    using What = Operation::What;
    if (!all_were_ready_ || groups_.empty()) return;
    Operation op;
    op.group = kBusiest;
    if (event.victims.size() == machines_.size() && prng_.chance(0.5)) {
        auto it = groups_.begin();
        std::advance(it, prng_.below(groups_.size()));
        op.group = it->first;
    }
    const raft::Membership m = membership_of(op.group);
    if (m.voters.empty()) return;
    Nodes in, out;
    for (const uint32_t i : event.victims)
        if (const NodeId node = node_ids_[i]) (m.on(node) ? in : out).push_back(node);
    const auto one_of = [this](const Nodes& nodes) {
        return nodes.empty() ? NodeId() : nodes[prng_.below(nodes.size())];
    };
    const Nodes voters = voters_of(m);
    const bool few = voters.size() <= std::min(kFewest, machines_.size() - 1);
    const std::string& what = event.what;
    if (what == "witness") return make_witness(op, event);
    NodeId leader;
    for (size_t i = 0; i < machines_.size(); ++i)
        if (const Process* p = process(i))
            for (const ReplicaView& r : p->replicas())
                if (r.group == op.group && r.leads) leader = p->node();
    if (what == "transfer") {
        op.what = What::Transfer;
        op.node = prng_.chance(0.5) ? NodeId() : one_of(in);
        return operate(op);
    }
    if (what == "add" || what == "undo") {
        op.node = one_of(out);
        if (!op.node) return operate_on_many(op, in, few);
        operate(op);
        if (what == "add") return;
        op.what = What::Remove;
        return operate_later(op, 1000);
    }
    if (what == "replace") {
        op.node = one_of(out);
        op.from = one_of(voters);
        if (!op.node) return operate_on_many(op, in, few);
        op.what = What::Replace;
        return operate(op);
    }
    op.what = What::Remove;
    op.node = what == "leader" ? leader : one_of(in);
    if (!op.node) return;
    if (what != "again" && voters.size() < kFewest && !prng_.chance(kFewer)) return;
    operate(op);
    if (what == "again" || few) {
        op.what = What::Add;
        operate_later(op, 2500);
        if (prng_.chance(kOnceMore)) operate_later(op, 6000);
    }
}

// Its state would be gone: a witness comes only where all nodes come back, and next to two copies.
void Cluster::make_witness(Operation op, const FaultEvent& event) {
    const raft::Membership m = membership_of(op.group);
    const bool all_come_back = std::ranges::none_of(
        troubles_, [](const Trouble& t) { return t.doomed || t.banned || t.fated; });
    if (!all_come_back || machines_.size() < kFewest) return world_.faults().hit("members.unfair");
    op.what = Operation::What::Remove;
    for (const auto* list : {&m.voters, &m.learners})
        for (const raft::Member& member : *list) {
            if (!member.witness) continue;
            op.node = member.node;
            if (event.victims.size() == machines_.size()) operate(op);
            return;
        }
    const uint32_t i = event.victims[prng_.below(event.victims.size())];
    op.node = node_ids_[i];
    if (!op.node) return;
    if (m.on(op.node)) operate(op);
    op.what = Operation::What::Add;
    op.witness = true;
    if (!m.on(op.node)) return operate(op);
    for (const uint64_t within : {300, 1000, 2500})
        operate_later(op, within);
}

// Everybody is in it already: somebody goes, so that the next one can come.
void Cluster::operate_on_many(Operation op, const Nodes& in, bool few) {
    if (in.empty()) return;
    op.what = Operation::What::Remove;
    op.from = {};
    op.node = in[prng_.below(in.size())];
    operate(op);
    if (!few) return;
    op.what = Operation::What::Add;
    operate_later(op, 2500);
}

// ------------------------------------------------------------------------------- in the end

std::vector<uint32_t> Cluster::fair_core(std::vector<uint32_t> core) const {
    for (const auto& [group, seen] : groups_) {
        const raft::Membership m = membership_of(group);
        for (uint32_t i = 0; i < machines_.size(); ++i) {
            std::set<NodeId> alive;
            for (const uint32_t c : core)
                alive.insert(node_ids_[c]);
            if (majority_in(m.voters, alive) && (!m.joint() || majority_in(m.outgoing, alive)))
                break;
            const Trouble& t = troubles_[i];
            if (m.on(node_ids_[i]) && !t.doomed && !t.banned && !t.fated &&
                std::ranges::find(core, i) == core.end())
                core.insert(std::ranges::lower_bound(core, i), i);
        }
    }
    return core;
}

bool Cluster::is_member(const ReplicaView& replica) const {
    const auto it = groups_.find(replica.group);
    return it == groups_.end() || it->second.committed.find(replica.self);
}

std::string Cluster::members_settled(const std::vector<uint32_t>& nodes, GroupId group) const {
    const std::string name = "group " + to_string(group);
    std::map<uint32_t, ReplicaId> holds;
    ReplicaView leader;
    for (const uint32_t i : nodes)
        for (const ReplicaView& r : process(i)->replicas()) {
            if (r.group != group) continue;
            holds[i] = r.self;
            if (r.leads) leader = r;
        }
    const raft::Membership& m = leader.membership;
    if (m.voters.empty()) return {};
    const raft::Member* coming = m.promote ? m.find(m.promote) : nullptr;
    const bool comes = coming && std::ranges::any_of(nodes, [&](uint32_t i) {
                           return node_ids_[i] == coming->node;
                       });
    if (!leader.membership_committed || m.joint() || comes)
        return name + " is still changing: " + raft::describe(m);
    for (const uint32_t i : nodes) {
        const raft::Member* member = m.on(node_ids_[i]);
        const ReplicaId wanted = member ? member->replica : ReplicaId();
        // Made for a change that was lost with its leader: it waits until its number is given.
        if (holds[i] == wanted || (!wanted && holds[i] > m.last_replica)) continue;
        return name + ": " + machines_[i]->name + " holds replica " + to_string(holds[i]) +
               ", and should hold " + to_string(wanted) + " of " + raft::describe(m);
    }
    return {};
}

}  // namespace asterias::sim
