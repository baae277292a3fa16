// base/mutant.h: planted bugs. MUTANT(name) is a constant false in every build but the preset
// `mutants`, where it is true for the one mutant that set_mutant() chose. The checkers must catch
// each (`./dev sim --mutants`): a test that cannot fail proves nothing.
#pragma once

#include <string_view>

namespace asterias {
#ifdef ASTERIAS_MUTANTS
void set_mutant(std::string_view name);
bool mutant_on(std::string_view name);
#define MUTANT(name) ::asterias::mutant_on(#name)
#else
#define MUTANT(name) false
#endif
}  // namespace asterias
