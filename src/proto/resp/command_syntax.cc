#include "proto/resp/command_syntax.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace asterias::resp {
namespace {

// As people write it: lower case is the user's, upper case is typed as it stands (and belongs to
// the word behind it), [a] may be left out, [a|b] is one of them or neither, {a b} belongs
// together, a... may be repeated.
struct Syntax {
    CommandId id;
    std::string_view text;
};
constexpr Syntax kSyntaxes[] = {
    {CommandId::Append, "key value"},
    {CommandId::AsteriasRequest, "client sequence command [argument...]"},
    {CommandId::ClientKill, "address-or-filter [value...]"},
    {CommandId::ClientList, "[TYPE client-type] [ID client-id]"},
    {CommandId::ClientNoEvict, "on-or-off"},
    {CommandId::ClientPause, "timeout [WRITE|ALL]"},
    {CommandId::ClientReply, "on-off-or-skip"},
    {CommandId::Auth, "[username] password"},
    {CommandId::ClientSetInfo, "attribute value"},
    {CommandId::ClientSetName, "connection-name"},
    {CommandId::ClientUnblock, "client-id [TIMEOUT|ERROR]"},
    {CommandId::CommandDocs, "[command-name...]"},
    {CommandId::CommandGetKeys, "command argument..."},
    {CommandId::CommandInfo, "[command-name...]"},
    {CommandId::CommandList,
     "[{FILTERBY MODULE module-name}|{FILTERBY ACLCAT category}|"
     "{FILTERBY PATTERN pattern}]"},
    {CommandId::ConfigGet, "pattern..."},
    {CommandId::ConfigSet, "{parameter value}..."},
    {CommandId::Copy, "source destination [DB destination-db] [REPLACE]"},
    {CommandId::Debug, "subcommand [seconds]"},
    {CommandId::Decr, "key"},
    {CommandId::DecrBy, "key decrement"},
    {CommandId::Del, "key..."},
    {CommandId::Dump, "key"},
    {CommandId::Echo, "message"},
    {CommandId::Exists, "key..."},
    {CommandId::Expire, "key seconds [NX|XX|GT|LT]"},
    {CommandId::ExpireAt, "key unix-time-seconds [NX|XX|GT|LT]"},
    {CommandId::ExpireTime, "key"},
    {CommandId::FlushAll, "[ASYNC|SYNC]"},
    {CommandId::FlushDb, "[ASYNC|SYNC]"},
    {CommandId::Get, "key"},
    {CommandId::GetDel, "key"},
    {CommandId::GetEx,
     "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|"
     "PXAT unix-time-milliseconds|PERSIST]"},
    {CommandId::GetRange, "key start end"},
    {CommandId::GetSet, "key value"},
    {CommandId::Hello, "[{protover [AUTH {username password}] [SETNAME clientname]}]"},
    {CommandId::Incr, "key"},
    {CommandId::IncrBy, "key increment"},
    {CommandId::IncrByFloat, "key increment"},
    {CommandId::Info, "[section...]"},
    {CommandId::Keys, "pattern"},
    {CommandId::Lcs, "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]"},
    {CommandId::LatencyGraph, "event"},
    {CommandId::LatencyHistogram, "[command...]"},
    {CommandId::LatencyHistory, "event"},
    {CommandId::LatencyReset, "[event...]"},
    {CommandId::Lolwut, "[VERSION version]"},
    {CommandId::MemoryUsage, "key [SAMPLES count]"},
    {CommandId::MGet, "key..."},
    {CommandId::Move, "key db"},
    {CommandId::MSet, "{key value}..."},
    {CommandId::MSetNx, "{key value}..."},
    {CommandId::ObjectEncoding, "key"},
    {CommandId::ObjectFreq, "key"},
    {CommandId::ObjectIdleTime, "key"},
    {CommandId::ObjectRefCount, "key"},
    {CommandId::Persist, "key"},
    {CommandId::PExpire, "key milliseconds [NX|XX|GT|LT]"},
    {CommandId::PExpireAt, "key unix-time-milliseconds [NX|XX|GT|LT]"},
    {CommandId::PExpireTime, "key"},
    {CommandId::Ping, "[message]"},
    {CommandId::PSetEx, "key milliseconds value"},
    {CommandId::PSubscribe, "pattern..."},
    {CommandId::PTtl, "key"},
    {CommandId::Publish, "channel message"},
    {CommandId::PubSubChannels, "[pattern]"},
    {CommandId::PubSubNumSub, "[channel...]"},
    {CommandId::PubSubShardChannels, "[pattern]"},
    {CommandId::PubSubShardNumSub, "[shardchannel...]"},
    {CommandId::PUnsubscribe, "[pattern...]"},
    {CommandId::Rename, "key newkey"},
    {CommandId::RenameNx, "key newkey"},
    {CommandId::Restore,
     "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] "
     "[FREQ frequency]"},
    {CommandId::Scan, "cursor [MATCH pattern] [COUNT count] [TYPE type]"},
    {CommandId::Select, "index"},
    {CommandId::Set,
     "key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|"
     "PXAT unix-time-milliseconds|KEEPTTL]"},
    {CommandId::SetEx, "key seconds value"},
    {CommandId::SetNx, "key value"},
    {CommandId::SetRange, "key offset value"},
    {CommandId::SlowLogGet, "[count]"},
    {CommandId::SPublish, "shardchannel message"},
    {CommandId::SSubscribe, "shardchannel..."},
    {CommandId::StrLen, "key"},
    {CommandId::Subscribe, "channel..."},
    {CommandId::SubStr, "key start end"},
    {CommandId::SUnsubscribe, "[shardchannel...]"},
    {CommandId::Touch, "key..."},
    {CommandId::Ttl, "key"},
    {CommandId::Type, "key"},
    {CommandId::Unlink, "key..."},
    {CommandId::Unsubscribe, "[channel...]"},
    {CommandId::Watch, "key..."},
};

std::string_view syntax_text(CommandId id) {
    for (const auto& syntax : kSyntaxes)
        if (syntax.id == id) return syntax.text;
    return "";
}

std::string_view type_of(std::string_view name) {
    constexpr std::array kIntegers{
        "count",        "cursor",    "db",        "decrement", "destination-db",
        "end",          "frequency", "increment", "index",     "min-match-len",
        "milliseconds", "offset",    "protover",  "seconds",   "sequence",
        "start",        "ttl"};
    constexpr std::array kKeys{"destination", "key", "key1", "key2", "newkey", "source"};
    if (std::find(kKeys.begin(), kKeys.end(), name) != kKeys.end()) return "key";
    if (name == "pattern") return "pattern";
    if (name.starts_with("unix-time")) return "unix-time";
    return std::find(kIntegers.begin(), kIntegers.end(), name) != kIntegers.end() ? "integer"
                                                                                  : "string";
}

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}
    std::vector<SyntaxPart> sequence() {
        std::vector<SyntaxPart> parts;
        while (skip(' '), !text_.empty() && std::string_view("]}|").find(text_[0]) > 2)
            parts.push_back(part());
        return parts;
    }

private:
    bool skip(std::string_view what) {
        if (!text_.starts_with(what)) return false;
        text_.remove_prefix(what.size());
        return true;
    }
    bool skip(char c) { return skip(std::string_view(&c, 1)); }
    std::string_view word() {
        const size_t end = std::min(text_.find_first_of(" []{}|."), text_.size());
        CHECK(end > 0, "the texts above are in their own notation");
        const auto found = text_.substr(0, end);
        text_.remove_prefix(end);
        return found;
    }

    SyntaxPart part() {
        SyntaxPart p;
        if (skip('[')) {
            p = choice();
            CHECK(skip(']'), "brackets close");
            p.optional = true;
            return p;
        }
        if (!text_.empty() && is_upper(text_[0])) {
            const std::string token(word());
            skip(' ');
            if (text_.empty() || text_[0] == '[' || text_[0] == ']' || text_[0] == '|' ||
                text_[0] == '}') {
                p = {token, "pure-token", token, false, false, {}};
                for (char& c : p.name)
                    if (is_upper(c)) c = static_cast<char>(c + 32);
                return p;
            }
            if (is_upper(text_[0])) return {token, "block", token, false, false, {part()}};
            p = part();
            p.token = token;
            return p;
        }
        if (skip('{')) {
            p = one(sequence());
            CHECK(skip('}'), "braces close");
        } else {
            p.name = word();
            p.type = type_of(p.name);
        }
        if (skip("...")) p.multiple = true;
        return p;
    }
    SyntaxPart choice() {
        std::vector<SyntaxPart> options;
        do
            options.push_back(one(sequence()));
        while (skip('|'));
        if (options.size() == 1) return std::move(options[0]);
        return {"choice", "oneof", "", false, false, std::move(options)};
    }
    static SyntaxPart one(std::vector<SyntaxPart> parts) {
        if (parts.size() == 1) return std::move(parts[0]);
        std::string name;
        for (const auto& p : parts)
            name += (name.empty() ? "" : "_") + p.name;
        return {std::move(name), "block", "", false, false, std::move(parts)};
    }

    std::string_view text_;
};

size_t words_at_least(const SyntaxPart& p) {
    if (p.optional) return 0;
    if (p.type == "pure-token") return 1;
    size_t words = p.type == "block" ? words_at_least(p.parts) : 1;
    if (p.type == "oneof") {
        words = words_at_least(p.parts[0]);
        for (const auto& option : p.parts)
            words = std::min(words, words_at_least(option));
    }
    return words + !p.token.empty();
}

void write_part(ReplyWriter& out, const SyntaxPart& p) {
    out.map(2 + !p.token.empty() + (p.optional || p.multiple) + !p.parts.empty());
    out.bulk("name");
    out.bulk(p.name);
    out.bulk("type");
    out.bulk(p.type);
    if (!p.token.empty()) {
        out.bulk("token");
        out.bulk(p.token);
    }
    if (p.optional || p.multiple) {
        out.bulk("flags");
        out.set(size_t{p.optional} + size_t{p.multiple});
        if (p.optional) out.simple("optional");
        if (p.multiple) out.simple("multiple");
    }
    if (!p.parts.empty()) {
        out.bulk("arguments");
        write_syntax(out, p.parts);
    }
}

}  // namespace

std::vector<SyntaxPart> command_syntax(CommandId id) { return Parser(syntax_text(id)).sequence(); }

size_t words_at_least(const std::vector<SyntaxPart>& parts) {
    size_t words = 0;
    for (const auto& p : parts)
        words += words_at_least(p);
    return words;
}

void write_syntax(ReplyWriter& out, const std::vector<SyntaxPart>& parts) {
    out.array(parts.size());
    for (const auto& p : parts)
        write_part(out, p);
}

}  // namespace asterias::resp
