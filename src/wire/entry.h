// wire/entry.h: a Raft log entry, the one noun that the consensus core, the journal and the peers
// share. Its checksum is made once, by the leader that proposes it, and travels unchanged through
// frames and journals, so that a bit that flips anywhere is found anywhere (docs/formats/entry.md).
#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace asterias::wire {

class Reader;
class Writer;

enum class EntryKind : uint8_t {
    Noop = 1,     // first entry of a leader's term; empty
    Effects = 2,  // physical writes of evaluated commands
    Config = 3,   // a membership of the group
};
inline constexpr uint8_t kLastEntryKind =
    3;  // an unknown kind stops the group, it is never skipped

struct Entry {
    Term term;
    LogIndex index;
    EntryKind kind = EntryKind::Noop;
    uint32_t crc = 0;
    Bytes payload;

    bool operator==(const Entry&) const = default;
};

// CRC-32C over (group, term, index, kind, payload).
uint32_t entry_crc(GroupId group, const Entry& entry);
// An entry with its crc filled in.
Entry make_entry(GroupId group, Term term, LogIndex index, EntryKind kind, Bytes payload);
inline bool entry_intact(GroupId group, const Entry& e) { return entry_crc(group, e) == e.crc; }

}  // namespace asterias::wire
