// What requests hold that are not here as a whole: of all connections of a door together, at most
// requests-bytes-max. Beyond that the larger ones rest, in the order in which they came to it, and
// one at a time goes on whatever is held, so that somebody always does: while others wait
// it has two seconds to end its request, or is closed. Nobody is charged for more than twice what
// it sent.
#include <algorithm>

#include "edge/resp/session.h"

namespace asterias::edge_resp {

namespace {
// Below it nobody rests: a connection may have so much in the runtime's buffer anyway.
constexpr size_t kSmallRequest = 64 * 1024;
constexpr Duration kTurnOfFavourite = seconds(2);
constexpr std::string_view kOverdue =
    "ERR the request took longer than 2 s while unfinished requests held requests-bytes-max";
}  // namespace

// `rest` bytes of a request are here beside its whole arguments, and `wanted` would be the next
// one. Returns how many to be called for: a part of them, so that the door hears how it grows.
size_t Session::hold(size_t rest, size_t wanted) {
    const size_t next = std::min(wanted, std::max(2 * rest, kSmallRequest));
    wish_ = parser_.held_bytes() + std::max(next, rest);
    if (door_.may_hold(id_, claim_, wish_)) {
        claim(wish_);
    } else {
        claim(parser_.held_bytes() + rest);
        waits_for_memory_ = true;
        door_.crowd(id_);
        regulate();
    }
    return next;
}

void Session::claim(size_t bytes) {
    const size_t before = std::exchange(claim_, bytes);
    door_.unfinished_bytes_ += bytes - before;
    door_.unfinished_.set(static_cast<int64_t>(door_.unfinished_bytes_));
    if (bytes < before) door_.let_in();
}

void Session::on_memory() {
    waits_for_memory_ = false;
    claim(wish_);
    regulate();
}

void Session::yield_favour() {
    reply_error(kOverdue);
    finish();
}

bool Door::may_hold(uint64_t session, size_t before, size_t bytes) {
    if (bytes <= std::max(kSmallRequest, before) || session == favourite_) return true;
    const bool fits = unfinished_bytes_ - before + bytes <= options_.requests_bytes_max;
    if (fits && crowded_.empty()) return true;
    if (favourite_) return false;
    favour(session);
    return true;
}

void Door::crowd(uint64_t session) {
    crowds_.add();
    crowded_.push_back(session);
}

void Door::let_in() {
    while (!crowded_.empty()) {
        const uint64_t id = crowded_.front();
        if (Session* session = find(id); session && !session->ended_) {
            const bool fits =
                unfinished_bytes_ - session->claim_ + session->wish_ <= options_.requests_bytes_max;
            if (!fits && favourite_) return;
            if (!fits) favour(id);
            crowded_.pop_front();
            session->on_memory();
        } else {
            crowded_.pop_front();
        }
    }
}

void Door::favour(uint64_t session) {
    favourite_ = session;
    favourite_timer_ = shard_.timers().after(kTurnOfFavourite, [door = self_] {
        if (door.get()) door.get()->next_favourite();
    });
}

void Door::next_favourite() {
    favourite_timer_ = {};
    const uint64_t id = std::exchange(favourite_, 0);
    if (crowded_.empty()) return favour(id);  // it harms nobody
    if (Session* late = find(id)) late->yield_favour();
    let_in();
}

void Door::request_ended(uint64_t session) {
    if (favourite_ != session) return;
    favourite_ = 0;
    if (favourite_timer_) shard_.timers().cancel(std::exchange(favourite_timer_, {}));
    let_in();
}

}  // namespace asterias::edge_resp
