#include "sim/scenario/scenario.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "sim/scenario/profile.h"
#include "sim/scenario/schedule.h"

namespace asterias::sim {
namespace {

std::filesystem::path directory() {
    return std::filesystem::path(ASTERIAS_TESTDATA).parent_path().parent_path() / "scenarios";
}

Scenario load(const std::string& file) {
    std::ifstream in(directory() / file);
    std::stringstream text;
    text << in.rdbuf();
    auto scenario = parse_scenario(file, text.str());
    EXPECT_TRUE(scenario) << scenario.error().describe();
    return scenario ? *scenario : Scenario{};
}

std::vector<std::string> shipped() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory()))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

TEST(Scenario, EveryShippedFileParsesAndSurvivesPrinting) {
    ASSERT_GE(shipped().size(), 6u);
    for (const std::string& file : shipped()) {
        const Scenario scenario = load(file);
        const auto again = parse_scenario("printed", print(scenario));
        ASSERT_TRUE(again) << again.error().describe() << "\n" << print(scenario);
        EXPECT_EQ(*again, scenario) << file;
    }
}

TEST(Scenario, PrintsEveryParameterWithItsUnit) {
    const auto scenario = parse_scenario("t",
                                         "world nodes=3..5   # a comment\n"
                                         "workload kv rate=20..30\n"
                                         "\n"
                                         "fault partition mode=bridge every=1500ms..2m\n"
                                         "fault clock offset=-500ms..500ms drift=-7..7\n"
                                         "swarm off=0.25\n"
                                         "check order atomic\n"
                                         "expect rate share=0.5\n"
                                         "expect leaders per_minute=1\n"
                                         "require crashes>=2\n"
                                         "require operations>=10\n");
    ASSERT_TRUE(scenario) << scenario.error().describe();
    EXPECT_EQ(print(*scenario),
              "world nodes=3..5 shards=1 duration=1m liveness=30s core=all "
              "keyspaces=0\n"
              "workload kv clients=8 keys=40 pipeline=1 rate=20..30 value_bytes=16 reads=0.5 "
              "request=0 reconnect=0.01 timeout=5s expire=0 ttl=5ms..3s doors=1..64\n"
              "fault partition mode=bridge every=1500ms..2m for=1s..8s\n"
              "fault clock offset=-500ms..500ms drift=-7..7 every=0s jump=-1s..1s strobe=0 fast=0 "
              "zero=0\n"
              "swarm off=0.25 extreme=0.15 always=none\n"
              "check order atomic\n"
              "expect rate share=0.5\n"
              "expect leaders per_minute=1\n"
              "require crashes>=2 operations>=10\n");
}

TEST(Scenario, EveryErrorNamesFileLineAndWord) {
    const std::string head = "world nodes=3\nworkload kv\ncheck order\n";
    const std::pair<std::string, const char*> cases[] = {
        {"word nodes=3\n",
         "f.txt:1: unknown line 'word'; known: world, workload, fault, swarm, script, at, check, "
         "expect, require"},
        {"\nworld node=3\n",
         "f.txt:2: unknown parameter 'node' of world; known: nodes, shards, duration, liveness, "
         "core, keyspaces"},
        {"world nodes=0\n", "f.txt:1: nodes=0 of world is not a number or range within 1..64"},
        {"world nodes=5..3\n",
         "f.txt:1: nodes=5..3 of world is not a number or range within 1..64"},
        {"world nodes=3 nodes=3\n", "f.txt:1: 'nodes' is given twice"},
        {"world nodes\n", "f.txt:1: expected name=value, found 'nodes'"},
        {"world duration=60\n", "f.txt:1: duration=60 of world is not a time from 1ms to 24h"},
        {"world core=some\n", "f.txt:1: core=some of world is not one of all, majority"},
        {"workload\n", "f.txt:1: workload needs one of kv, counter, pairs, order, spans"},
        {"workload pairs keys=1\n", "f.txt:1: workload pairs needs keys=2 or more"},
        {"fault flood\n",
         "f.txt:1: fault needs one of partition, crash, pause, disk, slow, full, clock, net, "
         "frames, restart, limits, engine, strangers, replies, rot, directory, members, "
         "keyspaces"},
        {"at soon crash n1\n",
         "f.txt:1: expected `at TIME VERB ...`, TIME a time or range from 0s to 24h"},
        {"at 1s crush n1\n",
         "f.txt:1: unknown verb 'crush'; known: roles, crash, pause, full, slow, loop, limits, "
         "jump, "
         "strobe, isolate, split, oneway, cut, strangers, rot, directory, members, keyspaces"},
        {"at 1s crash\n", "f.txt:1: at crash needs names of nodes"},
        {"at 1s crash n0,a\n",
         "f.txt:1: 'n0' of at crash is not a node (n1), a role (a), `leader` or `all`"},
        {"at 1s cut a>b\n", "f.txt:1: 'a>b' of at cut is not a link, n1>n2"},
        {"at 1s rot leader what=journal\n", "f.txt:1: 'leader' of at rot is not a node, n1"},
        {"at 1s rot n1\n",
         "f.txt:1: at rot needs what=, one of journal, recent, engine, write, any"},
        {"at 1s pause n1 lose=1\n", "f.txt:1: unknown parameter 'lose' of at pause; known: for"},
        {"script every=1s\nscript every=1s\n", "f.txt:2: a second script line"},
        {"fault net loss=1.5\n",
         "f.txt:1: loss=1.5 of fault net is not a probability or range within 0..0.5"},
        {"fault net loss=nan\n",
         "f.txt:1: loss=nan of fault net is not a probability or range within 0..0.5"},
        {"fault net\nfault net\n", "f.txt:2: a second fault net line"},
        {"swarm off=0.7 extreme=0.4\n",
         "f.txt:1: off and extreme of swarm are more than 1 together"},
        {"swarm off=0..1\n", "f.txt:1: off=0..1 of swarm is not a single probability"},
        {"check lineal\n", "f.txt:1: unknown check 'lineal'; known: linearizable, order, atomic"},
        {"check order order\n", "f.txt:1: check order is named twice"},
        {"require crashes>2\n", "f.txt:1: expected metric>=number from 1, found 'crashes>2'"},
        {"require crashes>=0\n", "f.txt:1: expected metric>=number from 1, found 'crashes>=0'"},
        {head + "world nodes=4\n", "f.txt:4: a second world line"},
        {"workload kv\ncheck order\n", "f.txt: there is no world line"},
        {"world\ncheck order\n", "f.txt: there is no workload line"},
        {"world\nworkload kv\n", "f.txt: there is no check line"},
    };
    for (const auto& [text, message] : cases) {
        const auto scenario = parse_scenario("f.txt", text);
        ASSERT_FALSE(scenario) << text;
        EXPECT_EQ(scenario.error().context, message);
    }
}

TEST(Draw, TheSameSeedGivesTheSameAndRangesBecomeNumbers) {
    const Scenario scenario = load("swarm.txt");
    EXPECT_EQ(draw(scenario, 7), draw(scenario, 7));
    std::set<uint64_t> nodes;
    std::set<FaultLevel> levels;
    for (uint64_t seed = 0; seed < 200; ++seed) {
        const Profile profile = draw(scenario, seed);
        EXPECT_EQ(profile.world.nodes.low, profile.world.nodes.high);
        nodes.insert(profile.nodes());
        for (const DrawnFault& fault : profile.faults)
            levels.insert(fault.level);
        if (const auto* net = profile.fault<NetFault>()) EXPECT_EQ(net->loss.low, net->loss.high);
        // A drawn profile stays within the bounds of the language.
        std::string lines = print(profile);
        lines = lines.substr(lines.find('\n') + 1) + "check order\n";
        EXPECT_TRUE(parse_scenario("drawn", lines)) << lines;
    }
    EXPECT_EQ(nodes, (std::set<uint64_t>{3, 4, 5}));
    EXPECT_EQ(levels.size(), 3u);
}

TEST(Draw, TheFaultThatIsAlwaysOnIsNeverOffAndTheOthersAreAsTheyWere) {
    Scenario scenario = load("swarm.txt");
    scenario.swarm->always = "none";
    Scenario always = scenario;
    always.swarm->always = "crash";
    size_t off = 0;
    for (uint64_t seed = 0; seed < 40; ++seed) {
        const Profile before = draw(scenario, seed), after = draw(always, seed);
        off += before.fault<CrashFault>() == nullptr;
        EXPECT_NE(after.fault<CrashFault>(), nullptr);
        for (size_t i = 0; i < before.faults.size(); ++i)
            if (!std::holds_alternative<CrashFault>(before.faults[i].fault))
                EXPECT_EQ(before.faults[i], after.faults[i]);
    }
    EXPECT_GT(off, 0u);
}

TEST(Draw, AnAddedFaultLeavesTheOthersAsTheyWere) {
    Scenario scenario = load("swarm.txt");
    const Profile before = draw(scenario, 11);
    const Schedule all = make_schedule(before, Prng(11));
    ASSERT_TRUE(std::holds_alternative<PartitionFault>(scenario.faults.front()));
    scenario.faults.erase(scenario.faults.begin());
    const Profile after = draw(scenario, 11);
    ASSERT_EQ(after.faults.size() + 1, before.faults.size());
    EXPECT_TRUE(std::equal(after.faults.begin(), after.faults.end(), before.faults.begin() + 1));
    std::vector<FaultEvent> rest;
    for (const FaultEvent& event : all.events)
        if (event.kind != FaultKind::Partition) rest.push_back(event);
    EXPECT_EQ(make_schedule(after, Prng(11)).events, rest);
}

TEST(Draw, AskingForKeyspacesLeavesTheRestAsItWas) {
    Scenario scenario = load("swarm.txt");
    const Profile before = draw(scenario, 11);
    scenario.world.keyspaces = {30, 30};
    Profile after = draw(scenario, 11);
    EXPECT_EQ(after.world.keyspaces, (Counts{30, 30}));
    after.world.keyspaces = before.world.keyspaces;
    EXPECT_EQ(after, before);
}

TEST(Schedule, EveryFaultEndsInTheSafetyPhaseAndOfOneKindOnlyOneAtATime) {
    for (const std::string& file : shipped()) {
        for (uint64_t seed = 0; seed < 50; ++seed) {
            const Profile profile = draw(load(file), seed);
            const Schedule schedule = make_schedule(profile, Prng(seed));
            EXPECT_EQ(schedule.core.size() + schedule.doomed.size(), profile.nodes());
            EXPECT_LE(schedule.doomed.size(), 1u);
            std::map<FaultKind, Duration> busy;
            Duration last{0};
            for (const FaultEvent& event : schedule.events) {
                EXPECT_GE(event.at, last);
                EXPECT_LE(event.end(), schedule.safety_end);
                // Jumps add up.
                if (event.what != "swizzle" && event.kind != FaultKind::ClockJump &&
                    profile.script.steps.empty()) {
                    EXPECT_GE(event.at, busy[event.kind]) << describe(event);
                    busy[event.kind] = event.end();
                }
                last = event.at;
                for (const uint32_t node : event.victims)
                    EXPECT_LT(node, profile.nodes());
                if (event.kind == FaultKind::Partition && event.who.empty())
                    EXPECT_FALSE(event.cuts.empty());
            }
        }
    }
}

std::vector<FaultEvent> partitions(const std::string& mode, uint64_t nodes) {
    Profile profile;
    profile.world.nodes = {nodes, nodes};
    PartitionFault fault;
    fault.mode = mode;
    profile.faults.push_back({fault, FaultLevel::Normal});
    std::vector<FaultEvent> events = make_schedule(profile, Prng(3)).events;
    EXPECT_FALSE(events.empty());
    return events;
}

TEST(Schedule, PartitionsHaveTheShapeOfTheirMode) {
    const auto has = [](const FaultEvent& e, uint32_t a, uint32_t b) {
        return std::find(e.cuts.begin(), e.cuts.end(), Link{a, b}) != e.cuts.end();
    };
    for (const FaultEvent& e : partitions("oneway", 5)) {
        EXPECT_EQ(e.cuts.size(), 4u);
        for (const Link& link : e.cuts)
            EXPECT_FALSE(has(e, link.to, link.from));
    }
    for (const FaultEvent& e : partitions("isolate", 5))
        EXPECT_EQ(e.cuts.size(), 8u);
    for (const FaultEvent& e : partitions("majority", 5))
        EXPECT_TRUE(e.cuts.size() == 8 || e.cuts.size() == 12) << describe(e);
    for (const FaultEvent& e : partitions("flap", 5))
        EXPECT_EQ(e.cuts.size(), 2u);
    for (const FaultEvent& e : partitions("bridge", 3)) {
        ASSERT_EQ(e.cuts.size(), 2u);  // of three nodes the middle one sees both others
        EXPECT_TRUE(has(e, e.cuts[0].to, e.cuts[0].from));
    }
    for (FaultEvent e : partitions("leader", 3)) {
        EXPECT_EQ(e.who, "leader");
        e = aim(std::move(e), {.leader = 2, .roles = {}}, 3);
        EXPECT_EQ(e.victims, std::vector<uint32_t>{2});
        EXPECT_EQ(e.cuts, (std::vector<Link>{{0, 2}, {1, 2}, {2, 0}, {2, 1}}));
    }
}

TEST(Schedule, TheCoreOfAMajorityWorldIsAMajority) {
    Profile profile;
    profile.world.nodes = {5, 5};
    profile.world.core = "majority";
    std::set<std::vector<uint32_t>> cores;
    for (uint64_t seed = 0; seed < 50; ++seed) {
        const Schedule schedule = make_schedule(profile, Prng(seed));
        EXPECT_EQ(schedule.core.size(), 3u);
        cores.insert(schedule.core);
    }
    EXPECT_GT(cores.size(), 5u);
}

TEST(Schedule, ASwizzleCutsTheLinksOfOneNodeAndHealsThemInAnotherOrder) {
    const std::vector<FaultEvent> events = partitions("swizzle", 5);
    ASSERT_GE(events.size(), 4u);
    bool other_order = false;
    for (size_t i = 1; i < 4; ++i) {
        EXPECT_EQ(events[i].cuts.size(), 2u);
        EXPECT_GT(events[i].at, events[i - 1].at);
        EXPECT_LT(events[i].at, events[0].end());
        other_order |= events[i].end() < events[i - 1].end();
    }
    for (const FaultEvent& e : partitions("swizzle", 3))
        EXPECT_GT(e.length, Duration(0));
    EXPECT_TRUE(other_order || partitions("swizzle", 5).size() > 4);
}

TEST(Schedule, APartitionOfAnyShapeIsOfEveryShape) {
    Profile profile;
    profile.world.nodes = {5, 5};
    profile.world.duration = std::chrono::hours(1);
    PartitionFault any;
    any.mode = "any";
    profile.faults.push_back({any, FaultLevel::Normal});
    std::set<std::string> shapes;
    for (const FaultEvent& e : make_schedule(profile, Prng(3)).events)
        shapes.insert(e.what);
    EXPECT_EQ(shapes, (std::set<std::string>{"random", "majority", "isolate", "leader", "oneway",
                                             "bridge", "flap", "swizzle"}));
}

Profile scripted(const std::string& lines, uint64_t nodes) {
    const auto scenario =
        parse_scenario("t", "world nodes=" + std::to_string(nodes) +
                                " duration=10s\nworkload kv\ncheck order\n" + lines);
    EXPECT_TRUE(scenario) << scenario.error().describe();
    return draw(*scenario, 1);
}

TEST(Script, HappensAgainUntilTheSafetyPhaseEnds) {
    const Profile profile = scripted(
        "script every=4s\n"
        "at 1s roles\n"
        "at 1s..2s crash a,c for=20s lose=1\n",
        3);
    const Schedule schedule = make_schedule(profile, Prng(1));
    ASSERT_EQ(schedule.events.size(), 6u);
    for (size_t round = 0; round < 3; ++round) {
        const Duration begin = seconds(4) * static_cast<int64_t>(round);
        const FaultEvent &roles = schedule.events[2 * round],
                         &crash = schedule.events[2 * round + 1];
        EXPECT_EQ(roles.kind, FaultKind::Roles);
        EXPECT_EQ(roles.at, begin + seconds(1));
        EXPECT_EQ(crash.kind, FaultKind::Crash);
        EXPECT_GE(crash.at, begin + seconds(1));
        EXPECT_LE(crash.at, begin + seconds(2));
        EXPECT_EQ(crash.end(), std::min<Duration>(crash.at + seconds(20), seconds(10)));
        EXPECT_TRUE(crash.loses_unsynced);
    }
}

TEST(Script, NamesMeanNodesRolesAndTheLeader) {
    const auto first = [](const std::string& line, const Cast& cast) {
        return aim(make_schedule(scripted(line, 5), Prng(1)).events.at(0), cast, 5);
    };
    const Cast cast{.leader = 3, .roles = {3, 0, 1, 2, 4}};
    EXPECT_EQ(first("at 1s crash a,n2\n", cast).victims, (std::vector<uint32_t>{1, 3}));
    EXPECT_EQ(first("at 1s pause leader\n", cast).victims, (std::vector<uint32_t>{3}));
    EXPECT_EQ(first("at 1s pause all\n", cast).victims.size(), 5u);
    EXPECT_EQ(first("at 1s split a,b c\n", cast).cuts,
              (std::vector<Link>{{0, 1}, {1, 0}, {1, 3}, {3, 1}}));
    EXPECT_EQ(first("at 1s oneway a b,c\n", cast).cuts, (std::vector<Link>{{3, 0}, {3, 1}}));
    EXPECT_EQ(first("at 1s cut n1>n2,n5>n1\n", cast).cuts, (std::vector<Link>{{0, 1}, {4, 0}}));
    EXPECT_EQ(first("at 1s isolate leader\n", cast).cuts.size(), 8u);
    // Nobody leads, nobody has a role.
    EXPECT_EQ(first("at 1s crash leader,b\n", {}).victims, (std::vector<uint32_t>{0, 1}));
}

TEST(Script, EveryEventOfEveryScenarioCanBeWrittenAsALineThatDoesTheSame) {
    for (const std::string& file : shipped()) {
        const Profile profile = draw(load(file), 3);
        for (const FaultEvent& event : make_schedule(profile, Prng(3)).events) {
            const std::string line = print(step_of(event));
            const Profile again = scripted(line + "\n", profile.nodes());
            Profile longer = again;
            longer.world.duration = profile.world.duration;
            const auto events = make_schedule(longer, Prng(5)).events;
            ASSERT_EQ(events.size(), 1u) << line;
            const Cast cast{.leader = 1, .roles = {1, 0, 2}};
            FaultEvent one = aim(event, cast, profile.nodes());
            FaultEvent two = aim(events[0], cast, profile.nodes());
            two.what = one.what;  // the shape's name is lost, not what it does
            if (one.kind == FaultKind::Partition) one.victims = two.victims = {};
            if (one.kind != FaultKind::SlowDisk) one.factor = two.factor = 1;
            EXPECT_EQ(one, two) << line;
        }
    }
}

TEST(Schedule, ANodeThatAFaultMayEndIsOutsideTheCore) {
    Profile profile = scripted("at 1s rot n2 what=journal\nat 1s directory n1 what=twin\n", 3);
    EXPECT_EQ(make_schedule(profile, Prng(1)).doomed, (std::vector<uint32_t>{1}));
    EXPECT_EQ(make_schedule(profile, Prng(1)).core, (std::vector<uint32_t>{0, 2}));
    profile.script = {};
    EXPECT_TRUE(make_schedule(profile, Prng(1)).doomed.empty());
    // Harmed by nothing, it is as good as any other.
    profile.faults = {{RotFault{.every = {seconds(900), seconds(900)}}, FaultLevel::Normal}};
    EXPECT_TRUE(make_schedule(profile, Prng(1)).doomed.empty());
    EXPECT_EQ(make_schedule(profile, Prng(1)).core.size(), 3u);
    profile.faults = {{RotFault{.every = {milliseconds(10), seconds(1)}}, FaultLevel::Normal}};
    std::set<uint32_t> doomed;
    for (uint64_t seed = 0; seed < 30; ++seed) {
        const Schedule schedule = make_schedule(profile, Prng(seed));
        ASSERT_EQ(schedule.doomed.size(), 1u);
        doomed.insert(schedule.doomed[0]);
        EXPECT_EQ(schedule.core.size(), 2u);
        for (const FaultEvent& event : schedule.events)
            EXPECT_EQ(event.victims, schedule.doomed);
    }
    EXPECT_EQ(doomed.size(), 3u);
}

TEST(Schedule, EventsDescribeThemselves) {
    FaultEvent crash{.length = seconds(7), .kind = FaultKind::Crash};
    crash.victims = {0, 2};
    crash.loses_unsynced = true;
    EXPECT_EQ(describe(crash), "power cut of n1,n3 for 7s");
    FaultEvent cut{.length = milliseconds(1500), .what = "bridge"};
    cut.cuts = {{0, 1}};
    EXPECT_EQ(describe(cut), "bridge cut: n1>n2 for 1500ms");
}

}  // namespace
}  // namespace asterias::sim
