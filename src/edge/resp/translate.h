// edge/resp/translate.h: RESP requests to kv::Commands, and kv::Replies to RESP.
#pragma once

#include <string>
#include <variant>

#include "core/kv/command.h"
#include "proto/resp/command_table.h"
#include "proto/resp/reply.h"

namespace asterias::edge_resp {

// How a reply is shown, where the command asks for another form than the store answers in.
enum class Show : uint8_t { AsIs, Seconds };

struct Translated {
    kv::Command command;
    Show show = Show::AsIs;
};
struct Refused {
    std::string text;  // a whole error reply; nothing was done
};

struct TranslateLimits {
    size_t key_bytes_max, value_bytes_max;
};

// `spec` is what resolve_command() found for `request`. Commands without data answer Refused.
std::variant<Translated, Refused> translate(const resp::CommandSpec& spec,
                                            const resp::Request& request, uint16_t database,
                                            const TranslateLimits& limits);

void write_reply(resp::ReplyWriter& out, const kv::Reply& reply, Show show);

}  // namespace asterias::edge_resp
