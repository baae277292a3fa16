#include "sim/check/model.h"

#include <charconv>

namespace asterias::sim {

namespace {
constexpr uint32_t kNoOp = 0xFFFFFFFF;
const std::string kPending = "pending";  // the one value of a deadline if none is timed
}  // namespace

std::optional<int64_t> incr_number(const std::string& text) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || std::to_string(value) != text)
        return std::nullopt;
    return value;
}

Model::Model(const History& history, std::optional<Duration> expiry) : expiry_(expiry) {
    ops_.reserve(history.size());
    for (const Op& op : history) {
        if (op.outcome == Outcome::Failed) continue;
        if (op.outcome == Outcome::Unknown && is_read(op.kind)) continue;
        add(op);
    }
    find_producers();
}

uint32_t Model::add_key(std::string name) {
    const auto number = static_cast<uint32_t>(key_names_.size());
    key_names_.push_back(std::move(name));
    slots_.push_back({number, true, {}, 0});
    initial_.push_back(static_cast<Slot>(slots_.size() - 1));
    deadlines_.push_back(kNoKey);
    is_deadline_.push_back(false);
    return number;
}

uint32_t Model::key_number(const std::string& key) {
    const auto at = key_numbers_.find(key);
    return at != key_numbers_.end() ? at->second
                                    : key_numbers_.emplace(key, add_key(key)).first->second;
}

void Model::give_deadline(uint32_t key) {
    if (deadlines_[key] != kNoKey) return;
    const uint32_t deadline = add_key("the deadline of " + key_names_[key]);
    deadlines_[key] = deadline;
    is_deadline_[deadline] = true;
}

// Of a SetPx that was not answered nobody knows when it came to be.
Slot Model::deadline_slot(const ModelOp& op) {
    const uint32_t deadline = deadlines_[op.keys[0]];
    if (!expiry_) return intern(deadline, kPending);
    const Slot slot = intern(deadline, "by " + slots_[op.written[0]].value + " " +
                                           std::to_string(op.source->invoked.count()));
    const Duration ttl = milliseconds(incr_number(op.source->arguments[1]).value_or(0));
    due_[slot] = {op.source->invoked + ttl - *expiry_,
                  op.answered ? op.source->completed + ttl + *expiry_ : kNever};
    return slot;
}

bool Model::may_be_gone(uint32_t key, const State& state, const ModelOp& op) const {
    if (!may_expire(key, state)) return false;
    const auto due = due_.find(state[deadlines_[key]]);
    return due == due_.end() || !op.answered || op.source->completed >= due->second.low;
}

bool Model::may_be_there(uint32_t key, const State& state, const ModelOp& op) const {
    if (!may_expire(key, state)) return true;
    const auto due = due_.find(state[deadlines_[key]]);
    return due == due_.end() || op.source->invoked <= due->second.high;
}

Slot Model::intern(uint32_t key, const Value& value) {
    if (!value) return initial_[key];
    const auto [at, fresh] =
        slot_numbers_.emplace(std::pair(key, *value), static_cast<Slot>(slots_.size()));
    if (fresh) slots_.push_back({key, false, *value, incr_number(*value)});
    return at->second;
}

std::string Model::describe(Slot slot) const {
    return slots_[slot].nil ? "nil" : "'" + slots_[slot].value + "'";
}

void Model::add(const Op& op) {
    ModelOp m{.source = &op, .kind = op.kind, .answered = op.outcome == Outcome::Ok};
    m.before = kNoSlot;
    for (size_t i = 0; i < op.keys.size(); ++i) {
        m.keys.push_back(key_number(op.keys[i]));
        if (op.kind == OpKind::SetPx) give_deadline(m.keys[i]);
        if (op.kind == OpKind::Set || op.kind == OpKind::SetNx || op.kind == OpKind::SetPx ||
            op.kind == OpKind::MSet)
            m.written.push_back(intern(m.keys[i], op.arguments[i]));
        if (op.kind == OpKind::Wipe) m.written.push_back(initial_[m.keys[i]]);
        if (m.answered && is_read(op.kind)) m.seen.push_back(intern(m.keys[i], op.results[i]));
    }
    if (op.kind == OpKind::Incr) m.amount = incr_number(op.arguments[0]).value_or(0);
    if (m.answered && !is_read(op.kind) && !op.results.empty() && op.results[0]) {
        m.number = incr_number(*op.results[0]);
        int64_t previous = 0;
        if (op.kind == OpKind::Incr && m.number) {
            (void)intern(m.keys[0], std::to_string(*m.number));
            // 0 may have been nil, so only other numbers say what was there.
            if (!__builtin_sub_overflow(*m.number, m.amount, &previous) && previous != 0)
                m.before = intern(m.keys[0], std::to_string(previous));
        }
    }
    if (op.kind == OpKind::SetPx) m.deadline = deadline_slot(m);
    ops_.push_back(std::move(m));
}

void Model::find_producers() {
    std::vector<uint32_t> count(slots_.size(), 0);
    std::vector<bool> any_number(key_names_.size(), false);
    producer_.assign(slots_.size(), kNoOp);
    const auto produces = [&](uint32_t op, Slot slot) {
        ++count[slot];
        producer_[slot] = op;
    };
    for (const Slot nil : initial_)
        ++count[nil];
    rising_.assign(key_names_.size(), true);
    for (const ModelOp& op : ops_)
        for (const uint32_t key : op.keys)
            if (!is_read(op.kind) && (op.kind != OpKind::Incr || op.amount <= 0))
                rising_[key] = false;
    for (uint32_t i = 0; i < ops_.size(); ++i) {
        const ModelOp& op = ops_[i];
        if (op.kind == OpKind::SetNx && op.answered && op.number == 0) continue;
        for (const Slot slot : op.written)
            produces(i, slot);
        // Nil comes once more, by nobody's operation.
        if (op.kind == OpKind::SetPx) ++count[initial_[op.keys[0]]];
        if (op.kind == OpKind::Del && op.number != 0) produces(i, initial_[op.keys[0]]);
        if (op.kind != OpKind::Incr) continue;
        if (!op.answered)
            any_number[op.keys[0]] = true;
        else if (op.number)
            produces(i, intern(op.keys[0], std::to_string(*op.number)));
    }
    unique_.resize(slots_.size());
    for (Slot slot = 0; slot < slots_.size(); ++slot) {
        const SlotInfo& info = slots_[slot];
        unique_[slot] = count[slot] == 1 && (info.nil || !info.number || !any_number[info.key]);
    }
}

std::optional<uint32_t> Model::producer(Slot slot) const {
    if (!unique(slot) || producer_[slot] == kNoOp) return std::nullopt;
    return producer_[slot];
}

bool Model::step(const ModelOp& op, const State& state, std::vector<Write>& changes, bool late) {
    changes.clear();
    const uint32_t key = op.keys[0];
    const auto write = [&](uint32_t k, Slot slot) {
        if (state[k] != slot) changes.push_back({k, slot});
    };
    const auto put = [&](uint32_t k, Slot slot) {
        write(k, slot);
        if (deadlines_[k] != kNoKey) write(deadlines_[k], initial_[deadlines_[k]]);
    };
    const bool may = may_be_gone(key, state, op);
    const bool there = !is_nil(state[key]);
    const bool still = there && may_be_there(key, state, op);
    switch (op.kind) {
        case OpKind::Get:
        case OpKind::MGet:
            for (size_t i = 0; i < op.seen.size(); ++i) {
                const uint32_t k = op.keys[i];
                if (state[k] == op.seen[i]) {
                    if (!is_nil(op.seen[i]) && !may_be_there(k, state, op)) return false;
                    continue;
                }
                if (!is_nil(op.seen[i]) || !may_be_gone(k, state, op)) return false;
                put(op.keys[i], op.seen[i]);
            }
            return true;
        case OpKind::Set:
        case OpKind::MSet:
        case OpKind::Wipe:
            for (size_t i = 0; i < op.written.size(); ++i)
                put(op.keys[i], op.written[i]);
            return true;
        case OpKind::SetPx:
            write(key, op.written[0]);
            write(deadlines_[key], op.deadline);
            return true;
        case OpKind::SetNx:
            // One without a reply that found the key there did nothing, as if it had stayed out.
            if (op.answered && op.number == 0) return still;
            if (op.answered && there && !may) return false;
            if (!there || may) put(key, op.written[0]);
            return true;
        case OpKind::Del:
            if (op.answered && op.number == 1 && !still) return false;
            if (op.answered && op.number == 0 && there && !may) return false;
            put(key, initial_[key]);
            return true;
        case OpKind::Incr:
            return count(op, state, late, changes);
    }
    return false;
}

bool Model::count(const ModelOp& op, const State& state, bool late, std::vector<Write>& changes) {
    const uint32_t key = op.keys[0];
    const bool may = may_be_gone(key, state, op);
    const bool still = is_nil(state[key]) || may_be_there(key, state, op);
    const auto write = [&](uint32_t k, Slot slot) {
        if (state[k] != slot) changes.push_back({k, slot});
    };
    const auto& before = slots_[state[key]].number;
    int64_t sum = 0;
    const bool error = !before || __builtin_add_overflow(*before, op.amount, &sum);
    const bool fits = !op.answered || (error ? !op.number : op.number == sum);
    if (!late && fits && (still || !op.answered)) {
        if (!error) write(key, intern(key, std::to_string(sum)));  // a deadline stays
        return true;
    }
    if (!may || (op.answered && op.number != op.amount)) return false;
    write(key, intern(key, std::to_string(op.amount)));
    write(deadlines_[key], initial_[deadlines_[key]]);
    return true;
}

}  // namespace asterias::sim
