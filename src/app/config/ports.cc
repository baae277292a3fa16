#include "app/config/ports.h"

#include <algorithm>

namespace asterias::config {

std::string port_trouble(const std::vector<PortRange>& doors, uint32_t count) {
    constexpr uint32_t kLast = 65535;
    for (const auto& door : doors)
        if (door.first && door.first + count - 1 > kLast)
            return std::string(door.flag) + ": " + std::to_string(count) + " nodes need " +
                   std::to_string(count) + " ports up to " + std::to_string(kLast);
    for (auto a = doors.begin(); a != doors.end(); ++a)
        for (auto b = a + 1; b != doors.end(); ++b) {
            if (!a->first || !b->first) continue;
            const auto [low, high] = std::minmax(a->first, b->first);
            if (uint32_t{low} + count <= high) continue;
            return std::string(a->flag) + " and " + b->flag + " both take port " +
                   std::to_string(high) +
                   (count > 1 ? " (" + std::to_string(count) + " nodes, a port each)" : "");
        }
    return "";
}

}  // namespace asterias::config
