// test_support/mutants.h: lets a test binary of the preset `mutants` run with one planted bug:
//     MUTANT=raft_double_vote build/mutants/test_core_raft     must fail
#pragma once

#include <cstdlib>

#include "base/mutant.h"

namespace asterias::test {

// Call from a gtest Environment (not from a static initialiser: those of base may run after it).
// True: a mutant is on.
inline bool take_mutant_from_environment() {
#ifdef ASTERIAS_MUTANTS
    const char* name = std::getenv("MUTANT");
    if (!name || !*name) return false;
    set_mutant(name);
    return true;
#else
    return false;
#endif
}

}  // namespace asterias::test
