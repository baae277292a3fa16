#include "sim/explore/explorer.h"

#include <algorithm>
#include <array>

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
std::string bytes_of(const Message& m) {
    std::string out = raft::describe(m);
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
    std::vector<uint32_t> messages;  // ascending
    std::vector<Vote> votes;
    std::vector<uint64_t> reads_confirmed;
    std::string fault;
    bool noted = false;  // the history has to look at it
};

struct Explorer::State {
    uint32_t node = 0;
    std::array<uint32_t, kReplicasMax> locals{};
    uint32_t history = 0;
    uint8_t campaigns = 0, crashes = 0, proposals = 0, reads = 0, beats = 0;
    std::vector<uint32_t> sent;  // ascending
    Hash128 sent_hash;

    void add(uint32_t message) {
        const auto at = std::lower_bound(sent.begin(), sent.end(), message);
        if (at != sent.end() && *at == message) return;
        sent.insert(at, message);
        sent_hash.add(10, message);
    }
    void lose_sent() {
        sent.clear();
        sent_hash = {};
    }
    void hash_sent() {
        sent_hash = {};
        for (const uint32_t m : sent)
            sent_hash.add(10, m);
    }
    void write(std::vector<uint32_t>& out, size_t replicas) const {
        out.push_back(node);
        out.insert(out.end(), locals.begin(), locals.begin() + static_cast<ptrdiff_t>(replicas));
        out.push_back(history);
        out.push_back(uint32_t{campaigns} << 24 | uint32_t{crashes} << 16 |
                      uint32_t{proposals} << 8 | reads);
        out.push_back(beats);
        out.push_back(static_cast<uint32_t>(sent.size()));
        out.insert(out.end(), sent.begin(), sent.end());
    }
    // Where the next one begins.
    const uint32_t* read(const uint32_t* in, size_t replicas) {
        node = *in++;
        std::copy_n(in, replicas, locals.begin());
        in += replicas;
        history = *in++;
        campaigns = static_cast<uint8_t>(*in >> 24);
        crashes = static_cast<uint8_t>(*in >> 16);
        proposals = static_cast<uint8_t>(*in >> 8);
        reads = static_cast<uint8_t>(*in++);
        beats = static_cast<uint8_t>(*in++);
        const size_t count = *in++;
        sent.assign(in, in + count);
        hash_sent();
        return in + count;
    }
};

struct Explorer::Known {
    Names local_names, message_names, entry_names, history_names;
    std::vector<std::unique_ptr<Local>> locals;
    std::vector<Message> messages;
    std::vector<History> histories;
    std::vector<Step> steps;
    NumberMap step_of;  // local << 32 | action
    HashSet seen;
    std::vector<std::pair<uint32_t, uint32_t>> parents;  // node, action
    std::vector<Action> prologue;
    uint64_t met_again = 0;
};

Explorer::Explorer(const Setup& setup, const Limits& limits)
    : setup_(setup), limits_(limits), known_(std::make_unique<Known>()) {
    CHECK(setup_.replicas <= kReplicasMax, "a state has room for so many");
}
Explorer::~Explorer() = default;

// Numbers ------------------------------------------------------------------------------------

uint32_t Explorer::number_of(const Message& message) {
    const auto [number, is_new] = known_->message_names.of(bytes_of(message));
    if (is_new) known_->messages.push_back(message);
    return number;
}

View Explorer::view_of(const Replica& replica) {
    View view;
    const raft::Core& core = replica.core();
    view.leads = core.role() == raft::Role::Leader;
    view.ready = core.ready_to_lead();
    view.term = core.term().value;
    view.commit = core.commit().value;
    view.disk_term = replica.disk().hard_state.term.value;
    view.writes = replica.writes();
    const auto name = [&](const raft::Entry& e) {
        return known_->entry_names
            .of(to_string(e.term) + "," + to_string(e.index) + "," + std::to_string(e.crc))
            .first;
    };
    for (const raft::Entry& e : replica.log()) {
        view.log.push_back(name(e));
        view.log_terms.push_back(e.term.value);
    }
    for (const raft::Entry& e : replica.disk().entries)
        view.disk.push_back(name(e));
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
    const Message* message = action.kind == Kind::Deliver ? &known_->messages[action.arg] : nullptr;
    Replica replica = local.replica.clone();
    try {
        const CheckTrap trap;
        if (!replica.act(action, message, effects)) return step;
    } catch (const CheckFailed& failed) {
        step.local = 0;
        step.fault = failed.what();
        return step;
    }
    step.fault = effects.fault;
    step.votes = votes_in(effects.messages);
    step.reads_confirmed = effects.reads_confirmed;
    for (const Message& m : effects.messages)
        step.messages.push_back(number_of(m));
    std::sort(step.messages.begin(), step.messages.end());
    const auto twice = std::unique(step.messages.begin(), step.messages.end());
    step.messages.erase(twice, step.messages.end());
    const View before = local.view;  // number_of() may move what `local` refers to
    step.local = number_of(std::move(replica));
    const View& after = known_->locals[step.local]->view;
    step.noted = !step.votes.empty() || !step.reads_confirmed.empty() ||
                 before.leads != after.leads || before.term != after.term ||
                 before.commit != after.commit || before.disk_term != after.disk_term ||
                 before.log != after.log || before.disk != after.disk;
    return step;
}

// The same action on both must make the same of both.
std::string Explorer::audit(const Replica& known, const Replica& found) {
    ++report_.audited;
    std::vector<Action> actions = {{Kind::Persist}, {Kind::Campaign}, {Kind::Beat}};
    actions.push_back({Kind::Propose, 0, 9});
    actions.push_back({Kind::Read, 0, 9});
    for (uint32_t i = 0; i <= known.writes(); ++i)
        actions.push_back({Kind::Crash, 0, i});
    const ReplicaId self = known.id();
    for (uint32_t i = 0; i < known_->messages.size(); ++i)
        if (known_->messages[i].to == self) actions.push_back({Kind::Deliver, 0, i});
    const CheckTrap trap;
    for (const Action action : actions) {
        Replica a = known.clone(), b = found.clone();
        Effects from_a, from_b;
        const Message* message =
            action.kind == Kind::Deliver ? &known_->messages[action.arg] : nullptr;
        std::string one, other;
        try {
            one = a.act(action, message, from_a) ? a.fingerprint() : "";
        } catch (const CheckFailed& failed) {
            one = failed.what();
        }
        try {
            other = b.act(action, message, from_b) ? b.fingerprint() : "";
        } catch (const CheckFailed& failed) {
            other = failed.what();
        }
        const auto order = [](const Message& x, const Message& y) {
            return bytes_of(x) < bytes_of(y);
        };
        std::sort(from_a.messages.begin(), from_a.messages.end(), order);
        std::sort(from_b.messages.begin(), from_b.messages.end(), order);
        if (one != other || from_a.messages != from_b.messages ||
            from_a.reads_confirmed != from_b.reads_confirmed)
            return "equal fingerprints, unequal futures: " + describe(action, message);
    }
    return "";
}

// States -------------------------------------------------------------------------------------

bool Explorer::is_void(const State& state, uint32_t message) const {
    const Message& m = known_->messages[message];
    const uint32_t local = state.locals[m.to.value - 1];
    return is_reply(m) && m.term.value < known_->locals[local]->view.disk_term;
}

void Explorer::send(State& state, const std::vector<uint32_t>& messages) const {
    for (const uint32_t m : messages)
        if (!is_void(state, m)) state.add(m);
}

void Explorer::drop_void(State& state) const {
    if (std::erase_if(state.sent, [&](uint32_t m) { return is_void(state, m); })) state.hash_sent();
}

Hash128 Explorer::hash_of(const State& state) const {
    Hash128 h = state.sent_hash;
    for (size_t i = 0; i < setup_.replicas; ++i)
        h.add(i, state.locals[i]);
    h.add(8, state.history);
    h.add(9, uint64_t{state.campaigns} << 32 | uint64_t{state.crashes} << 24 |
                 uint64_t{state.proposals} << 16 | uint64_t{state.reads} << 8 | state.beats);
    return h;
}

// state.locals is as after the step.
std::string Explorer::note(State& state, Action action, const Step& step) {
    if (!step.fault.empty()) return step.fault;
    if (!step.noted && action.kind != Kind::Read) return "";
    std::vector<const View*> views;
    for (size_t i = 0; i < setup_.replicas; ++i)
        views.push_back(&known_->locals[state.locals[i]]->view);
    History history = known_->histories[state.history];
    if (action.kind == Kind::Read) history.asked(action.arg);
    std::string broken = history.note(views, action.replica, step.votes, step.reads_confirmed);
    const auto [number, is_new] = known_->history_names.of(history.bytes());
    if (is_new) known_->histories.push_back(std::move(history));
    state.history = number;
    return broken;
}

void Explorer::take(const State& state, Action action, uint8_t State::* budget,
                    std::vector<uint32_t>& next) {
    const uint32_t before = state.locals[action.replica];
    const Step& made = step(before, action);
    if (made.local == kImpossible) return;
    ++report_.transitions;
    const bool idle =
        made.local == before && made.fault.empty() && !made.noted && action.kind != Kind::Read;
    if (idle && std::all_of(made.messages.begin(), made.messages.end(), [&](uint32_t m) {
            return is_void(state, m) || std::binary_search(state.sent.begin(), state.sent.end(), m);
        }))
        return;
    State after = state;
    if (budget) --(after.*budget);
    if (made.fault.empty()) after.locals[action.replica] = made.local;
    const std::string broken = note(after, action, made);
    if (!broken.empty()) return found(broken, state.node, action);
    if (action.kind == Kind::Campaign && !setup_.late) after.lose_sent();
    send(after, made.messages);
    if (known_->locals[made.local]->view.disk_term != known_->locals[before]->view.disk_term)
        drop_void(after);
    if (!known_->seen.insert(hash_of(after))) return;
    after.node = static_cast<uint32_t>(known_->parents.size());
    known_->parents.push_back({state.node, action.packed()});
    after.write(next, setup_.replicas);
}

void Explorer::expand_replica(const State& state, size_t r, std::vector<uint32_t>& next) {
    const auto me = static_cast<uint8_t>(r);
    const View& view = known_->locals[state.locals[r]]->view;
    const bool leads = view.leads, ready = view.ready;
    const size_t writes = view.writes;
    for (const uint32_t m : state.sent)
        if (known_->messages[m].to.value == r + 1) take(state, {Kind::Deliver, me, m}, {}, next);
    if (writes) take(state, {Kind::Persist, me, 0}, {}, next);
    if (state.crashes)
        for (uint32_t kept = 0; kept <= writes; ++kept)
            take(state, {Kind::Crash, me, kept}, &State::crashes, next);
    // Nothing tells the replicas apart until one has campaigned.
    const bool all_alike = !setup_.led && state.campaigns == setup_.campaigns;
    if (state.campaigns && !leads && (r == 0 || !all_alike))
        take(state, {Kind::Campaign, me, 0}, &State::campaigns, next);
    if (state.beats && leads) take(state, {Kind::Beat, me, 0}, &State::beats, next);
    if (state.proposals && ready) {
        const uint32_t number = setup_.proposals - state.proposals + 1u;
        take(state, {Kind::Propose, me, number}, &State::proposals, next);
    }
    if (state.reads && leads) {
        const uint32_t context = setup_.reads - state.reads + 1u;
        take(state, {Kind::Read, me, context}, &State::reads, next);
    }
}

void Explorer::expand(const State& state, std::vector<uint32_t>& next) {
    for (size_t r = 0; r < setup_.replicas && report_.broken.empty(); ++r)
        expand_replica(state, r, next);
}

Explorer::State Explorer::start() {
    State state;
    known_->history_names.of(History{}.bytes());
    known_->histories.emplace_back();
    for (size_t i = 0; i < setup_.replicas; ++i)
        state.locals[i] = number_of(Replica(setup_, i));
    const auto act = [&](Action action) {
        const Step made = step(state.locals[action.replica], action);
        if (made.local == kImpossible) return false;
        state.locals[action.replica] = made.local;
        const std::string broken = note(state, action, made);
        CHECK(broken.empty(), broken.c_str());
        send(state, made.messages);
        known_->prologue.push_back(action);
        return true;
    };
    const auto settle = [&] {
        for (bool moved = true; moved;) {
            moved = false;
            for (uint8_t r = 0; r < setup_.replicas; ++r)
                moved |= act({Kind::Persist, r, 0});
            if (state.sent.empty()) continue;
            const uint32_t m = state.sent.front();
            state.sent.erase(state.sent.begin());
            moved |=
                act({Kind::Deliver, static_cast<uint8_t>(known_->messages[m].to.value - 1), m});
        }
    };
    if (setup_.led) {
        act({Kind::Campaign, 0, 0});
        settle();
        act({Kind::Beat, 0, 0});  // tells the commit
        settle();
        CHECK(known_->locals[state.locals[0]]->view.ready, "undisturbed, replica 1 leads");
    }
    state.hash_sent();
    state.campaigns = setup_.campaigns;
    state.crashes = setup_.crashes;
    state.proposals = setup_.proposals;
    state.reads = setup_.reads;
    state.beats = setup_.beats;
    return state;
}

Report Explorer::run() {
    State state = start();
    known_->seen.insert(hash_of(state));
    known_->parents.push_back({0, 0});
    std::vector<uint32_t> level, next;
    state.write(level, setup_.replicas);
    while (!level.empty() && report_.broken.empty()) {
        for (const uint32_t* at = level.data();
             at < level.data() + level.size() && report_.broken.empty();) {
            at = state.read(at, setup_.replicas);
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
    report_.messages = known_->messages.size();
    report_.histories = known_->histories.size();
    for (const History& h : known_->histories)
        report_.commits = std::max<uint64_t>(report_.commits, h.committed.size());
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
    for (size_t i = 0; i < setup_.replicas; ++i)
        replicas.emplace_back(setup_, i);
    std::vector<Message> sent;
    History history;
    std::string broken;
    for (size_t i = 0; i < actions.size() && broken.empty(); ++i) {
        const Action action = actions[i];
        const Message* message = nullptr;
        if (action.kind == Kind::Deliver) {
            message = &known_->messages[action.arg];
            if (std::find(sent.begin(), sent.end(), *message) == sent.end())
                return {"not confirmed: a message that nobody sent"};
        }
        lines.push_back(std::to_string(i + 1) + ". " + describe(action, message));
        Effects effects;
        effects.tell = true;
        try {
            const CheckTrap trap;
            if (!replicas[action.replica].act(action, message, effects))
                return {"not confirmed: an action that is not possible"};
            broken = effects.fault;
        } catch (const CheckFailed& failed) {
            broken = failed.what();
        }
        lines.push_back(effects.trace);
        if (!broken.empty()) break;
        sent.insert(sent.end(), effects.messages.begin(), effects.messages.end());
        if (action.kind == Kind::Read) history.asked(action.arg);
        std::vector<View> views;
        for (const Replica& r : replicas)
            views.push_back(view_of(r));
        std::vector<const View*> pointers;
        for (const View& v : views)
            pointers.push_back(&v);
        broken = history.note(pointers, action.replica, votes_in(effects.messages),
                              effects.reads_confirmed);
    }
    lines.push_back(broken == report_.broken
                        ? "broken: " + broken
                        : "not confirmed: told again, it ends with '" + broken + "'");
    return lines;
}

}  // namespace asterias::sim::explore
