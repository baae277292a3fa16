// proto/resp/command_info.h: the replies of COMMAND and of the HELP subcommands, written from the
// command table, in the shapes that redis-cli, redis-py and cluster clients parse.
// Deliberately thin: no key specifications, no tips, no argument trees; clients treat their absence
// as "none known" (key positions stand in the classic first/last/step fields).
// Threading: as the ReplyWriter.
#pragma once

#include "proto/resp/command_table.h"
#include "proto/resp/reply.h"
#include "proto/resp/request.h"

namespace asterias::resp {

// Answers COMMAND and COMMAND COUNT|DOCS|GETKEYS|HELP|INFO|LIST, also their errors. `spec` is what
// resolve_command() gave for `request`.
void write_command_reply(ReplyWriter& out, const CommandSpec& spec, const Request& request);

// <CONTAINER> HELP.
void write_help(ReplyWriter& out, const CommandSpec& container);

}  // namespace asterias::resp
