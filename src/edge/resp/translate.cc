#include "edge/resp/translate.h"

#include <limits>

#include "proto/resp/arguments.h"
#include "proto/resp/errors.h"

namespace asterias::edge_resp {
namespace {

using resp::CommandId;
using resp::Request;

using Answer = std::variant<Translated, Refused>;

Answer keys_from(const Request& request, size_t first, size_t step, kv::Command command,
                 Show show = Show::AsIs) {
    for (size_t i = first; i < request.size(); i += step)
        command.keys.push_back(request[i]);
    return Translated{std::move(command), show};
}

Answer one_key(const Request& request, kv::Command command, Show show = Show::AsIs) {
    command.keys.push_back(request[1]);
    return Translated{std::move(command), show};
}

Answer set(const Request& request, kv::Command command) {
    auto parsed = resp::parse_set_options(request);
    if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return Refused{error->text};
    const auto& options = std::get<resp::SetOptions>(parsed);
    command.op = kv::Op::Set;
    using Condition = resp::SetOptions::Condition;
    if (options.condition == Condition::IfAbsent) command.flags |= kv::flag::kNx;
    if (options.condition == Condition::IfPresent) command.flags |= kv::flag::kXx;
    if (options.get) command.flags |= kv::flag::kGet;
    switch (options.expiry.kind) {
        case resp::Expiry::Kind::None:
            break;
        case resp::Expiry::Kind::Keep:
            command.flags |= kv::flag::kKeepTtl;
            break;
        case resp::Expiry::Kind::After:
            command.flags |= kv::flag::kExpire | kv::flag::kRelative;
            command.number = options.expiry.milliseconds;
            break;
        case resp::Expiry::Kind::At:
            command.flags |= kv::flag::kExpire;
            command.number = options.expiry.milliseconds;
    }
    command.keys.push_back(request[1]);
    command.values.push_back(request[2]);
    return Translated{std::move(command)};
}

Answer expire(const Request& request, kv::Command command, bool in_seconds) {
    auto parsed =
        resp::parse_expire_options(request, in_seconds ? "expire" : "pexpire", in_seconds);
    if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return Refused{error->text};
    const auto& options = std::get<resp::ExpireOptions>(parsed);
    command.op = kv::Op::ExpireAt;
    command.flags = kv::flag::kRelative;
    if (options.if_none) command.flags |= kv::flag::kNx;
    if (options.if_some) command.flags |= kv::flag::kXx;
    if (options.if_later) command.flags |= kv::flag::kGt;
    if (options.if_earlier) command.flags |= kv::flag::kLt;
    command.number = options.milliseconds;
    return one_key(request, std::move(command));
}

Answer increment(const Request& request, kv::Command command, int64_t sign, bool given) {
    command.op = kv::Op::IncrBy;
    command.number = sign;
    if (given) {
        auto parsed = resp::integer_argument(request[2]);
        if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return Refused{error->text};
        const int64_t by = std::get<int64_t>(parsed);
        if (sign < 0 && by == std::numeric_limits<int64_t>::min())
            return Refused{std::string(resp::kDecrementOverflow)};
        command.number = sign * by;
    }
    return one_key(request, std::move(command));
}

Answer mset(const Request& request, kv::Command command, const resp::CommandSpec& spec) {
    if (request.size() % 2 == 0) return Refused{resp::wrong_arity(spec)};
    command.op = kv::Op::MSet;
    for (size_t i = 1; i < request.size(); i += 2) {
        command.keys.push_back(request[i]);
        command.values.push_back(request[i + 1]);
    }
    return Translated{std::move(command)};
}

Answer dispatch(const resp::CommandSpec& spec, const Request& request, kv::Command command) {
    auto with = [&command](kv::Op op) {
        command.op = op;
        return std::move(command);
    };
    switch (spec.id) {
        case CommandId::Get:
            return one_key(request, with(kv::Op::Get));
        case CommandId::Set:
            return set(request, std::move(command));
        case CommandId::Del:
            return keys_from(request, 1, 1, with(kv::Op::Del));
        case CommandId::Exists:
            return keys_from(request, 1, 1, with(kv::Op::Exists));
        case CommandId::MGet:
            return keys_from(request, 1, 1, with(kv::Op::MGet));
        case CommandId::MSet:
            return mset(request, std::move(command), spec);
        case CommandId::Incr:
            return increment(request, std::move(command), 1, false);
        case CommandId::IncrBy:
            return increment(request, std::move(command), 1, true);
        case CommandId::Decr:
            return increment(request, std::move(command), -1, false);
        case CommandId::DecrBy:
            return increment(request, std::move(command), -1, true);
        case CommandId::Ttl:
            return one_key(request, with(kv::Op::Ttl), Show::Seconds);
        case CommandId::PTtl:
            return one_key(request, with(kv::Op::Ttl));
        case CommandId::Expire:
            return expire(request, std::move(command), true);
        case CommandId::PExpire:
            return expire(request, std::move(command), false);
        case CommandId::Persist:
            return one_key(request, with(kv::Op::Persist));
        case CommandId::Type:
            return one_key(request, with(kv::Op::Type));
        case CommandId::StrLen:
            return one_key(request, with(kv::Op::StrLen));
        case CommandId::Append: {
            command.values.push_back(request[2]);
            return one_key(request, with(kv::Op::Append));
        }
        default:
            return Refused{"ERR '" + std::string(spec.name) +
                           "' works on no keys and cannot be used here"};
    }
}

}  // namespace

Answer translate(const resp::CommandSpec& spec, const resp::Request& request, uint16_t database,
                 const TranslateLimits& limits) {
    kv::Command command;
    command.database = database;
    Answer answer = dispatch(spec, request, std::move(command));
    if (auto* t = std::get_if<Translated>(&answer)) {
        for (const auto& key : t->command.keys)
            if (key.size() > limits.key_bytes_max)
                return Refused{"ERR key is longer than key-bytes-max (" +
                               std::to_string(limits.key_bytes_max) + " bytes)"};
        for (const auto& value : t->command.values)
            if (value.size() > limits.value_bytes_max)
                return Refused{"ERR value is longer than value-bytes-max (" +
                               std::to_string(limits.value_bytes_max) + " bytes)"};
    }
    return answer;
}

void write_reply(resp::ReplyWriter& out, const kv::Reply& reply, Show show) {
    switch (reply.kind) {
        case kv::Reply::Kind::Ok:
            return out.ok();
        case kv::Reply::Kind::Nil:
            return out.null();
        case kv::Reply::Kind::Integer:
            // As Redis rounds a TTL.
            if (show == Show::Seconds && reply.integer > 0)
                return out.integer((reply.integer + 500) / 1000);
            return out.integer(reply.integer);
        case kv::Reply::Kind::Bulk:
            return out.bulk(reply.text);
        case kv::Reply::Kind::Status:
            return out.simple(reply.text.view());
        case kv::Reply::Kind::Error:
            return out.error(reply.text.view());
        case kv::Reply::Kind::Array:
            out.array(reply.items.size());
            for (const auto& item : reply.items)
                write_reply(out, item, show);
    }
}

}  // namespace asterias::edge_resp
