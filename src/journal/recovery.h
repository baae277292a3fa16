// journal/recovery.h: start-up: reads every segment, replays it, and tells a torn tail from damage
// (rule 37; docs/formats/journal.md has the whole rule). Reads only: a journal that is refused was
// not touched.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "journal/chain.h"
#include "journal/journal.h"
#include "journal/record.h"
#include "journal/retention.h"
#include "port/disk.h"
#include "port/task.h"

namespace asterias::journal {

struct SegmentFile {
    uint64_t sequence = 0;  // that its name says
    uint64_t bytes = 0;     // size of the file
    uint64_t end = 0;       // of its records, for one in use
    bool sized = false;     // its size is known to be durable
};

struct Recovery {
    Recovered recovered;
    std::map<GroupId, GroupChain> chains;
    Retention retention;
    uint64_t life = 0;               // 0: nothing was ever written here
    Position end;                    // of the journal
    Bytes unproven;                  // the last bytes before `end`, not provably synced
    uint64_t oldest = 0;             // segments below are no longer needed
    uint64_t next_sequence = 1;      // above every name that was ever seen here
    std::vector<SegmentFile> used;   // ascending, from `oldest` on
    std::vector<SegmentFile> spare;  // never used under their name, or no longer needed
};

// `disk` outlives the task.
port::Task<Result<Recovery>> recover(port::Disk& disk, Options options);

}  // namespace asterias::journal
