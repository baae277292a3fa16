// RESTORE of payloads that nobody dumped: as they are, and under a checksum that is right. What is
// restored is dumped and restored again as the same.
#include <cstdlib>
#include <string>

#include "proto/resp/dump.h"

using namespace asterias;
using namespace asterias::resp;

namespace {
constexpr size_t kMost = 1024 * 1024;

void restore(const Bytes& payload) {
    const auto value = restore_string(payload, kMost);
    const auto* bytes = std::get_if<Bytes>(&value);
    if (!bytes) return;
    const auto again = restore_string(dump_string(bytes->view()), kMost);
    if (!std::holds_alternative<Bytes>(again) || std::get<Bytes>(again) != *bytes) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    std::string text(reinterpret_cast<const char*>(bytes), size);
    restore(Bytes::copy(text));
    text.append("\x0a\x00", 2);
    const uint64_t crc = crc64(text);
    text.append(reinterpret_cast<const char*>(&crc), sizeof crc);
    restore(Bytes::copy(text));
    return 0;
}
