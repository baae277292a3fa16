#include <csignal>
#include <set>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "port/sync.h"
#include "runtime/epoll/stall.h"
#include "runtime/epoll/testing.h"
#include "runtime/epoll/timers.h"

namespace asterias::runtime {
namespace {

using port::Shard;
using port::Task;

struct FakeClock final : port::Clock {
    Instant at{};
    Instant now() const override { return at; }
    WallTime wall() const override { return {}; }
};

TEST(TimerHeap, FiresByDeadlineThenByOrderOfArming) {
    FakeClock clock;
    TimerHeap timers(clock);
    std::string fired;
    timers.after(milliseconds(2), [&] { fired += 'c'; });
    timers.after(milliseconds(1), [&] { fired += 'a'; });
    timers.after(milliseconds(1), [&] { fired += 'b'; });
    timers.after(milliseconds(9), [&] { fired += 'x'; });
    clock.at += milliseconds(2);
    timers.run_due(clock.at);
    EXPECT_EQ(fired, "abc");
    EXPECT_EQ(timers.armed(), 1u);
}

TEST(TimerHeap, ACancelledTimerNeverRunsEvenIfDueInTheSameCall) {
    FakeClock clock;
    TimerHeap timers(clock);
    std::string fired;
    port::TimerId second;
    timers.after(Duration(0), [&] {
        fired += 'a';
        timers.cancel(second);
    });
    second = timers.after(Duration(0), [&] { fired += 'b'; });
    const auto third = timers.after(Duration(0), [&] { fired += 'c'; });
    timers.run_due(clock.at);
    EXPECT_EQ(fired, "ac");
    timers.cancel(third);  // fired: fine
    timers.cancel(port::TimerId());
}

TEST(TimerHeap, ATimerArmedWhileFiringWaitsForTheNextCall) {
    FakeClock clock;
    TimerHeap timers(clock);
    int runs = 0;
    std::function<void()> rearm = [&] {
        ++runs;
        timers.after(Duration(0), [&] { rearm(); });
    };
    rearm();
    timers.run_due(clock.at);
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(timers.next_deadline(), clock.at);
}

TEST(TimerHeap, AnOldIdDoesNotCancelTheNextUserOfItsSlot) {
    FakeClock clock;
    TimerHeap timers(clock);
    bool fired = false;
    const auto old = timers.after(Duration(0), [] {});
    timers.cancel(old);
    timers.after(Duration(0), [&] { fired = true; });
    timers.cancel(old);
    timers.run_due(clock.at);
    EXPECT_TRUE(fired);
}

TEST(TimerHeap, CancelledTimersDoNotPileUp) {
    FakeClock clock;
    TimerHeap timers(clock);
    for (int i = 0; i < 100'000; ++i)
        timers.cancel(timers.after(seconds(10), [] {}));
    EXPECT_EQ(timers.armed(), 0u);
    EXPECT_LE(timers.heap_size(), 65u);
}

TEST(StallWatch, CountsTicksOfOneRunOnly) {
    StallFlag flag;
    StallWatch watch(flag);
    EXPECT_EQ(watch.tick(), 0u);
    flag.begin();
    EXPECT_EQ(watch.tick(), 0u);
    EXPECT_EQ(watch.tick(), 1u);
    EXPECT_EQ(watch.tick(), 2u);
    flag.end();
    flag.begin();
    EXPECT_EQ(watch.tick(), 0u);  // another run
    EXPECT_EQ(watch.tick(), 1u);
    flag.end();
    EXPECT_EQ(watch.tick(), 0u);
}

struct Recorder final : port::TurnHook {
    std::string& text;
    char name;
    std::function<void()> then;
    Recorder(std::string& t, char n) : text(t), name(n) {}
    void on_turn_end() override {
        text += name;
        if (then) then();
    }
};

TEST(Turn, RunsAllPostsThenWorkHooksThenSyncHooksAndAHookMayPost) {
    World world;
    std::string text;
    Recorder work1(text, 'w'), work2(text, 'v'), sync(text, 's');
    world.run([&](Shard& shard) -> Task<void> {
        shard.add_turn_hook(port::TurnPhase::Sync, sync);
        shard.add_turn_hook(port::TurnPhase::Work, work1);
        shard.add_turn_hook(port::TurnPhase::Work, work2);
        port::OneShot<int> done(shard);
        int turns = 0;
        work2.then = [&] {
            if (++turns == 1) shard.post([&] { text += '3'; });
            if (turns == 2) shard.post([&] { done.set(0); });
        };
        shard.post([&] {
            text += '1';
            shard.post([&] { text += '2'; });
        });
        co_await done;
        work2.then = {};
        for (auto* hook : {&work1, &work2, &sync})
            shard.remove_turn_hook(*hook);
    });
    EXPECT_EQ(text, "12wvs3wvs");
}

TEST(Turn, NowIsConstantWithinATurnAndMovesOnBetweenTurns) {
    World world;
    world.run([&](Shard& shard) -> Task<void> {
        const Instant first = shard.clock().now();
        port::OneShot<int> posted(shard);
        shard.post([&] { posted.set(0); });
        co_await posted;
        EXPECT_EQ(shard.clock().now(), first);
        co_await port::sleep(shard, milliseconds(2));
        EXPECT_GE(shard.clock().now(), first + milliseconds(2));
    });
}

TEST(Submit, KeepsTheOrderPerPairBetweenThreeShards) {
    constexpr int kMessages = 20'000;
    Registry registry;
    MemorySink sink;
    auto runtime = std::move(*Runtime::create({.shards = 3}, registry, Log(sink, "test")));
    struct Receiver {
        std::array<int, 3> next{};
        bool in_order = true;
    };
    std::array<Receiver, 3> receivers;
    std::atomic<int> finished = 0;
    runtime->run([&](Shard& from) {
        for (int i = 0; i < kMessages; ++i)
            for (uint64_t to = 0; to < 3; ++to)
                from.submit(ShardId(to), [&, i, to, sender = from.id().value] {
                    auto& receiver = receivers[to];
                    receiver.in_order &= receiver.next[sender]++ == i;
                    if (receiver.next == std::array{kMessages, kMessages, kMessages} &&
                        ++finished == 3)
                        runtime->stop();
                });
    });
    EXPECT_EQ(finished, 3);
    for (const auto& receiver : receivers)
        EXPECT_TRUE(receiver.in_order);
}

TEST(Submit, WakesASleepingShard) {
    choose_mutant();
    constexpr int kRounds = 2'000;
    Registry registry;
    MemorySink sink;
    auto runtime = std::move(*Runtime::create({.shards = 2}, registry, Log(sink, "test")));
    // One message is in flight at a time, so each side falls asleep over and over.
    std::function<void(int)> hop = [&](int left) {
        if (left == 0) return runtime->stop();
        runtime->shard(ShardId(left % 2)).submit(ShardId(1 - left % 2), [&, left] {
            hop(left - 1);
        });
    };
    runtime->run([&](Shard& shard) {
        if (shard.id() == ShardId(kRounds % 2)) hop(kRounds);
    });
    SUCCEED();
}

TEST(Runtime, StopFromAnotherThreadEndsAnIdleLoop) {
    Registry registry;
    MemorySink sink;
    auto runtime = std::move(*Runtime::create({.shards = 2}, registry, Log(sink, "test")));
    std::thread other([&] { runtime->stop(); });
    runtime->run([](Shard&) {});
    other.join();
}

TEST(Runtime, SignalsArriveOnShardZero) {
    Registry registry;
    MemorySink sink;
    auto runtime = std::move(*Runtime::create({.shards = 2}, registry, Log(sink, "test")));
    int got = 0;
    ASSERT_TRUE(runtime->on_signal([&](int signal) {
        got = signal;
        runtime->stop();
    }));
    runtime->run([](Shard& shard) {
        if (shard.id() == ShardId(0)) ::kill(::getpid(), SIGTERM);
    });
    EXPECT_EQ(got, SIGTERM);
}

TEST(Runtime, RefusesOptionsThatCannotWork) {
    Registry registry;
    MemorySink sink;
    EXPECT_EQ(Runtime::create({.shards = 0}, registry, Log(sink, "t")).error().code,
              Errc::InvalidArgument);
}

TEST(Runtime, EntropyDoesNotRepeat) {
    World world;
    world.run([](Shard& shard) -> Task<void> {
        std::set<uint64_t> seen;
        for (int i = 0; i < 100; ++i)
            seen.insert(shard.entropy().next());
        EXPECT_EQ(seen.size(), 100u);
        co_return;
    });
}

TEST(RuntimeDeathTest, FatalPrintsWhyAndEndsTheProcess) {
    World world;
    EXPECT_EXIT(world.runtime().shard(ShardId(0)).fatal("the disk said no"),
                ::testing::ExitedWithCode(1), "the disk said no");
}

TEST(Watchdog, CountsAndLogsASlowTurn) {
    World world({.slow_turn = Duration(1)});
    world.run([](Shard& shard) -> Task<void> { co_await port::sleep(shard, milliseconds(1)); });
    EXPECT_NE(world.sink.text().find("a turn of shard 0 took"), std::string::npos);
    EXPECT_GT(world.registry.counter("asterias_loop_slow_turns_total", "", "shard=\"0\"").value(),
              0u);
}

}  // namespace
}  // namespace asterias::runtime
