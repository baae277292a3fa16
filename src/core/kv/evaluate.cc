#include "core/kv/evaluate.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>

#include "base/check.h"
#include "base/mutant.h"

namespace asterias::kv {
namespace {

constexpr std::string_view kNotInteger = "ERR value is not an integer or out of range";
constexpr std::string_view kOverflow = "ERR increment or decrement would overflow";
constexpr std::string_view kTooLong =
    "ERR string exceeds maximum allowed size (16777216 bytes, value-bytes-max)";
constexpr std::string_view kInvalidExpire = "ERR invalid expire time in 'set' command";

// Redis' string2ll: the canonical decimal form and nothing else.
bool parse_integer(std::string_view text, int64_t& out) {
    if (text.empty() || text.size() > 20) return false;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (ec != std::errc{} || end != text.data() + text.size()) return false;
    const bool negative = text[0] == '-';
    const std::string_view digits = text.substr(negative);
    return digits == "0" ? !negative : digits[0] != '0';
}

// One evaluation: what each key holds, and what becomes of it.
class Evaluator {
public:
    Evaluator(const Command& command, const std::vector<Bytes>& keys,
              const std::vector<const Record*>& records, const Context& context)
        : c_(command), keys_(keys), records_(records), context_(context) {}

    Evaluation run() {
        out_.reply = dispatch();
        return std::move(out_);
    }

private:
    // The live record of key i. A passed deadline becomes a deletion in the log, decided here once.
    const Record* live(size_t i) {
        const Record* r = records_[i];
        if (!r || r->expiry_ms == 0 || MUTANT(kv_expire_never)) return r;
        const int64_t early_ms = MUTANT(kv_expire_early) ? 100 : 0;
        if (r->expiry_ms - early_ms > context_.now_ms) return r;
        if (!MUTANT(kv_expiry_not_logged)) out_.writes.push_back({keys_[i], {}});
        return nullptr;
    }
    void put(const Bytes& key, Bytes value, int64_t expiry_ms) {
        Record r{Type::String, context_.commit_time, context_.index, expiry_ms, std::move(value)};
        out_.writes.push_back({key, encode(r)});
    }
    // The absolute deadline that the command asks for; false if it cannot be represented.
    bool deadline(int64_t& at) const {
        at = c_.number;
        if (c_.flags & flag::kRelative) return !__builtin_add_overflow(at, context_.now_ms, &at);
        return true;
    }

    Reply dispatch() {
        if (c_.keys.size() > kKeysMax) return Reply::error(kTooManyKeys);
        switch (c_.op) {
            case Op::Get: {
                const Record* r = live(0);
                return r ? Reply::bulk(r->value) : Reply::nil();
            }
            case Op::Set:
                return set();
            case Op::Del:
                return del();
            case Op::Exists: {
                int64_t n = 0;
                for (size_t i = 0; i < keys_.size(); ++i)
                    n += live(i) != nullptr;
                return Reply::number(n);
            }
            case Op::IncrBy:
                return incr();
            case Op::MGet: {
                Reply r;
                r.kind = Reply::Kind::Array;
                size_t bytes = 0;
                for (size_t i = 0; i < keys_.size(); ++i) {
                    const Record* record = live(i);
                    bytes += reply_bytes(record ? record->value.size() : 0);
                    if (bytes > kReplyBytesMax) return Reply::error(kReplyTooLong);
                    r.items.push_back(record ? Reply::bulk(record->value) : Reply::nil());
                }
                return r;
            }
            case Op::MSet:
                for (size_t i = 0; i < c_.keys.size(); ++i)
                    put(data_key(c_.keyspace, c_.database, c_.keys[i].view()), c_.values[i], 0);
                return Reply::ok();
            case Op::Ttl: {
                const Record* r = live(0);
                if (!r) return Reply::number(-2);
                return Reply::number(r->expiry_ms ? r->expiry_ms - context_.now_ms : -1);
            }
            case Op::ExpireAt:
                return expire_at();
            case Op::Persist: {
                const Record* r = live(0);
                if (!r || r->expiry_ms == 0) return Reply::number(0);
                put(keys_[0], r->value, 0);
                return Reply::number(1);
            }
            case Op::Type:
                return Reply::status(live(0) ? "string" : "none");
            case Op::StrLen: {
                const Record* r = live(0);
                return Reply::number(r ? static_cast<int64_t>(r->value.size()) : 0);
            }
            case Op::Append:
                return append();
            case Op::GetDel: {
                const Record* r = live(0);
                if (!r) return Reply::nil();
                out_.writes.push_back({keys_[0], {}});
                return Reply::bulk(r->value);
            }
        }
        return Reply::error("ERR unknown operation");
    }

    Reply set() {
        const bool reads = !keys_.empty();
        const Record* old = reads ? live(0) : nullptr;
        Reply answer = Reply::ok();
        if (c_.flags & flag::kGet) answer = old ? Reply::bulk(old->value) : Reply::nil();
        if ((c_.flags & flag::kNx && old) || (c_.flags & flag::kXx && !old))
            return c_.flags & flag::kGet ? answer : Reply::nil();
        int64_t expiry = 0;
        if (c_.flags & flag::kExpire) {
            if (!deadline(expiry) || expiry <= 0) return Reply::error(kInvalidExpire);
        } else if (c_.flags & flag::kKeepTtl && old) {
            expiry = old->expiry_ms;
        }
        put(reads ? keys_[0] : data_key(c_.keyspace, c_.database, c_.keys[0].view()), c_.values[0],
            expiry);
        return answer;
    }

    Reply del() {
        // The same key twice in one command is deleted once, at its first place.
        std::vector<size_t> order(keys_.size());
        std::iota(order.begin(), order.end(), size_t{0});
        std::ranges::sort(order, [this](size_t a, size_t b) {
            const int by_key = keys_[a].view().compare(keys_[b].view());
            return by_key ? by_key < 0 : a < b;
        });
        std::vector<bool> again(keys_.size());
        for (size_t k = 1; k < order.size(); ++k)
            again[order[k]] = keys_[order[k]] == keys_[order[k - 1]];
        int64_t n = 0;
        for (size_t i = 0; i < keys_.size(); ++i) {
            if (again[i] || !live(i)) continue;
            out_.writes.push_back({keys_[i], {}});
            ++n;
        }
        return Reply::number(n);
    }

    Reply incr() {
        const Record* r = live(0);
        const Record* dated = MUTANT(kv_incr_keeps_passed_deadline) ? records_[0] : r;
        int64_t value = 0;
        if (r && !parse_integer(r->value.view(), value)) return Reply::error(kNotInteger);
        if (__builtin_add_overflow(value, c_.number, &value)) return Reply::error(kOverflow);
        char text[24];
        const auto end = std::to_chars(text, text + sizeof text, value).ptr;
        put(keys_[0], Bytes::copy({text, static_cast<size_t>(end - text)}),
            dated ? dated->expiry_ms : 0);
        return Reply::number(value);
    }

    Reply append() {
        const Record* r = live(0);
        const size_t size = (r ? r->value.size() : 0) + c_.values[0].size();
        if (size > kValueBytesMax) return Reply::error(kTooLong);
        BytesBuilder joined(size);
        if (r) joined.append(r->value.view());
        joined.append(c_.values[0].view());
        put(keys_[0], joined.take(), r ? r->expiry_ms : 0);
        return Reply::number(static_cast<int64_t>(size));
    }

    Reply expire_at() {
        const Record* r = live(0);
        int64_t at = 0;
        if (!deadline(at)) return Reply::error("ERR invalid expire time in 'expire' command");
        if (!r) return Reply::number(0);
        const int64_t now_at = r->expiry_ms ? r->expiry_ms : std::numeric_limits<int64_t>::max();
        if ((c_.flags & flag::kNx && r->expiry_ms) || (c_.flags & flag::kXx && !r->expiry_ms) ||
            (c_.flags & flag::kGt && at <= now_at) || (c_.flags & flag::kLt && at >= now_at))
            return Reply::number(0);
        if (at <= context_.now_ms)
            out_.writes.push_back({keys_[0], {}});
        else
            put(keys_[0], r->value, at);
        return Reply::number(1);
    }

    const Command& c_;
    const std::vector<Bytes>& keys_;
    const std::vector<const Record*>& records_;
    const Context& context_;
    Evaluation out_;
};

}  // namespace

std::vector<Bytes> keys_read(const Command& command) {
    const bool blind_set = command.op == Op::Set &&
                           !(command.flags & (flag::kNx | flag::kXx | flag::kGet | flag::kKeepTtl));
    std::vector<Bytes> keys;
    if (command.op == Op::MSet || blind_set || command.keys.size() > kKeysMax) return keys;
    keys.reserve(command.keys.size());
    for (const auto& key : command.keys)
        keys.push_back(data_key(command.keyspace, command.database, key.view()));
    return keys;
}

bool needs_values(Op op) { return op != Op::Exists && op != Op::Del; }

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
    return Evaluator(command, keys, records, context).run();
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
