#include <gtest/gtest.h>

#include "runtime/sim/test_support.h"

namespace asterias::sim {
namespace {

NodeOptions options(TurnStyle turns, size_t shards = 1) {
    return {.shards = shards, .turns = turns};
}

struct Hook : port::TurnHook {
    std::vector<std::string>* log;
    std::string name;
    std::function<void()> then;
    Hook(std::vector<std::string>* l, std::string n) : log(l), name(std::move(n)) {}
    void on_turn_end() override {
        log->push_back(name);
        if (then) then();
    }
};

TEST(Turn, RunsWhatIsReadyAndWhatThatMakesReadyThenWorkThenSync) {
    World world(1);
    const NodeIndex n = world.add_node("n", options(TurnStyle::All));
    port::Shard& shard = boot_host(world, n)->shard();
    world.run_for(milliseconds(10));  // the turn after boot
    std::vector<std::string> log;
    Hook sync(&log, "sync"), work1(&log, "work1"), work2(&log, "work2");
    shard.add_turn_hook(port::TurnPhase::Sync, sync);
    shard.add_turn_hook(port::TurnPhase::Work, work1);
    shard.add_turn_hook(port::TurnPhase::Work, work2);
    shard.post([&] {
        log.push_back("a");
        shard.post([&] { log.push_back("made ready"); });
    });
    shard.post([&] { log.push_back("b"); });
    EXPECT_TRUE(log.empty());
    world.run_for(seconds(1));
    EXPECT_EQ(log, (std::vector<std::string>{"a", "b", "made ready", "work1", "work2", "sync"}));
    shard.remove_turn_hook(work1);
    shard.remove_turn_hook(work2);
    shard.remove_turn_hook(sync);
}

TEST(Turn, AHookMayPostWhichBeginsTheNextTurn) {
    World world(1);
    const NodeIndex n = world.add_node("n", options(TurnStyle::All));
    port::Shard& shard = boot_host(world, n)->shard();
    world.run_for(milliseconds(10));
    std::vector<std::string> log;
    Hook work(&log, "work");
    work.then = [&] {
        if (log.size() == 2) shard.post([&] { log.push_back("posted"); });
    };
    shard.add_turn_hook(port::TurnPhase::Work, work);
    shard.post([&] { log.push_back("first"); });
    world.run_for(seconds(1));
    EXPECT_EQ(log, (std::vector<std::string>{"first", "work", "posted", "work"}));
    shard.remove_turn_hook(work);
}

TEST(Turn, AHookRemovedByAnotherIsNotCalled) {
    World world(1);
    const NodeIndex n = world.add_node("n", options(TurnStyle::All));
    port::Shard& shard = boot_host(world, n)->shard();
    std::vector<std::string> log;
    Hook first(&log, "first"), second(&log, "second"), third(&log, "third");
    first.then = [&] { shard.remove_turn_hook(second); };
    for (Hook* hook : {&first, &second, &third})
        shard.add_turn_hook(port::TurnPhase::Work, *hook);
    world.run_for(seconds(1));
    EXPECT_EQ(log, (std::vector<std::string>{"first", "third"}));
    shard.remove_turn_hook(first);
    shard.remove_turn_hook(third);
}

TEST(Turn, LengthIsDrawnAndNowIsConstantWithinEach) {
    World world(3);
    const NodeIndex n = world.add_node("n", options(TurnStyle::Drawn));
    port::Shard& shard = boot_host(world, n)->shard();
    std::vector<std::string> unused;
    std::map<size_t, int> lengths;  // how often a turn took so many
    std::vector<Instant> seen;
    Hook end(&unused, "end");
    end.then = [&] {
        for (const Instant at : seen)
            EXPECT_EQ(at, shard.clock().now());
        ++lengths[seen.size()];
        seen.clear();
    };
    shard.add_turn_hook(port::TurnPhase::Sync, end);
    for (int round = 0; round < 100; ++round) {
        for (int i = 0; i < 5; ++i)
            shard.post([&] { seen.push_back(shard.clock().now()); });
        world.run_for(milliseconds(20));
    }
    EXPECT_GT(lengths[1], 0);
    EXPECT_GT(lengths[3], 0);
    EXPECT_GT(lengths[5], 0);
    EXPECT_GT(world.faults().count(Fault::TurnCutShort), 0u);
    shard.remove_turn_hook(end);
}

TEST(Turn, AShardThatPostsForEverLetsTimePass) {
    World world(1);
    const NodeIndex n = world.add_node("n", options(TurnStyle::All));
    port::Shard& shard = boot_host(world, n)->shard();
    size_t runs = 0;
    struct Again {
        port::Shard& shard;
        size_t& runs;
        void operator()() {
            ++runs;
            shard.post(Again{shard, runs});
        }
    };
    shard.post(Again{shard, runs});
    world.run_for(microseconds(500));
    EXPECT_GT(runs, 100u);
}

TEST(Timers, FireAtTheirDeadlineEqualOnesInOrderOfArming) {
    World world(5);
    const NodeIndex n = world.add_node("n", options(TurnStyle::Drawn));
    port::Shard& shard = boot_host(world, n)->shard();
    std::vector<int> order;
    const Instant start = shard.clock().now();
    shard.timers().after(milliseconds(20), [&] {
        EXPECT_GE(shard.clock().now(), start + milliseconds(20));
        order.push_back(20);
    });
    for (int i = 0; i < 5; ++i)
        shard.timers().after(milliseconds(10), [&, i] { order.push_back(i); });
    world.run_for(milliseconds(9));
    EXPECT_TRUE(order.empty());
    world.run_for(seconds(1));
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 20}));
}

TEST(Timers, ACancelledOneNeverRunsEvenIfItWasReady) {
    World world(5);
    const NodeIndex n = world.add_node("n", options(TurnStyle::All));
    port::Shard& shard = boot_host(world, n)->shard();
    int ran = 0;
    port::TimerId second{};
    shard.timers().after(milliseconds(10), [&] {
        ++ran;
        shard.timers().cancel(second);
    });
    second = shard.timers().after(milliseconds(10), [&] { ran += 100; });
    const auto third = shard.timers().after(milliseconds(10), [&] { ran += 100; });
    shard.timers().cancel(third);
    shard.timers().cancel(third);
    shard.timers().cancel(port::TimerId{});
    world.run_for(seconds(1));
    EXPECT_EQ(ran, 1);
    // The slots are used again; the old ids stay void.
    shard.timers().after(milliseconds(1), [&] { ++ran; });
    shard.timers().cancel(second);
    shard.timers().cancel(third);
    world.run_for(seconds(1));
    EXPECT_EQ(ran, 2);
}

TEST(Submit, KeepsTheOrderOfEachPairOfShards) {
    World world(11);
    const NodeIndex n = world.add_node("n", options(TurnStyle::Drawn, 3));
    Host* host = boot_host(world, n);
    std::vector<int> from_one, from_two;
    for (int i = 0; i < 200; ++i) {
        host->shard(1).post(
            [&, i] { host->shard(1).submit(ShardId(0), [&, i] { from_one.push_back(i); }); });
        host->shard(2).post(
            [&, i] { host->shard(2).submit(ShardId(0), [&, i] { from_two.push_back(i); }); });
        world.run_for(microseconds(30));
    }
    world.run_for(seconds(1));
    ASSERT_EQ(from_one.size(), 200u);
    ASSERT_EQ(from_two.size(), 200u);
    EXPECT_TRUE(std::is_sorted(from_one.begin(), from_one.end()));
    EXPECT_TRUE(std::is_sorted(from_two.begin(), from_two.end()));
    EXPECT_GT(world.faults().count(Fault::SubmitDelayed), 0u);
}

TEST(Clock, DriftAndOffsetShowAndTimersFollowTheLocalClock) {
    World world(2);
    const NodeIndex fast = world.add_node("fast", {.drift_ppm = 100'000});
    const NodeIndex exact = world.add_node("exact", {.wall_offset = seconds(-3)});
    port::Shard& f = boot_host(world, fast)->shard();
    port::Shard& e = boot_host(world, exact)->shard();
    const Instant f0 = f.clock().now(), e0 = e.clock().now();
    EXPECT_EQ(f.clock().wall().micros - e.clock().wall().micros, 3'000'000);
    Instant fired{};
    f.timers().after(seconds(11), [&] { fired = world.now(); });
    world.run_until(Instant(seconds(10)));
    EXPECT_EQ(f.clock().now() - f0, seconds(11));
    EXPECT_EQ(e.clock().now() - e0, seconds(10));
    EXPECT_EQ(f.clock().wall().micros - e.clock().wall().micros, 4'000'000);
    world.run_for(seconds(1));
    EXPECT_GE(fired, Instant(seconds(10)));
    EXPECT_LT(fired, Instant(seconds(10) + milliseconds(10)));
    const WallTime before = e.clock().wall();
    world.step_wall(exact, -std::chrono::hours(1));
    EXPECT_EQ(e.clock().wall().micros, before.micros - 3'600'000'000);
    EXPECT_EQ(e.clock().now() - e0, seconds(11));
}

TEST(Clock, ASlowedClockNeverFiresATimerEarly) {
    World world(2);
    const NodeIndex n = world.add_node("n", {});
    port::Shard& shard = boot_host(world, n)->shard();
    const Instant start = shard.clock().now();
    Instant fired{};
    shard.timers().after(seconds(10), [&] { fired = shard.clock().now(); });
    world.run_for(seconds(1));
    world.set_drift(n, -500'000);
    world.run_for(seconds(17));
    EXPECT_EQ(fired, Instant{});
    world.run_for(seconds(2));
    EXPECT_GE(fired - start, seconds(10));
    EXPECT_LT(fired - start, seconds(10) + milliseconds(10));
}

TEST(Pause, NothingRunsUntilItEndsAndTimersAreLate) {
    World world(2);
    const NodeIndex n = world.add_node("n", {});
    port::Shard& shard = boot_host(world, n)->shard();
    world.run_for(milliseconds(10));
    const Instant start = shard.clock().now();
    Instant fired{};
    int posted = 0;
    shard.timers().after(milliseconds(100), [&] { fired = shard.clock().now(); });
    world.pause(n, seconds(2));
    shard.post([&] { ++posted; });
    world.run_for(milliseconds(1'999));
    EXPECT_EQ(posted, 0);
    EXPECT_EQ(fired, Instant{});
    world.run_for(milliseconds(10));
    EXPECT_EQ(posted, 1);
    EXPECT_GE(fired - start, seconds(2));
}

}  // namespace
}  // namespace asterias::sim
