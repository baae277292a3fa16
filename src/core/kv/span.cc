#include "core/kv/span.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"
#include "core/kv/evaluation.h"

namespace asterias::kv {
namespace {
std::string_view pattern_of(const Command& command) {
    return command.values.empty() ? std::string_view() : command.values[0].view();
}
}  // namespace

SpanRead::SpanRead(const Command& command, int64_t now_ms, uint64_t seed)
    : command_(command),
      now_ms_(now_ms),
      pattern_(pattern_of(command).substr(0, kGlobBytesMax)),
      random_(seed) {
    CHECK(traits(command.op).span, "others are evaluated");
    if (pattern_of(command).size() > kGlobBytesMax) {  // its door lets none of these pass
        error_ = kGlobTooLong;
        full_ = true;
    }
    const Bytes prefix = database_prefix(command.keyspace, command.database);
    to_ = after_prefix(prefix);
    from_ = command.op == Op::Scan
                ? data_key(command.keyspace, command.database, command.values[1].view())
                : prefix;
}

size_t SpanRead::entries_most() const {
    if (command_.op != Op::Scan) return SIZE_MAX;
    const auto count = static_cast<size_t>(std::max<int64_t>(command_.number, 1));
    return std::min(count, kScanCountMax);
}

void SpanRead::skip(const Bytes& key) {
    CHECK(!full_ && key.size() >= kDataPrefixBytes, "it was not asked for");
    last_ = Bytes::copy(key.view());
    if (++looked_at_ >= entries_most()) full_ = true;
}

Result<void> SpanRead::take(const Bytes& key, const Bytes& record) {
    skip(key);
    if (has_expiry(record)) {
        const Record r = TRY(decode_record(record));
        if (r.expiry_ms <= now_ms_) {
            expired_bytes_ += last_.size();
            if (expired_.size() < kSpanExpiredMax && expired_bytes_ <= kSpanExpiredBytesMax) {
                expired_.push_back(last_);
            } else {
                error_ = kSpanTooManyExpired;
                full_ = true;
            }
            return {};
        }
    }
    ++count_;
    const Bytes user_key = last_.suffix(kDataPrefixBytes);
    switch (command_.op) {
        case Op::Keys:
        case Op::Scan:
            if (command_.number2 != 1 && pattern_.matches(user_key.view(), steps_)) found(user_key);
            break;
        case Op::RandomKey:
            // Each of the n seen so far is chosen with probability 1/n.
            if (random_.below(count_) == 0) chosen_ = last_;
            break;
        default:
            break;
    }
    return {};
}

void SpanRead::found(const Bytes& user_key) {
    bytes_ += sizeof(Reply) + 32 + user_key.size();
    if (bytes_ > kSpanReplyBytesMax) {
        error_ = kSpanReplyTooLong;
        keys_.clear();
        full_ = true;
        return;
    }
    keys_.push_back(Reply::bulk(user_key));
}

Reply SpanRead::finish(bool ended) {
    if (!error_.empty()) return Reply::error(error_);
    Reply reply;
    switch (command_.op) {
        case Op::Count:
            return Reply::number(static_cast<int64_t>(count_));
        case Op::Keys:
            reply.kind = Reply::Kind::Array;
            reply.items = std::move(keys_);
            return reply;
        case Op::RandomKey:
            reply.kind = Reply::Kind::Array;
            reply.items.push_back(Reply::number(static_cast<int64_t>(count_)));
            reply.items.push_back(count_ ? Reply::bulk(chosen_.suffix(kDataPrefixBytes))
                                         : Reply::nil());
            return reply;
        default:
            break;
    }
    Reply keys;
    keys.kind = Reply::Kind::Array;
    keys.items = std::move(keys_);
    reply.kind = Reply::Kind::Array;
    // The first key behind the last one looked at.
    BytesBuilder next(last_.size() + 1);
    next.append(last_.view());
    next.push_back(0);
    reply.items.push_back(
        ended || last_.empty() ? Reply::nil() : Reply::bulk(next.take().suffix(kDataPrefixBytes)));
    reply.items.push_back(std::move(keys));
    return reply;
}

Reply nothing_there(Op op) {
    if (op == Op::Flush) return Reply::ok();
    Command command;
    command.op = op;
    command.values.resize(traits(op).values);
    return SpanRead(command, 0, 0).finish(true);
}

Reply flush(Run& run) {
    const Bytes prefix = run.c.number ? data_prefix(run.keyspace())
                                      : database_prefix(run.keyspace(), run.c.database);
    run.remove_range(prefix, after_prefix(prefix));
    return Reply::ok();
}

}  // namespace asterias::kv
