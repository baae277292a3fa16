// Every history in testdata gets the verdicts that its second line names.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "sim/check/atomic.h"
#include "sim/check/linearizable.h"
#include "sim/check/order.h"

namespace asterias::sim {
namespace {

std::string expectation(const std::string& text) {
    constexpr std::string_view kMark = "# expect ";
    const size_t at = text.find(kMark);
    if (at == std::string::npos) return "";
    return text.substr(at + kMark.size(), text.find('\n', at) - at - kMark.size());
}

std::string verdicts(const History& history) {
    const auto of = [](const CheckReport& report) {
        return std::string(to_string(report.verdict()));
    };
    return "linearizable=" + of(check_linearizable(history)) +
           " order=" + of(check_order(history)) + " atomic=" + of(check_atomic(history));
}

std::vector<std::filesystem::path> files() {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(ASTERIAS_TESTDATA))
        found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
}

std::string slurp(const std::filesystem::path& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

class KnownHistory : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(KnownHistory, GetsItsVerdict) {
    const std::string text = slurp(GetParam());
    const auto history = parse_history(text);
    ASSERT_TRUE(history) << history.error().describe();
    EXPECT_EQ(verdicts(*history), expectation(text));
}

INSTANTIATE_TEST_SUITE_P(Testdata, KnownHistory, testing::ValuesIn(files()),
                         [](const auto& each) { return each.param.stem().string(); });

// Each check has refused histories to show that it can.
TEST(KnownHistories, ManyAreBadForEachCheckAndSomeAreGood) {
    size_t linearizable = 0, order_only = 0, atomic = 0, good = 0;
    for (const auto& path : files()) {
        const std::string expected = expectation(slurp(path));
        linearizable += expected.find("linearizable=VIOLATION") != std::string::npos;
        order_only += expected.starts_with("linearizable=pass order=VIOLATION");
        atomic += expected.find("atomic=VIOLATION") != std::string::npos;
        good += expected == "linearizable=pass order=pass atomic=pass";
    }
    EXPECT_GE(linearizable, 26u);
    EXPECT_GE(order_only, 7u);
    EXPECT_GE(atomic, 7u);
    EXPECT_GE(good, 9u);
}

TEST(KnownHistories, AShrunkTraceStillShowsTheViolation) {
    for (const auto& path : files()) {
        const auto history = parse_history(slurp(path));
        ASSERT_TRUE(history);
        const CheckReport report = check_linearizable(*history);
        if (report.verdict() != Verdict::Violation) continue;
        const History& trace = report.findings[0].trace;
        EXPECT_LE(trace.size(), history->size());
        EXPECT_EQ(check_linearizable(trace).verdict(), Verdict::Violation) << path;
    }
}

TEST(Explanation, NamesTheKeyTheLongestOrderAndWhatIsStuck) {
    const auto history = parse_history(
        "c9 n9.1 0..5 set other 1 -> ok\n"
        "c1 n1.1 0..10 set x 1 -> ok\n"
        "c1 n1.2 20..30 set x 2 -> ok\n"
        "c3 n3.1 31..39 get x -> 2\n"
        "c2 n2.1 40..50 get x -> 1\n"
        "c2 n2.2 60..70 get x -> 2\n");
    ASSERT_TRUE(history);
    EXPECT_EQ(check_linearizable(*history).print(),
              "VIOLATION of linearizable: no order explains key x.\n"
              "Because x holds '1' without a break from the end of\n"
              "    c1 n1.1 0..10 set x 1 -> ok\n"
              "  to the beginning of\n"
              "    c2 n2.1 40..50 get x -> 1\n"
              "  but '2' came and was there within that time, as shown by\n"
              "    c1 n1.2 20..30 set x 2 -> ok\n"
              "The longest order that explains its replies has 1 operations:\n"
              "    c1 n1.1 0..10 set x 1 -> ok   then x='1'\n"
              "Then none of these can be next:\n"
              "    c1 n1.2 20..30 set x 2 -> ok   that would hide x='1' from somebody who saw it "
              "later\n"
              "A short history that shows it:\n"
              "c1 n1.1 0..10 set x 1 -> ok\n"
              "c1 n1.2 20..30 set x 2 -> ok\n"
              "c2 n2.1 40..50 get x -> 1\n");
}

}  // namespace
}  // namespace asterias::sim
