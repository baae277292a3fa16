#include "journal/writer.h"

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mutant.h"

namespace asterias::journal {
namespace {

std::string shard_label(port::Shard& shard) { return "shard=\"" + to_string(shard.id()) + "\""; }

}  // namespace

Writer::Writer(port::Shard& shard, Options options, Registry& registry, Log log, Recovery recovery,
               std::unique_ptr<port::FileLock> lock)
    : shard_(shard),
      options_(options),
      log_(log),
      metrics_{
          registry.counter("asterias_journal_batches_total", "Batches made durable.",
                           shard_label(shard)),
          registry.counter("asterias_journal_bytes_total", "Bytes of records made durable.",
                           shard_label(shard)),
          registry.counter("asterias_journal_moved_total",
                           "Entries written again because they pinned an old segment.",
                           shard_label(shard)),
          registry.counter("asterias_journal_damaged_total",
                           "Old segments found damaged while running.", shard_label(shard)),
          registry.histogram("asterias_journal_sync_microseconds",
                             "Time of one write and sync of a batch.", shard_label(shard)),
          registry.gauge("asterias_journal_segments", "Segments in use.", shard_label(shard)),
          registry.gauge("asterias_journal_segment_bytes", "Size of the segments in use.",
                         shard_label(shard)),
          registry.gauge("asterias_journal_over_retained",
                         "1 while the segments in use exceed their bound.", shard_label(shard)),
          registry.gauge("asterias_journal_no_space",
                         "1 while no more work should be accepted for lack of space.",
                         shard_label(shard))},
      lock_(std::move(lock)),
      life_(recovery.life),
      chains_(std::move(recovery.chains)),
      stage_at_(recovery.end),
      next_sequence_(recovery.next_sequence),
      durable_(recovery.end),
      retention_(std::move(recovery.retention)),
      oldest_(recovery.oldest),
      spares_(shard.disk(), options, shard.id(), life_, recovery.next_sequence),
      prepare_sequence_(recovery.next_sequence),
      segment_ready_(shard),
      idle_(shard),
      progress_(shard),
      scope_(shard) {
    for (const SegmentFile& file : recovery.used)
        sealed_[file.sequence] = {file.bytes, file.end};
    for (const SegmentFile& file : recovery.spare)
        spares_.add(file);
    // The first segment in the life of a journal is needed from the start.
    if (oldest_ == 0) oldest_ = next_sequence_;
    update_gauges();
    shard_.add_turn_hook(port::TurnPhase::Sync, *this);
}

Writer::~Writer() {
    if (space_timer_) shard_.timers().cancel(space_timer_);
    if (!closed_) shard_.remove_turn_hook(*this);
}

port::Task<Result<void>> Writer::start() {
    // The look may set a timer that prepares, too.
    preparing_ = !MUTANT(journal_prepared_twice);
    co_await look_at_space();
    auto ready = co_await prepare_next();
    preparing_ = false;
    if (ready) start_preparing();
    co_return ready;
}

// --- staging -----------------------------------------------------------------------------------

void Writer::append(GroupId group, const std::vector<wire::Entry>& entries) {
    for (const wire::Entry& entry : entries) {
        GroupChain& chain = chains_[group];
        CHECK(entry.index > chain.purged_through(), "purged entries are not written again");
        CHECK(entry.index <= chain.last().next(), "entries of a group are contiguous");
        stage_entry(RecordType::Entry, group, entry, chain.crc(entry.index.prev()).value_or(0));
        chain.append(entry.index, entry.crc);
    }
}

void Writer::set_vote(GroupId group, Vote vote) {
    const uint64_t self = vote.self.value;
    stage({.type = RecordType::Vote,
           .group = group,
           .term = vote.term,
           .index = LogIndex(vote.vote.value)},
          Bytes::copy({reinterpret_cast<const char*>(&self), sizeof self}));
    chains_[group].vote = vote;
}

void Writer::purge(GroupId group, LogIndex through) {
    if (through <= chains_[group].purged_through()) return;
    stage({.type = RecordType::Purge, .group = group, .index = through}, {});
    chains_[group].purge(through);
}

void Writer::begin_install(GroupId group, LogPlace at) {
    CHECK(at.index.value > 0, "a snapshot holds at least one entry");
    stage({.type = RecordType::Begin, .group = group, .term = at.term, .index = at.index}, {});
    chains_[group].installing = at;
}

void Writer::installed(GroupId group) {
    auto chain = chains_.find(group);
    if (chain == chains_.end() || !chain->second.installing) return;
    stage({.type = RecordType::End, .group = group}, {});
    chain->second.installing.reset();
}

void Writer::reset(GroupId group, LogPlace at) {
    stage({.type = RecordType::Reset, .group = group, .term = at.term, .index = at.index}, {});
    chains_[group].reset(at);
}

void Writer::stage_entry(RecordType type, GroupId group, const wire::Entry& entry,
                         uint32_t prev_crc) {
    const size_t size = entry.payload.size();
    CHECK(size <= UINT32_MAX, "the size of an entry fits its record");
    RecordHeader header{.type = type,
                        .entry_kind = static_cast<uint8_t>(entry.kind),
                        .group = group,
                        .term = entry.term,
                        .index = entry.index,
                        .entry_crc = entry.crc,
                        .prev_crc = prev_crc,
                        .entry_bytes = static_cast<uint32_t>(size)};
    if (size <= options_.slice_bytes_max) return stage(header, entry.payload);
    for (size_t at = 0; at < size;) {
        const size_t count = std::min<size_t>(options_.slice_bytes_max, size - at);
        header.fragment = at == 0              ? Fragment::First
                          : at + count == size ? Fragment::Last
                                               : Fragment::Middle;
        stage(header, entry.payload.slice(at, count));
        at += count;
    }
}

void Writer::stage(RecordHeader header, const Bytes& body) {
    CHECK(!closed_, "nothing is appended after close()");
    if (opening_ || stage_at_.offset + record_bytes(body.size()) > options_.segment_bytes)
        begin_segment();
    header.body_bytes = static_cast<uint32_t>(body.size());
    const bool covered_by_entry_crc =
        header.fragment == Fragment::Whole &&
        (header.type == RecordType::Entry || header.type == RecordType::Moved);
    if (!covered_by_entry_crc) header.body_crc = crc32c(body.view());
    header.at = stage_at_;
    collecting_.add(header, body);
    stage_at_.offset += record_bytes(body.size());
}

void Writer::put(RecordHeader header, std::string_view body) {
    header.body_bytes = static_cast<uint32_t>(body.size());
    header.body_crc = crc32c(body);
    header.at = stage_at_;
    collecting_.add(header, body);
    stage_at_.offset += record_bytes(body.size());
}

// Every segment begins with all that older ones say beside entries, so that those can go.
void Writer::begin_segment() {
    const Start start{.previous_end = stage_at_, .opening = opening_};
    opening_ = false;
    stage_at_ = {next_sequence_++, kSegmentHeaderBytes};
    uint8_t body[kStartBodyBytes];
    encode(start, body);
    put({.type = RecordType::Start}, {reinterpret_cast<const char*>(body), sizeof body});

    const size_t marks_max = marks_per_record();
    BytesBuilder marks;
    size_t left = chains_.size();
    for (const auto& [group, chain] : chains_) {
        GroupMark mark = chain.mark(group);
        if (MUTANT(journal_vote_lost_at_segment_switch)) mark.vote = {};
        if (MUTANT(journal_marks_without_self)) mark.vote.self = {};
        if (MUTANT(journal_install_bracket_lost)) mark.installing = {};
        if (MUTANT(journal_reset_forgotten_at_segment_switch)) mark.purged.term = {};
        encode(mark, marks.extend(kGroupMarkBytes));
        if (--left > 0 && marks.size() < marks_max * kGroupMarkBytes) continue;
        put({.type = RecordType::Groups}, marks.view());
        marks.clear();
    }
    if (stage_at_.offset + record_bytes(options_.slice_bytes_max) > options_.segment_bytes)
        fail_node("journal: segment_bytes is too small for the number of groups");
}

// --- writing -----------------------------------------------------------------------------------

void Writer::on_turn_end() {
    if (writing_ || failed_ || collecting_.empty()) return;
    writing_ = true;
    std::swap(collecting_, flying_);
    batch_ = batch_.next();
    scope_.spawn("journal.write", write_out());
}

port::Task<> Writer::write_out() {
    uint64_t told_oldest = oldest_;
    for (size_t part = 0; part < flying_.parts(); ++part) {
        const Position begin = flying_.part_begin(part);
        if (begin.segment != current_.sequence && !co_await use_segment(begin.segment)) co_return;
        told_oldest = oldest_;
        const Instant from = shard_.clock().now();
        auto pieces = flying_.seal(part, durable_, told_oldest, life_);
        const auto durability =
            MUTANT(journal_ack_before_sync) ? port::Durability::Volatile : port::Durability::Synced;
        auto written = co_await current_.file->write(begin.offset, std::move(pieces), durability);
        if (!written) {
            fail_node("journal: " + spares_.path(begin.segment) + ": " +
                      written.error().describe());
            co_return;
        }
        durable_ = {begin.segment, begin.offset + flying_.part_bytes(part)};
        last_sync_ = shard_.clock().now() - from;
        metrics_.sync.record_micros(
            static_cast<uint64_t>(std::chrono::duration_cast<microseconds>(last_sync_).count()));
    }
    metrics_.batches.add();
    metrics_.bytes.add(flying_.bytes());
    settle();
    flying_.clear();
    writing_ = false;
    persisted_ = persisted_.next();
    if (observer_) observer_->on_persisted(persisted_);

    // What that record said is durable now: older segments are free.
    bool freed = false;
    while (!sealed_.empty() && sealed_.begin()->first < told_oldest) {
        spares_.add({sealed_.begin()->first, sealed_.begin()->second.bytes, 0, true});
        sealed_.erase(sealed_.begin());
        freed = true;
    }
    if (freed) start_preparing();
    release();
    update_gauges();
    progress_.notify();
    idle_.notify();
    if (shard_.clock().now() >= next_look_) start_looking();
    maybe_move();
}

// The batch is durable: its facts may decide from now on what is forgotten.
void Writer::settle() {
    for (const Batch::Item& item : flying_.items()) {
        const uint64_t bytes = record_bytes(item.body_bytes);
        switch (item.type) {
            case RecordType::Purge:
                retention_.purge(item.group, item.index);
                break;
            case RecordType::Reset:
                retention_.forget(item.group);
                break;
            case RecordType::Entry:
            case RecordType::Moved: {
                if (item.fragment <= Fragment::First) {
                    sliced_segment_ = item.segment;
                    sliced_bytes_ = 0;
                }
                sliced_bytes_ += bytes;
                if (item.fragment == Fragment::First || item.fragment == Fragment::Middle) break;
                if (item.type == RecordType::Entry)
                    retention_.entry(item.group, item.index, sliced_segment_, sliced_bytes_);
                else if (retention_.lives_in(item.group, item.index, oldest_))
                    retention_.moved(item.group, item.index, sliced_segment_, sliced_bytes_);
                break;
            }
            case RecordType::Start:
            case RecordType::Groups:
            case RecordType::Vote:
            case RecordType::Release:
            case RecordType::Begin:
            case RecordType::End:
                break;
        }
    }
}

// Every record tells the oldest segment still needed. Segments below go when a record that says so
// is durable; if nothing else is about to be written, one is written for that.
void Writer::release() {
    const uint64_t needed = retention_.oldest(durable_.segment);
    if (needed <= oldest_) return;
    oldest_ = needed;
    if (collecting_.empty() && !scope_.stop_requested()) stage({.type = RecordType::Release}, {});
}

port::Task<bool> Writer::use_segment(uint64_t sequence) {
    while (ready_.empty()) {
        waiting_for_segment_ = true;
        start_preparing();
        co_await segment_ready_.wait();
        if (failed_) co_return false;
    }
    waiting_for_segment_ = false;
    if (current_.sequence != 0)
        sealed_[current_.sequence] = {options_.segment_bytes, durable_.offset};
    CHECK(ready_.front().sequence == sequence, "segments are used in the order of their numbers");
    current_ = std::move(ready_.front());
    ready_.pop_front();
    start_preparing();
    co_return true;
}

void Writer::fail_node(const std::string& why) {
    failed_ = true;
    log_.error(why);
    idle_.notify();
    progress_.notify();
    shard_.fatal(why.c_str());
}

// --- the rest ----------------------------------------------------------------------------------

void Writer::update_gauges() {
    const Usage now = usage();
    metrics_.segments.set(static_cast<int64_t>(now.segments));
    metrics_.segment_bytes.set(static_cast<int64_t>(now.bytes));
    metrics_.over_retained.set(now.over_retained);
}

Journal::Usage Writer::usage() const {
    Usage usage;
    usage.segments = sealed_.size() + (current_.sequence != 0);
    if (current_.sequence != 0) usage.bytes = options_.segment_bytes;
    for (const auto& [sequence, segment] : sealed_)
        usage.bytes += segment.bytes;
    usage.last_sync = last_sync_;
    usage.no_space = no_space();
    usage.bytes_left = bytes_left();
    usage.over_retained = usage.bytes > options_.retained_bytes_max;
    return usage;
}

port::Task<> Writer::close() {
    scope_.request_stop();
    progress_.notify();
    while (!failed_ && (writing_ || !collecting_.empty())) {
        if (!writing_) on_turn_end();
        if (writing_ && !failed_) co_await idle_.wait();
    }
    if (space_timer_) shard_.timers().cancel(std::exchange(space_timer_, {}));
    co_await scope_.close();
    shard_.remove_turn_hook(*this);
    closed_ = true;
    current_ = {};
    ready_.clear();
}

}  // namespace asterias::journal
