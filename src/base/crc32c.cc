#include "base/crc32c.h"

#include <array>
#include <cstring>
#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

namespace asterias {
#ifdef __SSE4_2__

uint32_t crc32c(std::string_view data, uint32_t seed) {
    uint64_t crc = ~seed;
    const char* p = data.data();
    size_t n = data.size();
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        std::memcpy(&word, p, 8);
        crc = _mm_crc32_u64(crc, word);
    }
    auto crc32 = static_cast<uint32_t>(crc);
    for (; n > 0; ++p, --n)
        crc32 = _mm_crc32_u8(crc32, static_cast<uint8_t>(*p));
    return ~crc32;
}

#else
namespace {
constexpr std::array<uint32_t, 256> make_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1)));
        table[i] = crc;
    }
    return table;
}
constexpr auto kTable = make_table();
}  // namespace

uint32_t crc32c(std::string_view data, uint32_t seed) {
    uint32_t crc = ~seed;
    for (char c : data)
        crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(c)) & 0xFF];
    return ~crc;
}
#endif
}  // namespace asterias
