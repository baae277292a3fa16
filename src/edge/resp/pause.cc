// CLIENT PAUSE: commands wait, one of each connection, and nothing behind it is read. Of this node
// and all its shards: writes that come by other nodes go on. Expiry does, too: the leader of a
// group decides it, for the clients of all nodes. CLIENT UNBLOCK is here, since nobody else waits.
#include <algorithm>

#include "base/mutant.h"
#include "edge/resp/session.h"
#include "proto/resp/arguments.h"
#include "proto/resp/errors.h"

namespace asterias::edge_resp {

using resp::CommandId;

namespace {

constexpr Duration kLongest = std::chrono::hours(24 * 365 * 10);
// As many connections go on in one turn of the loop at most, if it has so much work left.
constexpr size_t kWokenInTurn = 256;
constexpr size_t kReadWhileWaiting = 16 * 1024;

bool writes(const resp::CommandSpec& spec) {
    return spec.flags & resp::CommandFlags::kWrite || spec.id == CommandId::Publish ||
           spec.id == CommandId::SPublish || spec.id == CommandId::AsteriasRequest;
}

bool is(const Bytes& argument, std::string_view word) {
    return resp::equals_ignoring_case(word, argument.view());
}

std::string wrong_shape(const resp::Request& request) {
    return "ERR unknown subcommand or wrong number of arguments for '" +
           request[1].str().substr(0, 128) + "'. Try CLIENT HELP.";
}

}  // namespace

void Door::pause(Pause what, Duration rest) {
    pause_ = std::max(pause_, what);
    pause_ends_ = std::max(pause_ends_, shard_.clock().now() + rest);
    if (pause_timer_) shard_.timers().cancel(pause_timer_);
    pause_timer_ = shard_.timers().after(pause_ends_ - shard_.clock().now(), [this] {
        pause_timer_ = {};
        unpause();
    });
}

void Door::unpause() {
    if (pause_timer_) shard_.timers().cancel(std::exchange(pause_timer_, {}));
    pause_ = Pause::None;
    pause_ends_ = {};
    to_wake_ = postponed_.size();
    wake_soon();
}

// Never inside: who is woken may end a pause, too, and thousands may.
void Door::wake_soon() {
    if (to_wake_ > 0 && !wake_timer_)
        wake_timer_ = shard_.timers().after(microseconds(1), [this] { wake_postponed(); });
}

// Who has to wait again comes behind those.
void Door::wake_postponed() {
    wake_timer_ = {};
    for (size_t n = 0; n < kWokenInTurn && to_wake_ > 0 && !postponed_.empty(); ++n) {
        if (n > 0 && turn_left_ == 0) break;
        --to_wake_;
        Session* session = find(postponed_.front());
        postponed_.pop_front();
        if (session) session->go_on();
    }
    to_wake_ = std::min(to_wake_, postponed_.size());  // some may have been ended
    wake_soon();
}

// What is queued counts as what it will be, and EXEC as what was queued, as in Redis.
bool Session::is_paused(const resp::CommandSpec& spec) const {
    if (door_.pause_ == Door::Pause::None || monitoring_ || MUTANT(resp_pause_ignored))
        return false;
    if (door_.pause_ == Door::Pause::All) return true;
    if (spec.id != CommandId::Exec) return writes(spec);
    return std::ranges::any_of(transaction_.queued,
                               [](const Queued& queued) { return writes(*queued.spec); });
}

// Nobody may have it hold more than what is queued elsewhere.
void Session::pause_before(const resp::CommandSpec& spec, const resp::Request& request) {
    if (door_.inflight_bytes_ <= door_.options_.inflight_bytes_max) return postpone(spec, request);
    door_.busy_.add();
    reject(request);
    refuse_shape(request, execute::kBusyMemory);
}

// It is charged like what is queued.
void Session::postpone(const resp::CommandSpec& spec, const resp::Request& request) {
    postponed_.emplace(&spec, resp::Request());
    for (const auto& argument : request)
        postponed_->request.push_back(argument.compact());
    door_.inflight_bytes_ += postponed_->bytes();
    door_.blocked_.add(1);
    door_.postponed_.push_back(id_);
}

std::optional<Queued> Session::take_postponed() {
    if (postponed_) {
        door_.inflight_bytes_ -= postponed_->bytes();
        door_.blocked_.add(-1);
    }
    return std::exchange(postponed_, {});
}

// Who waits no longer: nothing was done of it.
void Session::give_up_postponed() {
    if (take_postponed()) std::erase(door_.postponed_, id_);
}

// Who waits for the end of a pause is read from as long as little comes: so it is noticed when it
// has gone.
bool Session::listens_for_end() const {
    return postponed_ && !waits_for_memory_ && claim_ <= kReadWhileWaiting;
}

void Session::go_on() {
    auto waiting = take_postponed();
    if (ended_ || !waiting) return;
    if (is_paused(*waiting->spec)) return postpone(*waiting->spec, waiting->request);
    left_of_share_ = door_.share_of_turn(false);
    spend(waiting->request.content_bytes());
    // What came meanwhile is shown once more when reading begins again.
    if (!std::exchange(paused_, true)) connection_->pause_reading(true);
    active_ = door_.shard_.clock().now();  // it takes its time from here on
    perform(*waiting->spec, std::move(waiting->request));
    if (ending_) return write_ready();
    regulate();
}

void Session::pause_clients(const resp::Request& request, resp::ReplyWriter& out) {
    if (request.size() > 4) return out.error(wrong_shape(request));
    auto what = Door::Pause::All;
    if (request.size() == 4 && is(request[3], "write"))
        what = Door::Pause::Writes;
    else if (request.size() == 4 && !is(request[3], "all"))
        return out.error("ERR CLIENT PAUSE mode must be WRITE or ALL");
    const auto parsed = resp::integer_argument(request[2]);
    const auto* number = std::get_if<int64_t>(&parsed);
    if (!number) return out.error("ERR timeout is not an integer or out of range");
    if (*number < 0) return out.error("ERR timeout is negative");
    constexpr auto kMost = std::chrono::duration_cast<std::chrono::milliseconds>(kLongest).count();
    const Duration rest = milliseconds(std::min<int64_t>(*number, kMost));
    door_.everywhere([what, rest](Door& door) { door.pause(what, rest); });
    out.ok();
}

void Session::unpause_clients(resp::ReplyWriter& out) {
    out.ok();
    door_.everywhere([](Door& door) { door.unpause(); });
}

// Who waits for the end of a pause is left alone, and nobody waits for anything else.
void Session::unblock_client(const resp::Request& request, resp::ReplyWriter& out) {
    if (request.size() > 4) return out.error(wrong_shape(request));
    if (request.size() == 4 && !is(request[3], "timeout") && !is(request[3], "error"))
        return out.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    const auto id = resp::integer_argument(request[2]);
    if (const auto* error = std::get_if<resp::ArgumentError>(&id)) return out.error(error->text);
    out.integer(0);
}

}  // namespace asterias::edge_resp
