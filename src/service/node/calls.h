// service/node/calls.h: names of Calls (docs/formats/rpc.md).
#pragma once

#include <string_view>

namespace asterias::node {

inline constexpr std::string_view kJoin = "join";
inline constexpr std::string_view kWhy = "why";

}  // namespace asterias::node
