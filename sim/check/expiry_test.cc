// Keys and when they expire: the same histories without and with clocks that are believed.
#include <gtest/gtest.h>

#include "sim/check/linearizable.h"

namespace asterias::sim {
namespace {

Verdict judged(const std::string& read, std::optional<Duration> expiry) {
    // x may expire between 1010 and 1020 ms.
    const auto history =
        parse_history("c1 n1.1 10000000..20000000 setpx x a 1000 -> ok\n" + read + "\n");
    EXPECT_TRUE(history) << history.error().describe();
    return check_linearizable(*history, {}, expiry).verdict();
}

TEST(Expiry, IsNotJudgedUnlessClocksAreBelieved) {
    EXPECT_EQ(judged("c2 n2.1 30000000..40000000 get x -> nil", {}), Verdict::Pass);
    EXPECT_EQ(judged("c2 n2.1 9000000000..9100000000 get x -> a", {}), Verdict::Pass);
}

TEST(Expiry, AKeyIsNotGoneBeforeItsTime) {
    const Duration apart = milliseconds(5);
    for (const char* gone : {"get x -> nil", "setnx x b -> 1", "del x -> 0", "incr x 7 -> 7"}) {
        const std::string what = gone;
        EXPECT_EQ(judged("c2 n2.1 900000000..1004000000 " + what, apart), Verdict::Violation);
        EXPECT_EQ(judged("c2 n2.1 900000000..1006000000 " + what, apart), Verdict::Pass) << what;
    }
}

TEST(Expiry, AKeyIsNotThereAfterItsTime) {
    const Duration apart = milliseconds(5);
    for (const char* there : {"get x -> a", "setnx x b -> 0", "del x -> 1", "incr x 7 -> error"}) {
        const std::string what = there;
        EXPECT_EQ(judged("c2 n2.1 1026000000..1030000000 " + what, apart), Verdict::Violation);
        EXPECT_EQ(judged("c2 n2.1 1024000000..1030000000 " + what, apart), Verdict::Pass) << what;
    }
}

// Two writes at once: what is seen later tells which deadline is in force.
TEST(Expiry, OfTwoWritesAtOnceEitherDeadlineMayBeInForce) {
    const std::string writes =
        "c1 n1.1 10..20000000 setpx x a 1000 -> ok\n"
        "c2 n2.1 10..20000000 setpx x b 9000 -> ok\n";
    const auto verdict = [&](const std::string& reads) {
        const auto history = parse_history(writes + reads);
        EXPECT_TRUE(history) << history.error().describe();
        return check_linearizable(*history, {}, Duration(0)).verdict();
    };
    EXPECT_EQ(verdict("c3 n3.1 2000000000..2100000000 get x -> nil\n"), Verdict::Pass);
    EXPECT_EQ(verdict("c3 n3.1 2000000000..2100000000 get x -> b\n"), Verdict::Pass);
    EXPECT_EQ(verdict("c3 n3.1 2000000000..2100000000 get x -> a\n"), Verdict::Violation);
    EXPECT_EQ(verdict("c3 n3.1 2000000000..2100000000 get x -> b\n"
                      "c3 n3.2 3000000000..3100000000 get x -> nil\n"),
              Verdict::Violation);
}

// Nobody knows when a write without an answer came to be.
TEST(Expiry, AnUnansweredWriteMayExpireLateButNotEarly) {
    const auto verdict = [&](const std::string& reads) {
        const auto history = parse_history("c1 n1.1 10..- setpx x a 1000 -> unknown\n" + reads);
        EXPECT_TRUE(history) << history.error().describe();
        return check_linearizable(*history, {}, Duration(0)).verdict();
    };
    EXPECT_EQ(verdict("c2 n2.1 9000000000..9100000000 get x -> a\n"), Verdict::Pass);
    EXPECT_EQ(verdict("c2 n2.1 300000000..310000000 get x -> a\n"
                      "c2 n2.2 400000000..410000000 get x -> nil\n"),
              Verdict::Violation);
}

}  // namespace
}  // namespace asterias::sim
