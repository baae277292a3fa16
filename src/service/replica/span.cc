// Reads of all keys of a database, and what deletes them. A read is taken from a frozen view of the
// engine, in slices off the shard, so that the loop goes on however many keys there are. That view
// has everything that was committed when the heartbeat round confirmed the read, and it holds only
// what is committed: the read is of one moment between question and answer.
#include "core/kv/span.h"

#include <algorithm>

#include "base/mutant.h"
#include "port/sync.h"
#include "service/execute/execute.h"
#include "service/replica/replica.h"

namespace asterias::replica {
namespace {
// Their replies are held in memory while they grow (kv::kSpanReplyBytesMax each).
constexpr size_t kSpansMax = 2;
constexpr size_t kSpansWaitingMax = 1000;
// Held in memory, with one value more.
constexpr port::ScanLimit kSlice{.entries = 4096, .bytes = 1024 * 1024};
// Of matching, in one turn; one key can take 64 times as many.
constexpr uint64_t kStepsInTurn = 1024 * 1024;
}  // namespace

// At its place in the queue: what comes behind it does not wait for it.
bool Replica::hold_span(const Incoming& request, Round& round) {
    const bool free = MUTANT(replica_span_before_own_writes);
    const LogIndex stands_on = free ? LogIndex() : gateways_[request.session].stands_on;
    round.spans.push_back({request, stands_on, parts_.shard.clock().now()});
    return true;
}

void Replica::confirm_spans(uint64_t context) {
    auto node = spans_.extract(context);
    if (!node) return;
    for (auto& span : node.mapped()) {
        if (confirmed_spans_.size() >= kSpansWaitingMax) {
            parts_.surroundings.answer(config_.group, span.request.origin,
                                       {Answer::Kind::Busy, {}, {}, {}, {}});
            continue;
        }
        if (!MUTANT(replica_span_before_own_writes))
            span.depends_on = std::max(span.depends_on, core_->commit());
        confirmed_spans_.push_back(std::move(span));
    }
    wake();
}

void Replica::refuse_spans(uint64_t context) {
    auto node = spans_.extract(context);
    if (!node) return;
    for (const auto& span : node.mapped())
        parts_.surroundings.answer(config_.group, span.request.origin,
                                   {Answer::Kind::Lost, core_->leader(), term_seen_, {}, {}});
}

void Replica::lose_spans() {
    const Answer lost{Answer::Kind::Lost, core_->leader(), core_->term(), {}, {}};
    const auto lose = [&](const PendingSpan& span) {
        parts_.surroundings.answer(config_.group, span.request.origin, lost);
    };
    for (const auto& [context, spans] : std::exchange(spans_, {}))
        std::ranges::for_each(spans, lose);
    std::ranges::for_each(std::exchange(confirmed_spans_, {}), lose);
    for (const auto& [number, span] : std::exchange(reading_spans_, {}))
        lose(span);
}

void Replica::start_spans() {
    if (stopped_ || confirmed_spans_.empty()) return;
    const Instant now = parts_.shard.clock().now();
    std::erase_if(confirmed_spans_, [&](const PendingSpan& span) {
        if (now <= span.request.deadline) return false;
        parts_.surroundings.answer(config_.group, span.request.origin,
                                   {Answer::Kind::Refused, {}, {}, {}, {}});
        return true;
    });
    while (!confirmed_spans_.empty() && reading_spans_.size() < kSpansMax) {
        if (confirmed_spans_.front().depends_on > applied_.index) return;
        if (!MUTANT(replica_span_before_own_writes) && !write_to_engine()) return;
        // The boundary is that of the view.
        if (boundary_.refuses(confirmed_spans_.front().request.command) &&
            !MUTANT(replica_span_over_fence)) {
            parts_.surroundings.answer(config_.group, confirmed_spans_.front().request.origin,
                                       done(kv::Reply::error(execute::kMoved), applied_.index));
            confirmed_spans_.pop_front();
            continue;
        }
        const uint64_t number = next_span_++;
        reading_spans_.emplace(number, std::move(confirmed_spans_.front()));
        confirmed_spans_.pop_front();
        scope_.spawn("replica.span", read_span(number, parts_.engine.snapshot(), boundary_));
    }
}

port::Task<> Replica::read_span(uint64_t number, std::shared_ptr<port::EngineSnapshot> view,
                                catalogue::Boundary boundary) {
    const auto [command, began, deadline] = [&] {
        const PendingSpan& span = reading_spans_.at(number);
        return std::tuple(span.request.command, span.began, span.request.deadline);
    }();
    kv::SpanRead read(command, parts_.shard.clock().wall().millis(), parts_.shard.entropy().next());
    const port::ScanLimit slice{std::min(kSlice.entries, read.entries_most()), kSlice.bytes};
    const Instant patience = began + (deadline - began) / 4 * 3;
    Bytes from = read.from();
    uint64_t steps_before = 0;
    bool ended = false;
    while (!ended && !read.full()) {
        const auto found =
            co_await parts_.engine.scan_view(parts_.shard, view, from, read.to(), slice);
        if (stopped_ || !reading_spans_.contains(number)) co_return;
        if (!found) {
            stop("the engine cannot read its keys: " + found.error().describe());
            co_return;
        }
        for (const auto& [key, value] : *found) {
            const bool hidden = boundary.fences(key.view().substr(kv::kDataPrefixBytes));
            if (hidden && !MUTANT(replica_span_sees_hidden)) {
                read.skip(key);
                if (read.full()) break;
                continue;
            }
            if (const auto taken = read.take(key, value); !taken) {
                stop("a stored record is damaged: " + taken.error().describe());
                co_return;
            }
            if (read.full()) break;
            if (read.steps() - steps_before < kStepsInTurn) continue;
            steps_before = read.steps();
            co_await port::sleep(parts_.shard, microseconds(1));  // the others' turn
            if (stopped_ || !reading_spans_.contains(number)) co_return;
            if (parts_.shard.clock().now() > patience)
                co_return conclude_span(number, kv::Reply::error(kv::kSpanTooSlow), 0, {});
        }
        ended = !slice.reached_by(*found);
        if (ended || command.op == kv::Op::Scan) break;
        from = key_behind(found->back().key);
        if (parts_.shard.clock().now() > patience)
            co_return conclude_span(number, kv::Reply::error(kv::kSpanTooSlow), 0, {});
    }
    kv::Reply reply = read.finish(ended);
    conclude_span(number, std::move(reply), read.now_ms(), read.take_expired());
}

// What it took for expired is deleted in the log first, by the clock that it was judged by: another
// leader's may be behind, and would show it again.
void Replica::conclude_span(uint64_t number, kv::Reply reply, int64_t now_ms,
                            std::vector<Bytes> expired) {
    Incoming request = std::move(reading_spans_.extract(number).mapped().request);
    if (!confirmed_spans_.empty()) wake();
    if (expired.empty() || MUTANT(replica_span_expiry_not_logged))
        return parts_.surroundings.answer(config_.group, request.origin,
                                          done(std::move(reply), applied_.index));
    kv::Command gone;
    gone.op = kv::Op::Exists;
    gone.keyspace = request.command.keyspace;
    gone.database = request.command.database;
    for (const auto& key : expired)
        gone.keys.push_back(key.suffix(kv::kDataPrefixBytes));
    request.command = std::move(gone);
    request.concluded = {now_ms, std::move(reply)};
    queue_bytes_ += request.bytes;
    queue_.push_back(std::move(request));
    wake();
}

// From here on the keys are absent, whatever overlay and engine had of them.
void Replica::hide_range(const Bytes& from, const Bytes& to, LogIndex index) {
    if (MUTANT(replica_flush_not_hidden)) return;
    std::erase_if(overlay_, [&](const auto& e) { return from <= e.first && e.first < to; });
    // It says of what it covers all that those said: so they are no more than there are databases.
    std::erase_if(flushed_, [&](const Flushed& f) { return from <= f.from && f.to <= to; });
    flushed_.push_back({index, from, to});
    deletions_.note_flush(index);
}

LogIndex Replica::flushed_at(const Bytes& key) const {
    for (auto f = flushed_.rbegin(); f != flushed_.rend(); ++f)
        if (f->from <= key && key < f->to) return f->index;
    return {};
}

}  // namespace asterias::replica
