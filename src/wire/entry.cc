#include "wire/entry.h"

#include <cstring>

#include "base/crc32c.h"

namespace asterias::wire {

uint32_t entry_crc(GroupId group, const Entry& entry) {
    char head[25];
    std::memcpy(head, &group.value, 8);
    std::memcpy(head + 8, &entry.term.value, 8);
    std::memcpy(head + 16, &entry.index.value, 8);
    head[24] = static_cast<char>(entry.kind);
    return crc32c(entry.payload.view(), crc32c({head, sizeof head}));
}

Entry make_entry(GroupId group, Term term, LogIndex index, EntryKind kind, Bytes payload) {
    Entry e{term, index, kind, 0, std::move(payload)};
    e.crc = entry_crc(group, e);
    return e;
}

}  // namespace asterias::wire
