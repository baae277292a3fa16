#include "runtime/epoll/password.h"

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
    users.check(shard, std::move(user), std::move(password),
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

TEST(Password, AFloodOfChecksIsBoundedAndEachIsAnswered) {
    World world;
    Users users({{"bob", cheap(kSecret)}});
    world.run([&](port::Shard& shard) -> port::Task<void> {
        constexpr size_t kAsked = Users::kWaitingMax + 500;
        size_t busy = 0, wrong = 0, right = 0;
        port::Signal changed(shard);
        for (size_t i = 0; i < kAsked; ++i)
            users.check(shard, "bob", "wrong", [&](Verdict v) {
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
