#include "journal/journal.h"

#include "base/mutant.h"
#include "journal/record.h"
#include "journal/recovery.h"
#include "journal/writer.h"

namespace asterias::journal {
namespace {

Result<void> check(const Options& options) {
    if (!options.cluster || !options.node)
        return fail(Errc::InvalidArgument, "a journal belongs to a cluster and a node");
    if (options.segment_bytes > kSegmentBytesMax)
        return fail(Errc::InvalidArgument, "segment_bytes is at most 1 GiB");
    if (options.slice_bytes_max == 0 ||
        options.segment_bytes / 2 < kSegmentHeaderBytes + record_bytes(options.slice_bytes_max))
        return fail(Errc::InvalidArgument, "segment_bytes holds two slices at least");
    return {};
}

// What was accepted without proof that it is durable (it may live in the page cache only, or even
// be a page whose write-back failed and was forgotten) is written again and synced before anybody
// hears of it.
port::Task<Result<void>> make_durable(port::Disk& disk, std::string path, Recovery& recovery) {
    if (recovery.unproven.empty()) co_return Result<void>();
    auto file = co_await disk.open(std::move(path), port::OpenMode::Write);
    if (!file) co_return std::unexpected(file.error());
    std::vector<Bytes> pieces;
    const uint64_t at = recovery.end.offset - recovery.unproven.size();
    pieces.push_back(std::move(recovery.unproven));
    recovery.unproven = {};
    if (MUTANT(journal_tail_not_synced_at_open)) co_return Result<void>();
    co_return co_await (*file)->write(at, std::move(pieces), port::Durability::Synced);
}

}  // namespace

port::Task<Result<Opened>> open(port::Shard& shard, Options options, Registry& registry, Log log) {
    if (auto ok = check(options); !ok) co_return std::unexpected(ok.error());
    auto lock = shard.disk().lock(options.directory + "/lock");
    if (!lock) co_return std::unexpected(lock.error());
    auto recovery = co_await recover(shard.disk(), options);
    if (!recovery) co_return std::unexpected(recovery.error());
    const std::string last = options.directory + "/" + segment_name(recovery->end.segment);
    if (auto durable = co_await make_durable(shard.disk(), last, *recovery); !durable)
        co_return std::unexpected(durable.error());
    while (recovery->life == 0)
        recovery->life = shard.entropy().next();

    Opened opened;
    opened.recovered = std::move(recovery->recovered);
    if (opened.recovered.torn_tail)
        log.info("journal ended in a torn tail at " + last + " offset " +
                 std::to_string(recovery->end.offset) + "; cut off");
    auto writer = std::make_unique<Writer>(shard, options, registry, log, std::move(*recovery),
                                           std::move(*lock));
    if (auto started = co_await writer->start(); !started) {
        co_await writer->close();
        co_return std::unexpected(started.error());
    }
    opened.journal = std::move(writer);
    co_return opened;
}

}  // namespace asterias::journal
