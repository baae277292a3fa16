#include "engine/mem/mem.h"

#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

#include "base/mutant.h"
#include "engine/conformance/conformance.h"
#include "engine/conformance/test_shard.h"
#include "port/engine_owner.h"

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

class MemSubject final : public Subject {
public:
    void fresh(Prng prng) override {
        image_ = {};
        prng_ = prng;
    }
    Result<std::unique_ptr<port::Engine>> open() override {
        MemOptions options{.prng = prng_.split()};
        options.flush_begins = prng_.chance(0.5) ? 0.05 : 0.3;
        options.flush_ends = prng_.chance(0.5) ? 0.05 : 0.5;
        return open_mem(image_, options);
    }
    void crash(std::unique_ptr<port::Engine> engine,
               std::unique_ptr<port::Staging> staging) override {
        // Any order must do: the simulator's teardown knows none.
        if (prng_.chance(0.5)) engine.reset();
        if (prng_.chance(0.5)) staging.reset();
        image_.crash(prng_);
        engine.reset();
        clear();
    }
    bool start(Trouble trouble) override {
        MemFaults faults = image_.faults();
        switch (trouble) {
            case Trouble::Stall:
                faults.stall_begins = 0.3;
                break;
            case Trouble::DiskFull:
                faults.capacity_bytes = image_.bytes() + 50;
                break;
            case Trouble::Broken:
                faults.flush_fails = 0.5;
                break;
            case Trouble::CutInstall:
                faults.install_fails = 0.7;
                break;
            case Trouble::SlowReads:
                faults.would_block = 0.5;
                break;
        }
        image_.set_faults(faults);
        return true;
    }
    void clear() override { image_.set_faults({}); }
    bool damage() override {
        bool any = false;
        for (int i = 0; i < 5; ++i) {
            const std::string key{"abc"[prng_.below(3)], '/',
                                  static_cast<char>('a' + prng_.below(12))};
            any = image_.damage(key) || any;
        }
        return any;
    }
    void pause() override {}

private:
    MemImage image_;
    Prng prng_{0};
};

Bytes b(std::string_view text) { return Bytes::copy(text); }

EngineBatch put(std::string_view key, std::string_view value) {
    EngineBatch batch;
    batch.put(b(key), b(value));
    return batch;
}

std::string read(port::Engine& engine, std::string_view key) {
    auto found = engine.try_get(key);
    if (auto* value = std::get_if<Bytes>(&found)) return value->str();
    if (auto* error = std::get_if<Error>(&found)) return std::string(to_string(error->code));
    return std::holds_alternative<port::Absent>(found) ? "absent" : "would block";
}

port::Task<> read_into(port::Task<Result<std::optional<Bytes>>> read,
                       std::optional<Result<std::optional<Bytes>>>& answer) {
    answer = co_await std::move(read);
}

TEST(MemConformance, every_random_sequence_keeps_the_contract_and_every_state_is_reached) {
    MemSubject subject;
    const auto outcome = run_conformance(subject, 1, sequences_asked_for(3000));
    std::printf("%s", outcome.describe().c_str());
    EXPECT_TRUE(outcome.failures.empty());
    for (size_t i = 0; i < outcome.seen.size(); ++i) {
        const auto seen = static_cast<Seen>(i);
        // An image has no files that open() could check, and no bytes beside those of keys.
        if (seen == Seen::OpenRefused || seen == Seen::DamageHarmless) continue;
        EXPECT_GT(outcome.count(seen), 0) << to_string(seen);
    }
}

#ifdef ASTERIAS_MUTANTS
TEST(MemConformance, catches_every_planted_bug) {
    for (const char* name :
         {"engine_durable_too_early", "engine_hole_after_crash", "engine_install_not_atomic",
          "engine_install_keeps_old_keys", "engine_staged_leftover_installed"}) {
        set_mutant(name);
        MemSubject subject;
        const auto outcome = run_conformance(subject, 1, 500);
        EXPECT_FALSE(outcome.failures.empty()) << name;
        if (!outcome.failures.empty()) std::printf("%s: %s\n", name, outcome.failures[0].c_str());
    }
    const char* chosen = std::getenv("MUTANT");
    set_mutant(chosen ? chosen : "");
}
#endif

TEST(Mem, same_seed_and_same_calls_give_the_same_answers) {
    const auto run = [] {
        MemSubject subject;
        const auto outcome = run_conformance(subject, 77, 200);
        return outcome.describe();
    };
    EXPECT_EQ(run(), run());
}

TEST(Mem, a_second_engine_on_an_open_image_is_refused) {
    MemImage image;
    auto first = open_mem(image, {});
    ASSERT_TRUE(first);
    auto second = open_mem(image, {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::Conflict);
    first->reset();
    EXPECT_TRUE(open_mem(image, {}));
}

TEST(Mem, writes_without_a_flush_are_lost_by_some_crash_and_never_partly) {
    int lost = 0, kept = 0;
    for (uint64_t seed = 0; seed < 50; ++seed) {
        MemImage image;
        Prng prng(seed);
        {
            auto engine = open_mem(image, {.prng = Prng(seed), .flush_begins = 0});
            EngineBatch both = put("x", "1");
            both.put(b("y"), b("1"));
            ASSERT_TRUE((*engine)->write(both));
            EXPECT_EQ((*engine)->durable(), EngineSeq(0));
        }
        image.crash(prng);
        auto engine = open_mem(image, {.prng = Prng(seed)});
        EXPECT_EQ(read(**engine, "x"), read(**engine, "y"));
        ++(read(**engine, "x") == "1" ? kept : lost);
    }
    EXPECT_GT(lost, 0);
    EXPECT_GT(kept, 0);
}

TEST(Mem, a_full_disk_still_takes_deletes) {
    MemImage image;
    auto engine = open_mem(image, {});
    ASSERT_TRUE((*engine)->write(put("k", "0123456789")));
    image.set_faults({.capacity_bytes = 12});
    auto full = (*engine)->write(put("l", "0123456789"));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code, Errc::NoSpace);
    EngineBatch erase;
    erase.del(b("k"));
    ASSERT_TRUE((*engine)->write(erase));
    EXPECT_TRUE((*engine)->write(put("l", "0123456789")));
    EXPECT_EQ(image.bytes(), 11);
}

TEST(Mem, damage_is_reported_until_the_key_is_written_again_and_never_hits_the_memtable) {
    MemImage image;
    auto engine = open_mem(image, {.flush_begins = 0, .flush_ends = 1});
    ASSERT_TRUE((*engine)->write(put("k", "1")));
    EXPECT_FALSE(image.damage("k"));
    (*engine)->request_flush();
    while ((*engine)->durable() < (*engine)->written()) {
    }
    ASSERT_TRUE(image.damage("k"));
    EXPECT_EQ(read(**engine, "k"), to_string(Errc::Corrupt));
    auto snapshot = (*engine)->snapshot();
    EXPECT_FALSE(snapshot->get("k"));
    EXPECT_FALSE(snapshot->scan("", "", {10}));
    ASSERT_TRUE((*engine)->write(put("k", "2")));
    EXPECT_EQ(read(**engine, "k"), "2");
}

TEST(Mem, a_read_may_find_damage_by_the_seed_and_then_it_stays) {
    MemImage image;
    auto engine = open_mem(image, {});
    ASSERT_TRUE((*engine)->write(put("old", "1")));
    engine->reset();
    engine = open_mem(image, {.flush_begins = 0});
    ASSERT_TRUE((*engine)->write(put("new", "1")));
    image.set_faults({.read_corrupt = 1, .would_block = 1});
    EXPECT_EQ(read(**engine, "new"), "1");
    EXPECT_EQ(read(**engine, "old"), to_string(Errc::Corrupt));
    EXPECT_EQ(read(**engine, "never"), "would block");
    image.set_faults({});
    EXPECT_EQ(read(**engine, "old"), to_string(Errc::Corrupt));
    EXPECT_EQ(read(**engine, "never"), "absent");
}

TEST(Mem, a_snapshot_and_a_read_in_flight_outlive_the_engine) {
    MemImage image;
    TestShard shard;
    auto engine = open_mem(image, {});
    ASSERT_TRUE((*engine)->write(put("k", "1")));
    auto snapshot = (*engine)->snapshot();
    std::optional<Result<std::optional<Bytes>>> answer;
    port::Scope scope(shard);
    scope.spawn("test.read", read_into((*engine)->get(shard, b("k")), answer));
    EXPECT_FALSE(answer);
    engine->reset();
    shard.run_until([&] { return answer.has_value(); });
    EXPECT_EQ((**answer)->view(), "1");
    EXPECT_EQ((*snapshot->get("k"))->view(), "1");
}

port::Task<> claim_into(port::Engine& engine, port::Shard& shard, port::EngineOwner owner,
                        std::optional<Result<void>>& answer) {
    answer = co_await port::claim(engine, shard, owner);
}

Result<void> claim(port::Engine& engine, port::EngineOwner owner) {
    TestShard shard;
    std::optional<Result<void>> answer;
    port::Scope scope(shard);
    scope.spawn("test.claim", claim_into(engine, shard, owner, answer));
    shard.run_until([&] { return answer && scope.active() == 0; });
    return *answer;
}

TEST(Mem, an_engine_belongs_to_who_wrote_first_and_others_are_refused_by_name) {
    const port::EngineOwner owner{ClusterId(7), NodeId(3), 99};
    MemImage image;
    auto engine = open_mem(image, {});
    ASSERT_TRUE(claim(**engine, owner));
    ASSERT_TRUE(claim(**engine, owner)) << "and its owner comes back";
    ASSERT_TRUE((*engine)->write(put("k", "1")));
    for (const port::EngineOwner& other : {port::EngineOwner{ClusterId(7), NodeId(4), 99},
                                           {ClusterId(8), NodeId(3), 99},
                                           {ClusterId(7), NodeId(3), 98}}) {
        const auto refused = claim(**engine, other);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::Conflict);
        EXPECT_NE(refused.error().context.find("node 3 of cluster 7"), std::string::npos)
            << refused.error().context;
    }
}

TEST(Mem, an_engine_with_content_and_no_owner_is_refused) {
    MemImage image;
    auto engine = open_mem(image, {});
    ASSERT_TRUE((*engine)->write(put("k", "1")));
    const auto refused = claim(**engine, {ClusterId(7), NodeId(3), 99});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::Unsupported);
}

TEST(Mem, whatever_a_crash_leaves_has_its_owner) {
    for (uint64_t seed = 0; seed < 50; ++seed) {
        MemImage image;
        Prng prng(seed);
        const port::EngineOwner owner{ClusterId(7), NodeId(3), seed};
        auto engine = open_mem(image, {.prng = Prng(seed)});
        ASSERT_TRUE(claim(**engine, owner));
        for (int i = 0; i < 20; ++i)
            ASSERT_TRUE((*engine)->write(put("k", "1")));
        engine->reset();
        image.crash(prng);
        engine = open_mem(image, {.prng = Prng(seed)});
        ASSERT_TRUE(claim(**engine, owner)) << "seed " << seed;
    }
}

TEST(Mem, stored_bytes_do_not_hold_on_to_the_callers_budget) {
    Budget budget("connection", 1000);
    MemImage image;
    auto engine = open_mem(image, {});
    {
        EngineBatch batch;
        batch.put(Bytes::copy("k", &budget), Bytes::copy("value", &budget));
        ASSERT_TRUE((*engine)->write(batch));
    }
    EXPECT_EQ(budget.used(), 0);
}

}  // namespace
}  // namespace asterias::engine
