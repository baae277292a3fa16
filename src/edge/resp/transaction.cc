#include "edge/resp/transaction.h"

#include <algorithm>
#include <array>

#include "edge/resp/session.h"
#include "proto/resp/arguments.h"

namespace asterias::edge_resp {

using resp::CommandClass;
using resp::CommandId;

namespace {

std::string too_long(size_t bytes_max) {
    return "ERR the transaction is too long: at most " + std::to_string(Transaction::kCommandsMax) +
           " commands of " + std::to_string(bytes_max) +
           " bytes together (transaction-commands-max, transaction-bytes-max)";
}

constexpr std::string_view kTooMuchAboutNode =
    "ERR the transaction has too many commands about the node, at most 64 "
    "(transaction-local-commands-max)";
constexpr std::string_view kNotInTransaction = "ERR Command not allowed inside a transaction";

// Redis says so of them, whatever else is wrong.
bool never_queued(const resp::Request& request) {
    return std::ranges::any_of(std::array{"shutdown", "psync", "sync"}, [&](const char* name) {
        return resp::equals_ignoring_case(name, request[0].view());
    });
}

size_t content_bytes(const kv::Command& command) {
    size_t bytes = 0;
    for (const auto* list : {&command.keys, &command.values})
        for (const auto& piece : *list)
            bytes += piece.size();
    return bytes;
}

}  // namespace

std::variant<Prepared, Refused> prepare(Transaction transaction, uint16_t database,
                                        const TranslateLimits& limits, size_t content_bytes_max) {
    size_t content = 0;
    Prepared prepared;
    auto& [command, exec] = prepared;
    command.op = kv::Op::Batch;
    for (auto& watched : transaction.watched) {
        kv::Command same;
        same.op = kv::Op::IfVersion;
        same.database = watched.database;
        same.number = watched.version;
        same.keys.push_back(std::move(watched.key));
        command.batch.push_back(std::move(same));
    }
    for (auto& queued : transaction.queued) {
        if (queued.spec->by == CommandClass::Span) {
            auto flush = translate_span(*queued.spec, queued.request, database);
            if (auto* refused = std::get_if<Refused>(&flush)) {
                exec.parts.emplace_back(PendingExec::NotRun{std::move(refused->text), queued.spec});
                continue;
            }
            exec.parts.emplace_back(PendingExec::Stored{Show::AsIs, queued.spec});
            command.batch.push_back(std::move(std::get<SpanAsked>(flush).command));
            continue;
        }
        if (queued.spec->by != CommandClass::Keyed) {
            // What SELECT does to those behind it; the session hears of it when all is done.
            if (queued.spec->id == CommandId::Select) {
                const auto number = resp::database_argument(queued.request[1], limits.databases);
                if (const auto* n = std::get_if<int64_t>(&number))
                    database = static_cast<uint16_t>(*n);
            }
            exec.has_local = true;
            exec.sleep += sleep_of(queued);
            exec.local_bytes += queued.bytes();
            exec.parts.emplace_back(std::move(queued));
            continue;
        }
        auto translated = translate(*queued.spec, queued.request, database, limits);
        if (auto* refused = std::get_if<Refused>(&translated)) {
            exec.parts.emplace_back(PendingExec::NotRun{std::move(refused->text), queued.spec});
            continue;
        }
        auto& t = std::get<Translated>(translated);
        content += content_bytes(t.command);
        if (content > content_bytes_max) return Refused{too_long(content_bytes_max)};
        exec.parts.emplace_back(PendingExec::Stored{t.show, queued.spec});
        command.batch.push_back(std::move(t.command));
    }
    return prepared;
}

// What a transaction does is done however long its answers are; what only tells may be refused.
static bool only_tells(const resp::CommandSpec& spec) {
    switch (spec.id) {
        case CommandId::Auth:
        case CommandId::Select:
        case CommandId::Hello:
        case CommandId::ClientSetName:
        case CommandId::ClientKill:
        case CommandId::ClientPause:
        case CommandId::ClientUnpause:
            return false;
        default:
            return spec.by != CommandClass::Message || spec.container == CommandId::PubSub;
    }
}

// ---------------------------------------------------------------------------------- the session

void Session::refuse(std::string_view text) {
    if (transaction_.open) transaction_.failed = true;
    reply_error(text);
}

// An EXEC that is none ends the transaction all the same.
void Session::refuse_shape(const resp::Request& request, std::string_view text) {
    if (transaction_.open && never_queued(request)) text = kNotInTransaction;
    if (!resp::equals_ignoring_case(request[0].view(), "exec")) return refuse(text);
    end_transaction();
    reply_error("EXECABORT Transaction discarded because of: " +
                std::string(text.substr(text.find(' ') + 1)));
}

void Session::run_transaction(const resp::CommandSpec& spec, resp::Request request) {
    const auto ok = [](resp::ReplyWriter& out) { out.ok(); };
    switch (spec.id) {
        case CommandId::Multi:
            if (transaction_.open) return reply_error("ERR MULTI calls can not be nested");
            transaction_.open = true;
            return reply_now(ok);
        case CommandId::Discard:
            if (!transaction_.open) return reply_error("ERR DISCARD without MULTI");
            end_transaction();
            return reply_now(ok);
        case CommandId::Unwatch:
            if (transaction_.open) return queue(spec, std::move(request));
            forget_watched();
            return reply_now(ok);
        case CommandId::Watch:
            if (transaction_.open) return reply_error("ERR WATCH inside MULTI is not allowed");
            return watch(request);
        default:
            if (!transaction_.open) return reply_error("ERR EXEC without MULTI");
            return exec(request);
    }
}

// A queued command is kept for as long as the client likes: it is charged to the door, and holds no
// read buffer that is much larger than itself.
void Session::queue(const resp::CommandSpec& spec, resp::Request request) {
    const bool reads_all =
        spec.by == CommandClass::Span && !(spec.flags & resp::CommandFlags::kWrite);
    if (reads_all || spec.id == CommandId::AsteriasRequest || spec.id == CommandId::ClientReply)
        return refuse("ERR '" + std::string(spec.name) + "' cannot be used inside MULTI");
    const size_t content = request.content_bytes();
    auto& t = transaction_;
    if (!t.failed) {
        if (t.queued.size() == Transaction::kCommandsMax ||
            t.content_bytes + content > transaction_bytes_max())
            return refuse(too_long(transaction_bytes_max()));
        if (door_.inflight_bytes_ > door_.options_.inflight_bytes_max) {
            door_.busy_.add();
            return refuse(execute::kBusyMemory);
        }
        const bool local = spec.by == CommandClass::Local && work_of(spec, 0) > 0;
        if (local && t.local_commands == Transaction::kLocalCommandsMax)
            return refuse(kTooMuchAboutNode);
        t.local_commands += local;
        Queued queued{&spec, {}};
        for (const auto& argument : request)
            queued.request.push_back(argument.compact());
        door_.inflight_bytes_ += queued.bytes();
        t.bytes += queued.bytes();
        t.content_bytes += content;
        t.queued.push_back(std::move(queued));
    }
    drop_note();  // it runs with EXEC
    reply_now([](resp::ReplyWriter& out) { out.simple("QUEUED"); });
}

void Session::end_transaction() {
    door_.inflight_bytes_ -= transaction_.bytes + transaction_.watched_bytes;
    transaction_ = {};
}

void Session::forget_watched() {
    auto& t = transaction_;
    door_.inflight_bytes_ -= std::exchange(t.watched_bytes, 0);
    t.watched.clear();
    t.watch_lost = false;
}

// Nothing behind it is read before the versions are known.
void Session::watch(const resp::Request& request) {
    kv::Command command;
    command.op = kv::Op::Version;
    command.database = database_;
    for (size_t i = 1; i < request.size(); ++i) {
        const Bytes key = request[i].compact();
        if (key.size() > door_.options_.key_bytes_max)
            return reply_error("ERR key is longer than key-bytes-max");
        const bool known = std::ranges::any_of(transaction_.watched, [&](const Watched& w) {
            return w.key == key && w.database == database_;
        });
        if (!known) command.keys.push_back(key);
    }
    if (command.keys.empty()) return reply_now([](resp::ReplyWriter& out) { out.ok(); });
    if (transaction_.watched.size() + command.keys.size() > kWatchedMax ||
        transaction_.watched_bytes + content_bytes(command) > kWatchedBytesMax)
        return reply_error(
            "ERR too many watched keys, at most 1000 of 4 MiB together (watched-keys-max, "
            "watched-keys-bytes-max)");
    if (door_.inflight_bytes_ > door_.options_.inflight_bytes_max) {
        door_.busy_.add();
        return reply_error(execute::kBusyMemory);
    }
    PendingWatch pending{command.keys, database_};
    stalled_ = true;
    send(std::move(command), Show::AsIs, 0, std::make_unique<Pending>(std::move(pending)));
}

// What is watched is kept for as long as the client likes, so it is charged like what is queued.
void Session::watched(const PendingWatch& watch, kv::Reply& reply) {
    if (ended_) return;
    if (reply.kind != kv::Reply::Kind::Array || reply.items.size() != watch.keys.size()) {
        transaction_.watch_lost = true;
        return;
    }
    for (size_t i = 0; i < watch.keys.size(); ++i) {
        const size_t bytes = sizeof(Watched) + watch.keys[i].size();
        door_.inflight_bytes_ += bytes;
        transaction_.watched_bytes += bytes;
        transaction_.watched.push_back({watch.keys[i], watch.database, reply.items[i].integer});
    }
    reply = kv::Reply::ok();
}

// With commands for the session itself in it, nothing behind it is read before it is done: they may
// change what that means (SELECT).
void Session::exec(const resp::Request& request) {
    if (checks_passwords(request)) return;
    Transaction t = std::exchange(transaction_, {});
    if (t.local_commands > 0) spend(t.local_commands * kWorkOfLocal);
    door_.inflight_bytes_ -= t.bytes + t.watched_bytes;
    Shown shown;
    if (door_.monitored()) shown = shown_exec(t.queued, request);
    if (t.failed || t.watch_lost) door_.show(shown.itself);
    if (t.failed) return reply_error("EXECABORT Transaction discarded because of previous errors.");
    if (t.watch_lost) return reply_now([](resp::ReplyWriter& out) { out.null_array(); });
    auto prepared = prepare(std::move(t), database_, limits(), transaction_bytes_max());
    if (auto* refused = std::get_if<Refused>(&prepared)) return reply_error(refused->text);
    auto& [command, plan] = std::get<Prepared>(prepared);
    plan.shown = std::move(shown);
    if (command.batch.empty())  // what is in it is logged, not EXEC
        notes_.resize(notes_.size() - std::exchange(noted_.note_bytes, 0));
    if (command.batch.empty() && slots_.empty() && plan.sleep == Duration::zero())
        return reply_now(
            [&](resp::ReplyWriter& out) { write_exec(out, plan, no_data(), silent_, 0); });
    stalled_ = plan.has_local;
    if (command.batch.empty()) {  // what it does comes behind what was asked before
        slots_.push_back({true,
                          Show::AsIs,
                          version_,
                          no_data(),
                          {},
                          std::make_unique<Pending>(std::move(plan)),
                          silent_});
        keep_noted();
        if (slots_.size() == 1) write_ready();
        return;
    }
    const size_t held = plan.local_bytes + plan.shown.bytes();
    send(std::move(command), Show::AsIs, held, std::make_unique<Pending>(std::move(plan)));
}

kv::Reply Session::no_data() {
    kv::Reply reply;
    reply.kind = kv::Reply::Kind::Array;
    return reply;
}

void Session::run_noted_part(const Queued& part, resp::ReplyWriter& out, bool silent) {
    const uint64_t errors = door_.errors_written_;
    const int64_t began = micros_for(*part.spec);
    run_part(part, out, silent);
    const int64_t took = std::max<int64_t>(micros_for(*part.spec) - began, 0);
    const auto slept = std::chrono::duration_cast<microseconds>(sleep_of(part)).count();
    told(*part.spec, door_.logs_slow() ? note_of(*part.spec, part.request) : std::string(),
         static_cast<uint64_t>(took + slept), door_.errors_written_ != errors);
}

// SUBSCRIBE and its kin answer with notices, which no CLIENT REPLY silences.
void Session::run_part(const Queued& part, resp::ReplyWriter& out, bool silent) {
    const auto& [spec, request, verdict] = part;
    if (asks_password(*spec, request)) return auth_in_exec(part, out);
    if (spec->id == CommandId::Monitor)
        return out.error("ERR MONITOR isn't allowed for DENY BLOCKING client");
    if (spec->by != CommandClass::Message) return run_local(*spec, request, out);
    if (!silent || !gives_notice(*spec)) return run_message_now(*spec, request, out);
    resp::ReplyWriter loud(connection_->out(), version_, &door_);
    run_message_now(*spec, request, loud);
}

// What the store decided in one go took as long as the whole: nobody knows more of each.
void Session::write_exec(resp::ReplyWriter& out, const PendingExec& exec, const kv::Reply& reply,
                         bool silent, uint64_t whole_micros) {
    if (reply.kind == kv::Reply::Kind::Array) door_.show(exec.shown.queued);
    door_.show(exec.shown.itself);
    if (reply.kind == kv::Reply::Kind::Nil) return out.null_array();
    if (reply.kind != kv::Reply::Kind::Array) return write_reply(out, reply, Show::AsIs);
    out.array(exec.parts.size());
    holding_ = true;  // what it publishes to itself
    size_t next = 0, local_bytes = 0;
    for (const auto& part : exec.parts) {
        if (const auto* stored = std::get_if<PendingExec::Stored>(&part)) {
            CHECK(next < reply.items.size(), "a batch answers each of its commands");
            const kv::Reply& one = reply.items[next++];
            door_.ran(*stored->spec, whole_micros, one.kind == kv::Reply::Kind::Error);
            write_reply(out, one, stored->show);
        } else if (const auto* not_run = std::get_if<PendingExec::NotRun>(&part)) {
            door_.ran(*not_run->spec, 0, true);
            out.error(not_run->text);
        } else {
            const auto& queued = std::get<Queued>(part);
            if (local_bytes > Transaction::kLocalBytesMax && only_tells(*queued.spec)) {
                out.error(
                    "ERR not run: the answers before it are too long "
                    "(transaction-local-bytes-max)");
                continue;
            }
            const size_t before = out.size();
            run_noted_part(queued, out, silent);
            local_bytes += out.size() - before;
        }
    }
    release();
}

}  // namespace asterias::edge_resp
