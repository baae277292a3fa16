#include "sim/explore/explorer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <set>

#include "base/check.h"

namespace asterias::sim::explore {

using raft::Message;

namespace {
constexpr uint32_t kImpossible = ~uint32_t{0};
constexpr size_t kReplicasMax = 5;

bool is_reply(const Message& m) {
    return std::holds_alternative<raft::VoteReply>(m.body) ||
           std::holds_alternative<raft::AppendReply>(m.body) ||
           std::holds_alternative<raft::HeartbeatReply>(m.body);
}

// raft::describe() shortens long lists and payloads.
std::string bytes_of(const Parcel& parcel) {
    const Message& m = parcel.message;
    std::string out = describe(parcel);
    if (parcel.snapshot) out += " " + to_string(parcel.snapshot->membership_index);
    if (const auto* append = std::get_if<raft::AppendRequest>(&m.body))
        for (const raft::Entry& e : append->entries)
            out += " " + to_string(e.term) + "," + to_string(e.index) + "," + std::to_string(e.crc);
    return out;
}
}  // namespace

struct Explorer::Local {
    Replica replica;
    View view;
};

// What an action makes of a replica.
struct Explorer::Step {
    uint32_t local = kImpossible;
    std::vector<uint32_t> parcels;  // ascending
    std::vector<Vote> votes;
    std::vector<uint64_t> reads_confirmed;
    std::string fault;
    bool noted = false;  // the history has to look at it
};

struct Explorer::State {
    uint32_t node = 0;
    std::array<uint32_t, kReplicasMax> locals{};
    uint32_t history = 0;
    Budgets left;
    std::vector<uint32_t> sent;  // ascending; or, in order: by link, in the order of a link
    Hash128 sent_hash;           // up to date between steps

    // As a set.
    void add(uint32_t parcel) {
        const auto at = std::lower_bound(sent.begin(), sent.end(), parcel);
        if (at != sent.end() && *at == parcel) return;
        sent.insert(at, parcel);
        sent_hash.add(10, parcel);
    }
    void lose_sent() {
        sent.clear();
        sent_hash = {};
    }
    void write(std::vector<uint32_t>& out, size_t replicas) const {
        out.push_back(node);
        out.insert(out.end(), locals.begin(), locals.begin() + static_cast<ptrdiff_t>(replicas));
        out.push_back(history);
        const auto budgets = std::bit_cast<uint64_t>(left);
        out.push_back(static_cast<uint32_t>(budgets));
        out.push_back(static_cast<uint32_t>(budgets >> 32));
        out.push_back(static_cast<uint32_t>(sent.size()));
        out.insert(out.end(), sent.begin(), sent.end());
    }
    // Where the next one begins.
    const uint32_t* read(const uint32_t* in, size_t replicas) {
        node = *in++;
        std::copy_n(in, replicas, locals.begin());
        in += replicas;
        history = *in++;
        left = std::bit_cast<Budgets>(in[0] | uint64_t{in[1]} << 32);
        in += 2;
        const size_t count = *in++;
        sent.assign(in, in + count);
        return in + count;
    }
};

struct Explorer::Known {
    Names local_names, parcel_names, entry_names, history_names;
    std::vector<std::unique_ptr<Local>> locals;
    std::vector<Parcel> parcels;
    std::vector<std::optional<raft::Membership>> memberships;  // by entry
    std::vector<History> histories;
    raft::Membership founders;
    std::vector<Step> steps;
    NumberMap step_of;  // local << 32 | action
    HashSet seen;
    std::vector<std::pair<uint32_t, uint32_t>> parents;  // node, action
    std::vector<Action> prologue;
    uint64_t met_again = 0;
};

Explorer::Explorer(const Setup& setup, const Limits& limits)
    : setup_(setup), limits_(limits), known_(std::make_unique<Known>()) {
    CHECK(setup_.replicas() <= kReplicasMax, "a state has room for so many");
}
Explorer::~Explorer() = default;

// Numbers ------------------------------------------------------------------------------------

uint32_t Explorer::number_of(const Parcel& parcel) {
    const auto [number, is_new] = known_->parcel_names.of(bytes_of(parcel));
    if (is_new) known_->parcels.push_back(parcel);
    return number;
}

View Explorer::view_of(const Replica& replica) {
    View view;
    const raft::Core& core = replica.core();
    const Disk& disk = replica.disk();
    view.removed = replica.removed();
    view.leads = core.role() == raft::Role::Leader;
    view.ready = core.ready_to_lead();
    view.installing = replica.installing();
    view.term = core.term().value;
    view.commit = core.commit().value;
    view.disk_term = disk.hard_state.term.value;
    view.writes = replica.writes();
    const auto name = [&](const raft::Entry& e) {
        const auto [number, is_new] = known_->entry_names.of(
            to_string(e.term) + "," + to_string(e.index) + "," + std::to_string(e.crc));
        if (is_new) {
            known_->memberships.emplace_back();
            if (e.kind == raft::EntryKind::Config)
                known_->memberships.back() = *raft::decode_membership(e.payload);
        }
        return number + 1;
    };
    const std::vector<raft::Entry> log = core.entries();
    const size_t start = core.last_index().value - log.size();
    view.log.assign(start, View::kCompacted);
    view.log_terms.assign(start, 0);
    for (const raft::Entry& e : log) {
        view.log.push_back(name(e));
        view.log_terms.push_back(e.term.value);
    }
    // What the engine has for good needs no log; an install in the middle has both while it lasts.
    view.disk.assign(disk.log_start.value, View::kCompacted);
    for (const raft::Entry& e : disk.entries)
        view.disk.push_back(name(e));
    for (size_t i = 0; i < disk.applied.value; ++i) {
        if (i == view.disk.size()) view.disk.push_back(View::kCompacted);
        view.disk[i] = View::kCompacted;
    }
    return view;
}

uint32_t Explorer::number_of(Replica replica) {
    const auto [number, is_new] = known_->local_names.of(replica.fingerprint());
    if (is_new) {
        View view = view_of(replica);
        known_->locals.push_back(
            std::make_unique<Local>(Local{std::move(replica), std::move(view)}));
    } else if (limits_.audit_every && ++known_->met_again % limits_.audit_every == 0) {
        const std::string difference = audit(known_->locals[number]->replica, replica);
        CHECK(difference.empty(), difference.c_str());
    }
    return number;
}

// Steps of one replica -----------------------------------------------------------------------

const Explorer::Step& Explorer::step(uint32_t local, Action action) {
    const uint64_t key = uint64_t{local} << 32 | action.packed();
    if (const uint32_t* at = known_->step_of.find(key)) return known_->steps[*at];
    Step made = compute(*known_->locals[local], action);
    known_->step_of.insert(key, static_cast<uint32_t>(known_->steps.size()));
    known_->steps.push_back(std::move(made));
    return known_->steps.back();
}

Explorer::Step Explorer::compute(const Local& local, Action action) {
    Step step;
    Effects effects;
    const Parcel* parcel = action.kind == Kind::Deliver ? &known_->parcels[action.arg] : nullptr;
    Replica replica = local.replica.clone();
    try {
        const CheckTrap trap;
        if (!replica.act(action, parcel, effects)) return step;
    } catch (const CheckFailed& failed) {
        step.local = 0;
        step.fault = failed.what();
        return step;
    }
    step.fault = effects.fault;
    step.votes = votes_in(effects.parcels);
    step.reads_confirmed = effects.reads_confirmed;
    for (const Parcel& p : effects.parcels)
        step.parcels.push_back(number_of(p));
    std::sort(step.parcels.begin(), step.parcels.end());
    const auto twice = std::unique(step.parcels.begin(), step.parcels.end());
    step.parcels.erase(twice, step.parcels.end());
    const View before = local.view;  // number_of() may move what `local` refers to
    step.local = number_of(std::move(replica));
    const View& after = known_->locals[step.local]->view;
    step.noted = !step.votes.empty() || !step.reads_confirmed.empty() ||
                 before.leads != after.leads || before.removed != after.removed ||
                 before.term != after.term || before.commit != after.commit ||
                 before.disk_term != after.disk_term || before.log != after.log ||
                 before.disk != after.disk;
    return step;
}

// The same action on both must make the same of both.
std::string Explorer::audit(const Replica& known, const Replica& found) {
    ++report_.audited;
    const auto self = static_cast<uint8_t>(known.id().value - 1);
    std::vector<Action> actions = {{Kind::Persist, self}, {Kind::Campaign, self},
                                   {Kind::Beat, self},    {Kind::Propose, self, 9},
                                   {Kind::Read, self, 9}, {Kind::Compact, self},
                                   {Kind::Install, self}};
    for (uint32_t i = 0; i <= known.writes(); ++i)
        actions.push_back({Kind::Crash, self, i});
    for (uint32_t i = 0; i < setup_.changes.size(); ++i)
        actions.push_back({Kind::Change, self, i});
    for (uint32_t i = 1; i <= setup_.replicas(); ++i)
        actions.push_back({Kind::Transfer, self, i});
    for (uint32_t i = 0; i < known_->parcels.size(); ++i)
        if (known_->parcels[i].message.to == known.id())
            actions.push_back({Kind::Deliver, self, i});
    const auto outcome = [&](const Replica& from, Action action) {
        const CheckTrap trap;
        Replica replica = from.clone();
        Effects effects;
        std::vector<std::string> lines;
        try {
            const Parcel* parcel =
                action.kind == Kind::Deliver ? &known_->parcels[action.arg] : nullptr;
            if (!replica.act(action, parcel, effects)) return lines;
        } catch (const CheckFailed& failed) {
            return std::vector<std::string>{failed.what()};
        }
        for (const Parcel& p : effects.parcels)
            lines.push_back(bytes_of(p));
        std::sort(lines.begin(), lines.end());
        lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
        for (const uint64_t context : effects.reads_confirmed)
            lines.push_back("read " + std::to_string(context));
        lines.push_back(effects.fault);
        lines.push_back(replica.fingerprint());
        return lines;
    };
    for (const Action action : actions)
        if (outcome(known, action) != outcome(found, action))
            return "equal fingerprints, unequal futures: " +
                   describe(action,
                            action.kind == Kind::Deliver ? &known_->parcels[action.arg] : nullptr,
                            setup_);
    return "";
}

// States -------------------------------------------------------------------------------------

bool Explorer::is_void(const State& state, uint32_t parcel) const {
    const Parcel& p = known_->parcels[parcel];
    const View& to = known_->locals[state.locals[p.message.to.value - 1]]->view;
    return to.removed || (is_reply(p.message) && p.message.term.value < to.disk_term);
}

uint32_t Explorer::link_of(uint32_t parcel) const {
    const Message& m = known_->parcels[parcel].message;
    return static_cast<uint32_t>(m.to.value * 8 + m.from.value);
}

void Explorer::send(State& state, const std::vector<uint32_t>& parcels) const {
    for (const uint32_t p : parcels) {
        if (is_void(state, p)) continue;
        if (!setup_.in_order) {
            state.add(p);
            continue;
        }
        const auto after =
            std::upper_bound(state.sent.begin(), state.sent.end(), link_of(p),
                             [&](uint32_t link, uint32_t other) { return link < link_of(other); });
        // What is said again while the first word is on its way is one word.
        if (std::find(state.sent.begin(), after, p) == after) state.sent.insert(after, p);
    }
}

void Explorer::drop_void(State& state) const {
    std::erase_if(state.sent, [&](uint32_t p) { return is_void(state, p); });
}

// Its connections break.
void Explorer::drop_links(State& state, size_t replica) const {
    std::erase_if(state.sent, [&](uint32_t p) {
        const Message& m = known_->parcels[p].message;
        return m.from.value == replica + 1 || m.to.value == replica + 1;
    });
}

Hash128 Explorer::hash_of_sent(const State& state) const {
    Hash128 h;
    uint64_t place = 0;
    for (size_t i = 0; i < state.sent.size(); ++i) {
        const uint32_t p = state.sent[i];
        const bool behind = setup_.in_order && i > 0 && link_of(state.sent[i - 1]) == link_of(p);
        place = behind ? place + 1 : 0;
        h.add(10, place << 32 | p);
    }
    return h;
}

Hash128 Explorer::hash_of(const State& state) const {
    Hash128 h = state.sent_hash;
    for (size_t i = 0; i < setup_.replicas(); ++i)
        h.add(i, state.locals[i]);
    h.add(8, state.history);
    h.add(9, std::bit_cast<uint64_t>(state.left));
    return h;
}

// state.locals is as after the step.
std::string Explorer::note(State& state, uint32_t before, Action action, const Step& step) {
    if (!step.fault.empty()) return step.fault;
    if (!step.noted && action.kind != Kind::Read) return "";
    std::vector<const View*> views;
    for (size_t i = 0; i < setup_.replicas(); ++i)
        views.push_back(&known_->locals[state.locals[i]]->view);
    History history = known_->histories[state.history];
    if (action.kind == Kind::Read) history.asked(action.arg);
    std::string broken =
        history.note(views, action.replica, known_->locals[before]->view, step.votes,
                     step.reads_confirmed, known_->founders, membership_of());
    const auto [number, is_new] = known_->history_names.of(history.bytes());
    if (is_new) known_->histories.push_back(std::move(history));
    state.history = number;
    return broken;
}

MembershipOf Explorer::membership_of() const {
    return [known = known_.get()](uint32_t entry) {
        const auto& m = known->memberships[entry - 1];
        return m ? &*m : nullptr;
    };
}

// What has happened to what is under way, but for what this action sends.
void Explorer::move_parcels(State& state, Action action) const {
    if (action.kind == Kind::Campaign && !setup_.late) state.lose_sent();
    if (!setup_.in_order) return;
    if (action.kind == Kind::Crash) drop_links(state, action.replica);
    if (action.kind == Kind::Deliver)
        state.sent.erase(std::find(state.sent.begin(), state.sent.end(), action.arg));
}

void Explorer::take(const State& state, Action action, uint8_t Budgets::* budget,
                    std::vector<uint32_t>& next) {
    const uint32_t before = state.locals[action.replica];
    const Step& made = step(before, action);
    if (made.local == kImpossible) return;
    ++report_.transitions;
    const bool idle =
        made.local == before && made.fault.empty() && !made.noted && action.kind != Kind::Read;
    if (idle && !setup_.in_order &&
        std::all_of(made.parcels.begin(), made.parcels.end(), [&](uint32_t p) {
            return is_void(state, p) || std::binary_search(state.sent.begin(), state.sent.end(), p);
        }))
        return;
    State after = state;
    if (budget) --(after.left.*budget);
    if (made.fault.empty()) after.locals[action.replica] = made.local;
    const std::string broken = note(after, before, action, made);
    if (!broken.empty()) return found(broken, state.node, action);
    move_parcels(after, action);
    send(after, made.parcels);
    const View& was = known_->locals[before]->view;
    const View& is = known_->locals[made.local]->view;
    const bool drops = was.disk_term != is.disk_term || was.removed != is.removed;
    if (drops) drop_void(after);
    if (drops || setup_.in_order) after.sent_hash = hash_of_sent(after);
    if (!known_->seen.insert(hash_of(after))) return;
    after.node = static_cast<uint32_t>(known_->parents.size());
    known_->parents.push_back({state.node, action.packed()});
    after.write(next, setup_.replicas());
}

void Explorer::expand_replica(const State& state, size_t r, std::vector<uint32_t>& next) {
    const auto me = static_cast<uint8_t>(r);
    const View& view = known_->locals[state.locals[r]]->view;
    const bool leads = view.leads, ready = view.ready, installing = view.installing;
    const size_t writes = view.writes;
    const Budgets& left = state.left;
    const Budgets& bounds = setup_.bounds;
    if (view.removed) return;
    for (size_t i = 0; i < state.sent.size(); ++i) {
        const uint32_t p = state.sent[i];
        if (known_->parcels[p].message.to.value != r + 1) continue;
        const bool waits = setup_.in_order && i > 0 && link_of(state.sent[i - 1]) == link_of(p);
        if (!waits) take(state, {Kind::Deliver, me, p}, {}, next);
    }
    if (writes) take(state, {Kind::Persist, me, 0}, {}, next);
    if (installing) take(state, {Kind::Install, me, 0}, {}, next);
    if (left.crashes)
        for (uint32_t kept = 0; kept <= writes; ++kept)
            take(state, {Kind::Crash, me, kept}, &Budgets::crashes, next);
    // Nothing tells the founders apart until one has campaigned.
    const bool all_alike = !setup_.led && left.campaigns == bounds.campaigns;
    if (left.campaigns && !leads && (r == 0 || !all_alike))
        take(state, {Kind::Campaign, me, 0}, &Budgets::campaigns, next);
    if (left.compactions) take(state, {Kind::Compact, me, 0}, &Budgets::compactions, next);
    if (!leads) return;
    if (left.beats) take(state, {Kind::Beat, me, 0}, &Budgets::beats, next);
    if (left.proposals && ready) {
        const uint32_t number = bounds.proposals - left.proposals + 1u;
        take(state, {Kind::Propose, me, number}, &Budgets::proposals, next);
    }
    if (left.reads) {
        const uint32_t context = bounds.reads - left.reads + 1u;
        take(state, {Kind::Read, me, context}, &Budgets::reads, next);
    }
    if (left.changes) {
        const uint32_t number = bounds.changes - left.changes;
        take(state, {Kind::Change, me, number}, &Budgets::changes, next);
    }
    for (uint32_t n = 1; left.transfers && n <= setup_.replicas(); ++n)
        take(state, {Kind::Transfer, me, n}, &Budgets::transfers, next);
}

void Explorer::expand(const State& state, std::vector<uint32_t>& next) {
    for (size_t r = 0; r < setup_.replicas() && report_.broken.empty(); ++r)
        expand_replica(state, r, next);
}

Explorer::State Explorer::start() {
    State state;
    known_->history_names.of(History{}.bytes());
    known_->histories.emplace_back();
    for (size_t i = 0; i < setup_.replicas(); ++i)
        state.locals[i] = number_of(Replica(setup_, i));
    known_->founders = known_->locals[0]->replica.core().membership();
    const auto act = [&](Action action) {
        const uint32_t before = state.locals[action.replica];
        const Step made = step(before, action);
        if (made.local == kImpossible) return false;
        state.locals[action.replica] = made.local;
        const std::string broken = note(state, before, action, made);
        CHECK(broken.empty(), broken.c_str());
        send(state, made.parcels);
        known_->prologue.push_back(action);
        return true;
    };
    const auto settle = [&] {
        for (bool moved = true; moved;) {
            moved = false;
            for (uint8_t r = 0; r < setup_.replicas(); ++r)
                moved |= act({Kind::Persist, r, 0});
            if (state.sent.empty()) continue;
            const uint32_t p = state.sent.front();
            state.sent.erase(state.sent.begin());
            const auto to = static_cast<uint8_t>(known_->parcels[p].message.to.value - 1);
            moved |= act({Kind::Deliver, to, p});
        }
    };
    if (setup_.led) {
        act({Kind::Campaign, 0, 0});
        settle();
        act({Kind::Beat, 0, 0});  // tells the commit
        settle();
        CHECK(known_->locals[state.locals[0]]->view.ready, "undisturbed, replica 1 leads");
    }
    state.lose_sent();
    state.left = setup_.bounds;
    return state;
}

Report Explorer::run() {
    State state = start();
    known_->seen.insert(hash_of(state));
    known_->parents.push_back({0, 0});
    std::vector<uint32_t> level, next;
    state.write(level, setup_.replicas());
    while (!level.empty() && report_.broken.empty()) {
        for (const uint32_t* at = level.data();
             at < level.data() + level.size() && report_.broken.empty();) {
            at = state.read(at, setup_.replicas());
            state.sent_hash = hash_of_sent(state);
            expand(state, next);
            if (known_->seen.size() >= limits_.states) break;
        }
        if (known_->seen.size() >= limits_.states) break;
        level.swap(next);
        next.clear();
        report_.depth += !level.empty();
    }
    report_.complete = report_.broken.empty() && known_->seen.size() < limits_.states;
    report_.states = known_->seen.size();
    report_.replicas = known_->locals.size();
    report_.parcels = known_->parcels.size();
    for (const auto& local : known_->locals)
        report_.installs += local->view.installing;
    report_.histories = known_->histories.size();
    std::set<uint32_t> changes;
    for (const History& h : known_->histories) {
        report_.commits = std::max<uint64_t>(report_.commits, h.committed.size());
        for (const auto& c : h.committed)
            if (known_->memberships[c.entry - 1]) changes.insert(c.entry);
    }
    report_.changes = changes.size();
    return std::move(report_);
}

// Counterexamples ----------------------------------------------------------------------------

void Explorer::found(const std::string& broken, uint32_t node, Action last) {
    report_.broken = broken;
    std::vector<Action> actions = {last};
    for (; node != 0; node = known_->parents[node].first)
        actions.push_back(Action::unpacked(known_->parents[node].second));
    actions.insert(actions.end(), known_->prologue.rbegin(), known_->prologue.rend());
    std::reverse(actions.begin(), actions.end());
    report_.script = retell(actions);
}

// Once more from the start, without any table: by replicas that live through all of it.
std::vector<std::string> Explorer::retell(const std::vector<Action>& actions) {
    std::vector<std::string> lines;
    std::vector<Replica> replicas;
    for (size_t i = 0; i < setup_.replicas(); ++i)
        replicas.emplace_back(setup_, i);
    std::set<std::string> sent;
    History history;
    std::string broken;
    for (size_t i = 0; i < actions.size() && broken.empty(); ++i) {
        const Action action = actions[i];
        const Parcel* parcel =
            action.kind == Kind::Deliver ? &known_->parcels[action.arg] : nullptr;
        if (parcel && !sent.contains(bytes_of(*parcel)))
            return {"not confirmed: a parcel that nobody sent"};
        lines.push_back(std::to_string(i + 1) + ". " + describe(action, parcel, setup_));
        const View was = view_of(replicas[action.replica]);
        Effects effects;
        effects.tell = true;
        try {
            const CheckTrap trap;
            if (!replicas[action.replica].act(action, parcel, effects))
                return {"not confirmed: an action that is not possible"};
            broken = effects.fault;
        } catch (const CheckFailed& failed) {
            broken = failed.what();
        }
        lines.push_back(effects.trace);
        if (!broken.empty()) break;
        for (const Parcel& p : effects.parcels)
            sent.insert(bytes_of(p));
        if (action.kind == Kind::Read) history.asked(action.arg);
        std::vector<View> views;
        for (const Replica& r : replicas)
            views.push_back(view_of(r));
        std::vector<const View*> pointers;
        for (const View& v : views)
            pointers.push_back(&v);
        broken = history.note(pointers, action.replica, was, votes_in(effects.parcels),
                              effects.reads_confirmed, known_->founders, membership_of());
    }
    lines.push_back(broken == report_.broken
                        ? "broken: " + broken
                        : "not confirmed: told again, it ends with '" + broken + "'");
    return lines;
}

}  // namespace asterias::sim::explore
