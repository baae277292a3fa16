#include "sim/story.h"

#include <vector>

#include <gtest/gtest.h>

namespace asterias::sim {
namespace {

const std::vector<std::string> kRun = {
    "0.002 n1 log info node: founding: waiting for 2 more",
    "0.003 n1 log info rpc: connection from node 0 ended: closed",
    "1.000 c1 n3.1 1..2 get kv0.1 -> nil",
    "1.100 c2 n4.1 1..2 set kv0.1 x -> ok",
    "1.200 c3 hears (error) CLUSTERDOWN nothing was done: no leader",
    "1.200 c3 n5.1 1..2 set kv0.2 x -> failed",
    "1.300 c4 n6.1 1..2 set kv0.2 x -> unknown",
    "1.300 c4 no reply in time",
    "1.400 fault: kill of n2 for 1s",
    "1.410 n2 is down",
    "2.000 c1 n3.2 1..2 get kv0.1 -> x",
    "3.500 r1 n3.3 1..2 get kv0.1 -> x",
};

std::vector<std::string> told(bool operations) {
    std::vector<std::string> lines;
    Storyteller teller([&](std::string_view line) { lines.emplace_back(line); }, operations);
    for (const std::string& line : kRun)
        teller.hear(line);
    teller.end();
    return lines;
}

TEST(Storyteller, TellsWhatHappensAndHowTheClientsFareInBetween) {
    EXPECT_EQ(told(false),
              (std::vector<std::string>{
                  "    0.002  n1 says node: founding: waiting for 2 more",
                  "    1.000      clients: 2 answered, 1 refused, 1 in doubt, 1 connections given "
                  "up (CLUSTERDOWN 1)",
                  "    1.400  fault: kill of n2 for 1s",
                  "    1.410  n2 is down",
                  "    2.000      clients: 1 answered",
                  "    3.500      clients: 1 answered",
              }));
}

TEST(Storyteller, WhoAsksForOperationsIsToldEveryWord) { EXPECT_EQ(told(true), kRun); }

}  // namespace
}  // namespace asterias::sim
