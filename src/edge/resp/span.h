// edge/resp/span.h: commands on all keys of a database: DBSIZE, KEYS, RANDOMKEY, SCAN, FLUSHDB,
// FLUSHALL. Each group that holds a keyspace is asked, one after the other, in the order of the
// keyspaces' numbers; SCAN asks one of them at a time. Which there are is told with the first
// answer (execute::Listing): so no key is missed, or told twice, that changes its keyspace
// meanwhile. It begins when all before it on its connection is answered: what is on its way from
// one keyspace to another could be met by neither question. Until it is answered itself nothing
// behind it is read. The session's part is at the end of span.cc.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "edge/resp/cursors.h"
#include "edge/resp/translate.h"
#include "service/execute/execute.h"

namespace asterias::edge_resp {

// Such a command on its way.
struct PendingSpan {
    kv::Command command;                  // to the keyspace that is asked; 0: the first one
    uint64_t cursor = 0;                  // of SCAN: that it came with
    std::optional<Cursors::Place> place;  // that it stands for; none: another node knows
    size_t bytes = 0;                     // of the request
    bool begun = false;
    size_t answered = 0;             // keyspaces
    uint64_t generation = 0;         // of the catalogue that they are of
    std::vector<KeyspaceId> behind;  // to be asked yet
    // What was heard so far.
    int64_t count = 0;
    kv::Reply found;
    size_t found_bytes = 0;

    // The answer to `command`. `random`: any number. True: the answer is complete, in `found`; else
    // the first of those behind is to be asked.
    bool take(kv::Reply reply, const execute::Listing* listing, uint64_t random);
};

// Of SCAN the cursor, besides; it is a canonical decimal number.
struct SpanAsked {
    kv::Command command;
    uint64_t cursor = 0;
};
// `spec` is of the class Span, the number of arguments is checked.
std::variant<SpanAsked, Refused> translate_span(const resp::CommandSpec& spec,
                                                const resp::Request& request, uint16_t database);

}  // namespace asterias::edge_resp
