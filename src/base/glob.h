// base/glob.h: glob patterns as Redis matches them (util.c: stringmatchlen): * ? [abc] [^a]
// [a-z] and \ for the next byte. CONFIG GET, KEYS, SCAN, PSUBSCRIBE.
// Takes at most pattern * text steps: only the last star is ever tried again.
#pragma once

#include <cstdint>
#include <string_view>

namespace asterias {

enum class GlobCase : uint8_t { Exact, Ignored };

bool glob_match(std::string_view pattern, std::string_view text, GlobCase mode = GlobCase::Exact);

}  // namespace asterias
