#include "sim/check/history.h"

#include <gtest/gtest.h>

namespace asterias::sim {
namespace {

TEST(HistoryText, PrintingAndParsingAreInverse) {
    const char* text =
        "c1 n4.2 100..250 set x 5 -> ok\n"
        "c1 n4.3 r7 110..- incr x -3 -> unknown\n"
        "c2 n5.1 20..30 mset a=1 \"b b\"=\"\" -> ok\n"
        "c2 n5.2 40..50 mget a \"nil\" -> \"nil\" nil\n"
        "c3 n6.1 5..9 del x -> failed\n"
        "c3 n0.0 5..9 setnx \"\\x00=\\xff\" \"->\" -> 0\n"
        "c3 n0.0 5..9 incr x 1 -> error\n";
    const auto history = parse_history(text);
    ASSERT_TRUE(history) << history.error().describe();
    EXPECT_EQ(print(*history), text);
    EXPECT_EQ((*history)[3].results, (std::vector<Value>{"nil", std::nullopt}));
    EXPECT_EQ((*history)[5].keys[0], std::string("\0=\xff", 3));
}

TEST(HistoryText, EveryErrorNamesItsLine) {
    const std::pair<const char*, const char*> cases[] = {
        {"c1 n1.1 0..1 get x\n", "line 1: the line ends too early"},
        {"# fine\n\nx1 n1.1 0..1 get x -> 1\n", "line 3: expected client, found 'x1'"},
        {"c1 n1 0..1 get x -> 1", "line 1: expected a place such as n1.2, found 'n1'"},
        {"c1 n1.1 9..1 get x -> 1", "line 1: it completes before it is invoked"},
        {"c1 n1.1 0..1 got x -> 1", "line 1: unknown operation 'got'"},
        {"c1 n1.1 0..1 set x -> ok", "line 1: wrong number of arguments for set"},
        {"c1 n1.1 0..1 mset x 1 -> ok", "line 1: mset takes key=value pairs"},
        {"c1 n1.1 0..1 mget x x -> 1 1", "line 1: a key is named twice"},
        {"c1 n1.1 0..1 mget x y -> 1", "line 1: wrong number of results"},
        {"c1 n1.1 0..1 set x 1 -> 1", "line 1: the outcome is ok, failed or unknown"},
        {"c1 n1.1 0..- set x 1 -> ok", "line 1: an answered operation has a completion time"},
        {"c1 n1.1 0..1 incr x y -> 1", "line 1: 'y' is no amount"},
        {"c1 n1.1 0..1 set \"x 1 -> ok", "line 1: a quote is not closed"},
        {"c1 n1.1 0..1 get x -> 1\nc1 n1.1 2..3 get x -> 1",
         "line 2: a place in a connection is taken twice"},
    };
    for (const auto& [text, message] : cases) {
        const auto history = parse_history(text);
        ASSERT_FALSE(history) << text;
        EXPECT_EQ(history.error().context, message);
    }
}

Op incr(uint64_t connection, uint64_t request) {
    return {.client = 1,
            .connection = connection,
            .request = request,
            .kind = OpKind::Incr,
            .keys = {"x"},
            .arguments = {"1"}};
}

TEST(Recorder, StampsRiseEvenWithinOneInstantAndConnectionsCount) {
    Recorder recorder;
    const auto a = recorder.invoked(Duration(5), incr(2, 0));
    const auto b = recorder.invoked(Duration(5), incr(1, 0));
    const auto c = recorder.invoked(Duration(5), incr(2, 0));
    recorder.ok(b, Duration(5), {"1"});
    recorder.unknown(a, Duration(20));
    EXPECT_EQ(recorder.open(), 1u);
    (void)c;
    EXPECT_EQ(print(recorder.take()),
              "c1 n2.1 5..20 incr x 1 -> unknown\n"
              "c1 n1.1 6..8 incr x 1 -> 1\n"
              "c1 n2.2 7..- incr x 1 -> unknown\n");
}

TEST(MergeRequests, AttemptsBecomeOneOperation) {
    const auto history = parse_history(
        "c1 n1.1 r1 0..10 incr x 1 -> failed\n"
        "c1 n1.2 r1 20..30 incr x 1 -> unknown\n"
        "c1 n2.1 r1 40..50 incr x 1 -> 7\n"
        "c1 n3.1 r1 60..70 incr x 1 -> 7\n"
        "c2 n4.1 r1 0..9 incr x 1 -> failed\n"
        "c2 n4.2 r2 0..9 incr x 1 -> unknown\n");
    ASSERT_TRUE(history);
    std::vector<std::string> disagreements;
    EXPECT_EQ(print(merge_requests(*history, &disagreements)),
              "c1 n0.0 r1 20..50 incr x 1 -> 7\n"
              "c2 n4.1 r1 0..9 incr x 1 -> failed\n"
              "c2 n4.2 r2 0..9 incr x 1 -> unknown\n");
    EXPECT_TRUE(disagreements.empty());
}

TEST(WrittenKeys, AreThoseThatMayHaveChanged) {
    const auto history = parse_history(
        "c1 n1.1 0..10 set a 1 -> failed\n"
        "c1 n1.2 0..10 mset c=1 b=1 -> unknown\n"
        "c1 n1.3 0..10 get d -> nil\n");
    ASSERT_TRUE(history);
    EXPECT_EQ(written_keys(*history), (std::vector<std::string>{"b", "c"}));
}

}  // namespace
}  // namespace asterias::sim
