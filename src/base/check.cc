#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace asterias {
namespace {
thread_local int trap_depth = 0;
}

CheckTrap::CheckTrap() { ++trap_depth; }
CheckTrap::~CheckTrap() { --trap_depth; }

void check_failed(const char* condition, const char* why, std::source_location where) {
    std::string text = std::string(where.file_name()) + ":" + std::to_string(where.line()) +
                       ": CHECK failed: " + condition + " (" + why + ")";
    if (trap_depth > 0) throw CheckFailed(text);
    std::fprintf(stderr, "%s\n", text.c_str());
    std::fflush(stderr);
    std::abort();
}

}  // namespace asterias
