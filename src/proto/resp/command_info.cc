#include "proto/resp/command_info.h"

#include <string>
#include <vector>

#include "base/check.h"
#include "base/glob.h"
#include "proto/resp/arguments.h"
#include "proto/resp/command_syntax.h"
#include "proto/resp/errors.h"

namespace asterias::resp {
namespace {

struct FlagName {
    uint32_t flag;
    std::string_view name;
};
constexpr FlagName kFlagNames[] = {
    {kWrite, "write"},     {kReadOnly, "readonly"},    {kDenyOom, "denyoom"},
    {kAdmin, "admin"},     {kPubSub, "pubsub"},        {kNoScript, "noscript"},
    {kLoading, "loading"}, {kStale, "stale"},          {kFast, "fast"},
    {kNoAuth, "no_auth"},  {kAllowBusy, "allow_busy"}, {kSkipSlowlog, "skip_slowlog"}};

std::string_view group_name(CommandGroup group) {
    switch (group) {
        case CommandGroup::Connection:
            return "connection";
        case CommandGroup::Generic:
            return "generic";
        case CommandGroup::PubSub:
            return "pubsub";
        case CommandGroup::Server:
            return "server";
        case CommandGroup::String:
            return "string";
        case CommandGroup::Transactions:
            return "transactions";
    }
    return "";
}

std::vector<std::string_view> categories(const CommandSpec& spec) {
    std::vector<std::string_view> names;
    if (spec.flags & kWrite) names.push_back("@write");
    if (spec.flags & kReadOnly) names.push_back("@read");
    const bool command = spec.container == CommandId::Command;
    const bool container = !spec.is_subcommand() && !subcommands(spec).empty() && !command;
    if (!container) {
        const bool all_keys = spec.by == CommandClass::Span;
        if (spec.group == CommandGroup::Generic || all_keys) names.push_back("@keyspace");
        if (spec.group == CommandGroup::String) names.push_back("@string");
        if (spec.group == CommandGroup::Connection || command) names.push_back("@connection");
        if (spec.group == CommandGroup::Transactions) names.push_back("@transaction");
    }
    if (spec.flags & kPubSub) names.push_back("@pubsub");
    if (spec.flags & kAdmin) names.push_back("@admin");
    names.push_back(spec.flags & kFast ? "@fast" : "@slow");
    if (spec.flags & (kAdmin | kDangerous)) names.push_back("@dangerous");
    return names;
}

void write_info(ReplyWriter& out, const CommandSpec& spec) {
    out.array(10);
    out.bulk(spec.name);
    out.integer(spec.arity);
    size_t flags = 0;
    for (const auto& flag : kFlagNames)
        flags += (spec.flags & flag.flag) != 0;
    out.set(flags);
    for (const auto& flag : kFlagNames)
        if (spec.flags & flag.flag) out.simple(flag.name);
    out.integer(spec.first_key);
    out.integer(spec.last_key);
    out.integer(spec.key_step);
    const auto names = categories(spec);
    out.set(names.size());
    for (const auto name : names)
        out.simple(name);
    out.set(0);  // tips
    out.set(0);  // key specifications
    const auto children = spec.is_subcommand() ? std::span<const CommandSpec>() : subcommands(spec);
    children.empty() ? out.set(0) : out.array(children.size());
    for (const auto& child : children)
        write_info(out, child);
}

void write_docs(ReplyWriter& out, const CommandSpec& spec) {
    const auto children = spec.is_subcommand() ? std::span<const CommandSpec>() : subcommands(spec);
    out.bulk(spec.name);
    const auto syntax = command_syntax(spec.id);
    out.map(2 + !syntax.empty() + !children.empty());
    out.bulk("summary");
    out.bulk(spec.summary);
    out.bulk("group");
    out.bulk(group_name(spec.group));
    if (!syntax.empty()) {
        out.bulk("arguments");
        write_syntax(out, syntax);
    }
    if (children.empty()) return;
    out.bulk("subcommands");
    out.map(children.size());
    for (const auto& child : children)
        write_docs(out, child);
}

std::vector<const CommandSpec*> named_or_all(const Request& request) {
    std::vector<const CommandSpec*> specs;
    if (request.size() <= 2) {
        for (const auto& spec : command_table())
            if (!spec.is_subcommand()) specs.push_back(&spec);
        return specs;
    }
    for (const auto& name : request.arguments().subspan(2))
        specs.push_back(find_command(name.view()));
    return specs;
}

// A reply is some hundred times as large as the name that asks for it.
bool too_many_names(ReplyWriter& out, const Request& request) {
    constexpr size_t kNamesMax = 1000;
    if (request.size() <= kNamesMax + 2) return false;
    out.error("ERR at most " + std::to_string(kNamesMax) + " command names at a time");
    return true;
}

void write_infos(ReplyWriter& out, const Request& request) {
    if (too_many_names(out, request)) return;
    const auto specs = named_or_all(request);
    out.array(specs.size());
    for (const auto* spec : specs)
        spec ? write_info(out, *spec) : out.null();
}

void write_all_docs(ReplyWriter& out, const Request& request) {
    if (too_many_names(out, request)) return;
    auto specs = named_or_all(request);
    std::erase(specs, nullptr);  // COMMAND DOCS leaves out what it does not know
    out.map(specs.size());
    for (const auto* spec : specs)
        write_docs(out, *spec);
}

void write_keys(ReplyWriter& out, const Request& request) {
    Request inner;
    for (const auto& argument : request.arguments().subspan(2))
        inner.push_back(argument);
    const CommandSpec* spec = find_command(inner[0].view());
    if (const auto resolved = resolve_command(inner);
        const auto* found = std::get_if<const CommandSpec*>(&resolved))
        spec = *found;
    if (!spec) return out.error("ERR Invalid command specified");
    if (spec->first_key == 0) return out.error("ERR The command has no key arguments");
    if (!spec->arity_fits(inner.size()))
        return out.error("ERR Invalid number of arguments specified for command");
    std::vector<size_t> keys;
    for_each_key(*spec, inner.size(), [&](size_t i) { keys.push_back(i); });
    out.array(keys.size());
    for (const size_t i : keys)
        out.bulk(inner[i]);
}

// COMMAND LIST [FILTERBY MODULE name|ACLCAT category|PATTERN pattern]
void write_list(ReplyWriter& out, const Request& request) {
    if (request.size() != 2 &&
        (request.size() != 5 || !equals_ignoring_case(request[2].view(), "filterby")))
        return out.error(kSyntaxError);
    const bool all = request.size() == 2;
    const std::string_view by = all ? "" : request[3].view(), what = all ? "" : request[4].view();
    const bool module = equals_ignoring_case(by, "module");
    const bool category = equals_ignoring_case(by, "aclcat");
    const bool pattern = !all && !module && !category;
    if (pattern && !equals_ignoring_case(by, "pattern")) return out.error(kSyntaxError);
    if (pattern && what.size() > kGlobBytesMax) return out.error(kGlobTooLong);
    const auto wanted = [&](const CommandSpec& spec) {
        if (all) return true;
        if (module) return false;
        if (!category) return glob_match(what, spec.name, GlobCase::Ignored);
        for (const auto name : categories(spec))
            if (equals_ignoring_case(name.substr(1), what)) return true;
        return false;
    };
    std::vector<std::string_view> names;
    for (const auto& spec : command_table())
        if (wanted(spec)) names.push_back(spec.name);
    out.array(names.size());
    for (const auto name : names)
        out.bulk(name);
}

}  // namespace

void write_help(ReplyWriter& out, const CommandSpec& container) {
    const auto upper = [](std::string_view text) {
        std::string shown(text);
        for (char& c : shown)
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
        return shown;
    };
    const auto children = subcommands(container);
    out.array(1 + 2 * children.size());
    out.simple(upper(container.name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for (const auto& child : children) {
        out.simple(upper(child.short_name()));
        out.simple("    " + std::string(child.summary) + ".");
    }
}

void write_command_reply(ReplyWriter& out, const CommandSpec& spec, const Request& request) {
    switch (spec.id) {
        case CommandId::Command:
        case CommandId::CommandInfo:
            return write_infos(out, request);
        case CommandId::CommandCount:
            return out.integer(static_cast<int64_t>(top_level_count()));
        case CommandId::CommandDocs:
            return write_all_docs(out, request);
        case CommandId::CommandGetKeys:
            return write_keys(out, request);
        case CommandId::CommandHelp:
            return write_help(out, command_spec(CommandId::Command));
        case CommandId::CommandList:
            return write_list(out, request);
        default:
            CHECK(false, "only COMMAND and its subcommands come here");
    }
}

}  // namespace asterias::resp
