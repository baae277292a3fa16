#include <algorithm>
#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/glob.h"
#include "base/prng.h"
#include "proto/resp/arguments.h"
#include "proto/resp/command_info.h"
#include "proto/resp/command_syntax.h"
#include "proto/resp/integer.h"
#include "proto/resp/parser.h"
#include "proto/resp/reply.h"
#include "proto/resp/reply_parser.h"

namespace asterias::resp {
namespace {

using Words = std::vector<std::string>;

std::string encode(const Words& words) {
    std::string out = "*" + std::to_string(words.size()) + "\r\n";
    for (const auto& word : words)
        out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    return out;
}

Words words_of(const Request& request) {
    Words words;
    for (const auto& argument : request)
        words.push_back(argument.str());
    return words;
}

Request request_of(const Words& words) {
    Request request;
    for (const auto& word : words)
        request.push_back(Bytes::copy(word));
    return request;
}

Words random_words(Prng& prng) {
    Words words(1 + prng.below(prng.chance(0.1) ? 40 : 5));
    for (auto& word : words) {
        word.resize(prng.below(prng.chance(0.05) ? 5000 : 20));
        for (char& c : word)
            c = static_cast<char>(prng.below(256));
    }
    words[0] = "x" + words[0];  // not POST
    return words;
}

TEST(RespParser, RandomRequestsSurviveTheWireHoweverTheyAreCut) {
    Prng prng(1);
    for (int round = 0; round < 200; ++round) {
        std::vector<Words> sent, got;
        std::string stream;
        for (uint64_t i = prng.below(20); i > 0; --i) {
            sent.push_back(random_words(prng));
            stream += encode(sent.back());
        }
        Parser parser;
        size_t consumed = 0, wanted = 0;
        const uint64_t piece = prng.chance(0.3) ? 3 : 2000;
        for (size_t end = 0; end < stream.size();) {
            end = std::min(stream.size(), end + 1 + prng.below(piece));
            if (end - consumed < wanted) continue;
            const auto input =
                Bytes::copy(std::string_view(stream).substr(consumed, end - consumed));
            size_t at = 0;
            Outcome outcome = parser.next(input, at);
            for (; std::holds_alternative<Request>(outcome); outcome = parser.next(input, at))
                got.push_back(words_of(std::get<Request>(outcome)));
            ASSERT_TRUE(std::holds_alternative<NeedMore>(outcome));
            wanted = std::get<NeedMore>(outcome).wanted;
            consumed += at;
        }
        EXPECT_EQ(got, sent);
        EXPECT_EQ(consumed, stream.size());
        EXPECT_FALSE(parser.in_request());
    }
}

TEST(RespParser, TenThousandPipelinedRequestsComeOutInOrderAsSlicesOfTheInput) {
    std::string stream;
    for (int i = 0; i < 10'000; ++i)
        stream += encode({"SET", "key" + std::to_string(i), "v"});
    const Bytes input = Bytes::copy(stream);
    Parser parser;
    size_t at = 0;
    for (int i = 0; i < 10'000; ++i) {
        const Outcome outcome = parser.next(input, at);
        const auto* request = std::get_if<Request>(&outcome);
        ASSERT_NE(request, nullptr);
        ASSERT_EQ((*request)[1].view(), "key" + std::to_string(i));
        EXPECT_GE((*request)[1].data(), input.data());
        EXPECT_LT((*request)[1].data(), input.data() + input.size());
    }
    EXPECT_EQ(at, input.size());
}

TEST(RespParser, ABulkInSmallPiecesIsAskedForOnceAndTheArgumentsBeforeItAreConsumed) {
    const std::string head = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048576\r\n";
    Parser parser;
    size_t at = 0;
    Outcome outcome = parser.next(Bytes::copy(head), at);
    EXPECT_EQ(at, head.size());
    ASSERT_TRUE(std::holds_alternative<NeedMore>(outcome));
    EXPECT_EQ(std::get<NeedMore>(outcome).wanted, 1048578u);
    EXPECT_EQ(parser.held_bytes(), 4u + 2 * sizeof(Bytes));
    at = 0;
    outcome = parser.next(Bytes::copy(std::string(1048576, 'v') + "\r\n"), at);
    ASSERT_TRUE(std::holds_alternative<Request>(outcome));
    EXPECT_EQ(std::get<Request>(outcome)[2].size(), 1048576u);
    EXPECT_EQ(std::get<Request>(outcome).content_bytes(), 1048580u);
}

TEST(RespParser, AnnouncedLengthsAllocateNothing) {
    Budget budget("input", 1 << 20);
    Parser parser;
    const Bytes input = Bytes::copy("*1048576\r\n$536870912\r\n", &budget);
    size_t at = 0;
    EXPECT_TRUE(std::holds_alternative<NeedMore>(parser.next(input, at)));
    EXPECT_EQ(at, input.size());
    EXPECT_EQ(parser.held_bytes(), 0u);
    EXPECT_EQ(budget.used(), input.size());
}

TEST(RespParser, AnUnfinishedRequestDoesNotKeepTheReadBuffersOfItsArguments) {
    Budget budget("input", 1 << 20);
    Parser parser;
    const std::string head = "*9\r\n", argument = "$3\r\nabc\r\n";
    for (int i = 0; i < 9; ++i) {
        BytesBuilder buffer(64 * 1024, &budget);
        if (i == 0) buffer.append(head);
        buffer.append(argument);
        size_t at = 0;
        const Outcome outcome = parser.next(buffer.take(), at);
        EXPECT_EQ(std::holds_alternative<Request>(outcome), i == 8);
        if (i < 8) EXPECT_LT(budget.used(), 1000u);
    }
    EXPECT_EQ(budget.used(), 0u);
}

std::string error_of(Parser parser, const std::string& stream, size_t piece) {
    size_t consumed = 0;
    for (size_t end = 0; end < stream.size();) {
        end = std::min(stream.size(), end + piece);
        const auto input = Bytes::copy(std::string_view(stream).substr(consumed, end - consumed));
        size_t at = 0;
        for (;;) {
            const Outcome outcome = parser.next(input, at);
            if (const auto* error = std::get_if<ProtocolError>(&outcome)) return error->text;
            if (std::holds_alternative<NeedMore>(outcome)) break;
        }
        consumed += at;
    }
    return "";
}

TEST(RespParser, LinesThatDoNotEndAreRefusedAtTheLimitAndNotBefore) {
    Limits limits;
    limits.line_bytes_max = 100;
    const std::string prefix = "ERR Protocol error: ";
    for (const size_t piece : {size_t{1}, size_t{1000}}) {
        const auto run = [&](const std::string& stream) {
            return error_of(Parser(limits), stream, piece);
        };
        EXPECT_EQ(run(std::string(100, 'a')), "");
        EXPECT_EQ(run(std::string(100, 'a') + "\n"), "");
        EXPECT_EQ(run(std::string(101, 'a')), prefix + "too big inline request");
        EXPECT_EQ(run(std::string(101, 'a') + "\n"), prefix + "too big inline request");
        EXPECT_EQ(run("*" + std::string(100, '1')), prefix + "too big mbulk count string");
        EXPECT_EQ(run("*1\r\n$" + std::string(99, '1')), "");
        EXPECT_EQ(run("*1\r\n$" + std::string(100, '1')), prefix + "too big bulk count string");
    }
}

TEST(RespParser, TheSumOfTheArgumentsIsBounded) {
    Limits limits;
    limits.request_bytes_max = 10;
    EXPECT_EQ(error_of(Parser(limits), "*2\r\n$5\r\naaaaa\r\n$5\r\nbbbbb\r\n", 100), "");
    EXPECT_EQ(error_of(Parser(limits), "*2\r\n$5\r\naaaaa\r\n$6\r\n", 100),
              "ERR Protocol error: too big request");
}

TEST(RespParser, LimitsBeforeAuthenticationEndWithIt) {
    Parser parser({}, false);
    const Bytes input = Bytes::copy("*1\r\n$4\r\nPING\r\n*11\r\n");
    size_t at = 0;
    EXPECT_TRUE(std::holds_alternative<Request>(parser.next(input, at)));
    parser.set_authenticated(true);
    EXPECT_TRUE(std::holds_alternative<NeedMore>(parser.next(input, at)));
    EXPECT_TRUE(parser.in_request());
}

TEST(RespParser, NothingBehindAnErrorIsParsed) {
    Parser parser;
    size_t at = 0;
    const Bytes bad = Bytes::copy("*x\r\nPING\r\n"), good = Bytes::copy("PING\r\n");
    EXPECT_TRUE(std::holds_alternative<ProtocolError>(parser.next(bad, at)));
    EXPECT_EQ(at, bad.size());
    at = 0;
    EXPECT_TRUE(std::holds_alternative<NeedMore>(parser.next(good, at)));
    EXPECT_EQ(at, good.size());
}

TEST(RespRequest, MovesKeepInlineAndHeapArguments) {
    for (const size_t count : {size_t{1}, size_t{8}, size_t{9}, size_t{100}}) {
        Request a;
        for (size_t i = 0; i < count; ++i)
            a.push_back(Bytes::copy(std::to_string(i)));
        Request b(std::move(a));
        EXPECT_TRUE(a.empty());
        a.push_back(Bytes::literal("again"));
        a = std::move(b);
        ASSERT_EQ(a.size(), count);
        EXPECT_EQ(a[count - 1].view(), std::to_string(count - 1));
        EXPECT_EQ(b.size(), 0u);
    }
}

TEST(RespInteger, AcceptsOneFormOfEach64BitIntegerAndNothingElse) {
    Prng prng(3);
    char text[kIntegerChars];
    for (int i = 0; i < 10'000; ++i) {
        const auto value =
            static_cast<int64_t>(prng.next() >> prng.below(64)) * (prng.chance(0.5) ? 1 : -1);
        int64_t back = 0;
        ASSERT_TRUE(parse_integer({text, format_integer(value, text)}, back));
        EXPECT_EQ(back, value);
    }
    int64_t value = 0;
    EXPECT_TRUE(parse_integer("-9223372036854775808", value));
    EXPECT_EQ(value, std::numeric_limits<int64_t>::min());
    for (const auto* bad :
         {"", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "9223372036854775808",
          "-9223372036854775809", "18446744073709551617", "00"})
        EXPECT_FALSE(parse_integer(bad, value)) << bad;
}

std::string written(ProtocolVersion version, auto write) {
    Chain chain;
    ReplyWriter out(chain, version);
    write(out);
    return chain.flatten().str();
}

TEST(RespReply, EachVersionWritesItsOwnForms) {
    const auto write = [](ReplyWriter& out) {
        out.ok();
        out.simple("PONG");
        out.error("ERR two\r\nlines");
        out.integer(-42);
        out.bulk("a\r\nb");
        out.null();
        out.null_array();
        out.boolean(true);
        out.real(1.5);
        out.real(std::numeric_limits<double>::infinity());
        out.big_number("123");
        out.verbatim("txt", "hi");
        out.array(0);
        out.map(2);
        out.set(3);
        out.push(1);
    };
    EXPECT_EQ(written(ProtocolVersion::Resp2, write),
              "+OK\r\n+PONG\r\n-ERR two  lines\r\n:-42\r\n$4\r\na\r\nb\r\n$-1\r\n*-1\r\n:1\r\n"
              "$3\r\n1.5\r\n$3\r\ninf\r\n$3\r\n123\r\n$2\r\nhi\r\n*0\r\n*4\r\n*3\r\n*1\r\n");
    EXPECT_EQ(written(ProtocolVersion::Resp3, write),
              "+OK\r\n+PONG\r\n-ERR two  lines\r\n:-42\r\n$4\r\na\r\nb\r\n_\r\n_\r\n#t\r\n"
              ",1.5\r\n,inf\r\n(123\r\n=6\r\ntxt:hi\r\n*0\r\n%2\r\n~3\r\n>1\r\n");
}

TEST(RespReply, BulksOfAllSizesKeepTheirBytes) {
    for (const size_t size : {0, 1, 1022, 1023, 1024, 1025, 16384, 40000}) {
        const std::string text(size, 'x');
        const std::string expected = "$" + std::to_string(size) + "\r\n" + text + "\r\n";
        EXPECT_EQ(written(ProtocolVersion::Resp2, [&](auto& out) { out.bulk(text); }), expected);
        EXPECT_EQ(written(ProtocolVersion::Resp2, [&](auto& out) { out.bulk(Bytes::copy(text)); }),
                  expected);
    }
}

Value parsed(const std::string& text) {
    ReplyParser parser;
    size_t at = 0;
    const Bytes input = Bytes::copy(text);
    auto outcome = parser.next(input, at);
    EXPECT_TRUE(std::holds_alternative<Value>(outcome)) << text;
    EXPECT_EQ(at, input.size());
    return std::holds_alternative<Value>(outcome) ? std::get<Value>(outcome) : Value{};
}

TEST(RespReplyParser, AnAggregateOfMillionsIsNotAllocatedBeforeItArrives) {
    ReplyParser parser;
    size_t at = 0;
    std::string nested;
    for (int i = 0; i < 31; ++i)
        nested += "*16000000\r\n";
    const auto outcome = parser.next(Bytes::copy(nested), at);
    EXPECT_TRUE(std::holds_alternative<NeedMore>(outcome));
}

TEST(RespReplyParser, ValuesInOneReplyAreCountedOverAllDepths) {
    ReplyLimits limits;
    limits.values_max = 4;
    ReplyParser parser(limits);
    size_t at = 0;
    const Bytes fits = Bytes::copy("*2\r\n*1\r\n:1\r\n:2\r\n");
    EXPECT_TRUE(std::holds_alternative<Value>(parser.next(fits, at)));
    at = 0;
    EXPECT_TRUE(std::holds_alternative<Value>(parser.next(fits, at))) << "counted per reply";
    at = 0;
    const Bytes more = Bytes::copy("*2\r\n*2\r\n:1\r\n:2\r\n:3\r\n");
    EXPECT_TRUE(std::holds_alternative<ProtocolError>(parser.next(more, at)));
}

TEST(RespCommandTable, EveryNameIsFoundInAnyCase) {
    Prng prng(5);
    for (const auto& spec : command_table()) {
        std::string name(spec.name);
        for (char& c : name)
            if (c >= 'a' && c <= 'z' && prng.chance(0.5)) c = static_cast<char>(c - 32);
        EXPECT_EQ(find_command(name), &spec) << name;
        EXPECT_EQ(find_command(name + "x"), nullptr);
        EXPECT_EQ(find_command("x" + name), nullptr);
    }
    EXPECT_EQ(find_command(""), nullptr);
    EXPECT_EQ(find_command(std::string(10'000, 'g')), nullptr);
}

TEST(RespCommandTable, SubcommandsResolveAndKeysAreFound) {
    const auto id = [](const Words& words) {
        const auto resolved = resolve_command(request_of(words));
        const auto* spec = std::get_if<const CommandSpec*>(&resolved);
        return spec ? (*spec)->name : "(refused)";
    };
    EXPECT_EQ(id({"CONFIG", "Get", "save"}), "config|get");
    EXPECT_EQ(id({"command"}), "command");
    EXPECT_EQ(id({"client"}), "(refused)");
    EXPECT_EQ(id({"config|get", "save"}), "(refused)");
    const auto keys = [](const Words& words) {
        Words found;
        for_each_key(*find_command(words[0]), words.size(),
                     [&](size_t i) { found.push_back(words[i]); });
        return found;
    };
    EXPECT_EQ(keys({"mset", "a", "1", "b", "2"}), (Words{"a", "b"}));
    EXPECT_EQ(keys({"del", "a", "b", "c"}), (Words{"a", "b", "c"}));
    EXPECT_EQ(keys({"set", "a", "nx"}), (Words{"a"}));
    EXPECT_EQ(keys({"ping", "a"}), (Words{}));
}

std::string command_reply(ProtocolVersion version, const Words& words) {
    const Request request = request_of(words);
    const auto resolved = resolve_command(request);
    const auto* spec = std::get_if<const CommandSpec*>(&resolved);
    if (!spec) return "refused";
    return parsed(written(version, [&](auto& out) { write_command_reply(out, **spec, request); }))
        .describe();
}

TEST(RespCommandInfo, RepliesHaveTheShapesOfRedis) {
    EXPECT_EQ(command_reply(ProtocolVersion::Resp3, {"command", "info", "GET", "nope"}),
              "[[\"get\", (integer) 2, set[readonly, fast], (integer) 1, (integer) 1, (integer) 1, "
              "set[@read, @string, @fast], set[], set[], set[]], (nil)]");
    EXPECT_EQ(command_reply(ProtocolVersion::Resp3, {"command", "docs", "get", "nope"}),
              "{\"get\": {\"summary\": \"Returns the string at a key\", \"group\": \"string\", "
              "\"arguments\": [{\"name\": \"key\", \"type\": \"key\"}]}}");
    EXPECT_NE(command_reply(ProtocolVersion::Resp3, {"command", "docs", "expire"})
                  .find("{\"name\": \"choice\", \"type\": \"oneof\", \"flags\": set[optional], "
                        "\"arguments\": [{\"name\": \"nx\", \"type\": \"pure-token\", \"token\": "
                        "\"NX\"}, "),
              std::string::npos);
    EXPECT_NE(command_reply(ProtocolVersion::Resp2, {"command", "docs", "mset"})
                  .find("\"key_value\", \"type\", \"block\", \"flags\", [multiple], \"arguments\""),
              std::string::npos);
    EXPECT_EQ(command_reply(ProtocolVersion::Resp2, {"command", "count"}),
              "(integer) " + std::to_string(top_level_count()));
    EXPECT_EQ(
        command_reply(ProtocolVersion::Resp2, {"command", "getkeys", "mset", "a", "1", "b", "2"}),
        "[\"a\", \"b\"]");
    EXPECT_EQ(command_reply(ProtocolVersion::Resp2, {"command", "getkeys", "nope", "a"}),
              "(error) ERR Invalid command specified");
    EXPECT_EQ(command_reply(ProtocolVersion::Resp2, {"command", "getkeys", "ping", "a"}),
              "(error) ERR The command has no key arguments");
    EXPECT_EQ(
        command_reply(ProtocolVersion::Resp2, {"command", "list", "filterby", "pattern", "P?T*"}),
        "[\"pttl\"]");
    EXPECT_EQ(command_reply(ProtocolVersion::Resp2, {"command", "list", "filterby", "nope", "x"}),
              "(error) ERR syntax error");
    for (const auto version : {ProtocolVersion::Resp2, ProtocolVersion::Resp3})
        for (const auto* sub : {"docs", "info", "list", "help", "count"})
            EXPECT_NE(command_reply(version, {"command", sub}), "refused");
}

TEST(RespCommandInfo, TheSyntaxThatIsToldFitsTheArityThatIsChecked) {
    const std::function<bool(const SyntaxPart&)> varies = [&](const SyntaxPart& p) {
        return p.optional || p.multiple || std::any_of(p.parts.begin(), p.parts.end(), varies);
    };
    for (const auto& spec : command_table()) {
        if (!subcommands(spec).empty()) continue;
        const auto syntax = command_syntax(spec.id);
        const size_t name = spec.is_subcommand() ? 2 : 1;
        EXPECT_EQ(name + words_at_least(syntax), static_cast<size_t>(std::abs(spec.arity)))
            << spec.name;
        const bool open = std::any_of(syntax.begin(), syntax.end(), varies);
        if (!open) EXPECT_GE(spec.arity, spec.id == CommandId::Quit ? -1 : 0) << spec.name;
        if (open) EXPECT_LT(spec.arity, 0) << spec.name;
    }
}

TEST(RespGlob, MatchesAsRedisDoes) {
    EXPECT_TRUE(glob_match("*", ""));
    EXPECT_TRUE(glob_match("h?llo", "hello"));
    EXPECT_TRUE(glob_match("h[^e]llo", "hallo"));
    EXPECT_FALSE(glob_match("h[^e]llo", "hello"));
    EXPECT_TRUE(glob_match("h[a-c]llo*", "hbllo world"));
    EXPECT_TRUE(glob_match("h[c-a]llo", "hbllo"));
    EXPECT_TRUE(glob_match("a\\*b", "a*b"));
    EXPECT_FALSE(glob_match("a\\*b", "axb"));
    EXPECT_TRUE(glob_match("*a*b*c", "xxaxxbxxbxc"));
    EXPECT_FALSE(glob_match("*a*b*c", "xxaxxbxxbxcd"));
    EXPECT_FALSE(glob_match("a", ""));
    EXPECT_FALSE(glob_match("", "a"));
    EXPECT_TRUE(glob_match("MAX*", "maxmemory", GlobCase::Ignored));
    EXPECT_FALSE(glob_match("MAX*", "maxmemory"));
    // Exponential in a naive matcher.
    std::string stars;
    for (int i = 0; i < 50; ++i)
        stars += "*a";
    EXPECT_FALSE(glob_match(stars + "b", std::string(5000, 'a')));
}

TEST(RespArguments, SetOptionsSayWhatWasAsked) {
    const auto set = [](const Words& more) {
        Words words{"SET", "k", "v"};
        words.insert(words.end(), more.begin(), more.end());
        return std::get<SetOptions>(parse_set_options(request_of(words)));
    };
    EXPECT_EQ(set({}).expiry.kind, Expiry::Kind::None);
    EXPECT_EQ(set({"keepttl"}).expiry.kind, Expiry::Kind::Keep);
    EXPECT_EQ(set({"NX", "GET"}).condition, SetOptions::Condition::IfAbsent);
    EXPECT_TRUE(set({"NX", "GET"}).get);
    EXPECT_EQ(set({"xx"}).condition, SetOptions::Condition::IfPresent);
    EXPECT_EQ(set({"ex", "5"}).expiry.milliseconds, 5000);
    EXPECT_EQ(set({"ex", "5", "EX", "7"}).expiry.milliseconds, 7000);
    EXPECT_EQ(set({"px", "5"}).expiry.kind, Expiry::Kind::After);
    EXPECT_EQ(set({"exat", "5"}).expiry.milliseconds, 5000);
    EXPECT_EQ(set({"pxat", "5"}).expiry.kind, Expiry::Kind::At);
    EXPECT_EQ(expiry_deadline({Expiry::Kind::After, 5}, 100), 105);
    EXPECT_EQ(expiry_deadline({Expiry::Kind::At, 5}, 100), 5);
    EXPECT_EQ(expiry_deadline({Expiry::Kind::After, std::numeric_limits<int64_t>::max()}, 1),
              std::nullopt);
}

TEST(RespArguments, ExpireAndHelloOptionsSayWhatWasAsked) {
    const auto expire = std::get<ExpireOptions>(
        parse_expire_options(request_of({"EXPIRE", "k", "-3", "xx", "GT"}), "expire", true));
    EXPECT_EQ(expire.milliseconds, -3000);
    EXPECT_TRUE(expire.if_some && expire.if_later);
    EXPECT_FALSE(expire.if_none || expire.if_earlier);
    const auto hello = std::get<HelloOptions>(parse_hello_options(
        request_of({"HELLO", "3", "AUTH", "user", "secret", "SETNAME", "worker-1"})));
    EXPECT_EQ(hello.version, 3);
    EXPECT_EQ(hello.credentials->password.view(), "secret");
    EXPECT_EQ(hello.client_name->view(), "worker-1");
}

}  // namespace
}  // namespace asterias::resp
