#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/chain.h"
#include "base/check.h"
#include "base/crc32c.h"
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
