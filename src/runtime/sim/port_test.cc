// What src/port implements itself: Task, Scope, OneShot, Signal, sleep, read_file, replace_file.
// The tests live here because they need a shard.
#include <gtest/gtest.h>

#include "runtime/sim/test_support.h"

namespace asterias::sim {
namespace {

using port::Task;

// Counts its living copies' owner.
struct Tracer {
    int* alive;
    explicit Tracer(int* a) : alive(a) { ++*alive; }
    Tracer(Tracer&& o) noexcept : alive(std::exchange(o.alive, nullptr)) {}
    ~Tracer() {
        if (alive) --*alive;
    }
};

struct PortTest : testing::Test {
    World world{1};
    NodeIndex n = world.add_node("n", {});
    Host* host = boot_host(world, n);
    port::Shard& shard = host->shard();
    port::Scope& scope = host->scope();
    void run() { world.run_for(seconds(1)); }
};

Task<int> immediate(int value) { co_return value; }
Task<void> set_flag(bool& flag) {
    flag = true;
    co_return;
}
Task<void> sum_of(int count, int& sum) {
    for (int i = 0; i < count; ++i)
        sum += co_await immediate(1);
}
Task<int> nested(int depth) {
    if (depth == 0) co_return 0;
    co_return 1 + co_await nested(depth - 1);
}
Task<void> store_nested(int depth, int& out) { out = co_await nested(depth); }
Task<void> sleep_then(port::Shard& shard, Duration delay, bool& done, Tracer) {
    co_await port::sleep(shard, delay);
    done = true;
}
Task<void> await_scope(port::Scope& scope, bool& closed) {
    co_await scope.close();
    closed = true;
}

TEST_F(PortTest, ATaskDoesNothingUntilItIsAwaited) {
    bool ran = false;
    {
        Task<void> never = set_flag(ran);
    }
    EXPECT_FALSE(ran);
    scope.spawn("flag", set_flag(ran));
    EXPECT_TRUE(ran);
    EXPECT_EQ(scope.active(), 0u);
}

TEST_F(PortTest, AwaitingManyReadyTasksDoesNotGrowTheStack) {
    int sum = 0;
    scope.spawn("sum", sum_of(1'000'000, sum));
    EXPECT_EQ(sum, 1'000'000);
}

TEST_F(PortTest, DeepChainsOfTasksDoNotGrowTheStack) {
    int depth = 0;
    scope.spawn("nested", store_nested(200'000, depth));
    EXPECT_EQ(depth, 200'000);
}

TEST_F(PortTest, DestroyingATaskThatNeverRanDestroysItsParameters) {
    int alive = 0;
    bool done = false;
    {
        Task<void> task = sleep_then(shard, seconds(1), done, Tracer(&alive));
        EXPECT_EQ(alive, 1);
    }
    EXPECT_EQ(alive, 0);
}

TEST_F(PortTest, SleepLastsAtLeastItsDelay) {
    int alive = 0;
    bool done = false;
    scope.spawn("sleep", sleep_then(shard, milliseconds(500), done, Tracer(&alive)));
    EXPECT_EQ(scope.active(), 1u);
    world.run_for(milliseconds(499));
    EXPECT_FALSE(done);
    run();
    EXPECT_TRUE(done);
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(scope.active(), 0u);
}

Task<void> await_shot(port::OneShot<std::string>& shot, std::string& out) { out = co_await shot; }

TEST_F(PortTest, OneShotResumesItsWaiterLaterNeverInline) {
    port::OneShot<std::string> shot(shard);
    std::string got;
    scope.spawn("wait", await_shot(shot, got));
    shot.set("value");
    EXPECT_EQ(got, "");
    run();
    EXPECT_EQ(got, "value");
}

TEST_F(PortTest, OneShotSetBeforeTheAwaitDoesNotSuspend) {
    port::OneShot<std::string> shot(shard);
    std::string got;
    shot.set("value");
    scope.spawn("wait", await_shot(shot, got));
    EXPECT_EQ(got, "value");
}

Task<void> count_signals(port::Scope& scope, port::Signal& signal, int& count) {
    while (!scope.stop_requested()) {
        co_await signal.wait();
        ++count;
    }
}

TEST_F(PortTest, SignalsBeforeAWaitAreOneAndNoneIsLost) {
    port::Signal signal(shard);
    int count = 0;
    signal.notify();
    signal.notify();
    scope.spawn("count", count_signals(scope, signal, count));
    EXPECT_EQ(count, 1);
    signal.notify();
    EXPECT_EQ(count, 1);
    run();
    EXPECT_EQ(count, 2);
    scope.request_stop();
    signal.notify();
    run();
    EXPECT_EQ(count, 3);
    EXPECT_EQ(scope.active(), 0u);
}

TEST_F(PortTest, ScopeCloseWaitsForTheLastTask) {
    port::Scope inner(shard);
    int alive = 0;
    bool first = false, second = false, closed = false;
    inner.spawn("first", sleep_then(shard, milliseconds(100), first, Tracer(&alive)));
    inner.spawn("second", sleep_then(shard, milliseconds(300), second, Tracer(&alive)));
    scope.spawn("close", await_scope(inner, closed));
    world.run_for(milliseconds(200));
    EXPECT_TRUE(first);
    EXPECT_FALSE(closed);
    run();
    EXPECT_TRUE(second && closed);
    EXPECT_EQ(alive, 0);
}

TEST_F(PortTest, AnUnclosedScopeIsABug) {
    bool done = false;
    int alive = 0;
    EXPECT_DEATH(
        {
            port::Scope left(shard);
            left.spawn("left", sleep_then(shard, seconds(1), done, Tracer(&alive)));
        },
        "a Scope is closed before it dies");
}

TEST_F(PortTest, ACrashDestroysSuspendedTasksAndRunsNothing) {
    int alive = 0;
    bool slept = false, closed = false;
    std::string got;
    auto& shot = host->own<port::OneShot<std::string>>(shard);
    auto& signal = host->own<port::Signal>(shard);
    int signals = 0;
    scope.spawn("sleep", sleep_then(shard, milliseconds(10), slept, Tracer(&alive)));
    scope.spawn("shot", await_shot(shot, got));
    scope.spawn("count", count_signals(scope, signal, signals));
    host->own<int>(0);
    shard.post([t = Tracer(&alive)] {});
    shard.timers().after(seconds(1), [t = Tracer(&alive)] {});
    shot.set("posted but never run");
    signal.notify();
    EXPECT_EQ(alive, 3);
    world.crash(n);
    EXPECT_EQ(alive, 0);
    run();
    EXPECT_FALSE(slept || closed);
    EXPECT_EQ(got, "");
    EXPECT_EQ(signals, 0);
    EXPECT_FALSE(world.up(n));
}

// --- files: the simplest disk, to see the steps that replace_file takes -----------------------

struct StepDisk : port::Disk {
    std::map<std::string, std::string> files;
    std::vector<std::string> steps;
    size_t fail_at = SIZE_MAX;  // index of the step that fails

    Result<void> step(std::string what) {
        steps.push_back(std::move(what));
        if (steps.size() - 1 == fail_at) return fail(Errc::Io, "injected");
        return {};
    }
    struct Handle : port::File {
        StepDisk& disk;
        std::string path;
        Handle(StepDisk& d, std::string p) : disk(d), path(std::move(p)) {}
        Task<Result<void>> write(uint64_t offset, std::vector<Bytes> pieces,
                                 port::Durability durability) override {
            EXPECT_EQ(durability, port::Durability::Synced);
            auto ok = disk.step("write " + path);
            if (!ok) co_return ok;
            std::string& content = disk.files[path];
            content.resize(offset);
            for (const Bytes& piece : pieces)
                content += piece.view();
            co_return Result<void>{};
        }
        Task<Result<void>> sync() override { co_return disk.step("sync " + path); }
        Task<Result<Bytes>> read(uint64_t offset, size_t count) override {
            co_return Bytes::copy(std::string_view(disk.files[path]).substr(offset, count));
        }
        Task<Result<uint64_t>> size() override { co_return disk.files[path].size(); }
        Task<Result<void>> preallocate(uint64_t) override { co_return Result<void>{}; }
    };
    Task<Result<std::unique_ptr<port::File>>> open(std::string path, port::OpenMode mode) override {
        const bool exists = files.contains(path);
        if (mode == port::OpenMode::Create) {
            if (exists) co_return fail(Errc::AlreadyExists, path);
            if (auto ok = step("create " + path); !ok) co_return std::unexpected(ok.error());
            files[path] = "";
        } else if (!exists) {
            co_return fail(Errc::NotFound, path);
        }
        co_return std::make_unique<Handle>(*this, path);
    }
    Task<Result<void>> create_directories(std::string) override { co_return Result<void>{}; }
    Task<Result<void>> remove(std::string path) override {
        auto ok = step("remove " + path);
        if (ok && files.erase(path) == 0) co_return fail(Errc::NotFound, path);
        co_return ok;
    }
    Task<Result<void>> rename(std::string from, std::string to) override {
        auto ok = step("rename " + from + " " + to);
        if (ok) files[to] = files.extract(from).mapped();
        co_return ok;
    }
    Task<Result<void>> sync_directory(std::string path) override {
        co_return step("sync_directory " + path);
    }
    Task<Result<std::vector<std::string>>> list(std::string) override {
        co_return std::vector<std::string>{};
    }
    Task<Result<port::Space>> space(std::string) override { co_return port::Space{}; }
    Result<std::unique_ptr<port::FileLock>> lock(std::string) override {
        return std::make_unique<port::FileLock>();
    }
};

Task<void> replace(port::Disk& disk, std::string content, std::optional<Result<void>>& out) {
    out = co_await port::replace_file(disk, "d", "f", Bytes::copy(content));
}
Task<void> read(port::Disk& disk, std::optional<Result<Bytes>>& out) {
    out = co_await port::read_file(disk, "d/f");
}

TEST_F(PortTest, ReplaceFileWritesAsideSyncsRenamesAndSyncsTheDirectory) {
    StepDisk disk;
    std::optional<Result<Bytes>> before, after;
    scope.spawn("read", read(disk, before));
    ASSERT_TRUE(before && !*before);
    EXPECT_EQ(before->error().code, Errc::NotFound);
    std::optional<Result<void>> replaced;
    scope.spawn("replace", replace(disk, "new", replaced));
    ASSERT_TRUE(replaced && *replaced);
    EXPECT_EQ(disk.steps,
              (std::vector<std::string>{"remove d/f.new", "create d/f.new", "write d/f.new",
                                        "rename d/f.new d/f", "sync_directory d"}));
    scope.spawn("read", read(disk, after));
    ASSERT_TRUE(after && *after);
    EXPECT_EQ((*after)->view(), "new");
}

TEST_F(PortTest, EachLifeOfEachShardGetsADiskFromTheFactoryOfItsNode) {
    std::vector<ShardId> made;
    const NodeIndex d = world.add_node("d", {.shards = 2, .disk = [&](port::Shard& s, Prng) {
                                                 made.push_back(s.id());
                                                 return std::make_unique<StepDisk>();
                                             }});
    Host* first = boot_host(world, d);
    EXPECT_NE(&first->shard(0).disk(), &first->shard(1).disk());
    world.crash(d);
    boot_host(world, d);
    EXPECT_EQ(made, (std::vector{ShardId(0), ShardId(1), ShardId(0), ShardId(1)}));
    EXPECT_DEATH(shard.disk(), "this node was added with a disk");
}

TEST_F(PortTest, ReplaceFileThatFailsAnywhereSaysSoAndTheNextOneSucceeds) {
    for (size_t at = 0; at < 5; ++at) {
        StepDisk disk;
        disk.files["d/f"] = "old";
        disk.fail_at = at;
        std::optional<Result<void>> replaced;
        scope.spawn("replace", replace(disk, "new", replaced));
        ASSERT_TRUE(replaced && !*replaced) << at;
        EXPECT_EQ(replaced->error().code, Errc::Io);
        EXPECT_EQ(disk.files["d/f"], at < 4 ? "old" : "new");
        scope.spawn("replace", replace(disk, "newer", replaced));
        EXPECT_TRUE(replaced && *replaced) << at;
        EXPECT_EQ(disk.files, (std::map<std::string, std::string>{{"d/f", "newer"}}));
    }
}

}  // namespace
}  // namespace asterias::sim
