// What a session does with messages: SUBSCRIBE and its kin, PUBLISH, PUBSUB, and those that come.
#include "base/glob.h"
#include "base/mutant.h"
#include "edge/resp/session.h"
#include "proto/resp/command_info.h"

namespace asterias::edge_resp {

using pubsub::Kind;
using resp::CommandId;

namespace {

struct Verb {
    Kind kind;
    bool begins;
    std::string_view name;  // of its notices
};
Verb verb_of(CommandId id) {
    switch (id) {
        case CommandId::Subscribe:
            return {Kind::Channel, true, "subscribe"};
        case CommandId::Unsubscribe:
            return {Kind::Channel, false, "unsubscribe"};
        case CommandId::PSubscribe:
            return {Kind::Pattern, true, "psubscribe"};
        case CommandId::PUnsubscribe:
            return {Kind::Pattern, false, "punsubscribe"};
        case CommandId::SSubscribe:
            return {Kind::Shard, true, "ssubscribe"};
        default:
            return {Kind::Shard, false, "sunsubscribe"};
    }
}

bool is_publish(CommandId id) { return id == CommandId::Publish || id == CommandId::SPublish; }

constexpr std::string_view kNoMessages = "ERR this node carries no messages";
// Each message is matched with each pattern: both are bounded.
constexpr size_t kChannelBytesMax = 1024;  // channel-bytes-max
constexpr std::string_view kChannelTooLong =
    "ERR the channel's name is too long, at most 1024 bytes (channel-bytes-max)";
constexpr std::string_view kNamesFull =
    "ERR too many channels and patterns are subscribed to on this shard (pubsub-names-bytes-max)";

}  // namespace

std::set<std::string>& Session::names_of(Kind kind) {
    return subscriptions_[static_cast<size_t>(kind) - 1];
}

bool Session::subscribed() const {
    return !subscriptions_[0].empty() || !subscriptions_[1].empty() || !subscriptions_[2].empty();
}

// The mode of RESP2: what comes unasked could be taken for a reply. RESP3 tells them apart.
bool Session::only_listens() const {
    return version_ == resp::ProtocolVersion::Resp2 && subscribed();
}

bool Session::may_while_listening(const resp::CommandSpec& spec) {
    const bool about = spec.container == CommandId::PubSub || is_publish(spec.id);
    return (spec.by == resp::CommandClass::Message && !about) || spec.id == CommandId::Ping ||
           spec.id == CommandId::Quit || spec.id == CommandId::Reset;
}

bool Session::gives_notice(const resp::CommandSpec& spec) {
    return spec.by == resp::CommandClass::Message && spec.container != CommandId::PubSub &&
           !is_publish(spec.id) && spec.id != CommandId::SSubscribe;
}

int64_t Session::count_of(Kind kind) {
    if (kind == Kind::Shard) return static_cast<int64_t>(names_of(kind).size());
    return static_cast<int64_t>(names_of(Kind::Channel).size() + names_of(Kind::Pattern).size());
}

void Session::leave_all() {
    for (const Kind kind : {Kind::Channel, Kind::Pattern, Kind::Shard})
        for (const auto& name : std::exchange(names_of(kind), {}))
            door_.about_.messages->unsubscribe(id_, kind, name);
}

// What is wrong with the names; empty: nothing.
std::string_view Session::check_names(const resp::CommandSpec& spec, const resp::Request& request) {
    const bool lists =
        spec.id == CommandId::PubSubChannels || spec.id == CommandId::PubSubShardChannels;
    if (spec.container == CommandId::PubSub && !lists) return {};
    auto names = request.arguments().subspan(std::min<size_t>(lists ? 2 : 1, request.size()));
    if (is_publish(spec.id)) names = names.first(1);
    const bool patterns = lists || spec.id == CommandId::PSubscribe;
    for (const auto& name : names)
        if (name.size() > (patterns ? kGlobBytesMax : kChannelBytesMax))
            return patterns ? kGlobTooLong : kChannelTooLong;
    return {};
}

// ------------------------------------------------------------------------------- in turn

// PUBLISH waits for all that the connection asked before: whoever hears it can read what was
// written. SUBSCRIBE changes what may follow; so nothing is read behind it before it is answered.
void Session::run_message(const resp::CommandSpec& spec, resp::Request request) {
    if (!door_.about_.messages) return reply_error(kNoMessages);
    if (spec.container == CommandId::PubSub)
        return reply_now([&](resp::ReplyWriter& out) { about_messages(spec, request, out); });
    const bool publishes = is_publish(spec.id);
    if (publishes && (slots_.empty() || MUTANT(pubsub_publish_early)))
        return reply_now([&](resp::ReplyWriter& out) { run_message_now(spec, request, out); });
    stalled_ = stalled_ || !publishes;
    PendingMessage pending{{&spec, {}}, {}};
    for (const auto& argument : request)
        pending.command.request.push_back(argument.compact());
    raw_bytes_ += request.bytes();
    slots_.push_back({true,
                      Show::AsIs,
                      version_,
                      {},
                      {},
                      std::make_unique<Pending>(std::move(pending)),
                      silent_ && publishes});
    keep_noted();
    if (slots_.size() == 1) write_ready();
}

// False: its answer will come.
bool Session::run_in_turn(uint64_t slot, PendingMessage& pending) {
    const auto& [spec, request, verdict] = pending.command;
    if (!pending.notices.empty() || is_publish(spec->id)) return true;
    const Verb verb = verb_of(spec->id);
    if (!verb.begins) return true;
    const auto taken =
        listen(verb.kind, request, pending.notices, [door = door_.self_, id = id_, slot] {
            Session* s = door.get() ? door.get()->find(id) : nullptr;
            if (s) s->confirmed(slot);
        });
    if (taken != pubsub::Messages::Taken::Later) return true;
    slots_.front().ready = false;
    holding_ = true;
    return false;
}

void Session::confirmed(uint64_t slot) {
    slots_[slot - first_slot_].ready = true;
    write_ready();
}

void Session::write_message_reply(resp::ReplyWriter& out, const PendingMessage& pending) {
    const auto& [spec, request, verdict] = pending.command;
    raw_bytes_ -= request.bytes();
    if (is_publish(spec->id)) return run_message_now(*spec, request, out);
    stalled_ = false;
    const Verb verb = verb_of(spec->id);
    if (!verb.begins)
        stop_listening(spec->id, request, out);
    else if (pending.notices.empty())
        out.error(kNamesFull);
    for (size_t i = 0; i < pending.notices.size(); ++i)
        notice(out, verb.name, &request[i + 1], pending.notices[i]);
    release();
}

// As a part of EXEC, or when nothing is owed before it: at once.
void Session::run_message_now(const resp::CommandSpec& spec, const resp::Request& request,
                              resp::ReplyWriter& out) {
    if (!door_.about_.messages) return out.error(kNoMessages);
    if (spec.container == CommandId::PubSub) return about_messages(spec, request, out);
    if (is_publish(spec.id)) {
        const Kind kind = spec.id == CommandId::Publish ? Kind::Channel : Kind::Shard;
        const uint64_t heard =
            door_.about_.messages->publish({kind, request[1].compact(), request[2].compact()});
        return out.integer(static_cast<int64_t>(heard));
    }
    const Verb verb = verb_of(spec.id);
    if (!verb.begins) return stop_listening(spec.id, request, out);
    // As Redis has it, which takes the other two.
    if (verb.kind == Kind::Shard)
        return out.error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
    std::vector<int64_t> notices;
    if (listen(verb.kind, request, notices, [] {}) == pubsub::Messages::Taken::Full)
        return out.error(kNamesFull);
    for (size_t i = 0; i < notices.size(); ++i)
        notice(out, verb.name, &request[i + 1], notices[i]);
}

// ------------------------------------------------------------------------------- subscriptions

void Session::notice(resp::ReplyWriter& out, std::string_view verb, const Bytes* name,
                     int64_t count) {
    out.push(3);
    out.bulk(verb);
    name ? out.bulk(*name) : out.null();
    out.integer(count);
}

// `counts`: what the client has after each name.
pubsub::Messages::Taken Session::listen(Kind kind, const resp::Request& request,
                                        std::vector<int64_t>& counts, port::Callback known) {
    std::vector<std::string> names;
    for (const auto& name : request.arguments().subspan(1))
        names.push_back(name.str());
    const auto taken = door_.about_.messages->subscribe(id_, *this, kind, names, std::move(known));
    if (taken == pubsub::Messages::Taken::Full) return taken;
    for (auto& name : names) {
        names_of(kind).insert(std::move(name));
        counts.push_back(count_of(kind));
    }
    return taken;
}

void Session::stop_listening(CommandId id, const resp::Request& request, resp::ReplyWriter& out) {
    const Verb verb = verb_of(id);
    auto& mine = names_of(verb.kind);
    std::vector<Bytes> names;
    for (const auto& name : request.arguments().subspan(1))
        names.push_back(name);
    if (names.empty())
        for (const auto& name : mine)
            names.push_back(Bytes::copy(name));
    if (names.empty()) notice(out, verb.name, nullptr, count_of(verb.kind));
    for (const auto& name : names) {
        if (mine.erase(name.str()) > 0)
            door_.about_.messages->unsubscribe(id_, verb.kind, name.view());
        notice(out, verb.name, &name, count_of(verb.kind));
    }
}

// ------------------------------------------------------------------------------- what comes

// Not in the middle of a reply, nor ahead of the notice that a subscription stands.
void Session::on_message(const pubsub::Message& message, const std::string* pattern) {
    if (ended_) return;
    const bool shard = message.kind == Kind::Shard;
    resp::ReplyWriter out(holding_ ? held_ : connection_->out(), version_);
    out.push(pattern ? 4 : 3);
    out.bulk(pattern ? "pmessage" : shard ? "smessage" : "message");
    if (pattern) out.bulk(*pattern);
    out.bulk(message.channel);
    out.bulk(message.payload);
    if (connection_->unsent() + held_.size() <= door_.options_.pubsub_unsent_bytes_max) return;
    door_.slow_listeners_.add();
    end();
}

void Session::release() {
    holding_ = false;
    if (!held_.empty()) connection_->out().append(std::exchange(held_, {}).flatten());
}

// ------------------------------------------------------------------------------- PUBSUB

void Session::about_messages(const resp::CommandSpec& spec, const resp::Request& request,
                             resp::ReplyWriter& out) {
    const auto& messages = *door_.about_.messages;
    const auto channels = [&](Kind kind) {
        if (request.size() > 3)
            return out.error("ERR unknown subcommand or wrong number of arguments for '" +
                             request[1].str().substr(0, 128) + "'. Try PUBSUB HELP.");
        auto names = messages.names(kind);
        if (request.size() == 3)
            std::erase_if(names, [&](const std::string& name) {
                return !glob_match(request[2].view(), name);
            });
        out.array(names.size());
        for (const auto& name : names)
            out.bulk(name);
    };
    const auto counts = [&](Kind kind) {
        out.array(2 * (request.size() - 2));
        for (const auto& name : request.arguments().subspan(2)) {
            out.bulk(name);
            out.integer(static_cast<int64_t>(messages.listeners(kind, name.view())));
        }
    };
    switch (spec.id) {
        case CommandId::PubSubChannels:
            return channels(Kind::Channel);
        case CommandId::PubSubShardChannels:
            return channels(Kind::Shard);
        case CommandId::PubSubNumSub:
            return counts(Kind::Channel);
        case CommandId::PubSubShardNumSub:
            return counts(Kind::Shard);
        case CommandId::PubSubNumPat:
            return out.integer(static_cast<int64_t>(messages.name_count(Kind::Pattern)));
        default:
            return resp::write_help(out, resp::command_spec(CommandId::PubSub));
    }
}

}  // namespace asterias::edge_resp
