// The same bytes in one piece and cut at random points give the same requests, errors and consumed
// bytes; and what was parsed survives being written and parsed again.
#include <cstdlib>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/prng.h"
#include "proto/resp/command_info.h"
#include "proto/resp/parser.h"
#include "proto/resp/reply.h"

namespace asterias::resp {
namespace {

using Seen = std::vector<std::vector<std::string>>;

struct Run {
    Seen requests;
    std::string end;
    bool closed = false;
};

void take(Run& run, const Outcome& outcome) {
    if (const auto* request = std::get_if<Request>(&outcome)) {
        CHECK(!request->empty(), "empty requests are skipped");
        auto& words = run.requests.emplace_back();
        for (const auto& argument : *request)
            words.push_back(argument.str());
        Chain out;
        ReplyWriter writer(out, ProtocolVersion::Resp3);
        const auto resolved = resolve_command(*request);
        if (const auto* refused = std::get_if<CommandRefused>(&resolved))
            writer.error(refused->text);
    } else if (const auto* error = std::get_if<ProtocolError>(&outcome)) {
        run.end = error->text;
        run.closed = true;
    } else if (std::holds_alternative<ForeignProtocol>(outcome)) {
        run.end = "foreign";
        run.closed = true;
    }
}

Run parse(std::string_view input, const Limits& limits, bool authenticated, Prng* cuts) {
    Parser parser(limits, authenticated);
    Run run;
    size_t consumed = 0, wanted = 0;
    for (size_t end = 0; end < input.size() && !run.closed;) {
        end = cuts ? std::min(input.size(), end + 1 + cuts->below(24)) : input.size();
        if (end - consumed < wanted) continue;
        const Bytes piece = Bytes::copy(input.substr(consumed, end - consumed));
        size_t at = 0;
        for (bool more = true; more && !run.closed;) {
            const auto outcome = parser.next(piece, at);
            CHECK(at <= piece.size(), "no more is consumed than is there");
            take(run, outcome);
            if (const auto* need = std::get_if<NeedMore>(&outcome)) {
                wanted = need->wanted;
                CHECK(wanted == 0 || wanted > piece.size() - at, "what is wanted is not there yet");
                more = false;
            }
        }
        consumed += at;
    }
    return run;
}

std::string encode(const Seen& requests) {
    std::string out;
    for (const auto& words : requests) {
        out += "*" + std::to_string(words.size()) + "\r\n";
        for (const auto& word : words)
            out += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    }
    return out;
}

}  // namespace
}  // namespace asterias::resp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace asterias::resp;
    if (size < 2) return 0;
    const bool authenticated = data[0] & 1;
    Limits limits;
    if (data[0] & 2) limits = {64, 20, 200, 1000, 3, 50};
    asterias::Prng cuts(data[1]);
    const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
    const Run whole = parse(input, limits, authenticated, nullptr);
    const Run pieces = parse(input, limits, authenticated, &cuts);
    CHECK(whole.requests == pieces.requests, "cutting the input changes no request");
    CHECK(whole.end == pieces.end, "cutting the input changes no error");
    const Run again = parse(encode(whole.requests), {}, true, &cuts);
    CHECK(again.requests == whole.requests, "requests survive a round trip");
    return 0;
}
