#include "sim/check/windows.h"

#include <algorithm>
#include <map>

namespace asterias::sim {

namespace {

bool raise(Duration& lo, Duration to) {
    if (lo >= to) return false;
    lo = to;
    return true;
}

bool lower(Duration& hi, Duration to) {
    if (hi <= to) return false;
    hi = to;
    return true;
}

}  // namespace

std::vector<Window> windows_of(const Model& model) {
    std::vector<Window> windows;
    windows.reserve(model.ops().size());
    for (const ModelOp& op : model.ops())
        windows.push_back(
            {op.source->invoked, op.answered ? op.source->completed : kNever, op.answered});
    return windows;
}

bool narrow_by_sight(const Model& model, std::vector<Window>& windows) {
    bool narrowed = false;
    const auto saw = [&](uint32_t reader, Slot slot) {
        const auto producer = model.producer(slot);
        if (!producer || *producer == reader) return;
        Window& source = windows[*producer];
        if (!source.certain) narrowed = source.certain = true;
        if (lower(source.hi, windows[reader].hi)) narrowed = true;
        if (raise(windows[reader].lo, source.lo)) narrowed = true;
    };
    for (uint32_t i = 0; i < windows.size(); ++i) {
        const ModelOp& op = model.ops()[i];
        for (const Slot slot : op.seen)
            saw(i, slot);
        if (op.before != kNoSlot) saw(i, op.before);
    }
    return narrowed;
}

bool narrow_by_counting(const Model& model, std::vector<Window>& windows) {
    // By key, then by number; an INCR that made a number comes before those who read it.
    std::map<uint32_t, std::map<std::pair<int64_t, bool>, std::vector<uint32_t>>> ranks;
    for (uint32_t i = 0; i < windows.size(); ++i) {
        const ModelOp& op = model.ops()[i];
        if (op.kind == OpKind::Incr && op.number && model.rising(op.keys[0]))
            ranks[op.keys[0]][{*op.number, false}].push_back(i);
        for (const Slot slot : op.seen)
            if (model.rising(model.key_of(slot)) && model.number(slot))
                ranks[model.key_of(slot)][{*model.number(slot), true}].push_back(i);
    }
    bool narrowed = false;
    for (const auto& [key, by_number] : ranks) {
        Duration lo{std::numeric_limits<int64_t>::min()};
        for (const auto& [number, ops] : by_number) {
            for (const uint32_t i : ops)
                if (raise(windows[i].lo, lo)) narrowed = true;
            for (const uint32_t i : ops)
                lo = std::max(lo, windows[i].lo);
        }
        Duration hi = kNever;
        for (auto at = by_number.rbegin(); at != by_number.rend(); ++at) {
            for (const uint32_t i : at->second)
                if (lower(windows[i].hi, hi)) narrowed = true;
            for (const uint32_t i : at->second)
                hi = std::min(hi, windows[i].hi);
        }
    }
    return narrowed;
}

bool narrow_by_connection(const Model& model, std::vector<Window>& windows) {
    std::map<uint64_t, std::vector<std::pair<uint64_t, uint32_t>>> connections;
    for (uint32_t i = 0; i < windows.size(); ++i) {
        const Op& op = *model.ops()[i].source;
        if (op.connection != 0) connections[op.connection].push_back({op.sequence, i});
    }
    bool narrowed = false;
    for (auto& [connection, ops] : connections) {
        std::sort(ops.begin(), ops.end());
        Duration lo{std::numeric_limits<int64_t>::min()};
        for (const auto& [place, i] : ops) {
            if (raise(windows[i].lo, lo)) narrowed = true;
            if (windows[i].certain) lo = windows[i].lo;
        }
        Duration hi = kNever;
        for (auto at = ops.rbegin(); at != ops.rend(); ++at) {
            Window& window = windows[at->second];
            if (lower(window.hi, hi)) narrowed = true;
            if (window.certain) hi = window.hi;
        }
    }
    return narrowed;
}

}  // namespace asterias::sim
