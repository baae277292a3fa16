// Runs testdata/*.txt: blocks of "command [key=value]", input lines, "----", expected lines, blank
// line. Bytes are escaped as in C.
#include <algorithm>
#include <fstream>

#include <gtest/gtest.h>

#include "proto/resp/arguments.h"
#include "proto/resp/command_table.h"
#include "proto/resp/errors.h"
#include "proto/resp/integer.h"
#include "proto/resp/parser.h"
#include "proto/resp/reply_parser.h"

namespace asterias::resp {
namespace {

struct Block {
    int line = 0;
    std::string command, input, expected;
};

std::vector<Block> read_blocks(const std::string& name) {
    std::ifstream in(std::string(ASTERIAS_TESTDATA) + "/" + name);
    EXPECT_TRUE(in) << name;
    std::vector<Block> blocks;
    enum { Between, Input, Expected } state = Between;
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
        if (state == Between) {
            if (line.empty() || line[0] == '#') continue;
            blocks.push_back({number, line, "", ""});
            state = Input;
        } else if (state == Input && line == "----") {
            state = Expected;
        } else if (state == Input) {
            blocks.back().input += line;
        } else if (line.empty()) {
            state = Between;
        } else {
            blocks.back().expected += line + "\n";
        }
    }
    return blocks;
}

std::string unescape(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out.push_back(text[i]);
            continue;
        }
        const char c = text[++i];
        if (c == 'x') {
            out.push_back(
                static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16)));
            i += 2;
        } else {
            out.push_back(c == 'r' ? '\r' : c == 'n' ? '\n' : c);
        }
    }
    return out;
}

std::string quoted(const Bytes& bytes) { return Value{ValueKind::Bulk, bytes}.describe(); }

std::string shown(const Outcome& outcome) {
    if (const auto* request = std::get_if<Request>(&outcome)) {
        std::string out;
        for (const auto& argument : *request)
            out += (out.empty() ? "" : " ") + quoted(argument);
        return out + "\n";
    }
    if (const auto* error = std::get_if<ProtocolError>(&outcome))
        return "protocol error: " + error->text + "\n";
    return std::holds_alternative<ForeignProtocol>(outcome) ? "foreign protocol\n" : "";
}

std::string shown(const ReplyOutcome& outcome) {
    if (const auto* value = std::get_if<Value>(&outcome)) return value->describe() + "\n";
    const auto* error = std::get_if<ProtocolError>(&outcome);
    return error ? "error: " + error->text + "\n" : "";
}

// Feeds `input` in pieces of `piece` bytes, each time with everything unconsumed, in fresh memory.
template <typename P>
std::string run(P parser, const std::string& input, size_t piece) {
    std::string out;
    size_t consumed = 0, wanted = 0;
    for (size_t end = 0; end < input.size();) {
        end = std::min(end + piece, input.size());
        if (end - consumed < wanted) continue;
        const Bytes available =
            Bytes::copy(std::string_view(input).substr(consumed, end - consumed));
        size_t at = 0;
        for (;;) {
            const auto outcome = parser.next(available, at);
            out += shown(outcome);
            if (const auto* more = std::get_if<NeedMore>(&outcome)) {
                wanted = more->wanted;
                break;
            }
        }
        consumed += at;
    }
    return out.empty() ? "(waits)\n" : out;
}

TEST(RespText, RequestsAreWhatTheFileSaysHoweverTheBytesArrive) {
    for (const auto& block : read_blocks("requests.txt")) {
        SCOPED_TRACE("requests.txt:" + std::to_string(block.line));
        const bool authenticated = block.command != "parse authenticated=no";
        const std::string input = unescape(block.input);
        for (const size_t piece : {input.size(), size_t{1}, size_t{2}, size_t{7}})
            EXPECT_EQ(run(Parser({}, authenticated), input, piece), block.expected);
    }
}

TEST(RespText, RepliesAreWhatTheFileSaysHoweverTheBytesArrive) {
    for (const auto& block : read_blocks("replies.txt")) {
        SCOPED_TRACE("replies.txt:" + std::to_string(block.line));
        const std::string input = unescape(block.input);
        // Only bulk errors may hold line ends, which the file shows as they are.
        for (const size_t piece : {input.size(), size_t{1}, size_t{2}, size_t{7}}) {
            std::string got = run(ReplyParser(), input, piece);
            std::erase(got, '\r');
            EXPECT_EQ(got, block.expected);
        }
    }
}

// The refusal that `request` gets before any data is looked at, else "(accepted)".
std::string refusal(const Request& request) {
    const auto resolved = resolve_command(request);
    if (const auto* refused = std::get_if<CommandRefused>(&resolved)) return refused->text;
    const CommandSpec& spec = *std::get<const CommandSpec*>(resolved);
    const auto text = [](const auto& parsed) {
        const auto* error = std::get_if<ArgumentError>(&parsed);
        return error ? error->text : std::string("(accepted)");
    };
    constexpr int64_t kNow = 1'700'000'000'000;
    switch (spec.id) {
        case CommandId::Set: {
            const auto options = parse_set_options(request);
            const auto* set = std::get_if<SetOptions>(&options);
            if (set && set->expiry.kind == Expiry::Kind::After &&
                !expiry_deadline(set->expiry, kNow))
                return invalid_expire_time("set").text;
            return text(options);
        }
        case CommandId::Expire:
        case CommandId::PExpire: {
            const auto options =
                parse_expire_options(request, spec.name, spec.id == CommandId::Expire);
            const auto* expire = std::get_if<ExpireOptions>(&options);
            if (expire && !expiry_deadline({Expiry::Kind::After, expire->milliseconds}, kNow))
                return invalid_expire_time(spec.name).text;
            return text(options);
        }
        case CommandId::Hello:
            return text(parse_hello_options(request));
        case CommandId::IncrBy:
        case CommandId::DecrBy:
            return text(integer_argument(request[2]));
        default:
            return "(accepted)";
    }
}

// redis_errors.txt holds what a real Redis 7.0.15 answered (testdata/record_redis.py).
TEST(RespText, RefusalsAreByteForByteThoseOfRedis) {
    const auto blocks = read_blocks("redis_errors.txt");
    EXPECT_GT(blocks.size(), 100u);
    for (const auto& block : blocks) {
        SCOPED_TRACE("redis_errors.txt:" + std::to_string(block.line) + " " + block.input);
        const Bytes input = Bytes::copy(unescape(block.input) + "\r\n");
        Parser parser;
        size_t at = 0;
        std::string got;
        const auto outcome = parser.next(input, at);
        if (const auto* request = std::get_if<Request>(&outcome))
            got = refusal(*request);
        else if (const auto* error = std::get_if<ProtocolError>(&outcome))
            got = error->text;
        else if (std::holds_alternative<ForeignProtocol>(outcome))
            got = "(closed)";
        else
            got = "(waits)";
        std::ranges::replace_if(got, [](char c) { return c == '\r' || c == '\n'; }, ' ');
        EXPECT_EQ(quoted(Bytes::copy(got)) + "\n", block.expected);
    }
}

}  // namespace
}  // namespace asterias::resp
