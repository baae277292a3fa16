// Commands on keys, whatever they hold (db.c, object.c of Redis 7.0).
#include <algorithm>
#include <numeric>

#include "base/mutant.h"
#include "core/kv/evaluation.h"

namespace asterias::kv {
namespace {

constexpr std::string_view kNoSuchKey = "ERR no such key";
constexpr std::string_view kNoFrequency =
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
    "when switching between policies at runtime LRU and LFU data will take some time to adjust.";

// How Redis would hold what somebody SETs.
std::string_view encoding(const Record& record) {
    int64_t number = 0;
    if (record.value_bytes() > kEmbeddedMost) return "raw";
    return parse_integer(record.value.view(), number) ? "int" : "embstr";
}

}  // namespace

Reply del(Run& run) {
    // The same key twice in one command is deleted once, at its first place.
    const auto& keys = run.keys;
    std::vector<size_t> order(keys.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::sort(order, [&keys](size_t a, size_t b) {
        const int by_key = keys[a].view().compare(keys[b].view());
        return by_key ? by_key < 0 : a < b;
    });
    std::vector<bool> again(keys.size());
    for (size_t k = 1; k < order.size(); ++k)
        again[order[k]] = keys[order[k]] == keys[order[k - 1]];
    int64_t n = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
        if (again[i] || !run.live(i)) continue;
        run.remove(i);
        ++n;
    }
    return Reply::number(n);
}

Reply exists(Run& run) {
    int64_t n = 0;
    for (size_t i = 0; i < run.keys.size(); ++i)
        n += run.live(i) != nullptr;
    return Reply::number(n);
}

Reply type(Run& run) { return Reply::status(run.live(0) ? "string" : "none"); }

Reply rename(Run& run) {
    const bool if_absent = run.c.flags & flag::kNx;
    const Record* from = run.live(0);
    if (!from) return Reply::error(kNoSuchKey);
    if (run.keys[0] == run.keys[1]) return if_absent ? Reply::number(0) : Reply::ok();
    if (if_absent && run.live(1)) return Reply::number(0);
    run.put(run.keys[1], from->value, from->expiry_ms);
    run.remove(0);
    return if_absent ? Reply::number(1) : Reply::ok();
}

Reply copy(Run& run) {
    const Record* from = run.live(0);
    if (!from || run.keys[0] == run.keys[1]) return Reply::number(0);
    if (!(run.c.flags & flag::kReplace) && run.live(1)) return Reply::number(0);
    run.put(run.keys[1], from->value, from->expiry_ms);
    if (run.c.flags & flag::kTake) run.remove(0);
    return Reply::number(1);
}

Reply object(Run& run) {
    constexpr int64_t kHeldBytes = 64;  // by the engine, for a key, beside key and record
    const Record* r = run.live(0);
    if (!r) return Reply::nil();
    switch (static_cast<Asked>(run.c.number)) {
        case Asked::Encoding:
            return Reply::bulk(Bytes::literal(encoding(*r)));
        case Asked::References:
            return Reply::number(1);
        case Asked::IdleSeconds: {  // since it was written: nobody notes who reads
            const auto written_ms = static_cast<int64_t>((r->commit_time.value >> 12) / 1000);
            return Reply::number(std::max<int64_t>(run.context.now_ms - written_ms, 0) / 1000);
        }
        case Asked::Frequency:
            return Reply::error(kNoFrequency);
        case Asked::Bytes:
            return Reply::number(kHeldBytes +
                                 static_cast<int64_t>(run.keys[0].size() + encoded_bytes(*r)));
    }
    return Reply::error("ERR nobody asks an object this");
}

// A deadline that passed unnoticed is a deletion of this very entry.
Reply version(Run& run) {
    constexpr int kIndexBits = 44;
    const auto told = [&run](LogIndex index) {
        const uint64_t group = MUTANT(kv_version_without_group) ? 0 : run.context.group.value;
        return static_cast<int64_t>(group << kIndexBits | index.value);
    };
    Reply reply;
    reply.kind = Reply::Kind::Array;
    for (size_t i = 0; i < run.keys.size(); ++i) {
        const bool stored = run.stored(i);
        if (const Record* r = run.live(i)) {
            reply.items.push_back(Reply::number(told(r->version)));
            continue;
        }
        LogIndex deleted;
        if (run.context.deletions)
            deleted = stored ? run.context.index : run.context.deletions->last(run.keys[i]);
        reply.items.push_back(Reply::number(-told(deleted)));
    }
    return reply;
}

}  // namespace asterias::kv
