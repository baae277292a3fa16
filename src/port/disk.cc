#include "port/disk.h"

namespace asterias::port {

Task<Result<Bytes>> read_file(Disk& disk, std::string path) {
    auto file = co_await disk.open(std::move(path), OpenMode::Read);
    if (!file) co_return std::unexpected(file.error());
    auto size = co_await (*file)->size();
    if (!size) co_return std::unexpected(size.error());
    co_return co_await (*file)->read(0, *size);
}

Task<Result<void>> replace_file(Disk& disk, std::string directory, std::string name,
                                Bytes content) {
    const std::string aside = directory + "/" + name + ".new";
    // A leftover of a crash between create and rename; its content was never promised.
    if (auto removed = co_await disk.remove(aside);
        !removed && removed.error().code != Errc::NotFound)
        co_return removed;
    {
        auto file = co_await disk.open(aside, OpenMode::Create);
        if (!file) co_return std::unexpected(file.error());
        std::vector<Bytes> pieces;
        pieces.push_back(std::move(content));
        auto written = co_await (*file)->write(0, std::move(pieces), Durability::Synced);
        if (!written) co_return written;
    }
    if (auto renamed = co_await disk.rename(aside, directory + "/" + name); !renamed)
        co_return renamed;
    co_return co_await disk.sync_directory(directory);
}

}  // namespace asterias::port
