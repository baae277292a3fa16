// proto/resp/dump.h: the form of a string in DUMP and RESTORE: as in an RDB file of Redis 7.0, with
// the version of the format and a checksum behind it. So what one program dumps the other restores.
// {type u8 = 0}{string}{version u16 le}{crc64 le of all before}
// Reference: Redis 7.0 (rdb.c: rdbSaveRawString; cluster.c: createDumpPayload; crc64.c, lzf_d.c).
// Threading: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"
#include "proto/resp/arguments.h"

namespace asterias::resp {

// Never compressed, which every reader takes.
Bytes dump_string(std::string_view value);

// What was dumped; compressed or not. `bytes_max`: a value that says it is longer is refused.
std::variant<Bytes, ArgumentError> restore_string(const Bytes& payload, size_t bytes_max);

// CRC-64 (Jones): polynomial 0xad93d23594c935a9, reflected, from 0, nothing at the end.
uint64_t crc64(std::string_view bytes);

}  // namespace asterias::resp
