#include "edge/resp/translate.h"

#include <limits>

#include "proto/resp/arguments.h"
#include "proto/resp/dump.h"
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

void set_expiry(kv::Command& command, const resp::Expiry& expiry) {
    using Kind = resp::Expiry::Kind;
    if (expiry.kind == Kind::Keep) command.flags |= kv::flag::kKeepTtl;
    if (expiry.kind == Kind::Persist) command.flags |= kv::flag::kPersist;
    if (expiry.kind == Kind::After) command.flags |= kv::flag::kExpire | kv::flag::kRelative;
    if (expiry.kind == Kind::At) command.flags |= kv::flag::kExpire;
    command.number = expiry.milliseconds;
}

void name_verb(kv::Command& command, kv::Verb verb) {
    command.number2 = static_cast<int64_t>(verb);
}

Refused refused(resp::ArgumentError& error) { return Refused{std::move(error.text)}; }

Answer set(const Request& request, kv::Command command) {
    auto parsed = resp::parse_set_options(request);
    if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return refused(*error);
    const auto& options = std::get<resp::SetOptions>(parsed);
    command.op = kv::Op::Set;
    using Condition = resp::SetOptions::Condition;
    if (options.condition == Condition::IfAbsent) command.flags |= kv::flag::kNx;
    if (options.condition == Condition::IfPresent) command.flags |= kv::flag::kXx;
    if (options.get) command.flags |= kv::flag::kGet;
    set_expiry(command, options.expiry);
    command.values.push_back(request[2]);
    return one_key(request, std::move(command));
}

// SETNX, GETSET: SET by other names.
Answer plain_set(const Request& request, kv::Command command, uint16_t flags, Show show) {
    command.op = kv::Op::Set;
    command.flags = flags;
    command.values.push_back(request[2]);
    return one_key(request, std::move(command), show);
}

Answer set_ex(const Request& request, kv::Command command, kv::Verb verb) {
    const bool seconds = verb == kv::Verb::SetEx;
    auto parsed = resp::setex_argument(request[2], seconds ? "setex" : "psetex", seconds);
    if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return refused(*error);
    command.op = kv::Op::Set;
    set_expiry(command, std::get<resp::Expiry>(parsed));
    name_verb(command, verb);
    command.values.push_back(request[3]);
    return one_key(request, std::move(command));
}

Answer get_ex(const Request& request, kv::Command command) {
    auto parsed = resp::parse_getex_options(request);
    if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return refused(*error);
    command.op = request.size() == 2 ? kv::Op::Get : kv::Op::GetEx;
    set_expiry(command, std::get<resp::Expiry>(parsed));
    name_verb(command, kv::Verb::GetEx);
    return one_key(request, std::move(command));
}

Answer set_range(const Request& request, kv::Command command) {
    auto offset = resp::integer_argument(request[2]);
    if (auto* error = std::get_if<resp::ArgumentError>(&offset)) return refused(*error);
    command.op = kv::Op::SetRange;
    command.number = std::get<int64_t>(offset);
    if (command.number < 0) return Refused{"ERR offset is out of range"};
    command.values.push_back(request[3]);
    return one_key(request, std::move(command));
}

Answer get_range(const Request& request, kv::Command command) {
    command.op = kv::Op::GetRange;
    for (int64_t* number : {&command.number, &command.number2}) {
        auto parsed = resp::integer_argument(request[number == &command.number ? 2 : 3]);
        if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return refused(*error);
        *number = std::get<int64_t>(parsed);
    }
    return one_key(request, std::move(command));
}

Answer two_keys(const Request& request, kv::Command command, Show show = Show::AsIs) {
    command.keys = {request[1], request[2]};
    return Translated{std::move(command), show};
}

Answer lcs(const Request& request, kv::Command command) {
    auto parsed = resp::parse_lcs_options(request);
    if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return refused(*error);
    const auto& options = std::get<resp::LcsOptions>(parsed);
    command.op = kv::Op::Lcs;
    if (options.length) command.flags |= kv::flag::kLength;
    if (options.indexes) command.flags |= kv::flag::kIndexes;
    if (options.match_lengths) command.flags |= kv::flag::kMatchLengths;
    command.number = options.shortest;
    return two_keys(request, std::move(command), options.indexes ? Show::Map : Show::AsIs);
}

Answer rename(const Request& request, kv::Command command, uint16_t flags) {
    command.op = kv::Op::Rename;
    command.flags = flags;
    return two_keys(request, std::move(command));
}

constexpr std::string_view kSameObject = "ERR source and destination objects are the same";

Answer copy(const Request& request, kv::Command command, int64_t databases) {
    auto parsed = resp::parse_copy_options(request, databases);
    if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return refused(*error);
    const auto& options = std::get<resp::CopyOptions>(parsed);
    command.op = kv::Op::Copy;
    if (options.replace) command.flags |= kv::flag::kReplace;
    command.number = options.database.value_or(command.database);
    if (command.number == command.database && request[1] == request[2])
        return Refused{std::string(kSameObject)};
    return two_keys(request, std::move(command));
}

Answer move(const Request& request, kv::Command command, int64_t databases) {
    auto parsed = resp::database_argument(request[2], databases);
    if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return refused(*error);
    command.op = kv::Op::Copy;
    command.flags = kv::flag::kTake;
    command.number = std::get<int64_t>(parsed);
    if (command.number == command.database) return Refused{std::string(kSameObject)};
    command.keys = {request[1], request[1]};
    return Translated{std::move(command)};
}

Answer object(const Request& request, kv::Command command, kv::Asked asked) {
    command.op = kv::Op::Object;
    command.number = static_cast<int64_t>(asked);
    return keys_from(request, 2, request.size(), std::move(command));
}

// Milliseconds from now; with what a clock may show, more is no deadline any more. The store names
// SET where it cannot, and does not know of RESTORE.
constexpr int64_t kLongestRestore = std::numeric_limits<int64_t>::max() / 2;

// A SET of what was dumped: the payload is checked here, and the store sees the value.
Answer restore(const Request& request, kv::Command command, size_t value_bytes_max) {
    auto parsed = resp::parse_restore_options(request);
    if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return refused(*error);
    const auto& options = std::get<resp::RestoreOptions>(parsed);
    const auto& expiry = options.expiry;
    if (expiry.kind == resp::Expiry::Kind::After && expiry.milliseconds > kLongestRestore)
        return Refused{resp::invalid_expire_time("restore").text};
    auto value = resp::restore_string(request[3], value_bytes_max);
    if (auto* error = std::get_if<resp::ArgumentError>(&value)) {
        if (options.replace || error->text != resp::kWrongDump) return refused(*error);
        command.op = kv::Op::Exists;
        return one_key(request, std::move(command), Show::BusyOrWrong);
    }
    command.op = kv::Op::Set;
    if (!options.replace) command.flags |= kv::flag::kNx;
    set_expiry(command, options.expiry);
    command.values.push_back(std::get<Bytes>(value));
    return one_key(request, std::move(command), Show::BusyKey);
}

Answer expire(const Request& request, kv::Command command, std::string_view name, kv::Verb verb) {
    const bool relative = !name.ends_with("at"), seconds = !name.starts_with("p");
    auto parsed = resp::parse_expire_options(request, name, seconds);
    if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return refused(*error);
    const auto& options = std::get<resp::ExpireOptions>(parsed);
    command.op = kv::Op::ExpireAt;
    command.flags = relative ? kv::flag::kRelative : 0;
    if (options.if_none) command.flags |= kv::flag::kNx;
    if (options.if_some) command.flags |= kv::flag::kXx;
    if (options.if_later) command.flags |= kv::flag::kGt;
    if (options.if_earlier) command.flags |= kv::flag::kLt;
    command.number = options.milliseconds;
    name_verb(command, verb);
    return one_key(request, std::move(command));
}

Answer deadline(const Request& request, kv::Command command, uint16_t flags, Show show) {
    command.op = kv::Op::Ttl;
    command.flags = flags;
    return one_key(request, std::move(command), show);
}

Answer increment(const Request& request, kv::Command command, int64_t sign, bool given) {
    command.op = kv::Op::IncrBy;
    command.number = sign;
    if (given) {
        auto parsed = resp::integer_argument(request[2]);
        if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return refused(*error);
        const int64_t by = std::get<int64_t>(parsed);
        if (sign < 0 && by == std::numeric_limits<int64_t>::min())
            return Refused{std::string(resp::kDecrementOverflow)};
        command.number = sign * by;
    }
    return one_key(request, std::move(command));
}

Answer mset(const Request& request, kv::Command command, const resp::CommandSpec& spec) {
    if (request.size() % 2 == 0) return Refused{resp::wrong_arity(spec)};
    command.op = spec.id == CommandId::MSet ? kv::Op::MSet : kv::Op::MSetNx;
    for (size_t i = 1; i < request.size(); i += 2) {
        command.keys.push_back(request[i]);
        command.values.push_back(request[i + 1]);
    }
    return Translated{std::move(command)};
}

Answer deadlines_and_objects(const resp::CommandSpec& spec, const Request& request,
                             kv::Command command) {
    switch (spec.id) {
        case CommandId::Expire:
        case CommandId::ExpireAt:
            return expire(request, std::move(command), spec.name, kv::Verb::Expire);
        case CommandId::ExpireTime:
            return deadline(request, std::move(command), kv::flag::kAbsolute, Show::Seconds);
        case CommandId::ObjectEncoding:
            return object(request, std::move(command), kv::Asked::Encoding);
        case CommandId::ObjectFreq:
            return object(request, std::move(command), kv::Asked::Frequency);
        case CommandId::ObjectIdleTime:
            return object(request, std::move(command), kv::Asked::IdleSeconds);
        case CommandId::ObjectRefCount:
            return object(request, std::move(command), kv::Asked::References);
        case CommandId::PExpire:
        case CommandId::PExpireAt:
            return expire(request, std::move(command), spec.name, kv::Verb::PExpire);
        case CommandId::PExpireTime:
            return deadline(request, std::move(command), kv::flag::kAbsolute, Show::AsIs);
        case CommandId::PTtl:
            return deadline(request, std::move(command), 0, Show::AsIs);
        case CommandId::Ttl:
            return deadline(request, std::move(command), 0, Show::Seconds);
        default:
            return Refused{"ERR '" + std::string(spec.name) +
                           "' works on no keys and cannot be used here"};
    }
}

Answer keys(const resp::CommandSpec& spec, const Request& request, kv::Command command,
            const TranslateLimits& limits) {
    auto with = [&command](kv::Op op) {
        command.op = op;
        return std::move(command);
    };
    switch (spec.id) {
        case CommandId::Copy:
            return copy(request, std::move(command), limits.databases);
        case CommandId::Del:
        case CommandId::Unlink:
            return keys_from(request, 1, 1, with(kv::Op::Del));
        case CommandId::Dump:
            return one_key(request, with(kv::Op::Get), Show::Dumped);
        case CommandId::Exists:
        case CommandId::Touch:
            return keys_from(request, 1, 1, with(kv::Op::Exists));
        case CommandId::MemoryUsage:
            if (auto error = resp::check_usage_options(request)) return refused(*error);
            return object(request, std::move(command), kv::Asked::Bytes);
        case CommandId::Move:
            return move(request, std::move(command), limits.databases);
        case CommandId::Persist:
            return one_key(request, with(kv::Op::Persist));
        case CommandId::Rename:
            return rename(request, std::move(command), 0);
        case CommandId::RenameNx:
            return rename(request, std::move(command), kv::flag::kNx);
        case CommandId::Restore:
            return restore(request, std::move(command), limits.value_bytes_max);
        case CommandId::Type:
            return one_key(request, with(kv::Op::Type));
        default:
            return deadlines_and_objects(spec, request, std::move(command));
    }
}

Answer dispatch(const resp::CommandSpec& spec, const Request& request, kv::Command command,
                const TranslateLimits& limits) {
    auto with = [&command](kv::Op op) {
        command.op = op;
        return std::move(command);
    };
    switch (spec.id) {
        case CommandId::Append:
            command.values.push_back(request[2]);
            return one_key(request, with(kv::Op::Append));
        case CommandId::Decr:
            return increment(request, std::move(command), -1, false);
        case CommandId::DecrBy:
            return increment(request, std::move(command), -1, true);
        case CommandId::Get:
            return one_key(request, with(kv::Op::Get));
        case CommandId::GetDel:
            return one_key(request, with(kv::Op::GetDel));
        case CommandId::GetEx:
            return get_ex(request, std::move(command));
        case CommandId::GetRange:
        case CommandId::SubStr:
            return get_range(request, std::move(command));
        case CommandId::GetSet:
            return plain_set(request, std::move(command), kv::flag::kGet, Show::AsIs);
        case CommandId::Incr:
            return increment(request, std::move(command), 1, false);
        case CommandId::IncrBy:
            return increment(request, std::move(command), 1, true);
        case CommandId::IncrByFloat:
            command.values.push_back(request[2]);
            return one_key(request, with(kv::Op::IncrByFloat));
        case CommandId::Lcs:
            return lcs(request, std::move(command));
        case CommandId::MGet:
            return keys_from(request, 1, 1, with(kv::Op::MGet));
        case CommandId::MSet:
        case CommandId::MSetNx:
            return mset(request, std::move(command), spec);
        case CommandId::PSetEx:
            return set_ex(request, std::move(command), kv::Verb::PSetEx);
        case CommandId::Set:
            return set(request, std::move(command));
        case CommandId::SetEx:
            return set_ex(request, std::move(command), kv::Verb::SetEx);
        case CommandId::SetNx:
            return plain_set(request, std::move(command), kv::flag::kNx, Show::Flag);
        case CommandId::SetRange:
            return set_range(request, std::move(command));
        case CommandId::StrLen:
            return one_key(request, with(kv::Op::StrLen));
        default:
            return keys(spec, request, std::move(command), limits);
    }
}

}  // namespace

Answer translate(const resp::CommandSpec& spec, const resp::Request& request, uint16_t database,
                 const TranslateLimits& limits) {
    kv::Command command;
    command.database = database;
    Answer answer = dispatch(spec, request, std::move(command), limits);
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
            return show == Show::Flag ? out.integer(1) : out.ok();
        case kv::Reply::Kind::Nil:
            if (show == Show::Flag) return out.integer(0);
            if (show == Show::BusyKey) return out.error(resp::kBusyKey);
            return out.null();
        case kv::Reply::Kind::Integer:
            if (show == Show::Seconds && reply.integer > 0)
                return out.integer(reply.integer / 1000 + (reply.integer % 1000 >= 500));
            if (show == Show::BusyOrWrong)
                return out.error(reply.integer ? resp::kBusyKey : resp::kWrongDump);
            return out.integer(reply.integer);
        case kv::Reply::Kind::Bulk:
            if (show == Show::Dumped) return out.bulk(resp::dump_string(reply.text.view()));
            return out.bulk(reply.text);
        case kv::Reply::Kind::Status:
            return out.simple(reply.text.view());
        case kv::Reply::Kind::Error:
            return out.error(reply.text.view());
        case kv::Reply::Kind::Array:
            show == Show::Map ? out.map(reply.items.size() / 2) : out.array(reply.items.size());
            for (const auto& item : reply.items)
                write_reply(out, item, Show::AsIs);
    }
}

}  // namespace asterias::edge_resp
