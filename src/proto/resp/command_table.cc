#include "proto/resp/command_table.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "proto/resp/arguments.h"
#include "proto/resp/name_table.h"

namespace asterias::resp {
namespace {

using enum CommandId;
constexpr auto kConn = CommandGroup::Connection;
constexpr auto kGeneric = CommandGroup::Generic;
constexpr auto kMessaging = CommandGroup::PubSub;
constexpr auto kServer = CommandGroup::Server;
constexpr auto kString = CommandGroup::String;
constexpr auto kTransactions = CommandGroup::Transactions;
constexpr auto kKeyed = CommandClass::Keyed;
constexpr auto kBatch = CommandClass::Batch;
constexpr auto kMessage = CommandClass::Message;
constexpr auto kSpan = CommandClass::Span;
constexpr auto kLocal = CommandClass::Local;
constexpr uint32_t kAlways = kLoading | kStale;
constexpr uint32_t kSession = kNoScript | kLoading | kStale;
constexpr uint32_t kSubscribing = kPubSub | kSession;
constexpr uint32_t kPublishing = kPubSub | kAlways | kFast;
constexpr uint32_t kEarly = kSession | kFast | kNoAuth | kAllowBusy;

// clang-format off
constexpr std::array<CommandSpec, kCommandCount> kTable = {{
    {Append, "append", 3, kWrite | kDenyOom | kFast, 1, 1, 1, kString, kKeyed, "Appends a string to the value of a key, creating it if absent", Append},
    {AsteriasRequest, "asterias.request", -4, kNoScript | kFast, 0, 0, 0, kConn, kLocal, "Runs a command under a client id and a sequence number: sent again, it takes effect once", AsteriasRequest},
    {Auth, "auth", -2, kEarly, 0, 0, 0, kConn, kLocal, "Says which user the connection is, with its password", Auth},
    {Client, "client", -2, 0, 0, 0, 0, kConn, kLocal, "A container for commands about this connection", Client},
    {ClientGetName, "client|getname", 2, kSession, 0, 0, 0, kConn, kLocal, "Returns the name of the connection", Client},
    {ClientHelp, "client|help", 2, kAlways, 0, 0, 0, kConn, kLocal, "Lists the subcommands", Client},
    {ClientId, "client|id", 2, kSession, 0, 0, 0, kConn, kLocal, "Returns the number of the connection, unique on its node", Client},
    {ClientInfo, "client|info", 2, kSession, 0, 0, 0, kConn, kLocal, "Describes the connection", Client},
    {ClientKill, "client|kill", -3, kAdmin | kSession, 0, 0, 0, kConn, kLocal, "Ends connections of this shard of this node", Client},
    {ClientList, "client|list", -2, kAdmin | kSession, 0, 0, 0, kConn, kLocal, "Describes the connections of this shard of this node", Client},
    {ClientNoEvict, "client|no-evict", 3, kAdmin | kSession, 0, 0, 0, kConn, kLocal, "Takes a wish that is always so: no client is ended for memory", Client},
    {ClientPause, "client|pause", -3, kAdmin | kSession, 0, 0, 0, kConn, kLocal, "Has the clients of this node wait, all or those that write", Client},
    {ClientReply, "client|reply", 3, kSession, 0, 0, 0, kConn, kLocal, "Has the connection answered, or not", Client},
    {ClientSetInfo, "client|setinfo", 4, kSession, 0, 0, 0, kConn, kLocal, "Sets the client library's name or version", Client},
    {ClientSetName, "client|setname", 3, kSession, 0, 0, 0, kConn, kLocal, "Names the connection", Client},
    {ClientUnblock, "client|unblock", -3, kAdmin | kSession, 0, 0, 0, kConn, kLocal, "Would end the wait of a client: no command here waits for another", Client},
    {ClientUnpause, "client|unpause", 2, kAdmin | kSession, 0, 0, 0, kConn, kLocal, "Ends a CLIENT PAUSE of this node", Client},
    {Command, "command", -1, kAlways, 0, 0, 0, kServer, kLocal, "Describes all commands", Command},
    {CommandCount, "command|count", 2, kAlways, 0, 0, 0, kServer, kLocal, "Returns the number of commands", Command},
    {CommandDocs, "command|docs", -2, kAlways, 0, 0, 0, kServer, kLocal, "Returns the documentation of one, several or all commands", Command},
    {CommandGetKeys, "command|getkeys", -4, kAlways, 0, 0, 0, kServer, kLocal, "Returns the keys of a whole command", Command},
    {CommandHelp, "command|help", 2, kAlways, 0, 0, 0, kServer, kLocal, "Lists the subcommands", Command},
    {CommandInfo, "command|info", -2, kAlways, 0, 0, 0, kServer, kLocal, "Describes one, several or all commands", Command},
    {CommandList, "command|list", -2, kAlways, 0, 0, 0, kServer, kLocal, "Returns the names of the commands", Command},
    {Config, "config", -2, 0, 0, 0, 0, kServer, kLocal, "A container for configuration commands", Config},
    {ConfigGet, "config|get", -3, kAdmin | kSession, 0, 0, 0, kServer, kLocal, "Returns the parameters that match the patterns", Config},
    {ConfigHelp, "config|help", 2, kAlways, 0, 0, 0, kServer, kLocal, "Lists the subcommands", Config},
    {ConfigResetStat, "config|resetstat", 2, kAdmin | kSession, 0, 0, 0, kServer, kLocal, "Sets the counters of INFO to zero", Config},
    {ConfigSet, "config|set", -4, kAdmin | kSession, 0, 0, 0, kServer, kLocal, "Sets parameters of the running node", Config},
    {Copy, "copy", -3, kWrite | kDenyOom, 1, 2, 1, kGeneric, kKeyed, "Copies a key with its deadline, also into another database", Copy},
    {DbSize, "dbsize", 1, kReadOnly | kFast, 0, 0, 0, kServer, kSpan, "Counts the keys of the database", DbSize},
    {Debug, "debug", -2, kAdmin | kSession, 0, 0, 0, kServer, kLocal, "Holds up the connection (SLEEP), if enable-debug-command allows", Debug},
    {Decr, "decr", 2, kWrite | kDenyOom | kFast, 1, 1, 1, kString, kKeyed, "Subtracts one from the integer at a key; an absent key counts as 0", Decr},
    {DecrBy, "decrby", 3, kWrite | kDenyOom | kFast, 1, 1, 1, kString, kKeyed, "Subtracts a number from the integer at a key; an absent key counts as 0", DecrBy},
    {Del, "del", -2, kWrite, 1, -1, 1, kGeneric, kKeyed, "Deletes keys", Del},
    {Discard, "discard", 1, kSession | kFast | kAllowBusy, 0, 0, 0, kTransactions, kBatch, "Forgets the commands queued since MULTI and what is watched", Discard},
    {Dump, "dump", 2, kReadOnly, 1, 1, 1, kGeneric, kKeyed, "Returns the value at a key in a form that RESTORE takes", Dump},
    {Echo, "echo", 2, kAlways | kFast, 0, 0, 0, kConn, kLocal, "Returns the given string", Echo},
    {Exec, "exec", 1, kSession | kSkipSlowlog, 0, 0, 0, kTransactions, kBatch, "Runs the commands queued since MULTI in one go, unless a watched key changed", Exec},
    {Exists, "exists", -2, kReadOnly | kFast, 1, -1, 1, kGeneric, kKeyed, "Counts how many of the keys exist", Exists},
    {Expire, "expire", -3, kWrite | kFast, 1, 1, 1, kGeneric, kKeyed, "Sets the time to live of a key in seconds", Expire},
    {ExpireAt, "expireat", -3, kWrite | kFast, 1, 1, 1, kGeneric, kKeyed, "Sets the deadline of a key in seconds since 1970", ExpireAt},
    {ExpireTime, "expiretime", 2, kReadOnly | kFast, 1, 1, 1, kGeneric, kKeyed, "Returns the deadline of a key in seconds since 1970", ExpireTime},
    {FlushAll, "flushall", -1, kWrite | kDangerous, 0, 0, 0, kServer, kSpan, "Deletes all keys of all databases, one keyspace after the other", FlushAll},
    {FlushDb, "flushdb", -1, kWrite | kDangerous, 0, 0, 0, kServer, kSpan, "Deletes all keys of the database, one keyspace after the other", FlushDb},
    {Get, "get", 2, kReadOnly | kFast, 1, 1, 1, kString, kKeyed, "Returns the string at a key", Get},
    {GetDel, "getdel", 2, kWrite | kFast, 1, 1, 1, kString, kKeyed, "Returns the string at a key and deletes the key", GetDel},
    {GetEx, "getex", -2, kWrite | kFast, 1, 1, 1, kString, kKeyed, "Returns the string at a key and sets or removes its deadline", GetEx},
    {GetRange, "getrange", 4, kReadOnly, 1, 1, 1, kString, kKeyed, "Returns a part of the string at a key", GetRange},
    {GetSet, "getset", 3, kWrite | kDenyOom | kFast, 1, 1, 1, kString, kKeyed, "Sets a key to a string and returns the string before it", GetSet},
    {Hello, "hello", -1, kEarly, 0, 0, 0, kConn, kLocal, "Chooses the protocol version, authenticates and names the connection", Hello},
    {Incr, "incr", 2, kWrite | kDenyOom | kFast, 1, 1, 1, kString, kKeyed, "Adds one to the integer at a key; an absent key counts as 0", Incr},
    {IncrBy, "incrby", 3, kWrite | kDenyOom | kFast, 1, 1, 1, kString, kKeyed, "Adds a number to the integer at a key; an absent key counts as 0", IncrBy},
    {IncrByFloat, "incrbyfloat", 3, kWrite | kDenyOom | kFast, 1, 1, 1, kString, kKeyed, "Adds a fraction to the number at a key; an absent key counts as 0", IncrByFloat},
    {Info, "info", -1, kAlways | kDangerous, 0, 0, 0, kServer, kLocal, "Returns facts and figures about the node", Info},
    {Keys, "keys", 2, kReadOnly | kDangerous, 0, 0, 0, kGeneric, kSpan, "Returns the keys of the database that match a pattern", Keys},
    {Latency, "latency", -2, 0, 0, 0, 0, kServer, kLocal, "A container for commands about slow events", Latency},
    {LatencyDoctor, "latency|doctor", 2, kAdmin | kSession, 0, 0, 0, kServer, kLocal, "Says in words what was slow on this node", Latency},
    {LatencyGraph, "latency|graph", 3, kAdmin | kSession, 0, 0, 0, kServer, kLocal, "Draws the slow moments of an event", Latency},
    {LatencyHelp, "latency|help", 2, kAlways, 0, 0, 0, kServer, kLocal, "Lists the subcommands", Latency},
    {LatencyHistogram, "latency|histogram", -2, kAdmin | kSession, 0, 0, 0, kServer, kLocal, "Returns how long commands took on this node, in powers of two", Latency},
    {LatencyHistory, "latency|history", 3, kAdmin | kSession, 0, 0, 0, kServer, kLocal, "Returns the slow moments of an event", Latency},
    {LatencyLatest, "latency|latest", 2, kAdmin | kSession, 0, 0, 0, kServer, kLocal, "Returns the latest and the longest slow moment of each event", Latency},
    {LatencyReset, "latency|reset", -2, kAdmin | kSession, 0, 0, 0, kServer, kLocal, "Forgets the slow moments of events", Latency},
    {Lcs, "lcs", -3, kReadOnly, 1, 2, 1, kString, kKeyed, "Finds the longest common subsequence of the strings at two keys", Lcs},
    {Lolwut, "lolwut", -1, kReadOnly | kFast, 0, 0, 0, kServer, kLocal, "Draws something, and tells the version", Lolwut},
    {Memory, "memory", -2, 0, 0, 0, 0, kServer, kLocal, "A container for commands about memory", Memory},
    {MemoryDoctor, "memory|doctor", 2, 0, 0, 0, 0, kServer, kLocal, "Says which limits on the memory of this shard's clients are near", Memory},
    {MemoryHelp, "memory|help", 2, kAlways, 0, 0, 0, kServer, kLocal, "Lists the subcommands", Memory},
    {MemoryStats, "memory|stats", 2, 0, 0, 0, 0, kServer, kLocal, "Returns what the clients of this shard of this node hold", Memory},
    {MemoryUsage, "memory|usage", -3, kReadOnly, 2, 2, 1, kServer, kKeyed, "Estimates how many bytes a key and its value take", Memory},
    {MGet, "mget", -2, kReadOnly | kFast, 1, -1, 1, kString, kKeyed, "Returns the strings at several keys", MGet},
    {Monitor, "monitor", 1, kAdmin | kSession, 0, 0, 0, kServer, kLocal, "Shows the commands of all clients of this node", Monitor},
    {Move, "move", 3, kWrite | kFast, 1, 1, 1, kGeneric, kKeyed, "Moves a key to another database, where it must be absent", Move},
    {MSet, "mset", -3, kWrite | kDenyOom, 1, -1, 2, kString, kKeyed, "Sets several keys to strings, all or none", MSet},
    {MSetNx, "msetnx", -3, kWrite | kDenyOom, 1, -1, 2, kString, kKeyed, "Sets several keys to strings if none of them exists", MSetNx},
    {Multi, "multi", 1, kSession | kFast | kAllowBusy, 0, 0, 0, kTransactions, kBatch, "Begins a transaction: commands are queued until EXEC", Multi},
    {Object, "object", -2, 0, 0, 0, 0, kGeneric, kLocal, "A container for commands about how a value is held", Object},
    {ObjectEncoding, "object|encoding", 3, kReadOnly, 2, 2, 1, kGeneric, kKeyed, "Returns how Redis would hold the value", Object},
    {ObjectFreq, "object|freq", 3, kReadOnly, 2, 2, 1, kGeneric, kKeyed, "Would return how often a key is used: not counted here", Object},
    {ObjectHelp, "object|help", 2, kAlways, 0, 0, 0, kGeneric, kLocal, "Lists the subcommands", Object},
    {ObjectIdleTime, "object|idletime", 3, kReadOnly, 2, 2, 1, kGeneric, kKeyed, "Returns the seconds since the key was written", Object},
    {ObjectRefCount, "object|refcount", 3, kReadOnly, 2, 2, 1, kGeneric, kKeyed, "Returns the references to a value, always 1", Object},
    {Persist, "persist", 2, kWrite | kFast, 1, 1, 1, kGeneric, kKeyed, "Removes the time to live of a key", Persist},
    {PExpire, "pexpire", -3, kWrite | kFast, 1, 1, 1, kGeneric, kKeyed, "Sets the time to live of a key in milliseconds", PExpire},
    {PExpireAt, "pexpireat", -3, kWrite | kFast, 1, 1, 1, kGeneric, kKeyed, "Sets the deadline of a key in milliseconds since 1970", PExpireAt},
    {PExpireTime, "pexpiretime", 2, kReadOnly | kFast, 1, 1, 1, kGeneric, kKeyed, "Returns the deadline of a key in milliseconds since 1970", PExpireTime},
    {Ping, "ping", -1, kFast, 0, 0, 0, kConn, kLocal, "Returns PONG or the given string", Ping},
    {PSetEx, "psetex", 4, kWrite | kDenyOom, 1, 1, 1, kString, kKeyed, "Sets a key to a string with a time to live in milliseconds", PSetEx},
    {PSubscribe, "psubscribe", -2, kSubscribing, 0, 0, 0, kMessaging, kMessage, "Listens for messages on all channels that match the patterns", PSubscribe},
    {PTtl, "pttl", 2, kReadOnly | kFast, 1, 1, 1, kGeneric, kKeyed, "Returns the time to live of a key in milliseconds", PTtl},
    {Publish, "publish", 3, kPublishing, 0, 0, 0, kMessaging, kMessage, "Sends a message to whoever listens on a channel, on any node", Publish},
    {PubSub, "pubsub", -2, 0, 0, 0, 0, kMessaging, kMessage, "A container for commands about who listens", PubSub},
    {PubSubChannels, "pubsub|channels", -2, kPubSub | kAlways, 0, 0, 0, kMessaging, kMessage, "Returns the channels that somebody listens on", PubSub},
    {PubSubHelp, "pubsub|help", 2, kAlways, 0, 0, 0, kMessaging, kMessage, "Lists the subcommands", PubSub},
    {PubSubNumPat, "pubsub|numpat", 2, kPubSub | kAlways, 0, 0, 0, kMessaging, kMessage, "Returns the number of patterns that somebody listens by", PubSub},
    {PubSubNumSub, "pubsub|numsub", -2, kPubSub | kAlways, 0, 0, 0, kMessaging, kMessage, "Returns how many listen on each channel", PubSub},
    {PubSubShardChannels, "pubsub|shardchannels", -2, kPubSub | kAlways, 0, 0, 0, kMessaging, kMessage, "Returns the shard channels that somebody listens on", PubSub},
    {PubSubShardNumSub, "pubsub|shardnumsub", -2, kPubSub | kAlways, 0, 0, 0, kMessaging, kMessage, "Returns how many listen on each shard channel", PubSub},
    {PUnsubscribe, "punsubscribe", -1, kSubscribing, 0, 0, 0, kMessaging, kMessage, "Stops listening by the patterns, or by all", PUnsubscribe},
    {Quit, "quit", -1, kEarly, 0, 0, 0, kConn, kLocal, "Closes the connection after an answer", Quit},
    {RandomKey, "randomkey", 1, kReadOnly, 0, 0, 0, kGeneric, kSpan, "Returns one key of the database, each with the same probability", RandomKey},
    {Rename, "rename", 3, kWrite, 1, 2, 1, kGeneric, kKeyed, "Gives a key another name, over whatever has it", Rename},
    {RenameNx, "renamenx", 3, kWrite | kFast, 1, 2, 1, kGeneric, kKeyed, "Gives a key another name, if nothing has it", RenameNx},
    {Reset, "reset", 1, kEarly, 0, 0, 0, kConn, kLocal, "Puts the connection back into the state of a new one", Reset},
    {Restore, "restore", -4, kWrite | kDenyOom | kDangerous, 1, 1, 1, kGeneric, kKeyed, "Creates a key from what DUMP returned", Restore},
    {Scan, "scan", -2, kReadOnly, 0, 0, 0, kGeneric, kSpan, "Returns keys of the database, a part at a time", Scan},
    {Select, "select", 2, kAlways | kFast, 0, 0, 0, kConn, kLocal, "Chooses the database of the connection", Select},
    {Set, "set", -3, kWrite | kDenyOom, 1, 1, 1, kString, kKeyed, "Sets a key to a string", Set},
    {SetEx, "setex", 4, kWrite | kDenyOom, 1, 1, 1, kString, kKeyed, "Sets a key to a string with a time to live in seconds", SetEx},
    {SetNx, "setnx", 3, kWrite | kDenyOom | kFast, 1, 1, 1, kString, kKeyed, "Sets a key to a string if it is absent", SetNx},
    {SetRange, "setrange", 4, kWrite | kDenyOom, 1, 1, 1, kString, kKeyed, "Overwrites a part of the string at a key from an offset on", SetRange},
    {SlowLog, "slowlog", -2, 0, 0, 0, 0, kServer, kLocal, "A container for commands about the slow log", SlowLog},
    {SlowLogGet, "slowlog|get", -2, kAdmin | kAlways, 0, 0, 0, kServer, kLocal, "Returns the latest slow commands of this node", SlowLog},
    {SlowLogHelp, "slowlog|help", 2, kAlways, 0, 0, 0, kServer, kLocal, "Lists the subcommands", SlowLog},
    {SlowLogLen, "slowlog|len", 2, kAdmin | kAlways, 0, 0, 0, kServer, kLocal, "Counts the entries of the slow log", SlowLog},
    {SlowLogReset, "slowlog|reset", 2, kAdmin | kAlways, 0, 0, 0, kServer, kLocal, "Empties the slow log", SlowLog},
    {SPublish, "spublish", 3, kPublishing, 1, 1, 1, kMessaging, kMessage, "Sends a message to whoever listens on a shard channel, on any node", SPublish},
    {SSubscribe, "ssubscribe", -2, kSubscribing, 1, -1, 1, kMessaging, kMessage, "Listens for messages on shard channels", SSubscribe},
    {StrLen, "strlen", 2, kReadOnly | kFast, 1, 1, 1, kString, kKeyed, "Returns the length of the string at a key", StrLen},
    {Subscribe, "subscribe", -2, kSubscribing, 0, 0, 0, kMessaging, kMessage, "Listens for messages on channels", Subscribe},
    {SubStr, "substr", 4, kReadOnly, 1, 1, 1, kString, kKeyed, "Returns a part of the string at a key; GETRANGE by its old name", SubStr},
    {SUnsubscribe, "sunsubscribe", -1, kSubscribing, 1, -1, 1, kMessaging, kMessage, "Stops listening on the shard channels, or on all", SUnsubscribe},
    {Time, "time", 1, kAlways | kFast, 0, 0, 0, kServer, kLocal, "Returns the time of the node", Time},
    {Touch, "touch", -2, kReadOnly | kFast, 1, -1, 1, kGeneric, kKeyed, "Counts how many of the keys exist", Touch},
    {Ttl, "ttl", 2, kReadOnly | kFast, 1, 1, 1, kGeneric, kKeyed, "Returns the time to live of a key in seconds", Ttl},
    {Type, "type", 2, kReadOnly | kFast, 1, 1, 1, kGeneric, kKeyed, "Returns the type of the value at a key", Type},
    {Unlink, "unlink", -2, kWrite | kFast, 1, -1, 1, kGeneric, kKeyed, "Deletes keys", Unlink},
    {Unsubscribe, "unsubscribe", -1, kSubscribing, 0, 0, 0, kMessaging, kMessage, "Stops listening on the channels, or on all", Unsubscribe},
    {Unwatch, "unwatch", 1, kSession | kFast | kAllowBusy, 0, 0, 0, kTransactions, kBatch, "Forgets what is watched", Unwatch},
    {Watch, "watch", -2, kSession | kFast | kAllowBusy, 1, -1, 1, kTransactions, kBatch, "Lets the next EXEC run only if these keys are unchanged", Watch},
}};
// clang-format on

constexpr bool table_is_in_order() {
    for (size_t i = 0; i < kTable.size(); ++i) {
        if (static_cast<size_t>(kTable[i].id) != i) return false;
        const auto& container = kTable[static_cast<size_t>(kTable[i].container)];
        if (kTable[i].is_subcommand() && !kTable[i].name.starts_with(container.name)) return false;
    }
    return true;
}
static_assert(table_is_in_order(), "a row stands at its id");

constexpr size_t kSlots = 1024;
using Names = NameTable<kSlots>;
constexpr Names kNames{kTable};

// What Redis prints with %.*s: up to a zero byte, at most `most` bytes.
std::string_view shown(const Bytes& argument, size_t most) {
    const std::string_view text = argument.view().substr(0, most);
    return text.substr(0, text.find('\0'));
}

constexpr size_t kShownMost = 128;

CommandRefused unknown_command(const Request& request) {
    const auto* known = find_unsupported(request[0].view());
    if (known && known->name.find('|') == std::string_view::npos) return {not_supported(*known)};
    std::string arguments;
    for (size_t i = 1; i < request.size() && arguments.size() < kShownMost; ++i) {
        const auto argument = shown(request[i], kShownMost - arguments.size());
        arguments.append("'").append(argument).append("' ");
    }
    std::string text = "ERR unknown command '";
    text.append(shown(request[0], kShownMost)).append("', with args beginning with: ");
    return {text + arguments};
}

CommandRefused unknown_subcommand(const CommandSpec& container, const Request& request) {
    const std::string name = std::string(container.name) + '|' + request[1].str();
    if (const auto* known = find_unsupported(name)) return {not_supported(*known)};
    std::string upper(container.name);
    for (char& c : upper)
        c = static_cast<char>(c - 32);
    std::string text = "ERR unknown subcommand '";
    text.append(shown(request[1], kShownMost)).append("'. Try ").append(upper).append(" HELP.");
    return {text};
}

}  // namespace

std::span<const CommandSpec, kCommandCount> command_table() { return kTable; }

const CommandSpec& command_spec(CommandId id) { return kTable[static_cast<size_t>(id)]; }

std::span<const CommandSpec> subcommands(const CommandSpec& container) {
    const size_t first = static_cast<size_t>(container.id) + 1;
    size_t end = first;
    while (end < kTable.size() && kTable[end].is_subcommand() &&
           kTable[end].container == container.id)
        ++end;
    return std::span<const CommandSpec>(kTable).subspan(first, end - first);
}

size_t top_level_count() {
    return static_cast<size_t>(
        std::ranges::count_if(kTable, [](const CommandSpec& s) { return !s.is_subcommand(); }));
}

const CommandSpec* find_command(std::string_view name) { return kNames.find(kTable, name); }

std::string wrong_arity(const CommandSpec& spec) {
    return "ERR wrong number of arguments for '" + std::string(spec.name) + "' command";
}

std::variant<const CommandSpec*, CommandRefused> resolve_command(const Request& request) {
    CHECK(!request.empty(), "the parser skips empty requests");
    const CommandSpec* spec = find_command(request[0].view());
    if (!spec || spec->is_subcommand()) return unknown_command(request);
    const auto children = subcommands(*spec);
    if (!children.empty() && request.size() > 1) {
        const auto it = std::ranges::find_if(children, [&](const CommandSpec& child) {
            return equals_ignoring_case(child.short_name(), request[1].view());
        });
        if (it == children.end()) return unknown_subcommand(*spec, request);
        spec = &*it;
    }
    if (!spec->arity_fits(request.size())) return CommandRefused{wrong_arity(*spec)};
    return spec;
}

}  // namespace asterias::resp
