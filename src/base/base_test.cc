#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/chain.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/glob.h"
#include "base/metrics.h"
#include "base/prng.h"
#include "base/result.h"

namespace asterias {
namespace {

TEST(Bytes, SlicesShareTheBufferAndChargeItsBudgetUntilTheLastOneGoes) {
    Budget node("node", 100), connection("connection", 10, &node);
    {
        Bytes tail;
        {
            Bytes all = Bytes::copy("hello world", &connection);
            tail = all.suffix(6);
            EXPECT_EQ(tail.data(), all.data() + 6);
        }
        EXPECT_EQ(tail.view(), "world");
        EXPECT_EQ(connection.used(), 11u);
        EXPECT_EQ(node.used(), 11u);
        ASSERT_NE(connection.exceeded(), nullptr);
        EXPECT_EQ(connection.exceeded()->name(), "connection");
    }
    EXPECT_EQ(node.used(), 0u);
}

TEST(Bytes, BuilderBecomesBytesWithoutACopy) {
    BytesBuilder b(4);
    b.append("ab");
    const uint8_t* at = b.data();
    Bytes bytes = b.take();
    EXPECT_EQ(bytes.data(), at);
    b.append("next");
    EXPECT_EQ(b.view(), "next");
    EXPECT_EQ(bytes.view(), "ab");
}

TEST(Chain, RandomAppendsAndConsumesEqualAString) {
    Prng prng(1);
    Chain chain;
    std::string model;
    for (int i = 0; i < 5000; ++i) {
        if (prng.chance(0.6)) {
            std::string s(prng.below(prng.chance(0.1) ? 40000 : 300),
                          static_cast<char>('a' + i % 26));
            if (prng.chance(0.5))
                chain.append(Bytes::copy(s));
            else
                chain.append(std::string_view(s));
            model += s;
        } else {
            const size_t n = prng.below(model.size() + 1);
            chain.consume(n);
            model.erase(0, n);
        }
        ASSERT_EQ(chain.size(), model.size());
        std::string_view pieces[64];
        std::string seen;
        for (size_t k = 0, n = chain.front(pieces); k < n; ++k)
            seen += pieces[k];
        ASSERT_EQ(seen, model.substr(0, seen.size()));
        if (i % 50 == 0) {
            ASSERT_EQ(chain.flatten().view(), model);
        }
    }
}

TEST(Crc32c, KnownVectors) {  // RFC 3720 B.4
    EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
    EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
    EXPECT_EQ(crc32c("56789", crc32c("1234")), crc32c("123456789"));
}

TEST(Prng, TheSameSeedGivesTheSameNumbersOnEveryBuild) {
    Prng a(42);
    EXPECT_EQ(a.next(), 0x15780B2E0C2EC716ull);
    EXPECT_EQ(a.below(10), 3u);
}

// util.c of Redis 7.0, told again: what takes a star is tried in turn. `text` is not empty.
bool as_redis(std::string_view p, std::string_view text, bool nocase) {
    const auto fold = [nocase](char c) {
        return static_cast<signed char>(nocase && c >= 'A' && c <= 'Z' ? c + 32 : c);
    };
    while (!p.empty() && !text.empty()) {
        if (p[0] == '*') {
            while (p.size() > 1 && p[1] == '*')
                p.remove_prefix(1);
            for (; p.size() > 1 && !text.empty(); text.remove_prefix(1))
                if (as_redis(p.substr(1), text, nocase)) return true;
            return p.size() == 1;
        }
        const char c = text[0];
        if (p[0] == '[') {
            p.remove_prefix(1);
            const bool inverted = p.starts_with('^');
            if (inverted) p.remove_prefix(1);
            bool found = false;
            for (; !p.empty() && p[0] != ']'; p.remove_prefix(1)) {
                if (p.size() >= 2 && p[0] == '\\') {
                    p.remove_prefix(1);
                    found |= p[0] == c;
                } else if (p.size() >= 3 && p[1] == '-') {
                    signed char low = p[0], high = p[2];
                    if (low > high) std::swap(low, high);
                    found |= fold(c) >= fold(low) && fold(c) <= fold(high);
                    p.remove_prefix(2);
                } else {
                    found |= fold(p[0]) == fold(c);
                }
            }
            if (found == inverted) return false;
        } else if (p[0] != '?') {
            if (p[0] == '\\' && p.size() >= 2) p.remove_prefix(1);
            if (fold(p[0]) != fold(c)) return false;
        }
        text.remove_prefix(1);
        if (!p.empty()) p.remove_prefix(1);
        while (text.empty() && p.starts_with('*'))
            p.remove_prefix(1);
    }
    return p.empty() && text.empty();
}

TEST(Glob, RandomPatternsMatchAsInRedis) {
    Prng random(7);
    constexpr std::string_view kPieces = "**??[[]]^^--\\aabBcZz\xff\x80";
    constexpr std::string_view kText = "aabBcZz]^-\\*\xff\x80";
    size_t matched = 0;
    for (int i = 0; i < 300'000; ++i) {
        std::string pattern, text;
        for (uint64_t n = random.below(10); n > 0; --n)
            pattern += kPieces[random.below(kPieces.size())];
        for (uint64_t n = random.below(6) + 1; n > 0; --n)
            text += kText[random.below(kText.size())];
        const bool nocase = random.chance(0.5);
        const bool expected = as_redis(pattern, text, nocase);
        matched += expected;
        ASSERT_EQ(glob_match(pattern, text, nocase ? GlobCase::Ignored : GlobCase::Exact), expected)
            << pattern << " | " << text << " | " << nocase;
    }
    EXPECT_GT(matched, 5000u) << "or this shows nothing";
}

TEST(Glob, ItsStepsAreBoundedByPatternAndTextWhateverSetsAndStarsThereAre) {
    const std::string text(100'000, 'a');
    const std::string wide = "*[" + std::string(100'000, 'y') + "]b";
    uint64_t steps = 0;
    EXPECT_FALSE(Glob(wide).matches(text, steps));
    EXPECT_LE(steps, 4 * (text.size() + 1)) << "a set is one element, read once";
    std::string stars;
    for (int i = 0; i < 100; ++i)
        stars += "*a";
    steps = 0;
    EXPECT_FALSE(Glob(stars + "b").matches(text, steps));
    EXPECT_LE(steps, (stars.size() + 2) * (text.size() + 1));
}

TEST(Check, ATrapTurnsAFailedCheckIntoAnException) {
    CheckTrap trap;
    EXPECT_THROW(CHECK(1 == 2, "arithmetic"), CheckFailed);
}

TEST(Metrics, PrintsPrometheusText) {
    Registry registry;
    registry.counter("a_total", "A.", "shard=\"0\"").add(3);
    registry.counter("a_total", "A.", "shard=\"0\"").add(1);
    registry.histogram("h_micros", "H.").record_micros(3);
    const std::string text = registry.print();
    EXPECT_NE(text.find("# TYPE a_total counter\na_total{shard=\"0\"} 4\n"), std::string::npos);
    EXPECT_NE(text.find("h_micros_bucket{le=\"2\"} 0\nh_micros_bucket{le=\"4\"} 1\n"),
              std::string::npos);
}

}  // namespace
}  // namespace asterias
