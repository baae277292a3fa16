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
