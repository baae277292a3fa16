#include "port/disk.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "runtime/epoll/sync_pace.h"
#include "runtime/epoll/system.h"
#include "runtime/epoll/testing.h"

namespace asterias::runtime {
namespace {

using port::Durability;
using port::OpenMode;
using port::Shard;
using port::Task;

constexpr Duration kAlways = Duration::max();
constexpr Duration kNever = Duration::zero();

std::vector<Bytes> pieces(std::initializer_list<std::string_view> texts) {
    std::vector<Bytes> result;
    for (auto text : texts)
        result.push_back(Bytes::copy(text));
    return result;
}

class DiskBothWays : public ::testing::TestWithParam<Duration> {
protected:
    TempDirectory directory;
    World world{RuntimeOptions{.inline_sync_limit = GetParam()}};
    uint64_t syncs(const char* where) {
        return world.registry
            .counter("asterias_disk_syncs_total", "",
                     std::string("shard=\"0\",where=\"") + where + "\"")
            .value();
    }
};
INSTANTIATE_TEST_SUITE_P(Inline, DiskBothWays, ::testing::Values(kAlways));
INSTANTIATE_TEST_SUITE_P(Thread, DiskBothWays, ::testing::Values(kNever));

Task<void> round_trip(Shard& shard, std::string path) {
    auto file = co_await shard.disk().open(path, OpenMode::Create);
    EXPECT_TRUE(file);
    EXPECT_TRUE(
        co_await (*file)->write(0, pieces({"hello ", "", "big ", "world"}), Durability::Synced));
    EXPECT_TRUE(co_await (*file)->write(6, pieces({"BIG"}), Durability::Volatile));
    EXPECT_TRUE(co_await (*file)->sync());
    EXPECT_EQ(*co_await (*file)->size(), 15u);
    EXPECT_EQ((co_await (*file)->read(0, 100))->view(), "hello BIG world");
    EXPECT_EQ((co_await (*file)->read(10, 3))->view(), "wor");
    EXPECT_TRUE((co_await (*file)->read(15, 1))->empty());
    EXPECT_TRUE((co_await (*file)->read(99, 1))->empty());
    EXPECT_EQ((co_await shard.disk().open(path, OpenMode::Create)).error().code,
              Errc::AlreadyExists);
}

TEST_P(DiskBothWays, WhatIsWrittenIsRead) {
    world.run([&](Shard& shard) { return round_trip(shard, directory.path() + "/f"); });
    EXPECT_EQ(syncs("shard"), GetParam() == kAlways ? 2u : 0u);
    EXPECT_EQ(syncs("thread"), GetParam() == kAlways ? 0u : 2u);
}

Task<void> many_pieces(Shard& shard, std::string path) {
    auto file = co_await shard.disk().open(path, OpenMode::Create);
    std::vector<Bytes> all;
    std::string expected;
    for (int i = 0; i < 1000; ++i) {
        const std::string text(i % 7, static_cast<char>('a' + i % 26));
        all.push_back(Bytes::copy(text));
        expected += text;
    }
    EXPECT_TRUE(co_await (*file)->write(3, std::move(all), Durability::Synced));
    EXPECT_EQ((co_await (*file)->read(3, 100'000))->view(), expected);
}

TEST_P(DiskBothWays, AWriteMayHaveMorePiecesThanOneSystemCallTakes) {
    world.run([&](Shard& shard) { return many_pieces(shard, directory.path() + "/f"); });
}

Task<void> preallocation(Shard& shard, std::string path) {
    auto file = co_await shard.disk().open(path, OpenMode::Create);
    EXPECT_TRUE(co_await (*file)->write(0, pieces({"kept"}), Durability::Synced));
    EXPECT_TRUE(co_await (*file)->preallocate(3 * 1024 * 1024 + 5));
    EXPECT_EQ(*co_await (*file)->size(), 3u * 1024 * 1024 + 5);
    auto all = co_await (*file)->read(0, 4 * 1024 * 1024);
    EXPECT_EQ(all->slice(0, 4).view(), "kept");
    EXPECT_EQ(all->suffix(4).view().find_first_not_of('\0'), std::string_view::npos);
    EXPECT_TRUE(co_await (*file)->preallocate(10));  // never shrinks
    EXPECT_EQ(*co_await (*file)->size(), 3u * 1024 * 1024 + 5);
}

TEST_P(DiskBothWays, PreallocationExtendsWithZeroesAndKeepsWhatIsThere) {
    world.run([&](Shard& shard) { return preallocation(shard, directory.path() + "/f"); });
}

// Up to where a file was written without a gap.
off_t first_hole(const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return ::lseek(fd.get(), 0, SEEK_HOLE);
}

Task<void> half_made(Shard& shard, std::string path) {
    constexpr off_t kBytes = 3 * 1024 * 1024;
    {
        // As left by who was killed on the way, or by a copy that saves space.
        const Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (::fallocate(fd.get(), 0, 0, kBytes) != 0) EXPECT_EQ(::ftruncate(fd.get(), kBytes), 0);
        EXPECT_EQ(::pwrite(fd.get(), "kept", 4, 1024 * 1024), 4);
        EXPECT_EQ(::fsync(fd.get()), 0);
    }
    if (first_hole(path) == kBytes) co_return;  // this filesystem does not tell
    auto file = co_await shard.disk().open(path, OpenMode::Write);
    EXPECT_TRUE(co_await (*file)->preallocate(kBytes));
    EXPECT_EQ(first_hole(path), kBytes);
    auto all = co_await (*file)->read(0, kBytes);
    EXPECT_EQ(all->slice(1024 * 1024, 4).view(), "kept");
    EXPECT_EQ(std::count(all->data(), all->data() + all->size(), 0), kBytes - 4);
}

TEST_P(DiskBothWays, PreallocationWritesWhatWasOnlyReserved) {
    world.run([&](Shard& shard) { return half_made(shard, directory.path() + "/f"); });
}

Task<void> directories(Shard& shard, std::string root) {
    auto& disk = shard.disk();
    EXPECT_TRUE(co_await disk.create_directories(root + "/a/b"));
    EXPECT_TRUE(co_await disk.create_directories(root + "/a/b"));
    EXPECT_TRUE(co_await port::replace_file(disk, root + "/a", "name", Bytes::copy("one")));
    EXPECT_TRUE(co_await port::replace_file(disk, root + "/a", "name", Bytes::copy("two")));
    EXPECT_EQ((co_await port::read_file(disk, root + "/a/name"))->view(), "two");
    EXPECT_TRUE(co_await disk.rename(root + "/a/name", root + "/a/Z"));
    EXPECT_TRUE(co_await disk.sync_directory(root + "/a"));
    EXPECT_EQ(*co_await disk.list(root + "/a"), (std::vector<std::string>{"Z", "b"}));
    EXPECT_TRUE(co_await disk.remove(root + "/a/Z"));
    EXPECT_EQ((co_await disk.remove(root + "/a/Z")).error().code, Errc::NotFound);
    EXPECT_EQ((co_await disk.list(root + "/none")).error().code, Errc::NotFound);
    EXPECT_EQ((co_await disk.open(root + "/none", OpenMode::Write)).error().code, Errc::NotFound);
    const auto space = co_await disk.space(root);
    EXPECT_GT(space->total, space->available);
    EXPECT_GT(space->available, 0u);
}

TEST_P(DiskBothWays, DirectoriesListRenameAndReplace) {
    world.run([&](Shard& shard) { return directories(shard, directory.path()); });
}

Task<void> device_errors(Shard& shard, std::string path) {
    // /dev/full: every write fails with ENOSPC, as on a full disk.
    auto full = co_await shard.disk().open("/dev/full", OpenMode::Write);
    EXPECT_TRUE(full);
    const auto result = co_await (*full)->write(0, pieces({"x"}), Durability::Synced);
    EXPECT_EQ(result.error().code, Errc::NoSpace);
    EXPECT_NE(result.error().context.find("/dev/full"), std::string::npos);
    // A write after which nothing is known: the file was opened for reading.
    EXPECT_TRUE(co_await shard.disk().open(path, OpenMode::Create));
    auto reader = co_await shard.disk().open(path, OpenMode::Read);
    EXPECT_EQ((co_await (*reader)->write(0, pieces({"x"}), Durability::Synced)).error().code,
              Errc::Io);
}

TEST_P(DiskBothWays, DeviceErrorsComeBackAsErrors) {
    world.run([&](Shard& shard) { return device_errors(shard, directory.path() + "/f"); });
}

Task<void> unsyncable(Shard& shard) {
    // fdatasync(2) fails on what cannot be synced; a write to it succeeds.
    auto file = co_await shard.disk().open("/dev/null", OpenMode::Write);
    EXPECT_TRUE(co_await (*file)->write(0, pieces({"x"}), Durability::Volatile));
    EXPECT_EQ((co_await (*file)->write(0, pieces({"x"}), Durability::Synced)).error().code,
              Errc::Io);
    EXPECT_EQ((co_await (*file)->sync()).error().code, Errc::Io);
}

TEST_P(DiskBothWays, AFailedSyncIsNeverASuccess) { world.run(unsyncable); }

TEST(Disk, ALockIsHeldOnceAndFreedWithItsOwner) {
    TempDirectory directory;
    World world;
    auto& disk = world.runtime().shard(ShardId(0)).disk();
    const std::string path = directory.path() + "/LOCK";
    auto first = disk.lock(path);
    ASSERT_TRUE(first);
    const auto second = disk.lock(path);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::Conflict);
    EXPECT_NE(second.error().context.find(std::to_string(::getpid())), std::string::npos);
    first->reset();
    EXPECT_TRUE(disk.lock(path));
}

Task<void> abandoned_write(port::File& file, bool& resumed) {
    (void)co_await file.write(0, pieces({"x"}), Durability::Synced);
    resumed = true;
}

TEST(Disk, AStoppedRuntimeFinishesOrDropsWhatTheDiskThreadHas) {
    TempDirectory directory;
    World world({.inline_sync_limit = kNever});
    std::unique_ptr<port::File> file;
    std::optional<Task<void>> abandoned;
    bool resumed = false;
    world.run([&](Shard& shard) -> Task<void> {
        file = std::move(*co_await shard.disk().open(directory.path() + "/f", OpenMode::Create));
        // Started and destroyed while the thread has it: nobody is there to be resumed.
        {
            struct Starter {
                struct promise_type {
                    std::suspend_never initial_suspend() noexcept { return {}; }
                    std::suspend_always final_suspend() noexcept { return {}; }
                    Starter get_return_object() {
                        return {std::coroutine_handle<promise_type>::from_promise(*this)};
                    }
                    void return_void() {}
                    void unhandled_exception() {}
                };
                std::coroutine_handle<promise_type> handle;
            };
            auto starter = [](port::File& f, bool& r) -> Starter {
                co_await abandoned_write(f, r);
            }(*file, resumed);
            starter.handle.destroy();
        }
        // The disk thread works in order, so the first write is over after this one.
        EXPECT_TRUE(co_await file->sync());
    });
    EXPECT_FALSE(resumed);
}

TEST(SyncPace, MovesToTheThreadWhenSlowAndBackOnlyWhenClearlyFast) {
    SyncPace pace(milliseconds(1));
    EXPECT_TRUE(pace.run_inline());
    pace.record(milliseconds(4));
    EXPECT_TRUE(pace.run_inline());  // one slow sync is not a slow device
    for (int i = 0; i < 3; ++i)
        pace.record(milliseconds(4));
    EXPECT_FALSE(pace.run_inline());
    for (int i = 0; i < 50; ++i)
        pace.record(microseconds(700));
    EXPECT_FALSE(pace.run_inline());  // between the thresholds: stay
    for (int i = 0; i < 50; ++i)
        pace.record(microseconds(200));
    EXPECT_TRUE(pace.run_inline());
    pace.record(milliseconds(20));
    EXPECT_FALSE(pace.run_inline());  // but a stall is
}

}  // namespace
}  // namespace asterias::runtime
