// app/config/ports.h: the port ranges of the command line, checked before anything is made.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace asterias::config {

struct PortRange {
    const char* flag;
    uint16_t first;  // 0: chosen later, not checked
};

// Why these doors cannot have `count` ports each, in words that name the flags; empty: they can.
// Two doors on one port are not refused by the system, because every door binds with SO_REUSEPORT.
std::string port_trouble(const std::vector<PortRange>& doors, uint32_t count);

}  // namespace asterias::config
