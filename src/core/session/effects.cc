#include "core/session/effects.h"

namespace asterias::session {
namespace {
constexpr uint8_t kFormat = 2;
}

Bytes encode(const Effects& effects) {
    size_t bytes = 64;
    for (const auto& s : effects.sessions)
        bytes += 32 + s.results.size() * 8;
    for (const auto& w : effects.writes)
        bytes += w.key.size() + w.record.size() + w.until.size() + 8;
    wire::Writer out(bytes);
    out.u8(kFormat).u64(effects.commit_time.value).varint(effects.matched_by_all.value);
    out.varint(effects.sessions.size());
    for (const auto& s : effects.sessions) {
        out.varint(s.id.node.value).varint(s.id.incarnation.value).varint(s.id.shard.value);
        out.varint(s.low_water).varint(s.results.size());
        for (const auto& r : s.results) {
            out.varint(r.sequence);
            kv::encode(out, r.reply);
        }
    }
    out.varint(effects.writes.size());
    for (const auto& w : effects.writes)
        if (w.until.empty())
            out.bytes(w.key).bytes(w.record);
        else
            out.bytes(Bytes()).bytes(w.key).bytes(w.until);
    return out.take();
}

asterias::Result<Effects> decode_effects(const Bytes& payload) {
    wire::Reader in(payload);
    const uint8_t format = in.u8();
    if (in.ok() && format != kFormat)
        return fail(Errc::Unsupported, "effects format " + std::to_string(format));
    Effects e;
    e.commit_time = HybridTime(in.u64());
    e.matched_by_all = LogIndex(in.varint());
    for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
        Advance a{
            {NodeId(in.varint()), Incarnation(in.varint()), ShardId(in.varint())}, in.varint(), {}};
        for (uint64_t k = in.varint(); k > 0 && in.ok(); --k) {
            Result r;
            r.sequence = in.varint();
            r.reply = kv::decode_reply(in);
            a.results.push_back(std::move(r));
        }
        e.sessions.push_back(std::move(a));
    }
    for (uint64_t n = in.varint(); n > 0 && in.ok(); --n) {
        kv::Write w;
        w.key = in.bytes();
        if (w.key.empty()) {
            w.key = in.bytes();
            w.until = in.bytes();
            if (w.key.empty() || w.until <= w.key) in.set_failed();
        } else {
            w.record = in.bytes();
        }
        e.writes.push_back(std::move(w));
    }
    if (!in.ok() || !in.at_end()) return fail(Errc::Corrupt, "effects payload");
    return e;
}

}  // namespace asterias::session
