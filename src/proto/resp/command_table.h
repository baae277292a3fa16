// proto/resp/command_table.h: the commands this door knows, their shape, and the error texts for
// those that it does not know. COMMAND and every refusal before execution are answered from here.
// Contract: constant data; lookups are case-insensitive, allocate nothing and take constant time.
// Reference: Redis 7.0 (server.c: processCommand; commands.c).
// Threading: immutable, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "proto/resp/request.h"

namespace asterias::resp {

enum class CommandId : uint16_t {
    Append,
    AsteriasRequest,
    Auth,
    Client,
    ClientGetName,
    ClientHelp,
    ClientId,
    ClientInfo,
    ClientKill,
    ClientList,
    ClientNoEvict,
    ClientPause,
    ClientReply,
    ClientSetInfo,
    ClientSetName,
    ClientUnblock,
    ClientUnpause,
    Command,
    CommandCount,
    CommandDocs,
    CommandGetKeys,
    CommandHelp,
    CommandInfo,
    CommandList,
    Config,
    ConfigGet,
    ConfigHelp,
    ConfigResetStat,
    ConfigSet,
    Copy,
    DbSize,
    Debug,
    Decr,
    DecrBy,
    Del,
    Discard,
    Dump,
    Echo,
    Exec,
    Exists,
    Expire,
    ExpireAt,
    ExpireTime,
    FlushAll,
    FlushDb,
    Get,
    GetDel,
    GetEx,
    GetRange,
    GetSet,
    Hello,
    Incr,
    IncrBy,
    IncrByFloat,
    Info,
    Keys,
    Latency,
    LatencyDoctor,
    LatencyGraph,
    LatencyHelp,
    LatencyHistogram,
    LatencyHistory,
    LatencyLatest,
    LatencyReset,
    Lcs,
    Lolwut,
    Memory,
    MemoryDoctor,
    MemoryHelp,
    MemoryStats,
    MemoryUsage,
    MGet,
    Monitor,
    Move,
    MSet,
    MSetNx,
    Multi,
    Object,
    ObjectEncoding,
    ObjectFreq,
    ObjectHelp,
    ObjectIdleTime,
    ObjectRefCount,
    Persist,
    PExpire,
    PExpireAt,
    PExpireTime,
    Ping,
    PSetEx,
    PSubscribe,
    PTtl,
    Publish,
    PubSub,
    PubSubChannels,
    PubSubHelp,
    PubSubNumPat,
    PubSubNumSub,
    PubSubShardChannels,
    PubSubShardNumSub,
    PUnsubscribe,
    Quit,
    RandomKey,
    Rename,
    RenameNx,
    Reset,
    Restore,
    Scan,
    Select,
    Set,
    SetEx,
    SetNx,
    SetRange,
    SlowLog,
    SlowLogGet,
    SlowLogHelp,
    SlowLogLen,
    SlowLogReset,
    SPublish,
    SSubscribe,
    StrLen,
    Subscribe,
    SubStr,
    SUnsubscribe,
    Time,
    Touch,
    Ttl,
    Type,
    Unlink,
    Unsubscribe,
    Unwatch,
    Watch,
};
inline constexpr size_t kCommandCount = static_cast<size_t>(CommandId::Watch) + 1;

// Named as in the reply of COMMAND INFO.
enum CommandFlags : uint32_t {
    kWrite = 1u << 0,
    kReadOnly = 1u << 1,
    kDenyOom = 1u << 2,  // refused while memory or disk is short
    kAdmin = 1u << 3,
    kNoScript = 1u << 4,
    kLoading = 1u << 5,  // allowed before the node is ready
    kStale = 1u << 6,
    kFast = 1u << 7,
    kNoAuth = 1u << 8,  // allowed before the client has authenticated
    kAllowBusy = 1u << 9,
    kSkipSlowlog = 1u << 10,
    kDangerous = 1u << 11,  // a category only
    kPubSub = 1u << 12,
};

enum class CommandGroup : uint8_t { Connection, Generic, PubSub, Server, String, Transactions };

// What a command touches, and so who decides it
// (docs/adr/0016-where-a-redis-command-is-decided.md).
enum class CommandClass : uint8_t {
    Keyed,    // keys of one keyspace: the leader of their group
    Batch,    // transactions: queued at the gateway, decided by that leader
    Span,     // all keys of a database: each group in turn
    Message,  // subscribers, on any node
    Local,    // this connection or this node
};

struct CommandSpec {
    CommandId id;
    std::string_view name;  // lower case; of a subcommand "config|get"
    int16_t arity;          // with the name; negative: at least so many
    uint32_t flags;
    int8_t first_key;  // position of the first key, 0: none
    int8_t last_key;   // negative: counted from the end
    int8_t key_step;
    CommandGroup group;
    CommandClass by;
    std::string_view summary;
    CommandId container;  // of a subcommand; of all others the command itself

    constexpr bool is_subcommand() const { return container != id; }
    constexpr bool arity_fits(size_t arguments) const {
        const auto n = static_cast<int64_t>(arguments);
        return arity >= 0 ? n == arity : n >= -arity;
    }
    // "config|get" -> "get"; "get" -> "get".
    constexpr std::string_view short_name() const { return name.substr(name.find('|') + 1); }
};

// Sorted by id; containers stand before their subcommands.
std::span<const CommandSpec, kCommandCount> command_table();
const CommandSpec& command_spec(CommandId id);
std::span<const CommandSpec> subcommands(const CommandSpec& container);
// How many are not subcommands (COMMAND COUNT).
size_t top_level_count();

// A command of Redis 7.0 that this door refuses, and why.
struct UnsupportedCommand {
    std::string_view name;  // lower case; of a subcommand "config|rewrite"
    std::string_view reason;
};
// In no order that matters.
std::span<const UnsupportedCommand> unsupported_commands();
const UnsupportedCommand* find_unsupported(std::string_view name);
// "ERR 'x' is not supported: <reason>; see docs/compat/resp.md".
std::string not_supported(const UnsupportedCommand& command);

// By name alone: "GET"; also "config|get". Null if unknown.
const CommandSpec* find_command(std::string_view name);

// Send the text as an error reply; nothing happened, the connection goes on.
struct CommandRefused {
    std::string text;  // with its code
};
// The command that `request` calls, its name, subcommand and arity checked; request.size() >= 1.
std::variant<const CommandSpec*, CommandRefused> resolve_command(const Request& request);

// "ERR wrong number of arguments for 'get' command".
std::string wrong_arity(const CommandSpec& spec);

// Calls visit(position) for each argument of `request` that is a key; its arity fits.
template <typename Visit>
void for_each_key(const CommandSpec& spec, size_t request_size, Visit visit) {
    if (spec.first_key <= 0) return;
    const auto n = static_cast<int64_t>(request_size);
    const int64_t last = spec.last_key < 0 ? n + spec.last_key : spec.last_key;
    for (int64_t i = spec.first_key; i <= last && i < n; i += spec.key_step)
        visit(static_cast<size_t>(i));
}

}  // namespace asterias::resp
