// Who a connection is: AUTH, HELLO ... AUTH, and what it may cost to ask. Texts and the order of
// checks are those of Redis 7.0 (acl.c: authCommand; networking.c: helloCommand).
#include <algorithm>

#include "edge/resp/session.h"
#include "proto/resp/errors.h"

namespace asterias::edge_resp {
namespace {

constexpr std::string_view kBusyPasswords =
    "TRYAGAIN too many passwords are being checked; nothing was done";

constexpr std::string_view kTooManyOfGuest =
    "ERR too many commands before AUTH (guest-commands-max); the connection is closed";

// Who guesses waits: twice as long after each failure of a connection.
constexpr Duration kFirstWait = milliseconds(100);
constexpr uint32_t kDoublings = 5;

Duration wait_after(uint32_t failures) {
    return kFirstWait * (1 << std::min(failures - 1, kDoublings));
}

// Of a name that is an address; another one is the subject of a certificate.
std::string host_of(const port::PeerIdentity& peer) {
    return peer.authenticated ? peer.name : peer.name.substr(0, peer.name.rfind(':'));
}

}  // namespace

void Session::begin_unauthenticated() {
    Guard* guard = door_.options_.guard;
    authenticated_ = !guard || !guard->required();
    user_ = kDefaultUser;
    was_user_ = was_user_ || authenticated_;
    parser_.set_authenticated(authenticated_);
    if (!authenticated_ && !auth_timer_)
        auth_timer_ = after(door_.options_.auth_timeout, &Session::auth_timed_out);
}

port::TimerId Session::after(Duration delay, void (Session::*call)()) {
    return door_.shard_.timers().after(delay, [door = door_.self_, id = id_, call] {
        if (!door.get()) return;
        if (Session* s = door.get()->find(id)) (s->*call)();
    });
}

void Session::auth_timed_out() {
    auth_timer_ = {};
    if (ended_) return;
    door_.auth_timeouts_.add();
    end();  // whoever does not read its replies holds nothing here any longer
}

// False: that was too much of who never was a user.
bool Session::may_still_ask() {
    if (authenticated_ || was_user_) return true;
    const bool reads = connection_->unsent() + raw_bytes_ <= kGuestUnsentMax;
    if (reads && ++guest_commands_ <= kGuestCommandsMax) return true;
    door_.guests_closed_.add();
    if (!reads) {
        end();
        return false;
    }
    reply_error(kTooManyOfGuest);
    ending_ = true;
    return false;
}

bool Session::asks_password(const resp::CommandSpec& spec, const resp::Request& request) {
    if (spec.id != resp::CommandId::Hello) return spec.id == resp::CommandId::Auth;
    const auto parsed = resp::parse_hello_options(request);
    const auto* options = std::get_if<resp::HelloOptions>(&parsed);
    return options && options->credentials;
}

std::variant<Session::Credentials, std::string_view> Session::credentials_of(
    const resp::CommandSpec& spec, const resp::Request& request) const {
    if (spec.id == resp::CommandId::Hello) {
        auto options = std::get<resp::HelloOptions>(resp::parse_hello_options(request));
        const auto& given = *options.credentials;
        return Credentials{given.user.str(), given.password.str(), options};
    }
    if (request.size() > 3) return resp::kSyntaxError;
    if (request.size() == 3) return Credentials{request[1].str(), request[2].str(), {}};
    if (!door_.options_.guard || !door_.options_.guard->required())
        return resp::kNoPasswordConfigured;
    return Credentials{std::string(kDefaultUser), request[1].str(), {}};
}

void Session::auth(const resp::CommandSpec& spec, const resp::Request& request) {
    auto given = credentials_of(spec, request);
    if (auto* error = std::get_if<std::string_view>(&given)) return reply_error(*error);
    auto& credentials = std::get<Credentials>(given);
    asked_ = Asked{first_slot_ + slots_.size(), credentials.user, std::move(credentials.hello), {}};
    slots_.push_back({false, Show::AsIs, version_, {}, {}, nullptr, silent_});
    keep_noted();
    authenticate(std::move(credentials.user), std::move(credentials.password));
}

// What a transaction says of passwords is checked before anything of it runs, one after the other.
// True: exec() is called again when the next of them is.
bool Session::checks_passwords(const resp::Request& exec) {
    if (transaction_.failed || transaction_.watch_lost) return false;
    for (size_t i = 0; i < transaction_.queued.size(); ++i) {
        const Queued& queued = transaction_.queued[i];
        if (queued.verdict || !asks_password(*queued.spec, queued.request)) continue;
        auto given = credentials_of(*queued.spec, queued.request);
        auto* credentials = std::get_if<Credentials>(&given);
        if (!credentials) continue;  // told in its turn
        waiting_exec_.emplace();
        for (const auto& argument : exec)
            waiting_exec_->push_back(argument.compact());
        asked_ = Asked{i, credentials->user, {}, {}};
        drop_note();
        authenticate(std::move(credentials->user), std::move(credentials->password));
        return true;
    }
    return false;
}

void Session::exec_again() {
    if (ended_ || !waiting_exec_) return;
    left_of_share_ = door_.share_of_turn(false);
    resp::Request exec_request = std::move(*waiting_exec_);
    waiting_exec_.reset();
    perform(resp::command_spec(resp::CommandId::Exec), std::move(exec_request));
    ending_ ? write_ready() : regulate();
}

void Session::auth_in_exec(const Queued& part, resp::ReplyWriter& out) {
    auto given = credentials_of(*part.spec, part.request);
    if (auto* error = std::get_if<std::string_view>(&given)) return out.error(*error);
    CHECK(part.verdict.has_value(), "EXEC begins when all of them are known");
    auto& credentials = std::get<Credentials>(given);
    take_verdict(*part.verdict, credentials.user, credentials.hello, out);
}

void Session::authenticate(std::string user, std::string password) {
    Guard* guard = door_.options_.guard;
    // Without users there is one, which takes any password.
    if (!guard || !guard->required())
        return on_verdict(user == kDefaultUser ? Guard::Verdict::Right : Guard::Verdict::Wrong);
    auto give_up =
        guard->check(door_.shard_, host_of(connection_->peer()), std::move(user),
                     std::move(password), [door = door_.self_, id = id_](Guard::Verdict verdict) {
                         if (!door.get()) return;
                         if (Session* s = door.get()->find(id)) s->on_verdict(verdict);
                     });
    if (asked_) asked_->give_up = std::move(give_up);
}

void Session::on_verdict(Guard::Verdict verdict) {
    if (verdict != Guard::Verdict::Wrong) return answer_auth(verdict);
    door_.wrong_passwords_.add();
    // The user's name is not told: people mistype, and then it is the password.
    if (failures_ == 0) door_.tell_wrong_password(connection_->peer().name);
    ++failures_;
    after(wait_after(failures_), &Session::answer_wrong);
}

void Door::tell_wrong_password(const std::string& peer) {
    const Instant now = shard_.clock().now();
    if (told_wrong_at_ && now - *told_wrong_at_ < seconds(1)) {
        ++untold_wrong_;
        return;
    }
    told_wrong_at_ = now;
    log_.warn(peer + ": a wrong user or password (" +
              std::to_string(std::exchange(untold_wrong_, 0)) + " more not shown)");
}

void Session::answer_auth(Guard::Verdict verdict) {
    if (ended_ || !asked_) return;
    const Asked asked = std::move(*asked_);
    asked_.reset();
    if (waiting_exec_) {
        CHECK(asked.slot < transaction_.queued.size(), "nothing else is done while it is asked");
        transaction_.queued[asked.slot].verdict = verdict;
        return door_.shard_.post([door = door_.self_, id = id_] {
            if (Session* s = door.get() ? door.get()->find(id) : nullptr) s->exec_again();
        });
    }
    Chain reply;
    resp::ReplyWriter out(reply, version_, &door_);
    take_verdict(verdict, asked.user, asked.hello, out);
    Slot& slot = slots_[asked.slot - first_slot_];
    slot.raw = reply.flatten();
    raw_bytes_ += slot.raw.size();
    slot.noted.failed = verdict != Guard::Verdict::Right;
    slot.ready = true;
    write_ready();
}

// A HELLO is answered in the version that it switches to.
void Session::take_verdict(Guard::Verdict verdict, const std::string& user,
                           const std::optional<resp::HelloOptions>& hello, resp::ReplyWriter& out) {
    if (verdict == Guard::Verdict::Right) {
        authenticated_ = was_user_ = true;
        user_ = user;
        failures_ = 0;
        parser_.set_authenticated(true);
        if (auth_timer_) door_.shard_.timers().cancel(std::exchange(auth_timer_, {}));
        if (hello) adopt(*hello);
    }
    out.speak(version_);
    if (verdict == Guard::Verdict::Wrong)
        out.error(resp::kWrongPassword);
    else if (verdict == Guard::Verdict::Busy)
        out.error(kBusyPasswords);
    else if (hello)
        greet(out);
    else
        out.ok();
}

}  // namespace asterias::edge_resp
