#include "service/router/router.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/mutant.h"

namespace asterias::router {

using execute::Outcome;
using replica::Answer;

namespace {
constexpr size_t kHopsMax = 2;  // from hint to hint without a pause

std::string_view why_refused(Answer::Kind kind) {
    if (kind == Answer::Kind::Busy) return execute::kBusyLeader;
    return kind == Answer::Kind::Full ? execute::kDiskFull : execute::kTryAgain;
}
}  // namespace

Router::Router(port::Shard& shard, NodeId self, Catalogue catalogue,
               std::map<GroupId, std::vector<NodeId>> members, Outlet& outlet, Options options,
               Registry& registry, Log log)
    : shard_(shard),
      self_(self),
      catalogue_(std::move(catalogue)),
      outlet_(outlet),
      options_(options),
      log_(log.named("router")),
      commands_(registry.counter("asterias_router_commands_total", "Commands of clients.")),
      resent_(registry.counter("asterias_router_resent_total", "Commands sent again to a leader.")),
      unknown_(registry.counter("asterias_router_unknown_total",
                                "Writes answered UNKNOWN: they may have happened.")),
      unavailable_(registry.counter("asterias_router_unavailable_total",
                                    "Commands answered CLUSTERDOWN or TRYAGAIN.")),
      moved_(registry.counter("asterias_router_moved_total",
                              "Commands that a group refused: their keys are another's.")) {
    for (auto& [id, nodes] : members) {
        Group& g = groups_[id];
        g.id = id;
        g.members = std::move(nodes);
    }
    list_keyspaces();
}

Router::~Router() = default;

void Router::wake() {
    if (std::exchange(awake_, true)) return;
    outlet_.wake_router();
}

void Router::fail_later(execute::Completion done, std::string_view error) {
    unavailable_.add();
    shard_.post([done = std::move(done), error]() mutable { done({kv::Reply::error(error), {}}); });
}

void Router::execute(execute::Request request, execute::Completion done) {
    commands_.add();
    const uint64_t serial = next_serial_++;
    Parked what{shard_.clock().now() + request.remaining,
                request.stream,
                std::move(request.command),
                std::move(done),
                {},
                0};
    // Before it has a number: nobody will ever hear of it.
    if (execute::bytes_of(what.command) > kCommandBytesMax)
        return fail_later(std::move(what.done), execute::kTooLarge);
    const Wanted wanted = look_at(what.command);
    if (must_wait(wanted, what, !parked_.empty())) return park(serial, std::move(what));
    release(serial, std::move(what), wanted);
}

void Router::execute_in(GroupId group, execute::Request request, execute::Completion done) {
    commands_.add();
    const auto g = groups_.find(group);
    if (g == groups_.end()) return fail_later(std::move(done), execute::kClusterDown);
    depart(g->second, next_serial_++,
           {shard_.clock().now() + request.remaining,
            request.stream,
            std::move(request.command),
            std::move(done),
            {},
            0},
           true);
}

void Router::depart(Group& g, uint64_t serial, Parked what, bool internal) {
    if (g.flights.size() >= options_.inflight_max)
        return fail_later(std::move(what.done), execute::kBusy);
    Flight f;
    f.write = what.command.is_write() || !what.command.request.client.empty();
    if (f.write) f.sequence = g.next_sequence++;
    f.deadline = what.deadline;
    f.stream = what.stream;
    f.command = std::move(what.command);
    f.done = std::move(what.done);
    f.internal = internal;
    f.serial = serial;
    f.generation = catalogue_.generation;
    if (f.command.spans() && !internal) f.command.generation = catalogue_.generation;
    if (f.command.on_all_keys()) f.listing = listing_;
    g.flights.push_back(std::move(f));
    wake();
}

uint64_t Router::low_water(const Group& g) const {
    for (const auto& f : g.flights)
        if (f.sequence && !f.resolved) return f.sequence;
    return g.next_sequence;
}

void Router::run() {
    awake_ = false;
    settle();
    for (auto& [id, g] : groups_)
        if (g.unsent < g.flights.size() && !g.suspended) send_waiting(g);
}

void Router::send_waiting(Group& g) {
    if (g.guessed && g.unsent > 0) return;
    if (!g.target) {
        // No news of a leader: ask the members in turn; who does not lead says who does.
        g.target = g.members[g.next_member++ % g.members.size()];
        if (g.target == g.silent) g.target = g.members[g.next_member++ % g.members.size()];
        g.silent = {};
        g.guessed = true;
    }
    const Instant now = shard_.clock().now();
    if (g.unsent == 0) {
        g.heard = now;
        give_up_overtaken_reads(g);
    }
    batch_.clear();
    size_t end = g.unsent;
    for (; end < g.flights.size() && !(g.guessed && !batch_.empty()); ++end) {
        const Flight& f = g.flights[end];
        if (f.resolved || f.deadline <= now) continue;
        const auto left = std::chrono::duration_cast<milliseconds>(f.deadline - now).count();
        batch_.push_back(
            {g.first_ticket + end, f.sequence, static_cast<uint32_t>(left) + 1, &f.command});
    }
    if (batch_.empty()) return;
    const replica::ForwardHead head{g.id, shard_.id(), g.epoch, low_water(g)};
    if (!outlet_.forward(g.target, head, batch_)) return send_again(g, {});
    for (const auto& c : batch_) {
        Flight& f = g.flights[c.ticket - g.first_ticket];
        if (f.epoch) resent_.add();
        f.doubtful = f.maybe_done() && !MUTANT(router_refusals_forget);
        f.refused = false;
        f.epoch = g.epoch;
    }
    g.unsent = end;
}

// (R3), at the moment at which they would be sent again: by then a whole window's refusals are in.
void Router::give_up_overtaken_reads(Group& g) {
    std::set<execute::StreamId> later_writes;
    for (size_t i = g.flights.size(); i-- > 0;) {
        Flight& f = g.flights[i];
        if (f.write) {
            if (f.maybe_done()) later_writes.insert(f.stream);
        } else if (f.epoch && !f.resolved && later_writes.contains(f.stream) &&
                   !MUTANT(router_reads_overtaken)) {
            f.resolved = true;
            fail_later(std::move(f.done), execute::kTryAgain);
        }
    }
    drop_resolved(g);
}

// Everything unanswered goes again, in order, under a new epoch.
void Router::send_again(Group& g, NodeId hint) {
    ++g.epoch;
    const NodeId refused_by = g.target;
    g.target = hint;
    g.guessed = false;
    g.unsent = 0;
    // A leader is only worth asking at once if it is not the one that just refused, and not for
    // ever: two that name each other would be asked at the pace of the network.
    if (!hint || hint == refused_by || ++g.hops > kHopsMax) {
        g.hops = 0;
        g.suspended = true;
        g.retry_at = shard_.clock().now() + options_.retry_interval;
    } else {
        g.suspended = false;
    }
    wake();
}

void Router::drop_resolved(Group& g) {
    while (!g.flights.empty() && g.flights.front().resolved) {
        g.flights.pop_front();
        ++g.first_ticket;
        if (g.unsent > 0) --g.unsent;
    }
}

void Router::resolve(Group& g, size_t index, Outcome outcome) {
    Flight& f = g.flights[index];
    f.resolved = true;
    f.command = {};
    auto done = std::move(f.done);
    // Keep resolved writes behind an unanswered read: (R3) asks for them.
    drop_resolved(g);
    done(std::move(outcome));
}

void Router::on_answer(GroupId group, NodeId from, replica::Answered answered) {
    const auto it = groups_.find(group);
    if (it == groups_.end()) return;
    Group& g = it->second;
    if (answered.ticket < g.first_ticket || answered.ticket >= g.first_ticket + g.flights.size())
        return;
    const size_t index = answered.ticket - g.first_ticket;
    Flight& f = g.flights[index];
    if (from == g.target) g.heard = shard_.clock().now();
    if (f.resolved) return;
    Answer& a = answered.answer;
    switch (a.kind) {
        case Answer::Kind::Done:
            // A write happens once, whichever copy of it did. A read that waits to be sent again
            // goes behind those before it, whose answers to older copies do not count either.
            if (!f.write && answered.epoch != f.epoch && !MUTANT(router_old_reads_answer)) return;
            if (!f.write && index >= g.unsent && !MUTANT(router_unsent_reads_answer)) return;
            g.hops = 0;
            if (answered.epoch == g.epoch) accepted(g);
            if (!f.internal && a.reply.kind == kv::Reply::Kind::Error &&
                a.reply.text.view() == execute::kMoved) {
                park_moved(g, index);
                return drop_resolved(g);
            }
            return resolve(g, index,
                           {std::move(a.reply), {from, a.term, a.index, true}, f.listing});
        case Answer::Kind::Refused:
        case Answer::Kind::Busy:
        case Answer::Kind::Full:
            return refused(g, index, answered);
        case Answer::Kind::NotLeader:
            if (answered.epoch == f.epoch) f.refused = true;
            break;
        case Answer::Kind::Lost:
            // It was evaluated, and may yet be committed.
            if (answered.epoch == f.epoch) f.doubtful = true;
            break;
    }
    if (answered.epoch != g.epoch) return;  // was sent again already
    send_again(g, a.leader == from ? NodeId{} : a.leader);
}

// The leader will never evaluate this copy.
void Router::refused(Group& g, size_t index, const replica::Answered& answered) {
    const Flight& f = g.flights[index];
    // One that an earlier epoch refused may be on its way again.
    if (answered.epoch != f.epoch) return;
    if (answered.epoch == g.epoch) accepted(g);
    // Who refuses speaks for one copy; another may be on its way to a later leader (R4).
    if (f.write && f.doubtful && !MUTANT(router_refusal_speaks_for_all)) {
        unknown_.add();
        return resolve(g, index, {kv::Reply::error(execute::kUnknown), {}});
    }
    unavailable_.add();
    resolve(g, index, {kv::Reply::error(why_refused(answered.answer.kind)), {}});
}

// The target leads: what waited for that may follow.
void Router::accepted(Group& g) {
    if (std::exchange(g.guessed, false)) wake();
}

void Router::on_leader(GroupId group, NodeId leader) {
    const auto it = groups_.find(group);
    if (it == groups_.end() || !leader) return;
    Group& g = it->second;
    if (g.target == leader && !g.suspended) return accepted(g);
    if (g.target && g.target != leader && g.unsent > 0) send_again(g, leader);
    g.target = leader;
    g.suspended = g.guessed = false;
    wake();
}

void Router::on_peer_down(NodeId peer) {
    for (auto& [id, g] : groups_)
        if (g.target == peer && !g.suspended) {
            g.silent = peer;
            send_again(g, {});
        }
}

void Router::add_node(NodeId node) {
    nodes_.push_back(node);
    for (auto& [id, g] : groups_)
        if (std::find(g.members.begin(), g.members.end(), node) == g.members.end())
            g.members.push_back(node);
}

void Router::tick() {
    const Instant now = shard_.clock().now();
    expire_parked(now);
    if (!parked_.empty()) wake();
    for (auto& [id, g] : groups_) {
        if (now >= g.retry_at) g.suspended = false;
        for (size_t i = 0; i < g.flights.size(); ++i) {
            Flight& f = g.flights[i];
            if (f.resolved || f.deadline > now) continue;
            const bool unknown = f.write && f.maybe_done();
            (unknown ? unknown_ : unavailable_).add();
            const size_t before = g.flights.size();
            resolve(g, i,
                    {kv::Reply::error(unknown ? execute::kUnknown : execute::kClusterDown), {}});
            const size_t popped = before - g.flights.size();
            i = i >= popped ? i - popped : static_cast<size_t>(-1);
        }
        // A machine that lost its power says no word, and no local replica may be there to notice.
        if (!g.suspended && g.unsent > 0 && now - g.heard > options_.silence_max) {
            g.silent = g.target;
            send_again(g, {});
        }
        if (!g.suspended && g.unsent < g.flights.size()) wake();
    }
}

size_t Router::in_flight() const {
    size_t n = parked_.size();
    for (const auto& [id, g] : groups_)
        n += g.flights.size();
    return n;
}

bool Router::waits_for(NodeId node) const {
    return std::ranges::any_of(
        groups_, [node](const auto& g) { return g.second.target == node && g.second.unsent > 0; });
}

NodeId Router::leader_of(GroupId group) const {
    const auto it = groups_.find(group);
    return it == groups_.end() ? NodeId{} : it->second.target;
}

}  // namespace asterias::router
