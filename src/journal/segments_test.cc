#include "journal/segments.h"

#include <set>

#include <gtest/gtest.h>

#include "journal/record.h"
#include "runtime/sim/disk.h"
#include "runtime/sim/tiny_shard.h"

namespace asterias::journal {
namespace {

using port::Task;

// A disk that answers NoSpace to the operations of these numbers, counted from 1. What fails may
// have been done all the same, but for a change of names.
class FullDisk final : public port::Disk {
public:
    explicit FullDisk(port::Disk& disk) : disk_(disk) {}
    std::set<int> full_at;
    bool done_all_the_same = false;
    int operations = 0;

    Task<Result<std::unique_ptr<port::File>>> open(std::string path, port::OpenMode mode) override {
        if (is_full()) co_return std::unexpected(full());
        auto file = co_await disk_.open(std::move(path), mode);
        if (!file) co_return file;
        co_return std::make_unique<FullFile>(*this, std::move(*file));
    }
    Task<Result<void>> remove(std::string path) override {
        if (is_full()) co_return std::unexpected(full());
        co_return co_await disk_.remove(std::move(path));
    }
    Task<Result<void>> rename(std::string from, std::string to) override {
        if (is_full()) co_return std::unexpected(full());
        co_return co_await disk_.rename(std::move(from), std::move(to));
    }
    Task<Result<void>> sync_directory(std::string path) override {
        return step(disk_.sync_directory(std::move(path)));
    }
    Task<Result<void>> create_directories(std::string path) override {
        return disk_.create_directories(std::move(path));
    }
    Task<Result<std::vector<std::string>>> list(std::string path) override {
        return disk_.list(std::move(path));
    }
    Task<Result<port::Space>> space(std::string path) override {
        return disk_.space(std::move(path));
    }
    Result<std::unique_ptr<port::FileLock>> lock(std::string path) override {
        return disk_.lock(std::move(path));
    }

private:
    struct FullFile final : port::File {
        FullFile(FullDisk& d, std::unique_ptr<port::File> f) : disk(d), file(std::move(f)) {}
        Task<Result<void>> write(uint64_t offset, std::vector<Bytes> pieces,
                                 port::Durability durability) override {
            return disk.step(file->write(offset, std::move(pieces), durability));
        }
        Task<Result<void>> sync() override { return disk.step(file->sync()); }
        Task<Result<Bytes>> read(uint64_t offset, size_t count) override {
            return file->read(offset, count);
        }
        Task<Result<uint64_t>> size() override { return file->size(); }
        Task<Result<void>> preallocate(uint64_t bytes) override {
            return disk.step(file->preallocate(bytes));
        }
        FullDisk& disk;
        std::unique_ptr<port::File> file;
    };

    static Error full() { return {Errc::NoSpace, "injected"}; }
    bool is_full() { return full_at.contains(++operations); }
    Task<Result<void>> step(Task<Result<void>> operation) {
        const bool fails = is_full();
        if (fails && !done_all_the_same) co_return std::unexpected(full());
        auto result = co_await std::move(operation);
        if (fails) co_return std::unexpected(full());
        co_return result;
    }

    port::Disk& disk_;
};

enum class From : uint8_t { Nothing, AnEarlierLife, ThisLife };

class SparesOnAFullDisk : public ::testing::TestWithParam<From> {
protected:
    static constexpr uint64_t kSequence = 5;

    // Prepares with a full disk at these operations, then with a disk that has room. Returns how
    // many operations the first try took.
    int fails_then_succeeds(std::set<int> full_at, bool done_all_the_same) {
        sim::DiskImage image;
        sim::TinyShard shard{1};
        const sim::DiskFaults faults;
        sim::SimDisk disk(image, shard, faults, Prng(1));
        FullDisk full(disk);
        SpareSegments spares(full, options_, ShardId(0), 9, kSequence);
        EXPECT_TRUE(*sim::run(shard, disk.create_directories("journal")));
        if (GetParam() != From::Nothing) {
            image.put(spares.path(2), std::string(options_.segment_bytes, 'x'));
            spares.add({2, options_.segment_bytes, 0, GetParam() == From::ThisLife});
        }
        full.full_at = full_at;
        full.done_all_the_same = done_all_the_same;
        auto first = *sim::run(shard, spares.prepare(kSequence));
        const int taken = full.operations;
        EXPECT_EQ(first.has_value(), taken < *full_at.begin());
        if (!first) {
            EXPECT_EQ(first.error().code, Errc::NoSpace);
            EXPECT_EQ(first.error().context, "injected");
            const bool removal_failed = full_at.size() > 1 && taken >= *full_at.rbegin();
            EXPECT_TRUE(!image.content(spares.path(kSequence)) || removal_failed);
            EXPECT_EQ(image.paths().size(), image.content(spares.path(2)) ? 1u : removal_failed);
            full.full_at.clear();
            first = *sim::run(shard, spares.prepare(kSequence));
        }
        EXPECT_TRUE(first) << first.error().describe();
        EXPECT_EQ(image.paths(), std::vector{spares.path(kSequence)});
        const Bytes content = *image.content(spares.path(kSequence));
        EXPECT_EQ(content.size(), options_.segment_bytes);
        const auto header = decode_segment_header(content.span());
        EXPECT_TRUE(header && header->sequence == kSequence);
        EXPECT_EQ(image.unsynced_writes(), 0u);
        return taken;
    }

    const Options options_ = [] {
        Options options;
        options.directory = "journal";
        options.segment_bytes = 8192;
        return options;
    }();
};
INSTANTIATE_TEST_SUITE_P(Spare, SparesOnAFullDisk,
                         ::testing::Values(From::Nothing, From::AnEarlierLife, From::ThisLife));

TEST_P(SparesOnAFullDisk, WhateverStepFailsLeavesNothingBehindAndIsTriedAgain) {
    for (const bool done : {false, true}) {
        int step = 1;
        while (fails_then_succeeds({step}, done) >= step) {
            SCOPED_TRACE(step);
            ++step;
        }
        EXPECT_GE(step, 5) << "opened, (sized or renamed), header written, directory synced";
    }
}

TEST_P(SparesOnAFullDisk, WhatCouldNotBeRemovedEitherIsRemovedBeforeTheNextTry) {
    for (int step = 1; step <= 4; ++step)
        fails_then_succeeds({step, step + 1}, false);
}

}  // namespace
}  // namespace asterias::journal
