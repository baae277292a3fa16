#include "edge/resp/session.h"

#include <algorithm>

#include "base/glob.h"
#include "base/mutant.h"
#include "proto/resp/arguments.h"
#include "proto/resp/command_info.h"
#include "proto/resp/errors.h"

namespace asterias::edge_resp {

using resp::CommandClass;
using resp::CommandId;

namespace {
// In flight on a connection of which no reply is known yet.
constexpr size_t kFirstInFlight = 64;
constexpr size_t kLocalArgumentsMax = 1000;  // local-arguments-max
constexpr std::string_view kTooManyArguments =
    "ERR too many arguments for a command about the node, at most 1000 (local-arguments-max)";
constexpr std::string_view kOnlyMonitors = "ERR Replica can't interact with the keyspace";
constexpr std::string_view kNoDebug =
    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you "
    "can "
    "run it from a local connection, otherwise you need to set this option in the configuration "
    "file, and then restart the server.";

void write_time(resp::ReplyWriter& out, WallTime now) {
    out.array(2);
    out.bulk(std::to_string(now.micros / 1000000));
    out.bulk(std::to_string(now.micros % 1000000));
}
}  // namespace

Session::Session(Door& door, uint64_t id, std::unique_ptr<port::Connection> connection)
    : door_(door),
      id_(id),
      connection_(std::move(connection)),
      parser_([&] {
          resp::Limits limits;
          const size_t largest =
              std::max(door.options_.key_bytes_max, door.options_.value_bytes_max);
          limits.bulk_bytes_max = static_cast<int64_t>(largest);
          // One command must fit into one frame between nodes (router::kCommandBytesMax).
          limits.request_bytes_max = largest * 2;
          return limits;
      }()),
      began_(door.shard_.clock().now()),
      active_(began_),
      reply_bytes_(door.options_.unsent_bytes_max / kFirstInFlight) {
    begin_unauthenticated();
}

Session::~Session() {
    if (auth_timer_) door_.shard_.timers().cancel(auth_timer_);
    end_transaction();
    leave_all();
}

port::Consumed Session::on_data(const Bytes& available) {
    size_t at = 0;
    left_of_share_ = door_.share_of_turn(std::exchange(has_share_, false));
    while (!ending_ && !ended_) {
        if (left_of_share_ == 0 && at < available.size() && !std::exchange(waits_for_turn_, true))
            door_.call_next_turn(id_);
        if (full()) {
            // The rest stays unread until replies are out; reading goes on in regulate().
            const size_t wanted = hold(available.size() - at, 0);
            regulate();
            return {at, wanted};
        }
        const size_t from = at;
        query_bytes_ = available.size() - from + parser_.held_bytes();
        auto outcome = parser_.next(available, at);
        if (auto* request = std::get_if<resp::Request>(&outcome)) {
            spend(at - from);
            door_.request_ended(id_);
            run(std::move(*request));
            continue;
        }
        if (auto* more = std::get_if<resp::NeedMore>(&outcome))
            return {at, hold(available.size() - at, more->wanted)};
        door_.protocol_errors_.add();
        silent_ = skip_next_ || replies_off_;
        if (auto* error = std::get_if<resp::ProtocolError>(&outcome)) reply_error(error->text);
        ending_ = true;
    }
    if (ending_) write_ready();
    return {available.size(), 0};
}

// A half-closed peer still gets its answers; but who gave up while a pause held it is believed, as
// by Redis: by the pause's end it may have done the same elsewhere.
void Session::on_end_of_stream() {
    if (!MUTANT(resp_pause_runs_for_the_gone)) give_up_postponed();
    finish();
}

void Session::finish() {
    ending_ = true;
    write_ready();
}

void Session::on_closed(const Error&) { end(); }

void Session::on_drained() { regulate(); }

void Session::end() {
    if (std::exchange(ended_, true)) return;
    if (asked_ && asked_->give_up) asked_->give_up();
    end_transaction();
    give_up_postponed();
    end_monitor();
    claim(0);
    door_.request_ended(id_);
    // Not inside a callback of the connection, which the session owns.
    door_.shard_.post([door = door_.self_, id = id_] {
        if (door.get()) door.get()->remove(id);
    });
}

// Back-pressure: who does not read its replies is not read from. The replies under way count as if
// each were as large as the largest of late, because nobody knows their size yet.
bool Session::full() {
    if (stalled_ || postponed_ || asked_ || waiting_exec_ || waits_for_turn_ || waits_for_memory_)
        return true;
    // Below the high mark nobody would tell when the output has drained.
    const size_t most = std::max(door_.options_.unsent_bytes_max, port::kHighOutputMark);
    if (slots_.size() >= door_.options_.pipeline_max ||
        connection_->unsent() + raw_bytes_ + slots_.size() * reply_bytes_ > most)
        return true;
    if (!door_.replies_full()) return false;
    if (!std::exchange(waits_for_room_, true)) door_.call_when_room(id_);
    return true;
}

void Session::on_room() {
    waits_for_room_ = false;
    regulate();
}

void Session::spend(size_t bytes) { left_of_share_ -= door_.spend(left_of_share_, bytes); }

void Session::on_turn() {
    waits_for_turn_ = false;
    has_share_ = true;
    regulate();
}

void Session::regulate() {
    const bool rests = full() && !listens_for_end();
    if (ended_ || rests == paused_) return;
    paused_ = !paused_;
    connection_->pause_reading(paused_);
}

void Session::complete(uint64_t slot, kv::Reply reply, const execute::Listing* listing) {
    Slot& s = slots_[slot - first_slot_];
    reply_bytes_ = std::max(reply.content_bytes(), reply_bytes_ - reply_bytes_ / 8);
    if (const auto* watch = s.pending ? std::get_if<PendingWatch>(s.pending.get()) : nullptr) {
        watched(*watch, reply);
        s.pending.reset();
        stalled_ = false;
    } else if (auto* span = s.pending ? std::get_if<PendingSpan>(s.pending.get()) : nullptr) {
        if (goes_on(slot, *span, reply, listing)) return;
        s.pending.reset();
        stalled_ = false;
    }
    s.reply = std::move(reply);
    s.ready = true;
    slot == first_slot_ ? write_ready() : regulate();
}

Chain& Session::out_for(const Slot& slot) {
    if (!slot.silent) return connection_->out();
    return nowhere_ = {};
}

void Session::write_ready() {
    if (ended_) return;
    while (!slots_.empty() && slots_.front().ready) {
        Slot& s = slots_.front();
        auto* message = s.pending ? std::get_if<PendingMessage>(s.pending.get()) : nullptr;
        if (message) {
            if (!run_in_turn(first_slot_, *message)) break;
            resp::ReplyWriter out(out_for(s), s.version, &door_);
            write_message_reply(out, *message);
        } else if (s.pending) {
            if (const Duration most = std::exchange(std::get<PendingExec>(*s.pending).sleep, {});
                most > Duration::zero()) {
                s.ready = false;
                sleep(first_slot_, most);
                break;
            }
            resp::ReplyWriter out(out_for(s), s.version, &door_);
            const auto& exec = std::get<PendingExec>(*s.pending);
            write_exec(out, exec, s.reply, s.silent, micros_since(s.noted.began));
            stalled_ = stalled_ && !exec.has_local;
        } else if (s.raw.empty()) {
            resp::ReplyWriter out(out_for(s), s.version, &door_);
            write_reply(out, s.reply, s.show);
        } else {
            raw_bytes_ -= s.raw.size();
            out_for(s).append(s.raw);
        }
        nowhere_.clear();
        if (s.noted.spec) tell_front();
        slots_.pop_front();
        ++first_slot_;
    }
    if (!slots_.empty() && slots_.front().pending)
        if (const auto* span = std::get_if<PendingSpan>(slots_.front().pending.get()))
            if (!span->begun) begin_span(first_slot_);
    if (ending_ && slots_.empty() && !postponed_ && !waiting_exec_) {
        connection_->close_after_flush();
        return end();
    }
    regulate();
}

void Session::reply_error(std::string_view text) {
    reply_now([text](resp::ReplyWriter& out) { out.error(text); });
}

void Session::run(resp::Request request) {
    door_.commands_.add();
    active_ = door_.shard_.clock().now();
    silent_ = std::exchange(skip_next_, false) || replies_off_;
    if (!may_still_ask()) return;
    auto resolved = resp::resolve_command(request);
    if (auto* refused = std::get_if<resp::CommandRefused>(&resolved)) {
        reject(request);
        return refuse_shape(request, refused->text);
    }
    const resp::CommandSpec& spec = *std::get<const resp::CommandSpec*>(resolved);
    if (!authenticated_ && !(spec.flags & resp::kNoAuth) && !MUTANT(resp_runs_unauthenticated)) {
        reject(request);
        return reply_error(resp::kAuthenticationRequired);
    }
    last_command_ = &spec;
    if (only_listens() && !may_while_listening(spec)) {
        reject(request);
        return refuse_shape(request, "ERR Can't execute '" + std::string(spec.name) +
                                         "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT "
                                         "/ RESET are allowed in this context");
    }
    if (spec.id == CommandId::Debug && !may_debug()) {
        reject(request);
        return refuse(kNoDebug);
    }
    if (monitoring_ && !may_while_monitoring(spec)) {
        reject(request);
        return refuse_shape(request, kOnlyMonitors);
    }
    if (is_paused(spec)) return pause_before(spec, request);
    perform(spec, std::move(request));
}

void Session::perform(const resp::CommandSpec& spec, resp::Request request) {
    note(spec, request);
    const uint64_t errors = door_.errors_written_;
    run_noted(spec, std::move(request));
    if (!noted_.spec) return;  // it is told when its reply is out, or is none that ran
    const std::string_view all = notes_;
    told(spec, all.substr(all.size() - noted_.note_bytes), 0, door_.errors_written_ != errors);
    drop_note();
}

void Session::run_noted(const resp::CommandSpec& spec, resp::Request&& request) {
    if (spec.by == CommandClass::Message)
        if (const auto wrong = check_names(spec, request); !wrong.empty()) return refuse(wrong);
    if (door_.monitored()) show(spec, request);
    if (asks_password(spec, request) && !transaction_.open) return auth(spec, request);
    if (spec.by == CommandClass::Batch) return run_transaction(spec, std::move(request));
    if (transaction_.open && spec.id != CommandId::Quit && spec.id != CommandId::Reset)
        return queue(spec, std::move(request));
    if (spec.id == CommandId::ClientReply) return reply_mode(request);
    if (spec.id == CommandId::Debug) return debug(request);
    if (spec.id == CommandId::AsteriasRequest) return run_request(std::move(request));
    if (spec.by == CommandClass::Keyed) return run_data(spec, request, {});
    if (spec.by == CommandClass::Message) return run_message(spec, std::move(request));
    if (spec.by == CommandClass::Span) return run_span(spec, request);
    // It ends the silence that it comes in, but is skipped.
    if (spec.id == CommandId::Reset && replies_off_) silent_ = false;
    run_here(spec, request);
}

// ASTERIAS.REQUEST client sequence command...: exactly once, over reconnects and nodes.
void Session::run_request(resp::Request request) {
    auto sequence = resp::integer_argument(request[2]);
    if (auto* error = std::get_if<resp::ArgumentError>(&sequence)) return reply_error(error->text);
    if (std::get<int64_t>(sequence) <= 0 || request[1].empty() || request[1].size() > 256)
        return reply_error(
            "ERR ASTERIAS.REQUEST takes a client id of 1 to 256 bytes and a sequence above 0");
    resp::Request inner;
    for (size_t i = 3; i < request.size(); ++i)
        inner.push_back(request[i]);
    auto resolved = resp::resolve_command(inner);
    if (auto* refused = std::get_if<resp::CommandRefused>(&resolved))
        return reply_error(refused->text);
    run_data(*std::get<const resp::CommandSpec*>(resolved), inner,
             {request[1], static_cast<uint64_t>(std::get<int64_t>(sequence))});
}

void Session::run_data(const resp::CommandSpec& spec, const resp::Request& request,
                       kv::ClientRequest identity) {
    if (door_.inflight_bytes_ > door_.options_.inflight_bytes_max) {
        door_.busy_.add();
        return reply_error(execute::kBusyMemory);
    }
    auto translated = translate(spec, request, database_, limits());
    if (auto* refused = std::get_if<Refused>(&translated)) return reply_error(refused->text);
    auto& t = std::get<Translated>(translated);
    if (spec.id == CommandId::Restore && !t.command.values.empty())
        spend(t.command.values[0].size());  // it was inflated here
    t.command.request = std::move(identity);
    send(std::move(t.command), t.show, 0, nullptr);
}

TranslateLimits Session::limits() const {
    return {door_.options_.key_bytes_max, door_.options_.value_bytes_max, door_.options_.databases};
}

void Session::send(kv::Command command, Show show, size_t held, std::unique_ptr<Pending> pending) {
    const uint64_t slot = first_slot_ + slots_.size();
    slots_.push_back({false, show, version_, {}, {}, std::move(pending), silent_});
    keep_noted();
    ask(slot, std::move(command), held + slots_.back().noted.note_bytes);
}

void Session::ask(uint64_t slot, kv::Command command, size_t held) {
    const size_t bytes = execute::bytes_of(command) + held;
    // Charged to the door until the answer is there, whether or not the client still is.
    door_.inflight_bytes_ += bytes;
    ++door_.replies_owed_;
    door_.strategy_.execute({std::move(command), execute::Bound::Linearizable,
                             door_.options_.command_timeout, execute::StreamId(id_)},
                            [door = door_.self_, id = id_, slot, bytes](execute::Outcome outcome) {
                                if (!door.get()) return;
                                door.get()->completed(bytes, outcome.reply.content_bytes());
                                if (Session* s = door.get()->find(id))
                                    s->complete(slot, std::move(outcome.reply),
                                                outcome.listing.get());
                            });
}

void Session::run_local(const resp::CommandSpec& spec, const resp::Request& request,
                        resp::ReplyWriter& out) {
    // COMMAND has limits of its own.
    if (request.size() > kLocalArgumentsMax && spec.container != CommandId::Command)
        return out.error(kTooManyArguments);
    switch (spec.id) {
        case CommandId::Ping:
            if (request.size() > 2) return out.error(resp::wrong_arity(spec));
            if (only_listens()) {
                out.array(2);
                out.bulk("pong");
                return out.bulk(request.size() > 1 ? request[1] : Bytes());
            }
            return request.size() > 1 ? out.bulk(request[1]) : out.simple("PONG");
        case CommandId::Echo:
            return out.bulk(request[1]);
        case CommandId::Quit:
            ending_ = true;
            return out.ok();
        case CommandId::Reset:
            version_ = resp::ProtocolVersion::Resp2;
            database_ = 0;
            name_.clear();
            replies_off_ = skip_next_ = silent_ = false;
            leave_all();
            end_monitor();
            begin_unauthenticated();
            end_transaction();
            return out.simple("RESET");
        case CommandId::Hello:
            return hello(request, out);
        case CommandId::Select: {
            auto n = resp::database_argument(request[1], door_.options_.databases);
            if (auto* error = std::get_if<resp::ArgumentError>(&n)) return out.error(error->text);
            database_ = static_cast<uint16_t>(std::get<int64_t>(n));
            return out.ok();
        }
        case CommandId::Time:
            return write_time(out, door_.shard_.clock().wall());
        case CommandId::Info:
            return out.verbatim("txt", door_.info(request));
        case CommandId::Monitor:
            return begin_monitor(out);
        case CommandId::Lolwut:
            return lolwut(request, out);
        default:
            break;
    }
    switch (resp::command_spec(spec.container).id) {
        case CommandId::Client:
            return client(spec, request, out);
        case CommandId::Config:
            return config(spec, request, out);
        case CommandId::SlowLog:
            return slow_log(spec, request, out);
        case CommandId::Latency:
            return latency(spec, request, out);
        case CommandId::Debug:
            return debug_in_exec(request, out);
        case CommandId::Command:
            return resp::write_command_reply(out, spec, request);
        case CommandId::Memory:
            return memory(spec, out);
        case CommandId::Object:
            return resp::write_help(out, resp::command_spec(spec.container));
        case CommandId::Unwatch:  // of a transaction, whose EXEC has done so
            return out.ok();
        default:
            return out.error("ERR '" + std::string(spec.name) + "' is not supported yet");
    }
}

// Answers in the version that it switches to, as Redis does.
void Session::hello(const resp::Request& request, resp::ReplyWriter& out) {
    auto parsed = resp::parse_hello_options(request);
    if (auto* error = std::get_if<resp::ArgumentError>(&parsed)) return out.error(error->text);
    if (!authenticated_) return out.error(resp::kHelloUnauthenticated);
    adopt(std::get<resp::HelloOptions>(parsed));
    out.speak(version_);
    greet(out);
}

void Session::adopt(const resp::HelloOptions& options) {
    if (options.client_name) name_ = options.client_name->str();
    if (options.version)
        version_ =
            *options.version == 3 ? resp::ProtocolVersion::Resp3 : resp::ProtocolVersion::Resp2;
}

void Session::greet(resp::ReplyWriter& out) const {
    out.map(7);
    out.bulk("server"), out.bulk("asterias");
    out.bulk("version"), out.bulk(door_.about_.version);
    out.bulk("proto"), out.integer(static_cast<int64_t>(version_));
    out.bulk("id"), out.integer(static_cast<int64_t>(id_));
    out.bulk("mode"), out.bulk("standalone");
    out.bulk("role"), out.bulk("master");
    out.bulk("modules"), out.array(0);
}

void Session::client(const resp::CommandSpec& spec, const resp::Request& request,
                     resp::ReplyWriter& out) {
    switch (spec.id) {
        case CommandId::ClientId:
            return out.integer(static_cast<int64_t>(id_));
        case CommandId::ClientGetName:
            return name_.empty() ? out.null() : out.bulk(name_);
        case CommandId::ClientSetName:
            if (const auto error = resp::client_name_error(request[2].view()); !error.empty())
                return out.error(error);
            name_ = request[2].str();
            return out.ok();
        case CommandId::ClientSetInfo:
            return out.ok();
        case CommandId::ClientInfo:
            return out.verbatim("txt", describe());
        case CommandId::ClientList:
            return list_clients(request, out);
        case CommandId::ClientKill:
            return kill_clients(request, out);
        case CommandId::ClientPause:
            return pause_clients(request, out);
        case CommandId::ClientUnpause:
            return unpause_clients(out);
        case CommandId::ClientUnblock:
            return unblock_client(request, out);
        case CommandId::ClientNoEvict:
            if (resp::equals_ignoring_case("on", request[2].view()) ||
                resp::equals_ignoring_case("off", request[2].view()))
                return out.ok();
            return out.error(resp::kSyntaxError);
        default:
            return resp::write_help(out, resp::command_spec(CommandId::Client));
    }
}

void Session::config(const resp::CommandSpec& spec, const resp::Request& request,
                     resp::ReplyWriter& out) {
    switch (spec.id) {
        case CommandId::ConfigGet:
            return get_config(request, out);
        case CommandId::ConfigSet:
            return set_config(request, out);
        case CommandId::ConfigResetStat:
            door_.reset_figures();
            return out.ok();
        default:
            return resp::write_help(out, resp::command_spec(CommandId::Config));
    }
}

// ------------------------------------------------------------------------------------- the door

Door::Door(port::Shard& shard, execute::Strategy& strategy, About about, Options options,
           Registry& registry, Log log)
    : shard_(shard),
      strategy_(strategy),
      about_(std::move(about)),
      figures_([this, &options]() -> Figures& {
          Figures* mine = &own_records_.add_door();
          if (options.records)
              options.records->with([&mine](Records& records) { mine = &records.add_door(); });
          return *mine;
      }()),
      options_(std::move(options)),
      log_(log.named("resp")),
      started_(shard.clock().now()),
      cursors_(about_.node, shard.id(), options_.cursors_max, options_.cursors_bytes_max),
      commands_(registry.counter("asterias_resp_commands_total", "Commands received over RESP.")),
      accepted_(registry.counter("asterias_resp_connections_total", "Connections accepted.")),
      refused_(registry.counter("asterias_resp_refused_connections_total",
                                "Connections refused at maxclients.")),
      protocol_errors_(registry.counter("asterias_resp_protocol_errors_total",
                                        "Connections closed for bytes that are no RESP.")),
      busy_(registry.counter("asterias_resp_busy_total",
                             "Commands refused because inflight-bytes-max was reached.")),
      slow_listeners_(registry.counter("asterias_resp_slow_listeners_total",
                                       "Connections closed because they did not read messages.")),
      wrong_passwords_(registry.counter("asterias_resp_wrong_passwords_total",
                                        "AUTH and HELLO with a wrong user or password.")),
      auth_timeouts_(registry.counter("asterias_resp_auth_timeouts_total",
                                      "Connections closed that did not authenticate in time.")),
      guests_closed_(registry.counter("asterias_resp_guests_closed_total",
                                      "Connections closed for what they asked before AUTH.")),
      cut_turns_(registry.counter("asterias_resp_cut_turns_total",
                                  "Connections whose commands went on in a later turn.")),
      crowds_(registry.counter("asterias_resp_crowded_total",
                               "Requests not read on because of requests-bytes-max.")),
      connected_(registry.gauge("asterias_resp_connections", "Connections open now.")),
      unfinished_(registry.gauge("asterias_resp_unfinished_bytes",
                                 "What requests hold that are not here as a whole.")),
      blocked_(registry.gauge("asterias_resp_blocked_clients",
                              "Connections that wait for the end of a CLIENT PAUSE.")) {
    shard_.add_turn_hook(port::TurnPhase::Work, *this);
    tune(options_);
}

Door::~Door() {
    shard_.remove_turn_hook(*this);
    if (favourite_timer_) shard_.timers().cancel(favourite_timer_);
    for (const auto timer : {drain_timer_, idle_timer_, pause_timer_, wake_timer_})
        if (timer) shard_.timers().cancel(timer);
    self_.forget();
}

static constexpr std::string_view kRefusal = "-ERR max number of clients reached\r\n";

Result<void> Door::listen() {
    port::AcceptHandler accepted = [this](std::unique_ptr<port::Connection> c) {
        accept(std::move(c));
    };
    auto refuse = [this] {
        refused_.add();
        return kRefusal;
    };
    listener_ = TRY(options_.listen ? options_.listen(shard_, refuse, std::move(accepted))
                                    : shard_.net().listen(options_.address, std::move(accepted)));
    address_ = listener_->address();
    return {};
}

void Door::accept(std::unique_ptr<port::Connection> connection) {
    if (sessions_.size() >= options_.connections_max) {
        refused_.add();
        connection->out().append(kRefusal);
        return connection->close_after_flush();
    }
    accepted_.add();
    connected_.add(1);
    const uint64_t id = next_session_++;
    auto session = std::make_unique<Session>(*this, id, std::move(connection));
    sessions_.emplace(id, std::move(session)).first->second->start();
}

void Door::remove(uint64_t session) {
    if (sessions_.erase(session) > 0) connected_.add(-1);
    if (drain_ended_ && sessions_.empty()) drained();
}

void Door::drain(Duration most, std::function<void()> ended) {
    listener_.reset();
    drain_ended_ = std::move(ended);
    for (auto& [id, session] : sessions_) {
        session->give_up_postponed();
        session->finish();
    }
    drain_timer_ = shard_.timers().after(most, [this] {
        drain_timer_ = {};
        drained();
    });
    if (sessions_.empty()) drained();
}

void Door::drained() {
    if (!drain_ended_) return;
    shard_.post(std::exchange(drain_ended_, {}));
}

Session* Door::find(uint64_t session) {
    const auto it = sessions_.find(session);
    return it == sessions_.end() ? nullptr : it->second.get();
}

bool Door::replies_full() const {
    return replies_owed_ > 0 && (replies_owed_ + 1) * reply_bytes_ > options_.replies_bytes_max;
}

void Door::completed(size_t command_bytes, size_t reply_bytes) {
    inflight_bytes_ -= command_bytes;
    --replies_owed_;
    reply_bytes_ = std::max(reply_bytes, reply_bytes_ - reply_bytes_ / 64);
    if (waiting_.empty() || replies_full()) return;
    // As many as may ask for one command each; who still finds no room comes back to the end.
    const size_t most = options_.replies_bytes_max / std::max<size_t>(reply_bytes_, 1);
    size_t room = most > replies_owed_ ? most - replies_owed_ : 1;
    // While nothing is owed nobody would call the rest: what they ask may need no answer from here.
    if (replies_owed_ == 0) room = waiting_.size();
    for (size_t n = waiting_.size(); n > 0 && room > 0; --n) {
        Session* session = find(waiting_.front());
        waiting_.pop_front();
        if (!session) continue;
        session->on_room();
        --room;
    }
}

size_t Door::share_of_turn(bool kept) {
    if (kept) turn_left_ += kShareOfTurn;
    return std::min(kShareOfTurn, turn_left_);
}

size_t Door::spend(size_t left, size_t bytes) {
    const size_t cost = std::min({left, turn_left_, 1 + bytes / kBytesOfWork});
    turn_left_ -= cost;
    return cost;
}

void Door::call_next_turn(uint64_t session) {
    cut_turns_.add();
    cut_short_.push_back(session);
}

// Who was cut short comes first, and half of a turn is for those who come anew.
void Door::on_turn_end() {
    turn_left_ = kWorkOfTurn;
    for (size_t n = cut_short_.size(); n > 0 && turn_left_ > kWorkOfTurn / 2; --n) {
        Session* session = find(cut_short_.front());
        cut_short_.pop_front();
        if (!session) continue;
        turn_left_ -= kShareOfTurn;
        session->on_turn();
    }
    if (!shown_.empty()) hand_out_shown();
}

void Door::everywhere(const std::function<void(Door&)>& what) {
    what(*this);
    if (about_.other_doors) about_.other_doors(what);
}

}  // namespace asterias::edge_resp
