// sim/check/model.h: the sequential meaning of the commands, over interned values. One Model serves
// all searches of one history.
//
// Expiry. A key written with a deadline may turn to nil at any moment, or never: how late is a
// matter of clocks, which jump here. So its state is (value, may expire), and it expires when a
// reply says so, no earlier: nothing else could tell, and a key that may still expire can do all
// that an expired one can. What is judged: once it was seen to be gone it stays gone until
// somebody writes it, and a key without a deadline never goes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/check/history.h"

namespace asterias::sim {

// A (key, value) pair; nil is a value too.
using Slot = uint32_t;
// The value of every key of the history, by key number; whether a key may expire is the value of a
// second number (deadline_of).
using State = std::vector<Slot>;

struct Write {
    uint32_t key;
    Slot slot;
};

// An operation that may have taken effect and can tell or change something. `answered`: it
// certainly took effect and `seen` / `number` hold its reply.
struct ModelOp {
    const Op* source = nullptr;
    OpKind kind = OpKind::Get;
    bool answered = false;
    std::vector<uint32_t> keys;
    std::vector<Slot> written;      // Set, SetNx, SetPx, MSet, Wipe: per key
    std::vector<Slot> seen;         // answered Get, MGet: per key
    std::optional<int64_t> number;  // answered Incr, Del, SetNx; empty: the reply was an error
    int64_t amount = 0;             // Incr
    Slot deadline = 0;              // SetPx: the value of its deadline
    Slot before = 0;  // answered Incr whose predecessor value is certain; else kNoSlot
};

inline constexpr Slot kNoSlot = 0xFFFFFFFF;
inline constexpr uint32_t kNoKey = 0xFFFFFFFF;

class Model {
public:
    // Takes every operation that did not fail, but for unanswered reads, which tell nothing.
    // `history` must outlive the model. With `expiry` a key expires no earlier than its time to
    // live after the SetPx was begun, and is no more seen that long after its answer, both by more
    // than `expiry`, which is what the clocks of two leaders may be apart. Without: at any time.
    explicit Model(const History& history, std::optional<Duration> expiry = {});

    const std::vector<ModelOp>& ops() const { return ops_; }
    // Of states: the keys, and their deadlines.
    size_t keys() const { return key_names_.size(); }
    // The number whose value in a state is not nil while `key` may expire; kNoKey: it never may.
    uint32_t deadline_of(uint32_t key) const { return deadlines_[key]; }
    bool may_expire(uint32_t key, const State& state) const {
        return deadlines_[key] != kNoKey && !is_nil(state[deadlines_[key]]);
    }
    // It is not a key but when one expires, and its values are told apart.
    bool is_timed(uint32_t key) const { return expiry_ && is_deadline_[key]; }
    size_t slots() const { return slots_.size(); }
    const std::string& key_name(uint32_t key) const { return key_names_[key]; }
    std::string describe(Slot slot) const;  // its value
    uint32_t key_of(Slot slot) const { return slots_[slot].key; }
    bool is_nil(Slot slot) const { return slots_[slot].nil; }
    // As INCR reads it: nil counts as 0.
    std::optional<int64_t> number(Slot slot) const { return slots_[slot].number; }
    State initial() const { return initial_; }

    // Whether `op`, taken now, answers as it did; if so `changes` (cleared first) gets what it
    // writes, without writes of the value that is already there. Where its reply leaves both open,
    // `late` says that its key had expired before; false then, if it cannot have.
    bool step(const ModelOp& op, const State& state, std::vector<Write>& changes,
              bool late = false);
    // Whether both ways of step() may lead to different ends: an INCR without a reply.
    bool two_ways(const ModelOp& op, const State& state) const {
        return op.kind == OpKind::Incr && !op.answered && may_expire(op.keys[0], state);
    }

    // True if only one event of the history, `producer(slot)`, can ever have given the key this
    // value: then whoever saw the value came after that event, and once overwritten it never
    // returns. The initial nil is an event without an operation.
    bool unique(Slot slot) const { return slot < unique_.size() && unique_[slot]; }
    std::optional<uint32_t> producer(Slot slot) const;
    // True if only INCRs by positive amounts write the key: its number only ever rises.
    bool rising(uint32_t key) const { return rising_[key]; }

private:
    struct SlotInfo {
        uint32_t key;
        bool nil;
        std::string value;
        std::optional<int64_t> number;  // if INCR takes it; nil counts as 0
    };
    uint32_t add_key(std::string name);
    uint32_t key_number(const std::string& key);
    void give_deadline(uint32_t key);
    Slot deadline_slot(const ModelOp& op);
    // Whether the key may be gone when `op` ends; whether it may be there when it begins.
    bool may_be_gone(uint32_t key, const State& state, const ModelOp& op) const;
    bool may_be_there(uint32_t key, const State& state, const ModelOp& op) const;
    Slot intern(uint32_t key, const Value& value);
    void add(const Op& op);
    bool count(const ModelOp& incr, const State& state, bool late, std::vector<Write>& changes);
    void find_producers();

    // When a key expires by a SetPx, at the earliest and latest.
    struct Due {
        Duration low, high;
    };

    std::optional<Duration> expiry_;
    std::map<Slot, Due> due_;  // by value of a deadline
    std::vector<ModelOp> ops_;
    std::vector<std::string> key_names_;
    std::map<std::string, uint32_t, std::less<>> key_numbers_;
    std::vector<SlotInfo> slots_;
    std::map<std::pair<uint32_t, std::string>, Slot> slot_numbers_;
    State initial_;                    // all nil
    std::vector<uint32_t> deadlines_;  // by key
    std::vector<bool> is_deadline_;    // likewise
    std::vector<bool> unique_;
    std::vector<uint32_t> producer_;
    std::vector<bool> rising_;  // by key
};

// `text` as INCR reads it: what a number prints as, nothing else.
std::optional<int64_t> incr_number(const std::string& text);

}  // namespace asterias::sim
