#include "core/session/session.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"

namespace asterias::session {
namespace {
constexpr uint8_t kFormat = 1;
auto position(const std::deque<Result>& results, uint64_t sequence) {
    return std::lower_bound(results.begin(), results.end(), sequence,
                            [](const Result& r, uint64_t s) { return r.sequence < s; });
}
}  // namespace

Found Table::find(const SessionId& id, uint64_t sequence) const {
    const auto it = windows_.find({id.node, id.shard});
    if (it == windows_.end()) return Fresh{};
    const Window& w = it->second;
    if (id.incarnation < w.incarnation) return Stale{};
    if (id.incarnation > w.incarnation) return Fresh{};
    if (MUTANT(session_dedupe_lost)) return Fresh{};
    if (sequence < w.low_water) return Stale{};
    const auto at = position(w.results, sequence);
    if (at != w.results.end() && at->sequence == sequence) return Done{at->reply};
    return Fresh{};
}

uint64_t Table::highest(const SessionId& id) const {
    const auto it = windows_.find({id.node, id.shard});
    if (it == windows_.end() || it->second.incarnation < id.incarnation) return 0;
    // Its window is gone: whatever of it comes late must not be taken for new.
    if (it->second.incarnation > id.incarnation)
        return MUTANT(session_old_start_is_new) ? 0 : UINT64_MAX;
    if (MUTANT(session_dedupe_lost)) return 0;
    return it->second.highest;
}

bool Table::apply(const Advance& advance) {
    Window& w = windows_[{advance.id.node, advance.id.shard}];
    if (advance.id.incarnation < w.incarnation) return false;
    if (advance.id.incarnation > w.incarnation) w = Window{advance.id.incarnation, 0, 0, {}};
    w.low_water = std::max(w.low_water, advance.low_water);
    for (const Result& result : advance.results) {
        CHECK(result.sequence > w.highest, "a session's numbers are evaluated in ascending order");
        w.highest = result.sequence;
        w.results.push_back(result);
        // The reply may be a slice of the whole entry; the window must not keep that alive.
        w.results.back().reply.text = Bytes::copy(result.reply.text.view());
        for (auto& item : w.results.back().reply.items)
            item.text = Bytes::copy(item.text.view());
    }
    // What its gateway gave up is as good as evaluated: it will not be.
    if (w.low_water > 0) w.highest = std::max(w.highest, w.low_water - 1);
    while (!w.results.empty() && w.results.front().sequence < w.low_water)
        w.results.pop_front();
    return true;
}

std::string Table::name_of(const SessionId& id) {
    return "session/" + std::to_string(id.node.value) + "." + std::to_string(id.shard.value);
}

Bytes Table::encode(const SessionId& id) const {
    const auto it = windows_.find({id.node, id.shard});
    CHECK(it != windows_.end(), "only known sessions are stored");
    const Window& w = it->second;
    wire::Writer out(32 + w.results.size() * 6);
    out.u8(kFormat).varint(id.node.value).varint(id.shard.value).varint(w.incarnation.value);
    out.varint(w.low_water).varint(w.highest).varint(w.results.size());
    for (const Result& r : w.results) {
        out.varint(r.sequence);
        kv::encode(out, r.reply);
    }
    return out.take();
}

asterias::Result<void> Table::load(const Bytes& encoded) {
    wire::Reader in(encoded);
    if (in.u8() != kFormat) return fail(Errc::Unsupported, "session window format");
    const NodeId node(in.varint());
    const ShardId shard(in.varint());
    Window w{Incarnation(in.varint()), in.varint(), in.varint(), {}};
    for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
        Result r;
        r.sequence = in.varint();
        r.reply = kv::decode_reply(in);
        w.results.push_back(std::move(r));
    }
    if (!in.ok() || !in.at_end()) return fail(Errc::Corrupt, "session window");
    windows_[{node, shard}] = std::move(w);
    return {};
}

}  // namespace asterias::session
