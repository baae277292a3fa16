// main of every test binary in the preset `mutants`: the planted bug comes from the environment.
#include <cstdlib>

#include <gtest/gtest.h>

#include "base/mutant.h"

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (const char* name = std::getenv("MUTANT"); name && *name) asterias::set_mutant(name);
    return RUN_ALL_TESTS();
}
