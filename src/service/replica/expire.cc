// Expiry in the background. A read that meets a passed deadline has its deletion put into the log
// at once; this sweep finds what nobody reads: the leader walks its keyspace in small steps and
// asks for what has expired, as a reader would. It rests while no record carries a deadline.
#include "service/replica/replica.h"

namespace asterias::replica {
namespace {
// A step is held in memory, with one value more: its limit on bytes keeps large values from filling
// it. And after a step that read more than that the sweep rests for longer, so that it never takes
// much of the disk: 2,560 keys and 10 MiB a second and group at the most.
constexpr port::ScanLimit kStep{.entries = 256, .bytes = 1024 * 1024};
constexpr Duration kStepInterval = milliseconds(100);
constexpr Duration kAskTimeout = seconds(5);
constexpr uint64_t kNobody =
    ~uint64_t{0};  // a connection that does not exist: the answer is dropped
}  // namespace

void Replica::sweep() {
    const Instant now = parts_.shard.clock().now();
    if (!keyspace_ || !sweep_wanted_ || sweeping_ || now < next_sweep_ || !core_->ready_to_lead())
        return;
    if (sweep_from_.empty()) {
        sweep_from_ = kv::data_prefix(keyspace_);
        sweep_found_ = false;
    }
    sweeping_ = true;
    next_sweep_ = now + kStepInterval;
    scope_.spawn("replica.sweep", sweep_step(sweep_from_));
}

port::Task<> Replica::sweep_step(Bytes from) {
    const Bytes end = kv::after_prefix(kv::data_prefix(keyspace_));
    auto found = co_await parts_.engine.scan(parts_.shard, std::move(from), end, kStep);
    sweeping_ = false;
    if (!found || stopped_ || !core_->ready_to_lead()) co_return;
    const int64_t now_ms = parts_.shard.clock().wall().millis();
    size_t bytes = 0;
    for (const auto& [key, value] : *found) {
        bytes += key.size() + value.size();
        if (!kv::has_expiry(value) || key.size() < kv::kDataPrefixBytes) continue;
        sweep_found_ = true;
        const auto record = kv::decode_record(value);
        if (!record || record->expiry_ms > now_ms) continue;
        Incoming ask;
        // A term is an epoch: what one leadership refused is over with it.
        ask.origin = {parts_.shard.id(), kNobody, 0, core_->term().value};
        ask.deadline = parts_.shard.clock().now() + kAskTimeout;
        ask.command = kv::exists_by_key(key);
        submit(std::move(ask));
    }
    next_sweep_ += kStepInterval * static_cast<int64_t>(bytes / kStep.bytes);
    if (!kStep.reached(found->size(), bytes)) {
        sweep_from_ = {};
        sweep_wanted_ = sweep_found_;
    } else {
        // The first key after the last one seen.
        BytesBuilder next(found->back().key.size() + 1);
        next.append(found->back().key.view());
        next.push_back(0);
        sweep_from_ = next.take();
    }
}

}  // namespace asterias::replica
