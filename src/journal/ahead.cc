// Segments that are ready before they are needed, and how much space is left. Two are ready as long
// as there is space: so when the disk is full, what is left of the current one and the last of
// them, the ballast, take in what must go on: deletions, votes, what is under way.
#include <algorithm>
#include <numeric>

#include "base/mutant.h"
#include "journal/writer.h"

namespace asterias::journal {
namespace {

constexpr size_t kReady = 2;
constexpr Duration kLook = milliseconds(200);

constexpr uint64_t above(uint64_t value, uint64_t floor) {
    return value > floor ? value - floor : 0;
}

}  // namespace

void Writer::start_preparing() {
    if (preparing_ || failed_) return;
    preparing_ = true;
    scope_.spawn("journal.prepare", prepare_ahead());
}

port::Task<Result<void>> Writer::prepare_next() {
    auto file = co_await spares_.prepare(prepare_sequence_);
    segment_refused_ = !file && file.error().code == Errc::NoSpace;
    tell_space();
    if (!file) co_return std::unexpected(file.error());
    ready_.push_back({prepare_sequence_++, std::move(*file)});
    co_return Result<void>();
}

port::Task<> Writer::prepare_ahead() {
    while (!failed_) {
        if (ready_.size() >= kReady) {
            if (!spares_.surplus()) break;
            if (auto trimmed = co_await spares_.trim(); !trimmed)
                log_.warn("a spare segment was not deleted: " + trimmed.error().describe());
            continue;
        }
        auto made = co_await prepare_next();
        if (made) {
            if (waiting_for_segment_) segment_ready_.notify();
            continue;
        }
        if (!segment_refused_) {
            fail_node("journal: next segment: " + made.error().describe());
        } else if (waiting_for_segment_ && ready_.empty()) {
            fail_node("journal: the disk is full and so is every segment: " +
                      made.error().describe());
        }
        break;  // watch_space() tries again
    }
    preparing_ = false;
    if (failed_ && waiting_for_segment_) segment_ready_.notify();
}

// --- space ---------------------------------------------------------------------------------------

void Writer::start_looking() {
    if (looking_ || failed_ || scope_.stop_requested()) return;
    looking_ = true;
    scope_.spawn("journal.space", look_at_space());
}

port::Task<> Writer::look_at_space() {
    next_look_ = shard_.clock().now() + kLook;
    const auto space = co_await shard_.disk().space(options_.directory);
    looking_ = false;
    if (space && !MUTANT(journal_reserve_ignored)) {
        const uint64_t reserve =
            options_.reserve_bytes.value_or(port::default_reserve(space->total));
        // A little more ends it, so that it does not come and go.
        below_reserve_ = space->available < (below_reserve_ ? reserve + reserve / 8 : reserve);
    }
    tell_space();
}

// While space is short somebody looks again and again, also when nothing is written; else after
// writes.
void Writer::tell_space() {
    if (told_no_space_ != no_space()) {
        told_no_space_ = no_space();
        metrics_.no_space.set(told_no_space_);
        if (told_no_space_)
            log_.warn("disk nearly full: " + std::to_string(bytes_left()) +
                      " bytes left in segments that are ready");
        else
            log_.info("the disk has space again");
    }
    if (!no_space() || space_timer_ || failed_ || scope_.stop_requested()) return;
    space_timer_ = shard_.timers().after(kLook, [this] {
        space_timer_ = {};
        start_looking();
        start_preparing();
    });
}

uint64_t Writer::record_space(uint64_t payload) const {
    const uint64_t slices = payload / options_.slice_bytes_max;
    return slices * record_bytes(options_.slice_bytes_max) +
           record_bytes(payload % options_.slice_bytes_max);
}

uint64_t Writer::bytes_left() const {
    // A record that no longer fits leaves the rest of its segment empty.
    const uint64_t lost = record_bytes(options_.slice_bytes_max);
    const uint64_t marks_max = marks_per_record();
    const uint64_t head = kSegmentHeaderBytes + record_bytes(kStartBodyBytes) +
                          (chains_.size() / marks_max + 1) * record_bytes(0) +
                          chains_.size() * kGroupMarkBytes;
    uint64_t left = 0;
    const auto add = [&](uint64_t sequence) {
        if (!opening_ && sequence == stage_at_.segment)
            left += above(options_.segment_bytes, stage_at_.offset + lost);
        else if (opening_ || sequence > stage_at_.segment)
            left += above(options_.segment_bytes, head + lost);
    };
    if (current_.sequence != 0) add(current_.sequence);
    for (const Open& open : ready_)
        add(open.sequence);
    return above(left, options_.segment_bytes / 8);
}

bool Writer::fits(const std::vector<wire::Entry>& entries) const {
    if (!no_space()) return true;
    const uint64_t need = std::accumulate(entries.begin(), entries.end(), uint64_t{0},
                                          [this](uint64_t sum, const wire::Entry& entry) {
                                              return sum + record_space(entry.payload.size());
                                          });
    return need <= bytes_left();
}

}  // namespace asterias::journal
