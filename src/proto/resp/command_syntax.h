// proto/resp/command_syntax.h: what arguments each command takes, for COMMAND DOCS; redis-cli makes
// its hints of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/resp/command_table.h"
#include "proto/resp/reply.h"

namespace asterias::resp {

// One argument as COMMAND DOCS describes it.
struct SyntaxPart {
    std::string name;
    std::string_view type;  // Redis' names: "key", "string", "oneof", ...
    std::string token;      // the word before it, or that it is; empty: none
    bool optional = false, multiple = false;
    std::vector<SyntaxPart> parts;  // of a block or a oneof
};

// Empty: the command (or container) takes none of its own.
std::vector<SyntaxPart> command_syntax(CommandId id);
// How many words it takes at least.
size_t words_at_least(const std::vector<SyntaxPart>& parts);
// The value of "arguments".
void write_syntax(ReplyWriter& out, const std::vector<SyntaxPart>& parts);

}  // namespace asterias::resp
