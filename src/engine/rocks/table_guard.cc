#include <cstring>

#include "engine/rocks/disk_internal.h"

namespace asterias::engine {
namespace {

using rocksdb::IOStatus;
using rocksdb::Slice;

constexpr uint64_t kFooterBytes = 53;      // of format versions 1 to 5
constexpr uint64_t kMetaBytesMax = 65536;  // far more than tables have; else RocksDB may judge

struct Handle {
    uint64_t offset = 0, size = 0;  // of a block without its trailer
};

bool take_varint(std::string_view& from, uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && !from.empty(); shift += 7) {
        const auto byte = static_cast<uint8_t>(from.front());
        from.remove_prefix(1);
        value |= uint64_t{byte & 0x7fu} << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

bool take_handle(std::string_view from, Handle& handle) {
    return take_varint(from, handle.offset) && take_varint(from, handle.size);
}

struct Reader {
    const rocksdb::FSRandomAccessFile& file;
    uint64_t size;

    // False: there is no such place, or it cannot be read.
    bool read(uint64_t offset, uint64_t count, std::string& out) const {
        if (offset > size || count > size - offset || count > kMetaBytesMax) return false;
        out.resize(count);
        Slice got;
        const auto status =
            file.Read(offset, count, rocksdb::IOOptions(), &got, out.data(), nullptr);
        if (!status.ok() || got.size() != count) return false;
        if (got.data() != out.data()) out.assign(got.data(), got.size());
        return true;
    }
    // The restart count at a block's end says that it has no hash index.
    bool plain(const Handle& block) const {
        std::string end;
        if (block.size < 4 || !read(block.offset + block.size - 1, 1, end)) return true;
        return (static_cast<uint8_t>(end[0]) & 0x80) == 0;
    }
};

}  // namespace

IOStatus check_table(const rocksdb::FSRandomAccessFile& file, uint64_t size,
                     const std::string& name) {
    const Reader reader{file, size};
    std::string text;
    if (size < kFooterBytes || !reader.read(size - kFooterBytes, kFooterBytes, text))
        return IOStatus::OK();
    Handle index_of_meta, properties;
    if (!take_handle(std::string_view(text).substr(1), index_of_meta)) return IOStatus::OK();
    if (!reader.plain(index_of_meta)) return IOStatus::Corruption("index of meta blocks", name);
    if (!reader.read(index_of_meta.offset, index_of_meta.size, text)) return IOStatus::OK();
    constexpr std::string_view kProperties = "rocksdb.properties";
    const size_t at = text.find(kProperties);
    if (at == std::string::npos ||
        !take_handle(std::string_view(text).substr(at + kProperties.size()), properties))
        return IOStatus::OK();
    if (!reader.plain(properties)) return IOStatus::Corruption("table properties", name);
    return IOStatus::OK();
}

}  // namespace asterias::engine
