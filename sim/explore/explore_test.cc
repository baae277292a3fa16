// The brief setups whole; the explorer's own honesty; and, in the preset `mutants`, that it finds
// what is planted.
#include <gtest/gtest.h>

#include "sim/explore/explorer.h"
#include "sim/explore/setups.h"
#include "test_support/mutants.h"

namespace asterias::sim::explore {
namespace {

struct MutantEnvironment : ::testing::Environment {
    void SetUp() override { test::take_mutant_from_environment(); }
};
[[maybe_unused]] const auto* const kMutants =
    ::testing::AddGlobalTestEnvironment(new MutantEnvironment);

constexpr uint64_t kStatesMax = 3'000'000;

std::string told(const Report& report) {
    std::string text = report.broken + "\n";
    for (const std::string& line : report.script)
        text += line + "\n";
    return text;
}

class Brief : public ::testing::TestWithParam<Setup> {};

TEST_P(Brief, NoStateWithinTheBoundsBreaksARule) {
    const Report report = Explorer(GetParam(), {.states = kStatesMax}).run();
    EXPECT_EQ(report.broken, "") << told(report);
    EXPECT_TRUE(report.complete) << report.states << " states";
    EXPECT_GT(report.commits, 0u) << "nothing was ever committed: an empty exploration";
}

std::vector<Setup> brief() {
    std::vector<Setup> brief;
    for (const Setup& setup : setups())
        if (setup.brief) brief.push_back(setup);
    return brief;
}

INSTANTIATE_TEST_SUITE_P(Setups, Brief, ::testing::ValuesIn(brief()),
                         [](const auto& param) { return param.param.name; });

TEST(Fingerprint, ReplicasWithEqualOnesHaveEqualFutures) {
    for (const char* name : {"crash", "snapshot", "two_changes"}) {
        const auto* setup = find_setup(name);
        ASSERT_NE(setup, nullptr) << name;
        // A difference fails a CHECK.
        const Report report = Explorer(*setup, {.states = 100'000, .audit_every = 10}).run();
        EXPECT_GT(report.audited, 20u) << name;
    }
}

TEST(Explorer, SaysWhenItIsNotComplete) {
    const Report report = Explorer(*find_setup("elections"), {.states = 1000}).run();
    EXPECT_FALSE(report.complete);
    EXPECT_EQ(report.broken, "");
}

TEST(Explorer, IsTheSameTwice) {
    const Report one = Explorer(*find_setup("two_changes"), {}).run();
    const Report two = Explorer(*find_setup("two_changes"), {}).run();
    EXPECT_EQ(one.states, two.states);
    EXPECT_EQ(one.transitions, two.transitions);
    EXPECT_EQ(one.depth, two.depth);
}

TEST(Explorer, ReachesWhatItIsFor) {
    EXPECT_GT(Explorer(*find_setup("snapshot"), {}).run().installs, 0u);
    EXPECT_GE(Explorer(*find_setup("add"), {}).run().changes, 3u) << "learner, joint, voter";
}

// A rule that is broken on purpose: the history is told that another entry was committed.
TEST(History, AContradictedCommitIsSaid) {
    View leader{.leads = true, .term = 1, .commit = 1, .log = {1}, .disk = {1}, .log_terms = {1}};
    const raft::Membership one{.voters = {{ReplicaId(1), NodeId(1)}}};
    const MembershipOf none = [](uint32_t) { return nullptr; };
    History history;
    EXPECT_EQ(history.note({&leader}, 0, leader, {}, {}, one, none), "");
    leader.log = leader.disk = {2};
    EXPECT_NE(history.note({&leader}, 0, leader, {}, {}, one, none), "");
}

TEST(History, ASecondVoteInATermIsSaid) {
    const View voter{};
    const raft::Membership one{.voters = {{ReplicaId(1), NodeId(1)}}};
    const MembershipOf none = [](uint32_t) { return nullptr; };
    History history;
    EXPECT_EQ(history.note({&voter}, 0, voter, {{5, 0, 0}}, {}, one, none), "");
    EXPECT_EQ(history.note({&voter}, 0, voter, {{5, 0, 0}}, {}, one, none), "");
    EXPECT_NE(history.note({&voter}, 0, voter, {{5, 0, 1}}, {}, one, none), "");
}

}  // namespace
}  // namespace asterias::sim::explore
