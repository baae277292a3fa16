// edge/resp/translate.h: RESP requests to kv::Commands, and kv::Replies to RESP. Error texts are
// those of Redis where Redis has one (docs/adr/0007-resp-keyspace-by-prefix.md). Pure: a relative
// expiry stays relative (flag::kRelative) until the leader evaluates. Threading: none.
#pragma once

#include <string>
#include <variant>

#include "core/kv/command.h"
#include "proto/resp/command_table.h"
#include "proto/resp/reply.h"

namespace asterias::edge_resp {

// How a reply is shown, where the command asks for another form than the store answers in.
enum class Show : uint8_t {
    AsIs,
    Seconds,  // a positive integer of milliseconds, rounded to the nearest second as TTL of Redis
    Flag,     // 1 for OK, 0 for nil
    Map,      // an array of keys and values in turn
    Dumped,   // a value as DUMP shows it
    BusyKey,  // nil: RESTORE found the key
    BusyOrWrong,  // 1: so it did; else its payload was wrong, which Redis looks at behind that
};

struct Translated {
    kv::Command command;
    Show show = Show::AsIs;
};
struct Refused {
    std::string text;  // a whole error reply; nothing was done
};

// In bytes, of each key and value; beyond them Refused names the option.
struct TranslateLimits {
    size_t key_bytes_max, value_bytes_max;
    uint16_t databases;
};

// `spec` is what resolve_command() found for `request`, whose number of arguments is checked by
// then. Keys and values are slices of the request. The command's keyspace and client request are
// left for others to fill in. Commands without data answer Refused.
std::variant<Translated, Refused> translate(const resp::CommandSpec& spec,
                                            const resp::Request& request, uint16_t database,
                                            const TranslateLimits& limits);

// Appends the whole reply, in the protocol version of `out`.
void write_reply(resp::ReplyWriter& out, const kv::Reply& reply, Show show);

}  // namespace asterias::edge_resp
