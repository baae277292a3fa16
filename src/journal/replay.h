// journal/replay.h: the meaning of a journal's records, in order. Pure: the same code judges bytes
// in start-up, in tests and in the fuzzer.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "journal/chain.h"
#include "journal/journal.h"
#include "journal/record.h"
#include "journal/retention.h"

namespace asterias::journal {

class Replay {
public:
    enum class Verdict : uint8_t {
        Applied,
        Breaks,  // valid by itself, but it does not follow from what came before: a hole
        Damage   // contradicts what was durable before it was written
    };

    // `first_segment`: the oldest one needed; its marks are taken as they stand.
    explicit Replay(uint64_t first_segment) : first_segment_(first_segment) {}

    // Changes nothing unless Applied.
    Verdict apply(const Record& record);
    // Why the last record was not applied.
    const std::string& why() const { return why_; }
    // In the middle of a sliced entry.
    bool unfinished() const { return sliced_.has_value(); }
    uint64_t records() const { return records_; }
    uint64_t bytes() const { return bytes_; }

    struct Result {
        std::map<GroupId, RecoveredGroup> recovered;
        std::map<GroupId, GroupChain> chains;
        Retention retention;
    };
    // The sum of it. Errors: Corrupt when entries above a purge mark are missing. Called last.
    asterias::Result<Result> finish();

private:
    struct Group {
        GroupChain chain;
        // Entries up to base that are not purged lie in segments before first_segment_, unless
        // they were moved; the newer ones are in `tail`.
        uint64_t base = 0;
        std::map<uint64_t, wire::Entry> moved;
        std::deque<wire::Entry> tail;
    };
    struct Sliced {
        RecordHeader first;
        BytesBuilder payload;
        uint64_t record_bytes;
    };

    Verdict breaks(const char* why) {
        why_ = why;
        return Verdict::Breaks;
    }
    Verdict apply_start(const Record& record);
    Verdict apply_groups(const Record& record);
    Verdict apply_slice(const Record& record);
    Verdict apply_headless(const RecordHeader& header);
    Verdict place(const RecordHeader& header, Bytes payload, uint64_t segment, uint64_t bytes);
    Verdict place_entry(const RecordHeader& header, Group& group, wire::Entry entry);
    Verdict place_moved(const RecordHeader& header, Group& group, wire::Entry entry);
    Verdict apply_vote(const Record& record);
    Verdict begin_install(const RecordHeader& header);
    void purge(const RecordHeader& header);
    void reset(const RecordHeader& header);

    const uint64_t first_segment_;
    std::map<GroupId, Group> groups_;
    Retention retention_;
    std::optional<Sliced> sliced_;
    bool at_head_ = true;  // nothing but marks and slices of one entry so far
    std::string why_;
    uint64_t records_ = 0, bytes_ = 0;
};

}  // namespace asterias::journal
