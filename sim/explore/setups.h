// sim/explore/setups.h: the setups that are explored, by name.
#pragma once

#include <string_view>
#include <vector>

#include "sim/explore/replica.h"

namespace asterias::sim::explore {

const std::vector<Setup>& setups();
// nullptr: there is none.
const Setup* find_setup(std::string_view name);

}  // namespace asterias::sim::explore
