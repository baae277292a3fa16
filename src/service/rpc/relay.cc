#include "service/rpc/relay.h"

#include <utility>

#include "base/mutant.h"

namespace asterias::rpc {

Onward::Onward(port::Connection& near, std::function<void(const Error&)> ended, Counter& bytes)
    : near_(near), ended_(std::move(ended)), bytes_(bytes) {
    near_.pause_reading(true);
}

void Onward::begin(std::unique_ptr<port::Connection> far, const Bytes& first) {
    far_ = std::move(far);
    far_->start(*this);
    far_->out().append(first);
    near_.pause_reading(false);
}

port::Consumed Onward::carry(const Bytes& available) {
    if (stopped_) return {available.size(), 0};
    if (!far_) return {};  // shown again
    bytes_.add(available.size());
    far_->out().append(available);
    if (far_->unsent() > port::kHighOutputMark && !MUTANT(rpc_relay_unbounded))
        near_.pause_reading(true);
    return {available.size(), 0};
}

void Onward::near_drained() {
    if (far_ && !stopped_) far_->pause_reading(false);
}

port::Consumed Onward::on_data(const Bytes& available) {
    if (stopped_) return {available.size(), 0};
    bytes_.add(available.size());
    near_.out().append(available);
    if (near_.unsent() > port::kHighOutputMark && !MUTANT(rpc_relay_unbounded))
        far_->pause_reading(true);
    return {available.size(), 0};
}

void Onward::on_drained() {
    if (!stopped_) near_.pause_reading(false);
}

void Onward::on_end_of_stream() { end({Errc::Closed, "the other end closed the connection"}); }
void Onward::on_closed(const Error& why) { end(why); }

void Onward::end(const Error& why) {
    if (stopped_ || MUTANT(rpc_relay_half_open)) return;
    if (auto ended = std::exchange(ended_, {})) ended(why);
}

}  // namespace asterias::rpc
