// service/node/calls.h: names of Calls (docs/formats/rpc.md).
#pragma once

#include <string_view>

namespace asterias::node {

inline constexpr std::string_view kJoin = "join";
inline constexpr std::string_view kSeen = "seen";
inline constexpr std::string_view kPlace = "place";
inline constexpr std::string_view kWhy = "why";
inline constexpr std::string_view kReplica = "replica";
inline constexpr std::string_view kCursor = "cursor";
inline constexpr std::string_view kHttp = "http";
inline constexpr std::string_view kSlice = "slice";
inline constexpr std::string_view kCatalogue = "catalogue";

}  // namespace asterias::node
