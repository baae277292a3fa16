#include "app/probe.h"

#include <algorithm>

namespace asterias::app {
namespace {

constexpr std::chrono::milliseconds kBetween{100};
constexpr Duration kPatience = seconds(1);
// In the keyspace `default`, whichever there are: it has no colon.
constexpr const char* kKey = "asterias-top";

// In ms, without the pause that it makes itself between two reads.
uint64_t without_pause(std::chrono::steady_clock::duration gap) {
    const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(gap) - kBetween;
    return static_cast<uint64_t>(std::max(rest, std::chrono::milliseconds(0)).count());
}

}  // namespace

Probe::Probe(port::Address door, Access access)
    : door_(std::move(door)), access_(std::move(access)), thread_([this] { run(); }) {}

Probe::~Probe() {
    {
        std::lock_guard lock(mutex_);
        stop_ = true;
    }
    stopping_.notify_all();
    thread_.join();
}

Probe::Seen Probe::take() {
    std::lock_guard lock(mutex_);
    Seen seen;
    seen.reads = micros_.size();
    std::sort(micros_.begin(), micros_.end());
    if (!micros_.empty()) {
        seen.median_us = micros_[micros_.size() / 2];
        seen.max_us = micros_.back();
    }
    micros_.clear();
    seen.gap_ms = std::max(gap_ms_, without_pause(Clock::now() - answered_));
    seen.trouble = trouble_;
    return seen;
}

void Probe::run() {
    for (bool more = true; more;) {
        more = read_once();
        std::unique_lock lock(mutex_);
        if (stopping_.wait_for(lock, kBetween, [this] { return stop_; })) return;
    }
}

void Probe::failed(const std::string& why) {
    client_.reset();
    std::lock_guard lock(mutex_);
    trouble_ = why;
}

bool Probe::read_once() {
    if (!client_) {
        auto made = RespClient::connect(door_, kPatience, access_);
        if (!made) {
            failed(made.error().context);
            return made.error().code != Errc::Conflict;
        }
        client_ = std::move(*made);
    }
    const auto asked = Clock::now();
    const auto answer = client_->call({"GET", kKey});
    const auto now = Clock::now();
    if (!answer || answer->is_error()) {
        failed(answer ? answer->text.str() : answer.error().context);
        return !answer || !answer->text.view().starts_with("NOAUTH");
    }
    std::lock_guard lock(mutex_);
    trouble_.clear();
    micros_.push_back(static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(now - asked).count()));
    gap_ms_ = std::max(gap_ms_, without_pause(now - answered_));
    answered_ = now;
    return true;
}

}  // namespace asterias::app
