#include "base/mutant.h"

#include <string>

#ifdef ASTERIAS_MUTANTS
namespace asterias {
namespace {
std::string active;  // set once before any thread starts
}
void set_mutant(std::string_view name) { active = name; }
bool mutant_on(std::string_view name) { return active == name; }
}  // namespace asterias
#endif
