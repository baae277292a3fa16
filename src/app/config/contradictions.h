// app/config/contradictions.h: settings that are fine each by itself and cannot hold together.
#pragma once

#include <string>
#include <vector>

#include "app/config/load.h"

namespace asterias::config {

// A line each; both are named, as the operator said them.
std::vector<std::string> contradictions(const Loaded& loaded);

bool is_loopback(const std::string& host);

}  // namespace asterias::config
