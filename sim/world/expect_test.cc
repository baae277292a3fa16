#include "sim/world/expect.h"

#include <gtest/gtest.h>

namespace asterias::sim {
namespace {

constexpr GroupId kGroup{2};

// n1 is cut off from n2 and n3 from 10 s to 20 s.
Timeline cut_off() {
    Timeline t;
    t.nodes = 3;
    t.begin = seconds(5);
    t.end = seconds(25);
    t.command_timeout = seconds(2);
    t.cuts = {{seconds(10), seconds(20), {{0, 1}, {0, 2}, {1, 0}, {2, 0}}}};
    return t;
}

Expectation hope(std::string what, Duration within = seconds(1), uint64_t per_minute = 1) {
    return {.what = std::move(what), .within = within, .per_minute = {per_minute, per_minute}};
}

bool met(const Expectation& e, const Timeline& t) { return unmet(e, t, {}).empty(); }

TEST(Expect, ARateIsAShareOfWhatTheQuietRunDidInTheSafetyPhase) {
    Timeline t = cut_off(), quiet = t;
    for (int i = 0; i < 10; ++i)
        quiet.asked.push_back({0, seconds(6), seconds(7), Fate::Ok});
    t.asked.assign(quiet.asked.begin(), quiet.asked.begin() + 5);
    const Expectation half{.what = "rate", .share = 0.5};
    EXPECT_EQ(unmet(half, t, quiet), "");
    t.asked[0].fate = Fate::Refused;
    EXPECT_EQ(unmet(half, t, quiet),
              "4 commands were done, 10 are when all is quiet: less than 0.5 of them");
    t.asked[0].fate = Fate::Ok;
    t.asked[0].ended = seconds(26);
    EXPECT_NE(unmet(half, t, quiet), "");
    EXPECT_NE(unmet(half, t, Timeline{}), "") << "nothing was there to compare with";
}

TEST(Expect, TheLargeSideServesAfterAWhileAndUntilTheCutIsNearlyOver) {
    const auto serves = [](uint32_t node, Duration asked, Fate fate) {
        Timeline t = cut_off();
        t.asked = {{node, asked, asked + seconds(1), fate}};
        return met(hope("serves"), t);
    };
    EXPECT_FALSE(serves(1, seconds(12), Fate::Refused));
    EXPECT_FALSE(serves(2, seconds(12), Fate::Silent));
    EXPECT_TRUE(serves(2, seconds(12), Fate::Ok));
    EXPECT_TRUE(serves(1, milliseconds(10'900), Fate::Refused));
    EXPECT_TRUE(serves(1, seconds(19), Fate::Refused));
    EXPECT_TRUE(serves(0, seconds(12), Fate::Refused));
}

TEST(Expect, TheSmallSideDoesNothingAndNeverHangs) {
    const auto refuses = [](uint32_t node, Duration asked, Duration ended, Fate fate) {
        Timeline t = cut_off();
        t.asked = {{node, asked, ended, fate}};
        return met(hope("refuses"), t);
    };
    EXPECT_FALSE(refuses(0, seconds(12), seconds(13), Fate::Ok));
    EXPECT_FALSE(refuses(0, seconds(12), seconds(15), Fate::Unknown));
    EXPECT_FALSE(refuses(0, seconds(12), seconds(13), Fate::Silent));
    EXPECT_TRUE(refuses(0, seconds(12), seconds(13), Fate::Refused));
    EXPECT_TRUE(refuses(0, seconds(19), seconds(21), Fate::Ok));
    EXPECT_TRUE(refuses(1, seconds(12), seconds(13), Fate::Ok));
}

TEST(Expect, ALeaderThatHearsNobodyLeadsNoLonger) {
    Timeline t = cut_off();
    t.leads = {{kGroup, 0, Term(3), seconds(6), milliseconds(10'900)}};
    EXPECT_TRUE(met(hope("steps_down"), t));
    t.leads[0].last = seconds(12);
    EXPECT_FALSE(met(hope("steps_down"), t));
    t.cuts[0].links = {{0, 1}, {0, 2}};  // it is mute and hears both
    EXPECT_TRUE(met(hope("steps_down"), t));
    t.leads[0].node = 1;
    EXPECT_TRUE(met(hope("steps_down"), t));
}

TEST(Expect, LeadersAndTermsOfACutAreCountedByGroup) {
    Timeline t = cut_off();
    t.leads = {{kGroup, 0, Term(3), seconds(6), seconds(10)},
               {kGroup, 1, Term(4), seconds(11), seconds(12)},
               {GroupId(3), 2, Term(4), seconds(11), seconds(12)}};
    t.terms = {{kGroup, Term(4), seconds(11)}, {kGroup, Term(5), seconds(12)}};
    EXPECT_TRUE(met(hope("leaders"), t));
    t.leads.push_back({kGroup, 2, Term(5), seconds(14), seconds(15)});
    EXPECT_FALSE(met(hope("leaders"), t));
    EXPECT_TRUE(met(hope("leaders", {}, 12), t)) << "two in ten seconds";
    EXPECT_FALSE(met(hope("terms"), t));
    EXPECT_TRUE(met(hope("terms", {}, 12), t));
}

TEST(Expect, TheQuietRunKeepsTheDelayOfTheNetworkAlone) {
    const auto scenario = parse_scenario("t",
                                         "world nodes=3\nworkload kv\n"
                                         "fault frames drop=0.1\n"
                                         "fault net delay=1ms..7ms loss=0.1\n"
                                         "at 1s crash n1\n"
                                         "check order\n"
                                         "expect rate share=0.5\n");
    ASSERT_TRUE(scenario);
    const Scenario quiet = quiet_of(*scenario);
    EXPECT_TRUE(quiet.script.steps.empty());
    NetFault delay;
    delay.delay = {milliseconds(1), milliseconds(7)};
    EXPECT_EQ(quiet.faults, std::vector<FaultSpec>{delay});
}

}  // namespace
}  // namespace asterias::sim
