#include "service/replica/poison.h"

#include "base/crc32c.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace asterias::replica {
namespace {
constexpr uint8_t kFormat = 1;
}

std::string poison_name(GroupId group) { return "poison-" + to_string(group); }

port::Task<Result<std::optional<Poison>>> load_poison(port::Disk& disk, std::string directory,
                                                      GroupId group) {
    const std::string path = directory + "/" + poison_name(group);
    auto content = co_await port::read_file(disk, path);
    if (!content && content.error().code == Errc::NotFound) co_return std::nullopt;
    if (!content) co_return std::unexpected(content.error());
    wire::Reader in(*content);
    const uint32_t crc = in.u32();
    const uint8_t format = in.u8();
    if (!in.ok() || crc32c(content->view().substr(4)) != crc)
        co_return fail(Errc::Corrupt, path + ": checksum");
    if (format != kFormat)
        co_return fail(Errc::Unsupported, path + ": format " + std::to_string(format));
    Poison poison{LogIndex(in.u64()), in.u32(), {}};
    poison.why = in.bytes().str();
    if (!in.ok() || !in.at_end()) co_return fail(Errc::Corrupt, path);
    co_return std::move(poison);
}

port::Task<Result<void>> store_poison(port::Disk& disk, std::string directory, GroupId group,
                                      Poison poison) {
    wire::Writer out(64 + poison.why.size());
    out.u32(0).u8(kFormat).u64(poison.index.value).u32(poison.failures).bytes(poison.why);
    const uint32_t crc = crc32c(out.view().substr(4));
    out.patch(0, {reinterpret_cast<const char*>(&crc), sizeof crc});
    co_return co_await port::replace_file(disk, directory, poison_name(group), out.take());
}

port::Task<Result<void>> clear_poison(port::Disk& disk, std::string directory, GroupId group) {
    auto removed = co_await disk.remove(directory + "/" + poison_name(group));
    if (!removed && removed.error().code != Errc::NotFound) co_return removed;
    co_return co_await disk.sync_directory(directory);
}

}  // namespace asterias::replica
