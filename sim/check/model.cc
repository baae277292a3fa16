#include "sim/check/model.h"

#include <charconv>

namespace asterias::sim {

namespace {
constexpr uint32_t kNoOp = 0xFFFFFFFF;
}

std::optional<int64_t> incr_number(const std::string& text) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || std::to_string(value) != text)
        return std::nullopt;
    return value;
}

Model::Model(const History& history) {
    ops_.reserve(history.size());
    for (const Op& op : history) {
        if (op.outcome == Outcome::Failed) continue;
        if (op.outcome == Outcome::Unknown && is_read(op.kind)) continue;
        add(op);
    }
    find_producers();
}

uint32_t Model::key_number(const std::string& key) {
    const auto [at, fresh] = key_numbers_.emplace(key, static_cast<uint32_t>(key_names_.size()));
    if (fresh) {
        key_names_.push_back(key);
        slots_.push_back({at->second, true, {}, 0});
        initial_.push_back(static_cast<Slot>(slots_.size() - 1));
    }
    return at->second;
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
        if (op.kind == OpKind::Set || op.kind == OpKind::SetNx || op.kind == OpKind::MSet)
            m.written.push_back(intern(m.keys[i], op.arguments[i]));
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

bool Model::step(const ModelOp& op, const State& state, std::vector<Write>& changes) {
    changes.clear();
    const uint32_t key = op.keys[0];
    const Slot now = state[key];
    const auto write = [&](uint32_t k, Slot slot) {
        if (state[k] != slot) changes.push_back({k, slot});
    };
    switch (op.kind) {
        case OpKind::Get:
        case OpKind::MGet:
            for (size_t i = 0; i < op.seen.size(); ++i)
                if (state[op.keys[i]] != op.seen[i]) return false;
            return true;
        case OpKind::Set:
        case OpKind::MSet:
            for (size_t i = 0; i < op.written.size(); ++i)
                write(op.keys[i], op.written[i]);
            return true;
        case OpKind::SetNx:
            if (op.answered && op.number != (is_nil(now) ? 1 : 0)) return false;
            if (is_nil(now)) write(key, op.written[0]);
            return true;
        case OpKind::Del:
            if (op.answered && op.number != (is_nil(now) ? 0 : 1)) return false;
            write(key, initial_[key]);
            return true;
        case OpKind::Incr: {
            int64_t sum = 0;
            const bool error =
                !slots_[now].number || __builtin_add_overflow(*slots_[now].number, op.amount, &sum);
            if (op.answered && (error ? op.number.has_value() : op.number != sum)) return false;
            if (!error) write(key, intern(key, std::to_string(sum)));
            return true;
        }
    }
    return false;
}

}  // namespace asterias::sim
