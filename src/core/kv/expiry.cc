// Deadlines of keys (expire.c of Redis 7.0).
#include <array>
#include <limits>

#include "core/kv/evaluation.h"

namespace asterias::kv {

bool Run::deadline(int64_t& at) const {
    at = c.number;
    if (c.flags & flag::kRelative) return !__builtin_add_overflow(at, context.now_ms, &at);
    return true;
}

Reply invalid_expire(const Command& command) {
    static constexpr std::array<std::string_view, kLastVerb + 1> kTexts = {
        "ERR invalid expire time in 'set' command",
        "ERR invalid expire time in 'setex' command",
        "ERR invalid expire time in 'psetex' command",
        "ERR invalid expire time in 'getex' command",
        "ERR invalid expire time in 'expire' command",
        "ERR invalid expire time in 'pexpire' command"};
    const auto verb = static_cast<uint64_t>(command.number2);
    return Reply::error(kTexts[verb < kTexts.size() ? verb : 0]);
}

Reply ttl(Run& run) {
    const Record* r = run.live(0);
    if (!r) return Reply::number(-2);
    if (!r->expiry_ms) return Reply::number(-1);
    const bool absolute = run.c.flags & flag::kAbsolute;
    return Reply::number(absolute ? r->expiry_ms : r->expiry_ms - run.context.now_ms);
}

Reply expire_at(Run& run) {
    const auto flags = run.c.flags;
    const Record* r = run.live(0);
    int64_t at = 0;
    if (!run.deadline(at)) return invalid_expire(run.c);
    if (!r) return Reply::number(0);
    const int64_t now_at = r->expiry_ms ? r->expiry_ms : std::numeric_limits<int64_t>::max();
    if ((flags & flag::kNx && r->expiry_ms) || (flags & flag::kXx && !r->expiry_ms) ||
        (flags & flag::kGt && at <= now_at) || (flags & flag::kLt && at >= now_at))
        return Reply::number(0);
    if (at <= run.context.now_ms)
        run.remove(0);
    else
        run.put(run.keys[0], r->value, at);
    return Reply::number(1);
}

Reply persist(Run& run) {
    const Record* r = run.live(0);
    if (!r || r->expiry_ms == 0) return Reply::number(0);
    run.put(run.keys[0], r->value, 0);
    return Reply::number(1);
}

}  // namespace asterias::kv
