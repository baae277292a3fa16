// sim/check/verdict.h: what a checker found, in words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/check/history.h"

namespace asterias::sim {

// Undecided: the search met its limit, or evidence is missing (no final read). Never a pass.
enum class Verdict : uint8_t { Pass, Undecided, Violation };

std::string_view to_string(Verdict verdict);

struct Finding {
    Verdict verdict = Verdict::Violation;
    std::string check;  // "linearizable", "order", "atomic", "counters", "requests", "final"
    std::string text;   // for people; several lines, each with its end
    History trace;      // few operations that show it, as a history of its own; may be empty
};

struct CheckReport {
    std::vector<Finding> findings;  // Violation and Undecided only
    uint64_t operations = 0;        // looked at
    uint64_t steps = 0;             // of the search

    Verdict verdict() const;  // the worst of the findings
    void add(CheckReport other);
    std::string print() const;
};

}  // namespace asterias::sim
