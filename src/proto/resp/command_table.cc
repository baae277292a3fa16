#include "proto/resp/command_table.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "proto/resp/arguments.h"

namespace asterias::resp {
namespace {

using enum CommandId;
constexpr auto kConn = CommandGroup::Connection;
constexpr auto kGeneric = CommandGroup::Generic;
constexpr auto kServer = CommandGroup::Server;
constexpr auto kString = CommandGroup::String;
constexpr uint32_t kAlways = kLoading | kStale;
constexpr uint32_t kSession = kNoScript | kLoading | kStale;
constexpr uint32_t kEarly = kSession | kFast | kNoAuth | kAllowBusy;

// clang-format off
constexpr std::array<CommandSpec, kCommandCount> kTable = {{
    {Append, "append", 3, kWrite | kDenyOom | kFast, 1, 1, 1, kString, "Appends a string to the value of a key, creating it if absent", Append},
    {AsteriasRequest, "asterias.request", -4, kNoScript | kFast, 0, 0, 0, kConn, "Runs a command under a client id and a sequence number: sent again, it takes effect once", AsteriasRequest},
    {Auth, "auth", -2, kEarly, 0, 0, 0, kConn, "Says which user the connection is, with its password", Auth},
    {Client, "client", -2, 0, 0, 0, 0, kConn, "A container for commands about this connection", Client},
    {ClientGetName, "client|getname", 2, kSession, 0, 0, 0, kConn, "Returns the name of the connection", Client},
    {ClientHelp, "client|help", 2, kAlways, 0, 0, 0, kConn, "Lists the subcommands", Client},
    {ClientId, "client|id", 2, kSession, 0, 0, 0, kConn, "Returns the number of the connection, unique on its node", Client},
    {ClientSetInfo, "client|setinfo", 4, kSession, 0, 0, 0, kConn, "Sets the client library's name or version", Client},
    {ClientSetName, "client|setname", 3, kSession, 0, 0, 0, kConn, "Names the connection", Client},
    {Command, "command", -1, kAlways, 0, 0, 0, kServer, "Describes all commands", Command},
    {CommandCount, "command|count", 2, kAlways, 0, 0, 0, kServer, "Returns the number of commands", Command},
    {CommandDocs, "command|docs", -2, kAlways, 0, 0, 0, kServer, "Returns the documentation of one, several or all commands", Command},
    {CommandGetKeys, "command|getkeys", -4, kAlways, 0, 0, 0, kServer, "Returns the keys of a whole command", Command},
    {CommandHelp, "command|help", 2, kAlways, 0, 0, 0, kServer, "Lists the subcommands", Command},
    {CommandInfo, "command|info", -2, kAlways, 0, 0, 0, kServer, "Describes one, several or all commands", Command},
    {CommandList, "command|list", -2, kAlways, 0, 0, 0, kServer, "Returns the names of the commands", Command},
    {Config, "config", -2, 0, 0, 0, 0, kServer, "A container for configuration commands", Config},
    {ConfigGet, "config|get", -3, kAdmin | kSession, 0, 0, 0, kServer, "Returns the parameters that match the patterns", Config},
    {ConfigHelp, "config|help", 2, kAlways, 0, 0, 0, kServer, "Lists the subcommands", Config},
    {ConfigResetStat, "config|resetstat", 2, kAdmin | kSession, 0, 0, 0, kServer, "Sets the counters of INFO to zero", Config},
    {ConfigSet, "config|set", -4, kAdmin | kSession, 0, 0, 0, kServer, "Sets parameters of the running node", Config},
    {Decr, "decr", 2, kWrite | kDenyOom | kFast, 1, 1, 1, kString, "Subtracts one from the integer at a key; an absent key counts as 0", Decr},
    {DecrBy, "decrby", 3, kWrite | kDenyOom | kFast, 1, 1, 1, kString, "Subtracts a number from the integer at a key; an absent key counts as 0", DecrBy},
    {Del, "del", -2, kWrite, 1, -1, 1, kGeneric, "Deletes keys", Del},
    {Echo, "echo", 2, kAlways | kFast, 0, 0, 0, kConn, "Returns the given string", Echo},
    {Exists, "exists", -2, kReadOnly | kFast, 1, -1, 1, kGeneric, "Counts how many of the keys exist", Exists},
    {Expire, "expire", -3, kWrite | kFast, 1, 1, 1, kGeneric, "Sets the time to live of a key in seconds", Expire},
    {Get, "get", 2, kReadOnly | kFast, 1, 1, 1, kString, "Returns the string at a key", Get},
    {Hello, "hello", -1, kEarly, 0, 0, 0, kConn, "Chooses the protocol version, authenticates and names the connection", Hello},
    {Incr, "incr", 2, kWrite | kDenyOom | kFast, 1, 1, 1, kString, "Adds one to the integer at a key; an absent key counts as 0", Incr},
    {IncrBy, "incrby", 3, kWrite | kDenyOom | kFast, 1, 1, 1, kString, "Adds a number to the integer at a key; an absent key counts as 0", IncrBy},
    {Info, "info", -1, kAlways, 0, 0, 0, kServer, "Returns facts and figures about the node", Info},
    {MGet, "mget", -2, kReadOnly | kFast, 1, -1, 1, kString, "Returns the strings at several keys", MGet},
    {MSet, "mset", -3, kWrite | kDenyOom, 1, -1, 2, kString, "Sets several keys to strings, all or none", MSet},
    {PExpire, "pexpire", -3, kWrite | kFast, 1, 1, 1, kGeneric, "Sets the time to live of a key in milliseconds", PExpire},
    {PTtl, "pttl", 2, kReadOnly | kFast, 1, 1, 1, kGeneric, "Returns the time to live of a key in milliseconds", PTtl},
    {Persist, "persist", 2, kWrite | kFast, 1, 1, 1, kGeneric, "Removes the time to live of a key", Persist},
    {Ping, "ping", -1, kFast, 0, 0, 0, kConn, "Returns PONG or the given string", Ping},
    {Quit, "quit", -1, kEarly, 0, 0, 0, kConn, "Closes the connection after an answer", Quit},
    {Reset, "reset", 1, kEarly, 0, 0, 0, kConn, "Puts the connection back into the state of a new one", Reset},
    {Select, "select", 2, kAlways | kFast, 0, 0, 0, kConn, "Chooses the database of the connection", Select},
    {Set, "set", -3, kWrite | kDenyOom, 1, 1, 1, kString, "Sets a key to a string", Set},
    {StrLen, "strlen", 2, kReadOnly | kFast, 1, 1, 1, kString, "Returns the length of the string at a key", StrLen},
    {Time, "time", 1, kAlways | kFast, 0, 0, 0, kServer, "Returns the time of the node", Time},
    {Ttl, "ttl", 2, kReadOnly | kFast, 1, 1, 1, kGeneric, "Returns the time to live of a key in seconds", Ttl},
    {Type, "type", 2, kReadOnly | kFast, 1, 1, 1, kGeneric, "Returns the type of the value at a key", Type},
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

// A perfect hash: a seed was searched at compile time under which no two names share a slot.
constexpr size_t kSlots = 512;
constexpr uint8_t kEmpty = 0xff;

constexpr uint32_t slot_of(std::string_view name, uint32_t seed) {
    uint32_t hash = seed;
    for (const char c : name) {
        const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        hash = (hash ^ static_cast<uint8_t>(lower)) * 0x01000193u;
    }
    return (hash ^ hash >> 15) % kSlots;
}

struct Slots {
    uint32_t seed = 0;
    size_t longest = 0;
    std::array<uint8_t, kSlots> row{};
};

constexpr Slots make_slots() {
    Slots slots;
    for (const auto& spec : kTable)
        slots.longest = std::max(slots.longest, spec.name.size());
    for (slots.seed = 1;; ++slots.seed) {
        slots.row.fill(kEmpty);
        bool collided = false;
        for (size_t i = 0; i < kTable.size() && !collided; ++i) {
            auto& row = slots.row[slot_of(kTable[i].name, slots.seed)];
            collided = row != kEmpty;
            row = static_cast<uint8_t>(i);
        }
        if (!collided) return slots;
    }
}
constexpr Slots kSlotTable = make_slots();

// What Redis prints with %.*s: up to a zero byte, at most `most` bytes.
std::string_view shown(const Bytes& argument, size_t most) {
    const std::string_view text = argument.view().substr(0, most);
    return text.substr(0, text.find('\0'));
}

constexpr size_t kShownMost = 128;

CommandRefused unknown_command(const Request& request) {
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

const CommandSpec* find_command(std::string_view name) {
    if (name.size() > kSlotTable.longest) return nullptr;
    const uint8_t row = kSlotTable.row[slot_of(name, kSlotTable.seed)];
    if (row == kEmpty || !equals_ignoring_case(kTable[row].name, name)) return nullptr;
    return &kTable[row];
}

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
