#include "runtime/sim/disk.h"

#include <gtest/gtest.h>

#include "runtime/sim/tiny_shard.h"

namespace asterias::sim {
namespace {

using port::Durability;
using port::OpenMode;

struct Boot {
    TinyShard shard{1};
    DiskFaults faults;
    SimDisk disk;
    explicit Boot(DiskImage& image, uint64_t seed = 1) : disk(image, shard, faults, Prng(seed)) {
        shard.use(disk);
        EXPECT_TRUE(run(shard, disk.create_directories("d"))->has_value());
    }
    std::unique_ptr<port::File> open(const char* path, OpenMode mode) {
        auto file = run(shard, disk.open(path, mode));
        return file && *file ? std::move(**file) : nullptr;
    }
    Result<void> write(port::File& file, uint64_t at, std::string text, Durability durability) {
        return *run(shard, file.write(at, {Bytes::copy(text)}, durability));
    }
    void sync_directory() { EXPECT_TRUE(run(shard, disk.sync_directory("d"))->has_value()); }
};

TEST(SimDisk, CrashKeepsWhatWasSyncedAndTearsTheRestAtSectors) {
    bool kept_all = false, kept_none = false, torn = false;
    for (uint64_t seed = 0; seed < 200; ++seed) {
        DiskImage image;
        {
            Boot boot(image, seed);
            auto file = boot.open("d/f", OpenMode::Create);
            boot.sync_directory();
            ASSERT_TRUE(run(boot.shard, file->preallocate(4096))->has_value());
            ASSERT_TRUE(boot.write(*file, 100, std::string(1000, 'a'), Durability::Synced));
            ASSERT_TRUE(boot.write(*file, 600, std::string(2000, 'b'), Durability::Volatile));
        }
        Prng prng(seed);
        const CrashLoss loss = image.crash(prng);
        const std::string after = image.content("d/f")->str();
        ASSERT_EQ(after.size(), 4096u);
        EXPECT_EQ(after.substr(100, 500), std::string(500, 'a'));
        for (size_t sector = 1; sector <= 5; ++sector) {
            const size_t from = std::max<size_t>(600, sector * 512), to = sector * 512 + 512;
            const size_t n = std::min<size_t>(to, 2600) - from;
            const std::string part = after.substr(from, n);
            std::string old(4096, '\0');
            old.replace(100, 1000, 1000, 'a');
            EXPECT_TRUE(part == std::string(n, 'b') || part == old.substr(from, n));
        }
        kept_all |= loss.bytes == 0;
        kept_none |= loss.bytes == 2000;
        torn |= loss.bytes > 0 && loss.bytes < 2000;
        EXPECT_EQ(loss.writes, loss.bytes > 0 ? 1u : 0u);
    }
    EXPECT_TRUE(kept_all && kept_none && torn);
}

TEST(SimDisk, NamesWithoutADirectorySyncAreKeptOrLost) {
    int there = 0, renamed = 0;
    for (uint64_t seed = 0; seed < 100; ++seed) {
        DiskImage image;
        {
            Boot boot(image);
            boot.open("d/old", OpenMode::Create);
            boot.sync_directory();
            boot.open("d/new", OpenMode::Create);
            ASSERT_TRUE(run(boot.shard, boot.disk.rename("d/old", "d/moved"))->has_value());
        }
        Prng prng(seed);
        image.crash(prng);
        there += image.content("d/new").has_value();
        renamed += image.content("d/moved").has_value();
        EXPECT_NE(image.content("d/moved").has_value(), image.content("d/old").has_value());
    }
    EXPECT_TRUE(there > 10 && there < 90 && renamed > 10 && renamed < 90);
}

TEST(SimDisk, WhatAFailedSyncLeftBehindIsForgottenUntilItIsWrittenAgain) {
    int lost = 0;
    for (uint64_t seed = 0; seed < 50; ++seed) {
        const bool again = seed % 2 == 0;
        DiskImage image;
        {
            Boot boot(image, seed);
            auto file = boot.open("d/f", OpenMode::Create);
            boot.sync_directory();
            ASSERT_TRUE(run(boot.shard, file->preallocate(512))->has_value());
            boot.faults.sync_error = 1;
            EXPECT_FALSE(boot.write(*file, 0, "here", Durability::Synced));
            boot.faults.sync_error = 0;
            EXPECT_TRUE(*run(boot.shard, file->sync())) << "who only syncs again is lied to";
            EXPECT_GT(image.unsynced_writes(), 0u);
            if (again) ASSERT_TRUE(boot.write(*file, 0, "here", Durability::Synced));
        }
        Prng prng(seed);
        image.crash(prng);
        const bool there = image.content("d/f")->view().starts_with("here");
        EXPECT_TRUE(there || !again);
        lost += !there;
    }
    EXPECT_GT(lost, 0);
}

TEST(SimDisk, AKilledProcessLosesNoWritesButItsLocks) {
    DiskImage image;
    auto boot = std::make_unique<Boot>(image);
    auto file = boot->open("d/f", OpenMode::Create);
    ASSERT_TRUE(boot->write(*file, 0, "here", Durability::Volatile));
    auto lock = boot->disk.lock("d/lock");
    ASSERT_TRUE(lock);
    EXPECT_EQ(boot->disk.lock("d/lock").error().code, Errc::Conflict);
    image.kill();
    Boot second(image);
    auto again = second.disk.lock("d/lock");
    EXPECT_TRUE(again);
    lock->reset();  // of the dead process: unlocks nothing
    EXPECT_FALSE(second.disk.lock("d/lock"));
    EXPECT_EQ(image.content("d/f")->view(), "here");
}

TEST(SimDisk, AFullDiskRefusesGrowthAndChangesNothing) {
    DiskImage image;
    Boot boot(image);
    boot.faults.capacity_bytes = 1000;
    auto file = boot.open("d/f", OpenMode::Create);
    EXPECT_TRUE(boot.write(*file, 0, std::string(900, 'x'), Durability::Volatile));
    EXPECT_EQ(boot.write(*file, 900, std::string(200, 'x'), Durability::Volatile).error().code,
              Errc::NoSpace);
    EXPECT_EQ(image.content("d/f")->size(), 900u);
    EXPECT_TRUE(boot.write(*file, 0, std::string(900, 'y'), Durability::Volatile));
}

TEST(SimDisk, RotFlipsOneDurableBitAndSparesWhatWasWrittenLast) {
    DiskImage image;
    Boot boot(image);
    auto file = boot.open("d/f", OpenMode::Create);
    boot.sync_directory();
    ASSERT_TRUE(run(boot.shard, file->preallocate(1 << 20))->has_value());
    Prng prng(7);
    for (uint64_t i = 0; i < 20; ++i)
        ASSERT_TRUE(boot.write(*file, i * 100, std::string(100, 'a'), Durability::Synced));
    EXPECT_EQ(image.rot("d", prng), "") << "nothing is old enough";
    for (uint64_t i = 20; i < 200; ++i)
        ASSERT_TRUE(boot.write(*file, i * 100, std::string(100, 'a'), Durability::Synced));
    const std::string before = image.content("d/f")->str();
    EXPECT_EQ(image.rot("elsewhere", prng), "");
    for (int n = 0; n < 50; ++n)
        EXPECT_TRUE(image.rot("d", prng).starts_with("d/f at byte "));
    const std::string after = image.content("d/f")->str();
    EXPECT_NE(after, before);
    EXPECT_EQ(after.substr((200 - 64) * 100), before.substr((200 - 64) * 100));
    EXPECT_EQ(run(boot.shard, file->read(0, 20'000))->value().str(), after.substr(0, 20'000));
}

TEST(SimDisk, ALieIsToldOnceAndWhatFollowsInItsFileIsCounted) {
    size_t lost = 0, elsewhere = 0;
    for (uint64_t seed = 0; seed < 60; ++seed) {
        DiskImage image;
        Boot boot(image, seed);
        auto file = boot.open("d/f", OpenMode::Create);
        ASSERT_TRUE(run(boot.shard, file->preallocate(8192))->has_value());
        image.lie_next();
        EXPECT_FALSE(image.lie_told());
        ASSERT_TRUE(boot.write(*file, 512, std::string(512, 'x'), Durability::Synced));
        EXPECT_TRUE(image.lie_told());
        EXPECT_EQ(image.writes_since_lie(), 0u);
        const std::string all = image.content("d/f")->str();
        lost += all.find('x') == std::string::npos;
        elsewhere += all.find('x') != std::string::npos && all[512] != 'x';
        EXPECT_EQ(boot.disk.counts().lost + boot.disk.counts().misdirected, 1u);
        ASSERT_TRUE(boot.write(*file, 1024, std::string(512, 'y'), Durability::Synced));
        EXPECT_EQ(image.writes_since_lie(), 1u);
        EXPECT_EQ(image.content("d/f")->str().substr(1024, 512), std::string(512, 'y'));
    }
    EXPECT_GT(lost, 10u);
    EXPECT_GT(elsewhere, 10u);
}

TEST(SimDisk, WithoutFileDescriptorsNothingOpensAndABackupIsDurable) {
    DiskImage image, backup;
    {
        Boot boot(image);
        auto file = boot.open("d/f", OpenMode::Create);
        ASSERT_TRUE(boot.write(*file, 0, "text", Durability::Volatile));
        boot.faults.no_files = true;
        const auto refused = run(boot.shard, boot.disk.open("d/f", OpenMode::Read));
        ASSERT_FALSE(refused->has_value());
        EXPECT_EQ(refused->error().code, Errc::Limit);
        EXPECT_EQ(boot.disk.counts().no_files, 1u);
    }
    backup.assign(image);
    Prng prng(1);
    EXPECT_EQ(backup.crash(prng).bytes, 0u);
    EXPECT_EQ(backup.content("d/f")->str(), "text");
    image.assign(DiskImage());
    EXPECT_TRUE(image.paths().empty());
}

}  // namespace
}  // namespace asterias::sim
