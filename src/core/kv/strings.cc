// Commands on the string at a key (t_string.c of Redis 7.0).
#include <algorithm>

#include "core/kv/evaluation.h"

namespace asterias::kv {
namespace {

constexpr std::string_view kValueTooLong =
    "ERR string exceeds maximum allowed size (16777216 bytes, value-bytes-max)";

Reply value_or_nil(const Record* r) { return r ? Reply::bulk(r->value) : Reply::nil(); }

}  // namespace

Reply get(Run& run) { return value_or_nil(run.live(0)); }

Reply set(Run& run) {
    const auto flags = run.c.flags;
    const Record* old = run.keys.empty() ? nullptr : run.live(0);
    Reply answer = Reply::ok();
    if (flags & flag::kGet) answer = value_or_nil(old);
    if ((flags & flag::kNx && old) || (flags & flag::kXx && !old))
        return flags & flag::kGet ? answer : Reply::nil();
    int64_t expiry = 0;
    if (flags & flag::kExpire) {
        if (!run.deadline(expiry) || expiry <= 0) return invalid_expire(run.c);
    } else if (flags & flag::kKeepTtl && old) {
        expiry = old->expiry_ms;
    }
    run.put(run.key(0), run.c.values[0], expiry);
    return answer;
}

Reply get_del(Run& run) {
    const Record* r = run.live(0);
    if (r) run.remove(0);
    return value_or_nil(r);
}

Reply get_ex(Run& run) {
    const Record* r = run.live(0);
    if (!r) return Reply::nil();
    int64_t expiry = 0;
    if (run.c.flags & flag::kExpire) {
        if (!run.deadline(expiry) || expiry <= 0) return invalid_expire(run.c);
        if (expiry <= run.context.now_ms)
            run.remove(0);
        else
            run.put(run.keys[0], r->value, expiry);
    } else if (run.c.flags & flag::kPersist && r->expiry_ms) {
        run.put(run.keys[0], r->value, 0);
    }
    return Reply::bulk(r->value);
}

Reply mget(Run& run) {
    Reply reply;
    reply.kind = Reply::Kind::Array;
    size_t bytes = 0;
    for (size_t i = 0; i < run.keys.size(); ++i) {
        const Record* r = run.live(i);
        bytes += reply_bytes(r ? r->value.size() : 0);
        if (bytes > kReplyBytesMax) return Reply::error(kReplyTooLong);
        reply.items.push_back(value_or_nil(r));
    }
    return reply;
}

Reply mset(Run& run) {
    for (size_t i = 0; i < run.c.keys.size(); ++i)
        run.put(run.key(i), run.c.values[i], 0);
    return Reply::ok();
}

Reply mset_nx(Run& run) {
    for (size_t i = 0; i < run.keys.size(); ++i)
        if (run.live(i)) return Reply::number(0);
    mset(run);
    return Reply::number(1);
}

Reply str_len(Run& run) {
    const Record* r = run.live(0);
    return Reply::number(r ? static_cast<int64_t>(r->value_bytes()) : 0);
}

Reply append(Run& run) {
    const Record* r = run.live(0);
    const Bytes& tail = run.c.values[0];
    const size_t size = (r ? r->value.size() : 0) + tail.size();
    if (size > kValueBytesMax) return Reply::error(kValueTooLong);
    BytesBuilder joined(size);
    if (r) joined.append(r->value.view());
    joined.append(tail.view());
    run.put(run.keys[0], joined.take(), r ? r->expiry_ms : 0);
    return Reply::number(static_cast<int64_t>(size));
}

// Bytes that nobody wrote, between the old end and the offset, are zero.
Reply set_range(Run& run) {
    const Record* r = run.live(0);
    const Bytes& piece = run.c.values[0];
    const std::string_view old = r ? r->value.view() : std::string_view();
    if (piece.empty()) return Reply::number(static_cast<int64_t>(old.size()));
    if (run.c.number < 0 || run.c.number > static_cast<int64_t>(kValueBytesMax - piece.size()))
        return Reply::error(kValueTooLong);
    const auto offset = static_cast<size_t>(run.c.number);
    const size_t end = offset + piece.size();
    BytesBuilder joined(std::max(old.size(), end));
    joined.append(old.substr(0, offset));
    while (joined.size() < offset)
        joined.push_back(0);
    joined.append(piece.view());
    if (end < old.size()) joined.append(old.substr(end));
    const auto size = static_cast<int64_t>(joined.size());
    run.put(run.keys[0], joined.take(), r ? r->expiry_ms : 0);
    return Reply::number(size);
}

Part range_of(const Command& command, uint64_t value_bytes) {
    int64_t first = command.number, last = command.number2;
    const auto size = static_cast<int64_t>(value_bytes);
    if (first < 0 && last < 0 && first > last) return {0, 0};
    if (first < 0) first = std::max<int64_t>(first + size, 0);
    if (last < 0) last = std::max<int64_t>(last + size, 0);
    last = std::min(last, size - 1);
    if (first > last) return {0, 0};
    return {static_cast<uint64_t>(first), static_cast<uint64_t>(last - first + 1)};
}

Reply get_range(Run& run) {
    const Record* r = run.live(0);
    const Part part = range_of(run.c, r ? r->value_bytes() : 0);
    if (part.bytes == 0) return Reply::bulk({});
    return Reply::bulk(r->value.slice(part.from - r->before, part.bytes));
}

}  // namespace asterias::kv
