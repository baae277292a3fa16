// runtime/epoll/host.h: what this runtime takes as the host of an address without asking anybody.
// Threading: a pure function.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace asterias::runtime {

// Numeric IPv4 or IPv6, "localhost" (127.0.0.1) and "*" (0.0.0.0), as the 16 bytes of IPv6; IPv4 is
// mapped (RFC 4291, 2.5.5.2). Nothing for names.
std::optional<std::array<uint8_t, 16>> parse_host(const std::string& host);

}  // namespace asterias::runtime
