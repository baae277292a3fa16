#include "edge/resp/span.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "base/mutant.h"
#include "core/kv/span.h"
#include "edge/resp/session.h"
#include "proto/resp/arguments.h"
#include "proto/resp/errors.h"

namespace asterias::edge_resp {

using resp::CommandId;
using resp::equals_ignoring_case;

namespace {

constexpr std::string_view kInvalidCursor = "ERR invalid cursor";
constexpr std::string_view kLostCursor =
    "ERR this cursor is lost: it was not used for ten minutes, or made room for others "
    "(scan-cursors-max), or the node that gave it was restarted; begin again with 0";
constexpr std::string_view kAwayCursor =
    "TRYAGAIN the node that gave this cursor does not answer; it may be lost with it";

bool parse_cursor(std::string_view text, uint64_t& cursor) {
    if (text.empty()) return true;  // as in Redis
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cursor);
    return error == std::errc{} && end == text.data() + text.size();
}

std::variant<SpanAsked, Refused> scan(const resp::Request& request, kv::Command command) {
    uint64_t cursor = 0;
    if (!parse_cursor(request[1].view(), cursor)) return Refused{std::string(kInvalidCursor)};
    command.op = kv::Op::Scan;
    command.number = 10;
    command.values = {Bytes::literal("*"), Bytes()};
    for (size_t i = 2; i < request.size(); i += 2) {
        const auto option = [&](std::string_view name) {
            return i + 1 < request.size() && equals_ignoring_case(request[i].view(), name);
        };
        if (option("count")) {
            const auto count = resp::integer_argument(request[i + 1]);
            if (const auto* error = std::get_if<resp::ArgumentError>(&count))
                return Refused{error->text};
            command.number = std::get<int64_t>(count);
            if (command.number < 1) return Refused{std::string(resp::kSyntaxError)};
        } else if (option("match")) {
            if (request[i + 1].size() > kGlobBytesMax) return Refused{std::string(kGlobTooLong)};
            command.values[0] = request[i + 1].compact();
        } else if (option("type")) {
            command.number2 = !equals_ignoring_case(request[i + 1].view(), "string");
        } else {
            return Refused{std::string(resp::kSyntaxError)};
        }
    }
    return SpanAsked{std::move(command), cursor};
}

std::variant<SpanAsked, Refused> flush(const resp::Request& request, kv::Command command,
                                       bool all) {
    const bool fits = request.size() == 1 ||
                      (request.size() == 2 && (equals_ignoring_case(request[1].view(), "async") ||
                                               equals_ignoring_case(request[1].view(), "sync")));
    if (!fits) return Refused{std::string(resp::kSyntaxError)};
    command.op = kv::Op::Flush;
    command.number = all;
    return SpanAsked{std::move(command)};
}

}  // namespace

std::variant<SpanAsked, Refused> translate_span(const resp::CommandSpec& spec,
                                                const resp::Request& request, uint16_t database) {
    kv::Command command;
    command.database = database;
    switch (spec.id) {
        case CommandId::Scan:
            return scan(request, std::move(command));
        case CommandId::FlushAll:
        case CommandId::FlushDb:
            return flush(request, std::move(command), spec.id == CommandId::FlushAll);
        case CommandId::Keys:
            if (request[1].size() > kGlobBytesMax) return Refused{std::string(kGlobTooLong)};
            command.op = kv::Op::Keys;
            command.values.push_back(request[1].compact());
            break;
        case CommandId::RandomKey:
            command.op = kv::Op::RandomKey;
            break;
        default:
            command.op = kv::Op::Count;
    }
    return SpanAsked{std::move(command)};
}

bool PendingSpan::take(kv::Reply reply, const execute::Listing* listing, uint64_t random) {
    if (reply.kind == kv::Reply::Kind::Error) {
        // What it says of the command holds for one keyspace; others are empty by now.
        if (command.op == kv::Op::Flush && answered)
            reply.text = Bytes::copy("UNKNOWN " + std::to_string(answered) + " of " +
                                     std::to_string(answered + 1 + behind.size()) +
                                     " keyspaces were emptied, then: " + reply.text.str());
        found = std::move(reply);
        return true;
    }
    if (answered++ == 0 && listing) {
        generation = listing->generation;
        const auto& all = listing->keyspaces;
        if (!command.keyspace) command.keyspace = all.front();
        behind.assign(std::ranges::upper_bound(all, command.keyspace), all.end());
    }
    const bool last = behind.empty();
    switch (command.op) {
        case kv::Op::Count:
            count += reply.integer;
            found = kv::Reply::number(count);
            return last;
        case kv::Op::RandomKey: {
            // Each key with the same probability, whichever keyspace it is in.
            const int64_t here = reply.items[0].integer;
            count += here;
            if (here > 0 && static_cast<int64_t>(random % static_cast<uint64_t>(count)) < here)
                found = std::move(reply.items[1]);
            return last;
        }
        case kv::Op::Keys:
            found.kind = kv::Reply::Kind::Array;
            for (const auto& key : reply.items)
                found_bytes += sizeof(kv::Reply) + 32 + key.text.size();
            if (found_bytes > kv::kSpanReplyBytesMax) {
                found = kv::Reply::error(kv::kSpanReplyTooLong);
                return true;
            }
            std::ranges::move(reply.items, std::back_inserter(found.items));
            return last;
        case kv::Op::Scan:
            found = std::move(reply);
            return true;
        default:
            found = kv::Reply::ok();
            return last;
    }
}

// ---------------------------------------------------------------------------------- the session

void Session::run_span(const resp::CommandSpec& spec, const resp::Request& request) {
    auto asked = translate_span(spec, request, database_);
    if (auto* refused = std::get_if<Refused>(&asked)) return reply_error(refused->text);
    if (door_.inflight_bytes_ > door_.options_.inflight_bytes_max) {
        door_.busy_.add();
        return reply_error(execute::kBusyMemory);
    }
    PendingSpan span;
    span.command = std::move(std::get<SpanAsked>(asked).command);
    span.cursor = std::get<SpanAsked>(asked).cursor;
    const uint64_t cursor = span.cursor;
    if (cursor && door_.cursors_.is_own(cursor)) span.place = door_.place_of(cursor);
    const bool known = !cursor || span.place;
    if (!known && (door_.cursors_.is_own(cursor) || !door_.about_.find_cursor))
        return reply_error(kLostCursor);
    span.bytes = request.bytes();
    stalled_ = true;
    slots_.push_back(
        {false, Show::AsIs, version_, {}, {}, std::make_unique<Pending>(std::move(span)), silent_});
    keep_noted();
    if (slots_.size() == 1 || MUTANT(resp_span_out_of_turn))
        begin_span(first_slot_ + slots_.size() - 1);
}

void Session::begin_span(uint64_t slot) {
    auto& span = std::get<PendingSpan>(*slots_[slot - first_slot_].pending);
    span.begun = true;
    span.cursor && !span.place ? find_place(slot, span.cursor) : ask_first(slot, span);
}

void Session::find_place(uint64_t slot, uint64_t cursor) {
    door_.about_.find_cursor(
        cursor, [door = door_.self_, id = id_, slot](Result<Cursors::Place> place) {
            Session* s = door.get() ? door.get()->find(id) : nullptr;
            if (!s) return;
            const bool lost = !place && place.error().code == Errc::NotFound;
            if (!place)
                return s->complete(slot, kv::Reply::error(lost ? kLostCursor : kAwayCursor));
            auto& span = std::get<PendingSpan>(*s->slots_[slot - s->first_slot_].pending);
            span.place = std::move(*place);
            s->ask_first(slot, span);
        });
}

// The first keyspace; with a place the one that it is in. One that is gone since holds nothing.
void Session::ask_first(uint64_t slot, PendingSpan& span) {
    if (span.place) {
        span.command.keyspace = span.place->keyspace;
        span.command.values[1] = span.place->from;
        // What it has told so far went by that catalogue: an older one may not know where the rest
        // is.
        if (!MUTANT(resp_cursor_forgets_generation))
            span.command.generation = span.place->generation;
    }
    ask(slot, span.command, span.bytes);
}

// True: another group was asked, and the slot is not ready.
bool Session::goes_on(uint64_t slot, PendingSpan& span, kv::Reply& reply,
                      const execute::Listing* listing) {
    if (!span.take(std::move(reply), listing, door_.shard_.entropy().next())) {
        span.command.keyspace = span.behind.front();
        span.command.generation = span.generation;
        span.behind.erase(span.behind.begin());
        ask(slot, span.command, sizeof(kv::Command));
        return true;
    }
    reply = std::move(span.found);
    if (span.command.op != kv::Op::Scan || reply.kind == kv::Reply::Kind::Error) return false;
    std::optional<Cursors::Place> place;
    if (reply.items[0].kind == kv::Reply::Kind::Bulk)
        place = {span.command.keyspace, reply.items[0].text, span.generation};
    else if (!span.behind.empty())
        place = {span.behind.front(), {}, span.generation};
    uint64_t cursor = 0;
    if (place)
        cursor = door_.cursors_.put(std::move(*place), span.cursor, door_.shard_.entropy().next(),
                                    door_.shard_.clock().now());
    reply.items[0] = kv::Reply::bulk(Bytes::copy(std::to_string(cursor)));
    return false;
}

}  // namespace asterias::edge_resp
