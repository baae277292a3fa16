// journal/writer.h: the journal that open() returns. Three views of each fact, in this order:
// staged (chains_: what append() has been told; new records build on it), written, and durable
// (retention_: only what is durable decides what may be forgotten).
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "journal/batch.h"
#include "journal/chain.h"
#include "journal/journal.h"
#include "journal/recovery.h"
#include "journal/segments.h"
#include "port/scope.h"
#include "port/shard.h"
#include "port/sync.h"

namespace asterias::journal {

class Writer final : public Journal, port::TurnHook {
public:
    Writer(port::Shard& shard, Options options, Registry& registry, Log log, Recovery recovery,
           std::unique_ptr<port::FileLock> lock);
    ~Writer() override;

    // Makes the first segment ready. Errors: NoSpace, Io.
    port::Task<Result<void>> start();

    BatchId current_batch() const override { return batch_; }
    void append(GroupId group, const std::vector<wire::Entry>& entries) override;
    void set_vote(GroupId group, Vote vote) override;
    void purge(GroupId group, LogIndex through) override;
    void begin_install(GroupId group, LogPlace at) override;
    void installed(GroupId group) override;
    void reset(GroupId group, LogPlace at) override;
    void remove(GroupId group) override { reset(group, {}); }
    void set_observer(Observer& observer) override { observer_ = &observer; }
    bool fits(const std::vector<wire::Entry>& entries) const override;
    port::Task<> close() override;
    Usage usage() const override;

private:
    struct Metrics {
        Counter &batches, &bytes, &moved, &damaged;
        Histogram& sync;
        Gauge &segments, &segment_bytes, &over_retained, &no_space;
    };
    struct Open {
        uint64_t sequence = 0;
        std::unique_ptr<port::File> file;
    };

    struct Sealed {
        uint64_t bytes, end;  // of the file; of its records
    };

    // Staging (writer.cc).
    void stage_entry(RecordType type, GroupId group, const wire::Entry& entry, uint32_t prev_crc);
    void stage(RecordHeader header, const Bytes& body);
    void begin_segment();
    void put(RecordHeader header, std::string_view body);
    void on_turn_end() override;

    // Writing (writer.cc).
    port::Task<> write_out();
    port::Task<bool> use_segment(uint64_t sequence);
    void settle();
    void release();
    void fail_node(const std::string& why);
    void update_gauges();

    // Segments ready ahead, and space (ahead.cc).
    void start_preparing();
    port::Task<> prepare_ahead();
    port::Task<Result<void>> prepare_next();
    void start_looking();
    port::Task<> look_at_space();
    void tell_space();
    bool no_space() const { return below_reserve_ || segment_refused_; }
    uint64_t record_space(uint64_t payload) const;
    uint64_t bytes_left() const;
    size_t marks_per_record() const {
        return std::max<size_t>(
            1, std::min<size_t>(options_.slice_bytes_max, 64 * 1024) / kGroupMarkBytes);
    }

    // Moving entries out of the oldest segment (moving.cc).
    void maybe_move();
    port::Task<> move_oldest();
    struct Move;
    port::Task<Result<void>> move_from(uint64_t sequence);
    port::Task<Result<Bytes>> read_on(Move& move, uint64_t end);
    void stage_moved(Move& move, SegmentReader& reader, const Bytes& window);
    void stage_moved(const RecordHeader& header, Bytes payload);
    Result<void> widen(Move& move, const Bytes& window, uint64_t end) const;
    bool wants_move(const RecordHeader& header, uint64_t sequence) const;
    port::Task<> until_persisted(BatchId batch);

    port::Shard& shard_;
    const Options options_;
    Log log_;
    Metrics metrics_;
    const std::unique_ptr<port::FileLock> lock_;
    const uint64_t life_;
    Observer* observer_ = nullptr;

    // Staged.
    std::map<GroupId, GroupChain> chains_;
    Position stage_at_;    // where the next record goes; the end of the last opening at first
    bool opening_ = true;  // nothing was staged yet
    uint64_t next_sequence_;
    Batch collecting_, flying_;
    BatchId batch_{1};

    // Written and durable.
    bool writing_ = false, failed_ = false, closed_ = false;
    BatchId persisted_;
    Position durable_;
    Retention retention_;
    uint64_t oldest_;                    // needed, as far as is durable
    std::map<uint64_t, Sealed> sealed_;  // by sequence
    Open current_;
    uint64_t sliced_segment_ = 0, sliced_bytes_ = 0;  // of an entry whose last slice is to come
    Duration last_sync_{};

    // Ahead.
    SpareSegments spares_;
    uint64_t prepare_sequence_;
    std::deque<Open> ready_;  // by sequence; they follow each other
    bool preparing_ = false, waiting_for_segment_ = false;
    bool segment_refused_ = false;  // for lack of space, by the last attempt
    bool below_reserve_ = false, looking_ = false, told_no_space_ = false;
    Instant next_look_{};
    port::TimerId space_timer_{};

    // Moving.
    bool moving_ = false;
    uint64_t immovable_ = 0;  // the segment that moving gave up on

    port::Signal segment_ready_, idle_, progress_;
    port::Scope scope_;
};

}  // namespace asterias::journal
