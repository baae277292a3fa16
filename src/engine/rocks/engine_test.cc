#include "engine/rocks/engine.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/mutant.h"
#include "engine/conformance/conformance.h"
#include "engine/conformance/test_shard.h"
#include "engine/rocks/rocks_fault_fs_internal.h"
#include "engine/rocks/rocks_internal.h"

namespace asterias::engine {
namespace {

using port::EngineBatch;
using port::EngineSeq;

// MUTANT=name plants that bug (preset mutants); the conformance test must then fail.
class PlantedBug : public ::testing::Environment {
    void SetUp() override {
#ifdef ASTERIAS_MUTANTS
        if (const char* name = std::getenv("MUTANT")) set_mutant(name);
#endif
    }
};
const auto* const planted_bug = ::testing::AddGlobalTestEnvironment(new PlantedBug);

// What happens in threads that are not the test's: the engine's news and the calls to its disk.
class News {
public:
    void tell() {
        {
            std::lock_guard lock(mutex_);
            ++count_;
        }
        changed_.notify_all();
    }
    uint64_t count() {
        std::lock_guard lock(mutex_);
        return count_;
    }
    // Blocks until there is more than `seen`; the new count. A silence is the test's end.
    uint64_t past(uint64_t seen) {
        std::unique_lock lock(mutex_);
        CHECK(changed_.wait_for(lock, std::chrono::minutes(2), [&] { return count_ > seen; }),
              "an engine with work to do comes to an end of it");
        return count_;
    }
    // Looks at `condition` now and whenever there is news, until it holds.
    template <typename Condition>
    void until(Condition condition) {
        for (uint64_t seen = count(); !condition(); seen = past(seen)) {
        }
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    uint64_t count_ = 0;
};

// A database on a FaultFs, with small buffers so that little data makes much happen.
struct FaultyDisk {
    explicit FaultyDisk(Prng prng) : fs(std::make_shared<FaultFs>(prng)), env(make_fault_env(fs)) {}

    Result<std::unique_ptr<port::Engine>> open() {
        RocksOptions options{.directory = "/db",
                             .write_buffer_bytes = 64 * 1024,
                             .write_buffers_max = 2,
                             .block_cache_bytes = 256 * 1024,
                             .read_threads = 1,
                             .staged_file_bytes = 2048};
        return open_rocks_with(
            options,
            {.env = env.get(), .space_retry = microseconds(200), .news = [this] { news.tell(); }});
    }
    void crash(std::unique_ptr<port::Engine> engine,
               std::unique_ptr<port::Staging> staging = nullptr) {
        fs->set_mode(FaultFs::Mode::Dead);
        staging.reset();
        engine.reset();
        fs->crash();
    }

    News news;
    std::shared_ptr<FaultFs> fs;
    std::unique_ptr<rocksdb::Env> env;
};

class RocksSubject final : public Subject {
public:
    void fresh(Prng prng) override {
        prng_ = prng;
        disk_ = std::make_unique<FaultyDisk>(prng_.split());
        seen_ = 0;
    }
    Result<std::unique_ptr<port::Engine>> open() override { return disk_->open(); }
    void crash(std::unique_ptr<port::Engine> engine,
               std::unique_ptr<port::Staging> staging) override {
        disk_->crash(std::move(engine), std::move(staging));
    }
    bool start(Trouble trouble) override {
        switch (trouble) {
            case Trouble::Stall:
                disk_->fs->hold_tables(true);
                return true;
            case Trouble::DiskFull:
                disk_->fs->turn(FaultFs::Mode::Full, prng_.between(1, 3));
                return true;
            case Trouble::Broken:
                disk_->fs->set_mode(FaultFs::Mode::Broken);
                return true;
            case Trouble::CutInstall:
                if (prng_.chance(0.5))
                    disk_->fs->turn(FaultFs::Mode::Dead, prng_.between(3, 60));
                else
                    disk_->fs->break_manifest_syncs(prng_.below(3));
                return true;
            case Trouble::SlowReads:
                return false;  // a cold cache after each opening does it
        }
        return false;
    }
    void clear() override {
        disk_->fs->hold_tables(false);
        disk_->fs->set_mode(FaultFs::Mode::Healthy);
    }
    bool damage() override { return disk_->fs->flip_byte(".sst"); }
    void pause() override { seen_ = disk_->news.past(seen_); }

private:
    Prng prng_{0};
    std::unique_ptr<FaultyDisk> disk_;
    uint64_t seen_ = 0;  // news at the end of the last pause
};

Bytes b(std::string_view text) { return Bytes::copy(text); }

EngineBatch put(std::string_view key, std::string_view value) {
    EngineBatch batch;
    batch.put(b(key), b(value));
    return batch;
}

// All keys from `from` up to `to` are replaced.
Result<void> install(port::Engine& engine, std::string_view from, std::string_view to,
                     std::vector<port::KeyValue> content, EngineBatch meta = {}) {
    TestShard shard;
    return shard.install(engine, {{b(from), b(to)}}, std::move(content), std::move(meta));
}

TEST(RocksConformance, every_random_sequence_keeps_the_contract_and_every_state_is_reached) {
    RocksSubject subject;
    const auto outcome = run_conformance(subject, 1, sequences_asked_for(400));
    std::printf("%s", outcome.describe().c_str());
    EXPECT_TRUE(outcome.failures.empty());
    for (size_t i = 0; i < outcome.seen.size(); ++i) {
        // RocksDB's threads make the draw: what comes once in hundred sequences may not come in
        // few.
        if (static_cast<Seen>(i) == Seen::DamageHarmless && outcome.sequences < 4000) continue;
        EXPECT_GT(outcome.count(static_cast<Seen>(i)), 0) << to_string(static_cast<Seen>(i));
    }
}

#ifdef ASTERIAS_MUTANTS
TEST(RocksConformance, catches_every_planted_bug) {
    for (const char* name : {"engine_durable_too_early", "engine_install_not_atomic",
                             "engine_install_keeps_old_keys"}) {
        set_mutant(name);
        RocksSubject subject;
        const auto outcome = run_conformance(subject, 1, 300);
        EXPECT_FALSE(outcome.failures.empty()) << name;
        if (!outcome.failures.empty()) std::printf("%s: %s\n", name, outcome.failures[0].c_str());
    }
    const char* chosen = std::getenv("MUTANT");
    set_mutant(chosen ? chosen : "");
}
#endif

// Four shards write at once, then the node dies: whatever is left is a prefix in Seq order, at
// least up to durable(). Seqs come from RocksDB's own order, so no two are equal.
TEST(Rocks, a_crash_amid_concurrent_writers_leaves_a_prefix_in_seq_order) {
    constexpr int kWriters = 4;
    for (uint64_t seed = 0; seed < 20; ++seed) {
        FaultyDisk disk{Prng(seed)};
        auto engine = disk.open();
        ASSERT_TRUE(engine) << engine.error().describe();
        std::vector<std::pair<EngineSeq, std::string>> written[kWriters];
        std::atomic<bool> stop{false};
        std::vector<std::thread> threads;
        for (int w = 0; w < kWriters; ++w) {
            threads.emplace_back([&, w] {
                for (int i = 0; !stop && i < 20'000; ++i) {
                    const std::string key = std::to_string(w) + "/" + std::to_string(i);
                    EngineBatch batch = put(key, std::string(100, 'v'));
                    batch.put(b(key + "+"), b("second"));
                    if (auto seq = (*engine)->write(batch))
                        written[w].emplace_back(*seq, key);
                    else
                        std::this_thread::yield();
                }
            });
        }
        EngineSeq last_durable;
        while (last_durable < EngineSeq(2000 * (seed % 4))) {
            const EngineSeq durable = (*engine)->durable();
            ASSERT_GE(durable, last_durable);
            last_durable = durable;
            if (durable == (*engine)->written()) (*engine)->request_flush();
            (*engine)->request_flush();
            std::this_thread::yield();
        }
        const EngineSeq durable = (*engine)->durable();
        disk.fs->set_mode(FaultFs::Mode::Dead);
        stop = true;
        for (auto& thread : threads)
            thread.join();
        disk.crash(std::move(*engine));

        std::map<EngineSeq, std::string> all;
        for (const auto& one : written) {
            for (size_t i = 1; i < one.size(); ++i)
                ASSERT_LT(one[i - 1].first, one[i].first);
            all.insert(one.begin(), one.end());
        }
        size_t count = 0;
        for (const auto& one : written)
            count += one.size();
        ASSERT_EQ(all.size(), count) << "two writes with one Seq";
        auto reopened = disk.open();
        ASSERT_TRUE(reopened) << reopened.error().describe();
        auto snapshot = (*reopened)->snapshot();
        bool gone = false;
        for (const auto& [seq, key] : all) {
            const bool there = snapshot->get(key)->has_value();
            ASSERT_EQ(there, snapshot->get(key + "+")->has_value()) << "half a batch";
            ASSERT_FALSE(gone && there) << "a hole before Seq " << seq.value;
            gone = gone || !there;
            if (seq <= durable) {
                ASSERT_TRUE(there) << "durable Seq " << seq.value << " lost";
            }
        }
    }
}

void flush(FaultyDisk& disk, port::Engine& engine) {
    engine.request_flush();
    disk.news.until([&] { return engine.durable() == engine.written(); });
}

// Writes and flushes until a write is refused; why.
Errc write_until_refused(FaultyDisk& disk, port::Engine& engine, std::string_view value) {
    Errc refused{};
    int count = 0;
    disk.news.until([&] {
        auto seq = engine.write(put("k" + std::to_string(count++ % 100), value));
        if (!seq) {
            refused = seq.error().code;
            return true;
        }
        engine.request_flush();
        return false;
    });
    return refused;
}

TEST(Rocks, a_full_disk_holds_back_writes_and_installs_and_the_engine_goes_on_where_it_was) {
    const std::string value(1000, 'v');
    for (uint64_t seed = 0; seed < 50; ++seed) {
        FaultyDisk disk{Prng(seed)};
        auto engine = disk.open();
        ASSERT_TRUE(engine);
        ASSERT_TRUE((*engine)->write(put("old", "1")));
        flush(disk, **engine);
        disk.fs->turn(FaultFs::Mode::Full, 1 + seed % 2);  // no file, or some bytes of one
        ASSERT_EQ(write_until_refused(disk, **engine, value), Errc::NoSpace);
        auto installed = install(**engine, "x/", "x0", {{b("x/a"), b("1")}});
        ASSERT_FALSE(installed);
        EXPECT_EQ(installed.error().code, Errc::NoSpace);
        EXPECT_EQ((*(*engine)->snapshot()->get("k0"))->view(), value);
        EXPECT_EQ(*(*engine)->snapshot()->get("x/a"), std::nullopt);
        disk.fs->set_mode(FaultFs::Mode::Healthy);
        disk.news.until([&] { return (*engine)->write(put("last", "2")).has_value(); });
        flush(disk, **engine);
        disk.crash(std::move(*engine));
        engine = disk.open();
        ASSERT_TRUE(engine) << engine.error().describe();
        EXPECT_EQ(*(*engine)->snapshot()->get("old"), b("1"));
        EXPECT_EQ((*(*engine)->snapshot()->get("k0"))->view(), value);
        EXPECT_EQ(*(*engine)->snapshot()->get("last"), b("2"));
    }
}

TEST(Rocks, closing_on_a_full_disk_waits_for_nobody_and_loses_no_durable_write) {
    FaultyDisk disk{Prng(1)};
    auto engine = disk.open();
    ASSERT_TRUE(engine);
    ASSERT_TRUE((*engine)->write(put("durable", "1")));
    flush(disk, **engine);
    disk.fs->set_mode(FaultFs::Mode::Full);
    ASSERT_EQ(write_until_refused(disk, **engine, "2"), Errc::NoSpace);
    engine->reset();
    disk.fs->crash();
    engine = disk.open();
    ASSERT_TRUE(engine) << engine.error().describe();
    EXPECT_EQ(*(*engine)->snapshot()->get("durable"), b("1"));
}

// The sync fails, the record may yet survive: then what it names must still be there.
TEST(Rocks, an_install_whose_manifest_sync_fails_has_happened_or_not_and_is_never_half) {
    int before = 0, after = 0;
    for (uint64_t seed = 0; seed < 40; ++seed) {
        FaultyDisk disk{Prng(seed)};
        auto engine = disk.open();
        ASSERT_TRUE(engine);
        ASSERT_TRUE((*engine)->write(put("x/old", "1")));
        flush(disk, **engine);
        disk.fs->break_manifest_syncs(seed % 3);  // the ingestion's own record is the second
        auto installed = install(**engine, "x/", "x0", {{b("x/new"), b("2")}}, put("m", "3"));
        if (installed) {
            EXPECT_EQ(seed % 3, 2);
            continue;
        }
        EXPECT_EQ(installed.error().code, Errc::Io);
        auto refused = (*engine)->write(put("later", "4"));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::Io);
        engine->reset();  // a node that stops in order must leave what a killed one leaves
        disk.fs->crash();
        engine = disk.open();
        ASSERT_TRUE(engine) << engine.error().describe();
        const auto rows = *(*engine)->snapshot()->scan("", "", {100});
        using Rows = std::vector<port::KeyValue>;
        const bool happened = rows == Rows{{b("m"), b("3")}, {b("x/new"), b("2")}};
        EXPECT_TRUE(happened || rows == (Rows{{b("x/old"), b("1")}})) << "seed " << seed;
        ++(happened ? after : before);
    }
    EXPECT_GT(before, 0);
    EXPECT_GT(after, 0);
}

// All at once, on a disk that fills up and empties: nobody waits for somebody who waits for him.
TEST(Rocks, writers_installs_and_flushes_on_a_disk_that_fills_and_empties_all_come_to_an_end) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
        FaultyDisk disk{Prng(seed)};
        auto engine = disk.open();
        ASSERT_TRUE(engine);
        std::atomic<bool> stop{false};
        std::vector<std::thread> threads;
        for (int w = 0; w < 2; ++w) {
            threads.emplace_back([&, w] {
                for (int i = 0; !stop; ++i) {
                    const std::string key = std::to_string(w) + "/" + std::to_string(i % 500);
                    if (!(*engine)->write(put(key, std::string(500, 'v'))))
                        std::this_thread::yield();
                    if (i % 64 == 0) (*engine)->request_flush();
                }
            });
            threads.emplace_back([&, w] {
                const std::string space = "x" + std::to_string(w);
                while (!stop)
                    (void)install(**engine, space + "/", space + "0", {{b(space + "/a"), b("1")}},
                                  put(space + "m", "1"));
            });
        }
        disk.fs->on_call([&] { disk.news.tell(); });
        Prng prng(seed);
        for (int i = 0; i < 40; ++i) {
            disk.fs->set_mode(i % 2 == 0 ? FaultFs::Mode::Full : FaultFs::Mode::Healthy);
            // As long as so many calls take, of flushes, installs or of files that wait for space;
            // none come once an error is final.
            const uint64_t calls = disk.fs->calls() + prng.below(60);
            disk.news.until([&] {
                const auto probe = (*engine)->write(put("probe", "1"));
                return disk.fs->calls() >= calls || (!probe && probe.error().code == Errc::Io);
            });
        }
        stop = true;  // with a healthy disk
        for (auto& thread : threads)
            thread.join();
        if (seed % 2 == 0) {
            engine->reset();
            disk.fs->crash();
        } else {
            disk.crash(std::move(*engine));
        }
        engine = disk.open();
        ASSERT_TRUE(engine) << engine.error().describe();
        ASSERT_TRUE((*engine)->snapshot()->scan("", "", {}));
    }
}

class RealDisk : public ::testing::Test {
protected:
    void SetUp() override {
        std::string name = ::testing::TempDir() + "engine_rocks_XXXXXX";
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        options_.directory = name;
    }
    void TearDown() override { std::filesystem::remove_all(options_.directory); }
    RocksOptions options_;
};

TEST_F(RealDisk, data_survives_a_clean_close_and_an_install_is_durable_at_once) {
    {
        auto engine = open_rocks(options_);
        ASSERT_TRUE(engine) << engine.error().describe();
        ASSERT_TRUE((*engine)->write(put("k", "1")));
        ASSERT_TRUE((*engine)->write(put("x/old", "1")));
        ASSERT_TRUE(install(**engine, "x/", "x0", {{b("x/new"), b("2")}}, put("m", "3")));
        EXPECT_EQ((*engine)->durable(), (*engine)->written());
        ASSERT_TRUE((*engine)->write(put("last", "4")));
    }
    auto engine = open_rocks(options_);
    ASSERT_TRUE(engine) << engine.error().describe();
    EXPECT_EQ((*engine)->written(), EngineSeq(0));
    auto all = (*engine)->snapshot()->scan("", "", {100});
    ASSERT_TRUE(all);
    EXPECT_EQ(*all,
              (std::vector<port::KeyValue>{
                  {b("k"), b("1")}, {b("last"), b("4")}, {b("m"), b("3")}, {b("x/new"), b("2")}}));
}

TEST_F(RealDisk, a_second_engine_on_the_directory_is_refused) {
    auto first = open_rocks(options_);
    ASSERT_TRUE(first);
    auto second = open_rocks(options_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::Conflict);
}

TEST_F(RealDisk, an_install_cut_by_a_crash_leaves_no_file_behind) {
    {
        ASSERT_TRUE(open_rocks(options_));
    }
    const std::string left = options_.directory + "/7" + std::string(kInstallSuffix);
    std::fclose(std::fopen(left.c_str(), "w"));
    auto engine = open_rocks(options_);
    ASSERT_TRUE(engine);
    EXPECT_FALSE(std::filesystem::exists(left));
}

std::vector<std::string> staged_files(const std::string& directory) {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(directory))
        if (entry.path().string().ends_with(kInstallSuffix)) found.push_back(entry.path());
    return found;
}

TEST_F(RealDisk, what_is_staged_needs_little_memory_and_leaves_no_file_whatever_becomes_of_it) {
    options_.staged_file_bytes = 100 * 1024;
    auto engine = open_rocks(options_);
    ASSERT_TRUE(engine);
    ASSERT_TRUE((*engine)->write(put("x/0000", "old")));
    ASSERT_TRUE((*engine)->write(put("y/old", "old")));
    TestShard shard;
    const auto stage = [&](int pieces) {
        auto staging = *(*engine)->stage({{b("x/"), b("x0")}, {b("y/"), b("y0")}});
        for (int i = 1; i <= pieces; ++i) {
            const std::string key = "x/" + std::to_string(1000 + i);
            EXPECT_TRUE(shard.add(*staging, {{b(key), b(std::string(10'000, 'v'))}}));
        }
        return staging;
    };
    {
        auto staging = stage(100);
        EXPECT_EQ(staging->bytes(), 100 * 10'006);
        EXPECT_GE(staged_files(options_.directory).size(), 9u);
        EXPECT_EQ(*(*engine)->snapshot()->get("x/1001"), std::nullopt);
    }
    auto staging = stage(35);
    ASSERT_TRUE(shard.install(*staging, put("z", "meta")));
    staging.reset();
    EXPECT_EQ((*engine)->snapshot()->scan("x/", "x0", {})->size(), 35u);
    EXPECT_EQ(*(*engine)->snapshot()->get("y/old"), std::nullopt);
    EXPECT_EQ(**(*engine)->snapshot()->get("z"), b("meta"));
    staging = stage(35);
    staging.reset();
    engine->reset();  // joins who removes
    EXPECT_TRUE(staged_files(options_.directory).empty());
}

TEST_F(RealDisk, staging_leaves_the_reserve_alone) {
    options_.staged_file_bytes = 1000;
    options_.reserve_bytes = uint64_t{1} << 60;
    auto engine = open_rocks(options_);
    ASSERT_TRUE(engine);
    TestShard shard;
    auto staging = *(*engine)->stage({{b("x/"), b("x0")}});
    ASSERT_TRUE(shard.add(*staging, {{b("x/1"), b("in memory")}}));
    auto added = shard.add(*staging, {{b("x/2"), b(std::string(1000, 'v'))}});
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, Errc::NoSpace);
    EXPECT_TRUE(staged_files(options_.directory).empty());
    EXPECT_TRUE((*engine)->write(put("k", "1"))) << "others go on";
}

TEST(Rocks, a_piece_refused_for_lack_of_space_is_taken_later_and_nothing_twice) {
    int refused = 0;
    for (uint64_t seed = 1; seed <= 30; ++seed) {
        FaultyDisk disk{Prng(seed)};
        TestShard shard;
        auto engine = disk.open();
        ASSERT_TRUE(engine);
        ASSERT_TRUE((*engine)->write(put("x/old", "1")));
        auto staging = *(*engine)->stage({{b("x/"), b("x0")}});
        disk.fs->turn(FaultFs::Mode::Full, seed);
        std::vector<port::KeyValue> expected;
        for (int i = 0; i < 10; ++i) {
            const port::KeyValue pair{b("x/" + std::to_string(i)), b(std::string(700, 'v'))};
            auto added = shard.add(*staging, {pair});
            if (!added) {
                ++refused;
                EXPECT_EQ(added.error().code, Errc::NoSpace) << added.error().describe();
                disk.fs->set_mode(FaultFs::Mode::Healthy);
                ASSERT_TRUE(shard.add(*staging, {pair}));
            }
            expected.push_back(pair);
        }
        disk.fs->set_mode(FaultFs::Mode::Healthy);
        ASSERT_TRUE(shard.install(*staging, put("m", "1")));
        EXPECT_EQ(*(*engine)->snapshot()->scan("x/", "x0", {}), expected) << "seed " << seed;
        staging.reset();
    }
    EXPECT_GT(refused, 5);
}

TEST(Rocks, compactions_under_a_snapshot_of_a_merely_installed_state_lose_no_row) {
    FaultyDisk disk{Prng(1)};
    auto engine = disk.open();
    ASSERT_TRUE(engine);
    const std::vector<port::KeyValue> rows{{b("x/a"), b("1")}, {b("x/b"), b("2")}};
    ASSERT_TRUE(install(**engine, "x/", "x0", rows, put("m", "0")));
    auto snapshot = (*engine)->snapshot();
    // Far more files than level 0 may hold: the last flushes cannot end before compactions did.
    for (int i = 0; i < 60; ++i) {
        disk.news.until([&] { return (*engine)->write(put("m", std::to_string(i))).has_value(); });
        flush(disk, **engine);
    }
    EXPECT_EQ(*(*engine)->snapshot()->scan("x/", "x0", {10}), rows);
    EXPECT_EQ(*snapshot->scan("x/", "x0", {10}), rows);
    snapshot.reset();
}

// What is compacted is a deletion of everything: the table that it begins gets no key.
TEST(Rocks, a_compaction_that_leaves_nothing_may_fail_at_each_of_its_calls) {
    size_t failed = 0;
    for (uint64_t spared = 1;; ++spared) {
        auto fs = std::make_shared<FaultFs>(Prng(spared));
        auto env = make_fault_env(fs);
        const auto options = make_options({.directory = "/db", .write_buffers_max = 2}, env.get());
        rocksdb::WriteOptions no_log;
        no_log.disableWAL = true;
        rocksdb::DB* opened = nullptr;
        ASSERT_TRUE(rocksdb::DB::Open(options, "/db", &opened).ok());
        const std::unique_ptr<rocksdb::DB> db(opened);
        ASSERT_TRUE(db->Put(no_log, "k", "v").ok());
        ASSERT_TRUE(db->Flush({}).ok());
        ASSERT_TRUE(db->DeleteRange(no_log, db->DefaultColumnFamily(), "a", "z").ok());
        ASSERT_TRUE(db->Flush({}).ok());
        fs->turn(FaultFs::Mode::Broken, spared);
        const auto status = db->CompactRange({}, nullptr, nullptr);
        fs->set_mode(FaultFs::Mode::Healthy);
        if (status.ok()) break;
        ++failed;
    }
    EXPECT_GE(failed, 3u);
}

TEST(Rocks, a_read_abandoned_in_flight_resumes_nobody) {
    FaultyDisk disk{Prng(1)};
    TestShard shard;
    auto engine = disk.open();
    ASSERT_TRUE(engine);
    ASSERT_TRUE((*engine)->write(put("k", "1")));
    struct Starter {
        static port::Task<> run(port::Engine& from, port::Shard& on, bool& resumed) {
            co_await from.get(on, Bytes::literal("k"));
            resumed = true;
        }
    };
    bool resumed = false;
    {
        auto task = Starter::run(**engine, shard, resumed);
        auto awaiter = std::move(task).operator co_await();
        awaiter.await_suspend(std::noop_coroutine()).resume();
    }
    bool later = false;
    engine->reset();  // joins the readers, so the answer is in the shard's queue
    shard.post([&] { later = true; });
    shard.run_until([&] { return later; });
    EXPECT_FALSE(resumed);
}

}  // namespace
}  // namespace asterias::engine
