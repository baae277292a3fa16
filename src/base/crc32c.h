// base/crc32c.h: CRC-32C (Castagnoli, RFC 3720 B.4), by the SSE4.2 instruction where the build has
// it.
#pragma once

#include <cstdint>
#include <string_view>

namespace asterias {

// crc32c("") == 0; crc32c(b, crc32c(a)) == crc32c(a + b).
uint32_t crc32c(std::string_view data, uint32_t seed = 0);

}  // namespace asterias
