#include "runtime/epoll/password.h"

#include <memory>
#include <optional>

#include <gtest/gtest.h>

#include "port/sync.h"
#include "runtime/epoll/testing.h"

namespace asterias::runtime {
namespace {

// Cheap ones; N = 2^10.
PasswordHash cheap(std::string_view text) {
    auto hash = parse_password_hash(text);
    EXPECT_TRUE(hash);
    return *hash;
}
// Of "secret", by Python's hashlib.scrypt(b"secret", salt=bytes(range(16)), n=1024, r=8, p=1).
const std::string kSecret =
    "scrypt$10$8$1$000102030405060708090a0b0c0d0e0f$"
    "31d73f8d308fcbeb94f1a48b6ccf85181402fc05d2cdf582b0052417f5580a09";

using Verdict = Users::Verdict;

port::Task<Verdict> ask(Users& users, port::Shard& shard, std::string user, std::string password) {
    port::OneShot<Verdict> verdict(shard);
    users.check(shard, {}, std::move(user), std::move(password),
                [&verdict](Verdict v) { verdict.set(v); });
    co_return co_await verdict;
}

TEST(Password, AHashIsWhatAnotherImplementationOfScryptMakes) {
    EXPECT_TRUE(matches(cheap(kSecret), "secret"));
    EXPECT_FALSE(matches(cheap(kSecret), "Secret"));
    EXPECT_EQ(describe(cheap(kSecret)), kSecret);
}

TEST(Password, TwoHashesOfOnePasswordDiffer) {
    const auto a = hash_password("p"), b = hash_password("p");
    ASSERT_TRUE(a && b);
    EXPECT_NE(describe(*a), describe(*b));
    EXPECT_TRUE(matches(*a, "p") && matches(*b, "p"));
    EXPECT_FALSE(hash_password(""));
    EXPECT_FALSE(hash_password(std::string(1025, 'x')));
}

TEST(Password, WhatIsNoHashOrWouldCostTooMuchIsRefused) {
    const std::string tail = kSecret.substr(kSecret.find("$0001"));
    for (const auto& bad :
         {std::string(), std::string("secret"), "scrypt$9$8$1" + tail, "scrypt$20$8$1" + tail,
          "scrypt$10$8$9" + tail, "sha256$10$8$1" + tail, kSecret + "0", kSecret + "$",
          kSecret.substr(0, kSecret.size() - 1) + "g"})
        EXPECT_FALSE(parse_password_hash(bad)) << bad;
}

TEST(Password, OnlyTheRightPasswordOfTheUserIsRight) {
    World world;
    Users users({{"bob", cheap(kSecret)}});
    world.run([&](port::Shard& shard) -> port::Task<void> {
        EXPECT_EQ(co_await ask(users, shard, "bob", "wrong"), Verdict::Wrong);
        EXPECT_EQ(co_await ask(users, shard, "eve", "secret"), Verdict::Wrong);
        EXPECT_EQ(co_await ask(users, shard, "bob", ""), Verdict::Wrong);
        for (int i = 0; i < 3; ++i)
            EXPECT_EQ(co_await ask(users, shard, "bob", "secret"), Verdict::Right);
        EXPECT_EQ(co_await ask(users, shard, "bob", "wrong"), Verdict::Wrong);
        users.replace({{"eve", cheap(kSecret)}});
        EXPECT_EQ(co_await ask(users, shard, "bob", "secret"), Verdict::Wrong)
            << "what was remembered went with its user";
        EXPECT_EQ(co_await ask(users, shard, "eve", "secret"), Verdict::Right);
    });
}

TEST(Password, WhoWasRightIsRememberedOverATableWithTheSameHash) {
    World world;
    Users users({{"bob", cheap(kSecret)}, {"eve", cheap(kSecret)}});
    world.run([&](port::Shard& shard) -> port::Task<void> {
        EXPECT_EQ(co_await ask(users, shard, "bob", "secret"), Verdict::Right);
        EXPECT_EQ(co_await ask(users, shard, "eve", "secret"), Verdict::Right);
        const auto other = hash_password("other");
        EXPECT_TRUE(other);
        users.replace({{"bob", cheap(kSecret)}, {"eve", *other}});
        // All that may wait, of all hosts.
        for (size_t i = 0; i < Users::kWaitingMax; ++i)
            users.check(shard, {std::to_string(i), nullptr}, "eve", "wrong", [](Verdict) {});
        const auto bob = std::make_shared<std::optional<Verdict>>();
        const auto eve = std::make_shared<std::optional<Verdict>>();
        users.check(shard, {}, "bob", "secret", [bob](Verdict v) { *bob = v; });
        EXPECT_EQ(*bob, Verdict::Right);
        users.check(shard, {}, "eve", "secret", [eve](Verdict v) { *eve = v; });
        EXPECT_EQ(*eve, Verdict::Busy) << "it has another password now";
    });
}

TEST(Password, AHostHasItsShareOfWhatWaits) {
    World world;
    Users users({{"bob", cheap(kSecret)}});
    world.run([&](port::Shard& shard) -> port::Task<void> {
        size_t busy = 0, answered = 0;
        port::Signal changed(shard);
        const auto count = [&](Verdict v) {
            busy += v == Verdict::Busy;
            ++answered;
            changed.notify();
        };
        for (size_t i = 0; i < 1000; ++i)
            users.check(shard, {"flood", nullptr}, "bob", "wrong", count);
        EXPECT_GT(busy, 0u);
        EXPECT_EQ(co_await ask(users, shard, "bob", "secret"), Verdict::Right);
        while (answered < 1000)
            co_await changed.wait();
    });
}

TEST(Password, NobodyPaysForWhoIsGone) {
    World world;
    Users users({{"bob", cheap(kSecret)}});
    world.run([&](port::Shard& shard) -> port::Task<void> {
        const auto gone = std::make_shared<std::atomic<bool>>(true);
        port::OneShot<Verdict> verdict(shard);
        users.check(shard, {"a", gone}, "bob", "secret", [&](Verdict v) { verdict.set(v); });
        EXPECT_EQ(co_await verdict, Verdict::Busy) << "it was computed for nobody";
    });
}

TEST(Password, WhoIsNoUserCostsAsMuchAsTheCostliestUser) {
    PasswordHash wide = cheap(kSecret);
    wide.r = 16;
    const auto nobody = Users::nobody_among({{"bob", cheap(kSecret)}, {"eve", wide}});
    EXPECT_EQ(nobody.log_n, 10u);
    EXPECT_EQ(nobody.r, 16u);
    EXPECT_NE(nobody.key, wide.key);
    EXPECT_EQ(Users::nobody_among({}).log_n, 14u);
}

TEST(Password, AFloodOfChecksIsBoundedAndEachIsAnswered) {
    World world;
    Users users({{"bob", cheap(kSecret)}});
    world.run([&](port::Shard& shard) -> port::Task<void> {
        constexpr size_t kAsked = Users::kWaitingMax + 500;
        size_t busy = 0, wrong = 0, right = 0;
        port::Signal changed(shard);
        for (size_t i = 0; i < kAsked; ++i)
            users.check(shard, {std::to_string(i), nullptr}, "bob", "wrong", [&](Verdict v) {
                busy += v == Verdict::Busy;
                wrong += v == Verdict::Wrong;
                right += v == Verdict::Right;
                changed.notify();
            });
        while (busy + wrong + right < kAsked)
            co_await changed.wait();
        EXPECT_GT(busy, 0u);
        EXPECT_GE(wrong, Users::kWaitingMax);
    });
}

}  // namespace
}  // namespace asterias::runtime
