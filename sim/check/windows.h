// sim/check/windows.h: when can each operation have taken effect? From the outside only between its
// invocation and its reply; what others saw, and the order promised to a connection, narrow that.
// Every rule only cuts away moments at which the operation cannot have taken effect in any legal
// execution, so narrowing never makes a legal history look illegal.
#pragma once

#include <vector>

#include "sim/check/model.h"

namespace asterias::sim {

struct Window {
    Duration lo{0}, hi = kNever;
    bool certain = true;  // it took effect; else: inside the window, or never
};

// One per Model::ops(): from invocation to reply; without an answer, to the end of time.
std::vector<Window> windows_of(const Model& model);

// Who saw a value that one event alone can have given came after that event; so the event took
// place, before the reply to whoever saw it. True if something narrowed.
bool narrow_by_sight(const Model& model, std::vector<Window>& windows);

// On a key that only rises, who answered a smaller number came first. True if something narrowed.
bool narrow_by_counting(const Model& model, std::vector<Window>& windows);

// Commands of one connection take effect in the order sent: each after the earliest moment of any
// certain one before it and before the latest moment of any certain one after it. True if something
// narrowed.
bool narrow_by_connection(const Model& model, std::vector<Window>& windows);

}  // namespace asterias::sim
