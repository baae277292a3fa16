// edge/resp/session.h: one connection of the Redis door: its parser, its state (database, name,
// protocol version) and the replies that wait for their turn.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "edge/resp/door.h"
#include "edge/resp/span.h"
#include "edge/resp/transaction.h"
#include "edge/resp/translate.h"
#include "proto/resp/arguments.h"

namespace asterias::edge_resp {

class Session : public port::ConnectionHandler, public pubsub::Listener {
public:
    Session(Door& door, uint64_t id, std::unique_ptr<port::Connection> connection);
    ~Session() override;

    void start() { connection_->start(*this); }
    // No more requests; ends when every reply is out.
    void finish();
    // A reply of the strategy for slot `slot`; writes out whatever is now in turn.
    void complete(uint64_t slot, kv::Reply reply, const execute::Listing* listing = nullptr);

    port::Consumed on_data(const Bytes& available) override;
    void on_end_of_stream() override;
    void on_closed(const Error& why) override;
    void on_drained() override;
    void on_message(const pubsub::Message& message, const std::string* pattern) override;
    // The door has room again, for one command at least.
    void on_room();
    // It may take up a share of the turn that begins.
    void on_turn();
    // unfinished.cc: there is room for what it wished to hold; others have their turn.
    void on_memory();
    void yield_favour();

private:
    friend class Door;
    // Of a command under way.
    struct Noted {
        const resp::CommandSpec* spec = nullptr;  // null: it is told already
        Instant began;
        uint32_t note_bytes = 0;  // of notes_; 0: none, as without a slow log
        bool failed = false;
    };
    // A reply that waits: for its command, or for an earlier one's.
    struct Slot {
        bool ready = false;
        Show show = Show::AsIs;
        resp::ProtocolVersion version = resp::ProtocolVersion::Resp2;  // when it was asked
        kv::Reply reply;
        Bytes raw;                         // already in RESP; used when not empty
        std::unique_ptr<Pending> pending;  // of WATCH, EXEC, messages and spans
        bool silent = false;               // CLIENT REPLY
        Noted noted;
    };
    static constexpr size_t kWatchedMax = 1000;                  // watched-keys-max
    static constexpr size_t kWatchedBytesMax = 4 * 1024 * 1024;  // watched-keys-bytes-max

    void run(resp::Request request);
    void perform(const resp::CommandSpec& spec, resp::Request request);
    void run_noted(const resp::CommandSpec& spec, resp::Request&& request);
    // records of what ran: session_records.cc
    void note(const resp::CommandSpec& spec, const resp::Request& request);
    void run_here(const resp::CommandSpec& spec, const resp::Request& request);
    static constexpr size_t kWorkOfLocal = 16 * 1024;
    size_t work_of(const resp::CommandSpec& spec, size_t written) const;
    int64_t micros_for(const resp::CommandSpec& spec) const;
    void keep_noted() { slots_.back().noted = std::exchange(noted_, {}); }
    void drop_note();  // of the present command
    void tell_front();
    void told(const resp::CommandSpec& spec, std::string_view note, uint64_t micros, bool failed);
    uint64_t micros_since(Instant began) const;
    void reject(const resp::Request& request);
    bool may_debug() const;
    void debug(const resp::Request& request);
    static void debug_in_exec(const resp::Request& request, resp::ReplyWriter& out);
    void wake(uint64_t slot);
    void sleep(uint64_t slot, Duration most);
    void slow_log(const resp::CommandSpec& spec, const resp::Request& request,
                  resp::ReplyWriter& out);
    void latency(const resp::CommandSpec& spec, const resp::Request& request,
                 resp::ReplyWriter& out);
    void set_config(const resp::Request& request, resp::ReplyWriter& out);
    void get_config(const resp::Request& request, resp::ReplyWriter& out);
    void run_data(const resp::CommandSpec& spec, const resp::Request& request,
                  kv::ClientRequest identity);
    void run_request(resp::Request request);
    // Answers at once; everything it writes goes through `out`.
    void run_local(const resp::CommandSpec& spec, const resp::Request& request,
                   resp::ReplyWriter& out);
    void hello(const resp::Request& request, resp::ReplyWriter& out);
    void adopt(const resp::HelloOptions& options);
    void greet(resp::ReplyWriter& out) const;
    void client(const resp::CommandSpec& spec, const resp::Request& request,
                resp::ReplyWriter& out);
    // clients.cc
    struct Filter;
    bool fits(const Filter& filter) const;
    std::string describe() const;
    void list_clients(const resp::Request& request, resp::ReplyWriter& out);
    void kill_clients(const resp::Request& request, resp::ReplyWriter& out);
    void reply_mode(const resp::Request& request);
    // pause.cc
    bool is_paused(const resp::CommandSpec& spec) const;
    void pause_before(const resp::CommandSpec& spec, const resp::Request& request);
    void postpone(const resp::CommandSpec& spec, const resp::Request& request);
    void go_on();
    bool listens_for_end() const;
    std::optional<Queued> take_postponed();
    void give_up_postponed();
    void pause_clients(const resp::Request& request, resp::ReplyWriter& out);
    void unpause_clients(resp::ReplyWriter& out);
    static void unblock_client(const resp::Request& request, resp::ReplyWriter& out);
    // monitor.cc
    void begin_monitor(resp::ReplyWriter& out);
    void end_monitor();
    bool may_while_monitoring(const resp::CommandSpec& spec) const;
    void show(const resp::CommandSpec& spec, const resp::Request& request);
    Shown shown_exec(const std::vector<Queued>& queued, const resp::Request& exec) const;
    void hear(const Bytes& lines);
    // figures.cc
    void lolwut(const resp::Request& request, resp::ReplyWriter& out);
    void memory(const resp::CommandSpec& spec, resp::ReplyWriter& out);
    void config(const resp::CommandSpec& spec, const resp::Request& request,
                resp::ReplyWriter& out);
    // `held`: what is held until the answer, besides the command.
    void send(kv::Command command, Show show, size_t held, std::unique_ptr<Pending> pending);
    void ask(uint64_t slot, kv::Command command, size_t held);
    TranslateLimits limits() const;

    // span.cc
    void run_span(const resp::CommandSpec& spec, const resp::Request& request);
    void begin_span(uint64_t slot);
    void find_place(uint64_t slot, uint64_t cursor);
    void ask_first(uint64_t slot, PendingSpan& span);
    bool goes_on(uint64_t slot, PendingSpan& span, kv::Reply& reply,
                 const execute::Listing* listing);

    // transaction.cc
    void run_transaction(const resp::CommandSpec& spec, resp::Request request);
    void queue(const resp::CommandSpec& spec, resp::Request request);
    void end_transaction();
    void forget_watched();
    size_t transaction_bytes_max() const { return 2 * door_.options_.value_bytes_max; }
    void watch(const resp::Request& request);
    void watched(const PendingWatch& watch, kv::Reply& reply);
    void exec(const resp::Request& request);
    static kv::Reply no_data();
    void run_part(const Queued& part, resp::ReplyWriter& out, bool silent);
    void run_noted_part(const Queued& part, resp::ReplyWriter& out, bool silent);
    void write_exec(resp::ReplyWriter& out, const PendingExec& exec, const kv::Reply& reply,
                    bool silent, uint64_t whole_micros);
    // Of what never ran; fails a transaction that is open.
    void refuse(std::string_view text);
    void refuse_shape(const resp::Request& request, std::string_view text);

    // subscriber.cc
    static std::string_view check_names(const resp::CommandSpec& spec,
                                        const resp::Request& request);
    void run_message(const resp::CommandSpec& spec, resp::Request request);
    bool run_in_turn(uint64_t slot, PendingMessage& pending);
    void confirmed(uint64_t slot);
    static bool gives_notice(const resp::CommandSpec& spec);
    void write_message_reply(resp::ReplyWriter& out, const PendingMessage& pending);
    void run_message_now(const resp::CommandSpec& spec, const resp::Request& request,
                         resp::ReplyWriter& out);
    void about_messages(const resp::CommandSpec& spec, const resp::Request& request,
                        resp::ReplyWriter& out);
    static void notice(resp::ReplyWriter& out, std::string_view verb, const Bytes* name,
                       int64_t count);
    pubsub::Messages::Taken listen(pubsub::Kind kind, const resp::Request& request,
                                   std::vector<int64_t>& counts, port::Callback known);
    void stop_listening(resp::CommandId id, const resp::Request& request, resp::ReplyWriter& out);
    std::set<std::string>& names_of(pubsub::Kind kind);
    int64_t count_of(pubsub::Kind kind);
    bool subscribed() const;
    bool only_listens() const;
    static bool may_while_listening(const resp::CommandSpec& spec);
    void leave_all();
    void release();

    void reply_error(std::string_view text);
    // Who it is (session_auth.cc). While a password is checked nothing else is parsed.
    static bool asks_password(const resp::CommandSpec& spec, const resp::Request& request);
    void auth(const resp::CommandSpec& spec, const resp::Request& request);
    struct Credentials {
        std::string user, password;
        std::optional<resp::HelloOptions> hello;
    };
    // Or the error.
    std::variant<Credentials, std::string_view> credentials_of(const resp::CommandSpec& spec,
                                                               const resp::Request& request) const;
    void authenticate(std::string user, std::string password);
    bool checks_passwords(const resp::Request& exec);
    void exec_again();
    void auth_in_exec(const Queued& part, resp::ReplyWriter& out);
    void take_verdict(Guard::Verdict verdict, const std::string& user,
                      const std::optional<resp::HelloOptions>& hello, resp::ReplyWriter& out);
    void on_verdict(Guard::Verdict verdict);
    void answer_auth(Guard::Verdict verdict);
    void begin_unauthenticated();
    bool may_still_ask();
    void auth_timed_out();
    // Later, on this session if it still is.
    port::TimerId after(Duration delay, void (Session::*call)());
    void answer_wrong() { answer_auth(Guard::Verdict::Wrong); }
    // Writes at once if no reply is owed before this one, else into a slot.
    template <typename Write>
    void reply_now(Write write) {
        if (silent_) {
            Chain nowhere;
            resp::ReplyWriter out(nowhere, version_, &door_);
            return write(out);
        }
        if (slots_.empty()) {
            resp::ReplyWriter out(connection_->out(), version_, &door_);
            return write(out);
        }
        Chain chain;
        resp::ReplyWriter out(chain, version_, &door_);
        write(out);
        slots_.push_back({true, Show::AsIs, version_, {}, chain.flatten(), nullptr});
        raw_bytes_ += slots_.back().raw.size();
    }
    Chain& out_for(const Slot& slot);
    void write_ready();
    bool full();
    void spend(size_t bytes);
    size_t hold(size_t rest, size_t wanted);
    void claim(size_t bytes);
    void regulate();
    void end();

    Door& door_;
    const uint64_t id_;
    std::unique_ptr<port::Connection> connection_;
    resp::Parser parser_;
    resp::ProtocolVersion version_ = resp::ProtocolVersion::Resp2;
    uint16_t database_ = 0;
    std::string name_;
    const Instant began_;
    Instant active_;  // when the last command came
    const resp::CommandSpec* last_command_ = nullptr;
    Noted noted_;  // of the command that is being run
    // What the slots keep for the slow log, one behind the other, from notes_done_ on; then that of
    // the command that is being run. One buffer, so that a command needs none of its own.
    std::string notes_;
    size_t notes_done_ = 0;
    bool replies_off_ = false, skip_next_ = false;
    bool silent_ = false;  // the present command is not answered
    Chain nowhere_;
    Transaction transaction_;
    std::array<std::set<std::string>, pubsub::kLastKind> subscriptions_;  // by kind
    bool holding_ = false;  // messages wait in `held_`
    Chain held_;
    bool stalled_ = false;             // what comes next depends on an answer on its way
    std::optional<Queued> postponed_;  // waits for the end of a CLIENT PAUSE
    bool monitoring_ = false;
    uint64_t monitors_from_ = 0;  // the first slot behind the answer to MONITOR
    size_t query_bytes_ = 0;      // that are here of requests, the one that runs among them
    std::deque<Slot> slots_;
    uint64_t first_slot_ = 0;  // number of slots_.front()
    size_t raw_bytes_ = 0;     // of all slots' raw
    size_t reply_bytes_;       // of the largest reply of late; fades with each smaller one
    bool ending_ = false;      // no more requests; close once every reply is out
    bool ended_ = false;
    bool paused_ = false;
    bool waits_for_room_ = false;  // the door knows
    bool waits_for_turn_ = false;  // the door knows
    // Of a request that is not whole: what it is charged for, and would be to go on.
    bool waits_for_memory_ = false;  // the door knows
    size_t claim_ = 0, wish_ = 0;
    bool has_share_ = false;    // of this turn, kept for it
    size_t left_of_share_ = 0;  // while on_data runs

    struct Asked {
        uint64_t slot = 0;  // if an EXEC waits for it: which of its commands asks
        std::string user;
        std::optional<resp::HelloOptions> hello;  // AUTH came within HELLO
        Guard::GiveUp give_up;
    };
    bool authenticated_ = true;
    std::string user_;                           // kDefaultUser: or nobody yet, as Redis tells it
    std::optional<Asked> asked_;                 // a password is being checked
    std::optional<resp::Request> waiting_exec_;  // for those of its transaction
    uint32_t failures_ = 0;                      // in a row
    // Who never was a user may cost next to nothing.
    static constexpr uint32_t kGuestCommandsMax = 8;  // guest-commands-max, AUTH among them
    static constexpr size_t kGuestUnsentMax = 1024;   // guest-unsent-max
    bool was_user_ = false;
    uint32_t guest_commands_ = 0;
    port::TimerId auth_timer_;
};

}  // namespace asterias::edge_resp
