// proto/resp/glob.h: the patterns of CONFIG GET, KEYS, SCAN, PSUBSCRIBE (base/glob.h).
#pragma once

#include "base/glob.h"

namespace asterias::resp {

using asterias::glob_match;
using asterias::GlobCase;

}  // namespace asterias::resp
