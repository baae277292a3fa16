#include "core/kv/evaluate.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <optional>

#include "base/check.h"
#include "base/mutant.h"
#include "core/kv/evaluation.h"

namespace asterias::kv {
namespace {

// A plain SET and an MSET overwrite whatever there is; their keys are made where they are written.
bool is_blind(const Command& c) {
    if (c.op == Op::MSet) return true;
    return c.op == Op::Set && !(c.flags & (flag::kNx | flag::kXx | flag::kGet | flag::kKeepTtl));
}

// clang-format off
constexpr Reply (*kHandlers[])(Run&) = {
    nullptr,
    get,     set,    del,       exists, incr_by, mget,    mset,
    ttl,     expire_at, persist, type,  str_len, append,  get_del,
    get_ex,  mset_nx, incr_by_float, set_range, get_range, lcs, rename,
    copy,    object, version,   version,
};
// clang-format on
static_assert(std::size(kHandlers) == static_cast<size_t>(Op::Batch), "a batch is not among them");

void append_keys(const Command& c, KeyspaceId keyspace, std::vector<Bytes>& keys) {
    if (is_blind(c)) return;
    for (const auto& key : c.keys) {
        const bool second = c.op == Op::Copy && &key != &c.keys.front();
        const auto database = second ? static_cast<uint16_t>(c.number) : c.database;
        keys.push_back(data_key(keyspace, database, key.view()));
    }
}

Reply handle(Run& run) {
    if (run.c.op == Op::Flush) return flush(run);
    if (traits(run.c.op).span) return Reply::error(kReadElsewhere);
    return kHandlers[static_cast<uint8_t>(run.c.op)](run);
}

constexpr uint64_t kFlushWork = 16;  // of each key that a flush in a batch meets

uint64_t work_of(const Allowance& left) {
    return (kLcsCellsMax - left.lcs_cells) * sizeof(uint32_t);
}

size_t reply_size(const Reply& reply) {
    size_t bytes = reply_bytes(reply.text.size());
    for (const auto& item : reply.items)
        bytes += reply_size(item);
    return bytes;
}

// The commands of a batch: each is evaluated as if it were alone, against what the engine has under
// the writes of those before it.
class BatchRun {
public:
    BatchRun(const Command& batch, const std::vector<Bytes>& keys,
             const std::vector<const Record*>& records, const Context& context)
        : batch_(batch), context_(context) {
        for (size_t i = 0; i < keys.size(); ++i)
            state_[keys[i]].record = records[i];
    }

    Evaluation run() {
        Evaluation out = in_turn();
        out.expired = allowance_.expired;
        out.work = work_of(allowance_) + written_ + answered_ + flushed_over_ * kFlushWork;
        return out;
    }

private:
    Evaluation in_turn() {
        Evaluation out;
        out.reply.kind = Reply::Kind::Array;
        for (const auto& command : batch_.batch) {
            Reply reply = one(command);
            if (command.op == Op::IfVersion) {
                const bool same = reply.items[0].integer == command.number;
                if (!same && !MUTANT(kv_watch_ignored)) return {Reply::nil(), {}};
                continue;
            }
            if (written_ > kEffectsBytesMax) return {Reply::error(kEffectsTooLong), {}};
            if (flushed_over_ > kFlushedOverMax) return {Reply::error(kFlushedTooMuch), {}};
            answered_ += reply_size(reply);
            if (answered_ > kReplyBytesMax) return {Reply::error(kReplyTooLong), {}};
            out.reply.items.push_back(std::move(reply));
        }
        out.writes = std::move(flushed_);
        for (auto& [key, now] : state_)
            if (now.written) out.writes.push_back({key, std::move(*now.written)});
        return out;
    }

    struct Now {
        const Record* record = nullptr;
        Record own;                    // what `record` points to once it was written here
        std::optional<Bytes> written;  // encoded; empty: deleted
    };

    Reply one(const Command& command) {
        keys_.clear();
        append_keys(command, batch_.keyspace, keys_);
        records_.clear();
        for (const auto& key : keys_)
            records_.push_back(state_[key].record);
        Run run(command, batch_.keyspace, keys_, records_, context_, allowance_);
        Reply reply = handle(run);
        for (auto& write : run.writes) {
            // What is written over again counts, too: it is work.
            written_ += write.key.size() + write.record.size();
            apply(std::move(write));
        }
        return reply;
    }

    // What it deletes is done first, in the entry: of the writes in its range the later ones stay.
    void flush(Write range) {
        const auto end = state_.lower_bound(range.until);
        for (auto it = state_.lower_bound(range.key); it != end; ++it) {
            it->second.record = nullptr;
            it->second.written.reset();
            ++flushed_over_;
        }
        flushed_.push_back(std::move(range));
    }

    void apply(Write write) {
        if (!write.until.empty()) return flush(std::move(write));
        Now& now = state_[write.key];
        if (write.record.empty()) {
            now.record = nullptr;
        } else if (!MUTANT(kv_batch_blind)) {
            auto record = decode_record(write.record);
            CHECK(record.has_value(), "it was encoded a moment ago");
            now.own = std::move(*record);
            now.record = &now.own;
        }
        now.written = std::move(write.record);
    }

    const Command& batch_;
    const Context& context_;
    Allowance allowance_;
    std::map<Bytes, Now> state_;  // by engine key
    std::vector<Write> flushed_;
    std::vector<Bytes> keys_;
    std::vector<const Record*> records_;
    size_t written_ = 0, answered_ = 0, flushed_over_ = 0;
};

// More bytes than any number has that INCR, or INCRBYFLOAT, takes.
constexpr Part kIntegerText{0, 21}, kFloatText{0, 256};

size_t count_keys(const Command& command) {
    size_t keys = 0;
    command.for_each_key([&keys](const Bytes&) { ++keys; });
    return keys;
}

}  // namespace

bool parse_integer(std::string_view text, int64_t& out) {
    if (text.empty() || text.size() > 20) return false;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (ec != std::errc{} || end != text.data() + text.size()) return false;
    const bool negative = text[0] == '-';
    const std::string_view digits = text.substr(negative);
    return digits == "0" ? !negative : digits[0] != '0';
}

Bytes Run::key(size_t i) const {
    return keys.empty() ? data_key(keyspace_, c.database, c.keys[i].view()) : keys[i];
}

const Record* Run::live(size_t i) {
    const Record* r = records_[i];
    if (!r || r->expiry_ms == 0 || MUTANT(kv_expire_never)) return r;
    const int64_t early_ms = MUTANT(kv_expire_early) ? 100 : 0;
    if (r->expiry_ms - early_ms > context.now_ms) return r;
    if (!MUTANT(kv_expiry_not_logged)) remove(i);
    ++allowance.expired;
    return nullptr;
}

void Run::put(const Bytes& key, Bytes value, int64_t expiry_ms) {
    const Record r{Type::String, context.commit_time, context.index, expiry_ms, std::move(value)};
    writes.push_back({key, encode(r)});
}

bool reads_whole_values(const Command& command) {
    switch (command.op) {
        case Op::Set:
            return command.flags & flag::kGet;
        case Op::IncrBy:
        case Op::IncrByFloat:
        case Op::StrLen:
        case Op::GetRange:
        case Op::Object:
            return false;
        default:
            return traits(command.op).needs_values;
    }
}

Part part_read(const Command& command, uint64_t value_bytes) {
    if (reads_whole_values(command)) return {};
    switch (command.op) {
        case Op::IncrBy:
            return kIntegerText;
        case Op::IncrByFloat:
            return kFloatText;
        case Op::GetRange:
            return range_of(command, value_bytes);
        case Op::Object:
            if (command.number == static_cast<int64_t>(Asked::Encoding))
                return {0, value_bytes <= kEmbeddedMost ? value_bytes : 0};
            return {0, 0};
        default:
            return {0, 0};
    }
}

std::vector<Bytes> keys_read(const Command& command) {
    std::vector<Bytes> keys;
    if (command.op != Op::Batch) {
        if (command.keys.size() > kKeysMax || is_blind(command)) return keys;
        keys.reserve(command.keys.size());
        append_keys(command, command.keyspace, keys);
        return keys;
    }
    if (count_keys(command) > kKeysMax) return keys;
    for (const auto& one : command.batch)
        append_keys(one, command.keyspace, keys);
    std::ranges::sort(keys);
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    return keys;
}

Command exists_by_key(const Bytes& engine_key) {
    CHECK(engine_key.size() >= kDataPrefixBytes, "a data key has its whole prefix");
    uint64_t number = 0;
    for (size_t i = 1; i < kDataPrefixBytes; ++i)
        number = number << 8 | engine_key[i];
    Command c;
    c.op = Op::Exists;
    c.keyspace = KeyspaceId(number >> 16);
    c.database = static_cast<uint16_t>(number);
    c.keys.push_back(engine_key.suffix(kDataPrefixBytes));
    return c;
}

Evaluation evaluate(const Command& command, const std::vector<Bytes>& keys,
                    const std::vector<const Record*>& records, const Context& context) {
    CHECK(keys.size() == records.size(), "one record, or its absence, per key read");
    if (command.op == Op::Batch) {
        if (count_keys(command) > kKeysMax) return {Reply::error(kTooManyKeys), {}};
        return BatchRun(command, keys, records, context).run();
    }
    CHECK(command.op != Op::Boundary, "orders of boundaries are evaluated by core/catalogue");
    if (command.keys.size() > kKeysMax) return {Reply::error(kTooManyKeys), {}};
    Allowance allowance;
    Run run(command, command.keyspace, keys, records, context, allowance);
    Reply reply = handle(run);
    return {std::move(reply), std::move(run.writes), work_of(allowance), allowance.expired};
}

Bytes encode_request_result(uint64_t sequence, const Reply& reply) {
    wire::Writer out;
    out.u8(1).varint(sequence);
    encode(out, reply);
    return out.take();
}

Result<RequestResult> decode_request_result(const Bytes& bytes) {
    wire::Reader in(bytes);
    if (in.u8() != 1) return fail(Errc::Unsupported, "request result format");
    RequestResult r{in.varint(), decode_reply(in)};
    if (!in.ok() || !in.at_end()) return fail(Errc::Corrupt, "request result");
    return r;
}

}  // namespace asterias::kv
