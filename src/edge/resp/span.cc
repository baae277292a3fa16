#include "edge/resp/span.h"

#include <algorithm>
#include <charconv>
#include <iterator>

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

bool PendingSpan::take(kv::Reply reply, uint64_t random) {
    const bool last = ++at >= keyspaces.size();
    if (reply.kind == kv::Reply::Kind::Error) {
        // What it says of the command holds for one keyspace; others are empty by now.
        if (command.op == kv::Op::Flush && at > 1)
            reply.text = Bytes::copy("UNKNOWN " + std::to_string(at - 1) + " of " +
                                     std::to_string(keyspaces.size()) +
                                     " keyspaces were emptied, then: " + reply.text.str());
        found = std::move(reply);
        return true;
    }
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
    span.keyspaces = door_.strategy_.keyspaces();
    std::ranges::sort(span.keyspaces);
    const uint64_t cursor = span.cursor, slot = first_slot_ + slots_.size();
    const bool own = !cursor || door_.cursors_.is_own(cursor);
    const auto place = own && cursor ? door_.place_of(cursor) : std::nullopt;
    if (cursor && !place && (own || !door_.about_.find_cursor)) return reply_error(kLostCursor);
    stalled_ = true;
    slots_.push_back(
        {false, Show::AsIs, version_, {}, {}, std::make_unique<Pending>(std::move(span)), silent_});
    keep_noted();
    own ? begin_span(slot, request.bytes(), place ? &*place : nullptr)
        : find_place(slot, request.bytes(), cursor);
}

void Session::find_place(uint64_t slot, size_t bytes, uint64_t cursor) {
    door_.about_.find_cursor(
        cursor, [door = door_.self_, id = id_, slot, bytes](Result<Cursors::Place> place) {
            Session* s = door.get() ? door.get()->find(id) : nullptr;
            if (!s) return;
            if (place) return s->begin_span(slot, bytes, &*place);
            const bool lost = place.error().code == Errc::NotFound;
            s->complete(slot, kv::Reply::error(lost ? kLostCursor : kAwayCursor));
        });
}

// Asks the first keyspace; with a place the one that it is in. One that is gone since is passed.
void Session::begin_span(uint64_t slot, size_t bytes, const Cursors::Place* place) {
    auto& span = std::get<PendingSpan>(*slots_[slot - first_slot_].pending);
    if (place) {
        std::erase_if(span.keyspaces, [&](KeyspaceId k) { return k < place->keyspace; });
        const bool there = !span.keyspaces.empty() && span.keyspaces[0] == place->keyspace;
        if (there) span.command.values[1] = place->from;
        if (span.keyspaces.empty()) {
            kv::Reply none, ended;
            none.kind = ended.kind = kv::Reply::Kind::Array;
            ended.items = {kv::Reply::nil(), std::move(none)};
            return complete(slot, std::move(ended));
        }
    }
    kv::Command first = span.command;
    first.keyspace = span.keyspaces[0];
    ask(slot, std::move(first), bytes);
}

// True: another group was asked, and the slot is not ready.
bool Session::goes_on(uint64_t slot, PendingSpan& span, kv::Reply& reply) {
    if (!span.take(std::move(reply), door_.shard_.entropy().next())) {
        kv::Command next = span.command;
        next.keyspace = span.keyspaces[span.at];
        ask(slot, std::move(next), sizeof(kv::Command));
        return true;
    }
    reply = std::move(span.found);
    if (span.command.op != kv::Op::Scan || reply.kind == kv::Reply::Kind::Error) return false;
    std::optional<Cursors::Place> place;
    if (reply.items[0].kind == kv::Reply::Kind::Bulk)
        place = {span.keyspaces[span.at - 1], reply.items[0].text};
    else if (span.at < span.keyspaces.size())
        place = {span.keyspaces[span.at], {}};
    uint64_t cursor = 0;
    if (place)
        cursor = door_.cursors_.put(std::move(*place), span.cursor, door_.shard_.entropy().next(),
                                    door_.shard_.clock().now());
    reply.items[0] = kv::Reply::bulk(Bytes::copy(std::to_string(cursor)));
    return false;
}

}  // namespace asterias::edge_resp
