// app/config/nearest.h: what somebody may have meant who misspelt a name. Threading: pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace asterias::config {

// The nearest of `names` by letters put in, taken out or changed, without regard to capitals, and
// with _ as -; the first of equals. Empty: none is near.
std::string_view nearest_of(std::string_view name, const std::vector<std::string_view>& names);

}  // namespace asterias::config
