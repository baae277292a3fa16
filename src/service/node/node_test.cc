// Identity, birth, and a whole cluster of nodes over the simulated world.
#include <set>

#include <gtest/gtest.h>

#include "engine/mem/mem.h"
#include "runtime/sim/disk.h"
#include "runtime/sim/test_support.h"
#include "service/node/calls.h"
#include "service/node/node_test_cluster.h"
#include "wire/fields.h"

namespace asterias::node {
namespace {

Founding sample_founding() {
    Founding f;
    f.cluster = ClusterId(77);
    f.expected = 3;
    for (uint64_t i = 1; i <= 3; ++i)
        f.members.push_back({NodeId(i), i * 11, {"n" + std::to_string(i), 7}, {"d", 8}});
    f.keyspaces = {"orders", "mail"};
    return f;
}

TEST(Identity, RoundTripAndEveryTruncationOrFlippedBitIsRefused) {
    const Identity id{NodeId(2),
                      Incarnation(9),
                      {Incarnation(3), Incarnation(7)},
                      22,
                      4,
                      sample_founding(),
                      true,
                      {{NodeId(1), Incarnation(5)}},
                      "why",
                      {{GroupId(2), ReplicaId(6)}}};
    const Bytes bytes = encode(id);
    ASSERT_EQ(decode_identity(bytes).value(), id);
    for (size_t n = 0; n < bytes.size(); ++n)
        EXPECT_FALSE(decode_identity(bytes.slice(0, n)));
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        std::string bad = bytes.str();
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        EXPECT_FALSE(decode_identity(Bytes::copy(bad))) << bit;
    }
    const Bytes founding = encode(sample_founding());
    ASSERT_EQ(decode_founding(founding).value(), sample_founding());
    for (size_t n = 0; n < founding.size(); ++n)
        EXPECT_FALSE(decode_founding(founding.slice(0, n)));
}

TEST(Identity, AFoundingRecordThatNamesNobodyIsNone) {
    Founding f = sample_founding();
    f.members.clear();
    f.expected = 0;
    EXPECT_FALSE(decode_founding(encode(f))) << "its groups would have no members";
    f = sample_founding();
    f.expected = 2;
    EXPECT_FALSE(decode_founding(encode(f))) << "more members than expected";
    f = sample_founding();
    f.members[1].node = {};
    EXPECT_FALSE(decode_founding(encode(f))) << "a member without a number";
    f.members[1].node = NodeId(1);
    EXPECT_FALSE(decode_founding(encode(f))) << "a number twice";
}

TEST(Identity, GroupsFollowFromTheFoundingRecord) {
    Founding f = sample_founding();
    for (uint64_t i = 4; i <= 5; ++i)
        f.members.push_back({NodeId(i), i, {}, {}});
    f.expected = 5;
    EXPECT_EQ(groups_of(f), (std::vector<GroupId>{GroupId(1), GroupId(2), GroupId(3), GroupId(4)}));
    EXPECT_EQ(members_of(f, kSystemGroup).size(), 5u);
    for (GroupId g : {GroupId(2), GroupId(3), GroupId(4)}) {
        const auto nodes = members_of(f, g);
        EXPECT_EQ(nodes.size(), 3u);
        EXPECT_EQ(std::set(nodes.begin(), nodes.end()).size(), 3u);
        EXPECT_TRUE(std::is_sorted(nodes.begin(), nodes.end()));
    }
    EXPECT_EQ(catalogue_of(f).of("orders:7").id, KeyspaceId(2));
    EXPECT_EQ(catalogue_of(f).of("none:7").id, KeyspaceId(1));
}

// ------------------------------------------------------------------------------- whole nodes

TEST(Identity, MembersAreNumberedByAddressWhoeverCameFirst) {
    std::vector<FoundingMember> members;
    for (const auto& [host, port] : {std::pair{"10.0.0.7", 7},
                                     {"10.0.0.10", 7},
                                     {"10.0.0.9", 8},
                                     {"10.0.0.9", 7},
                                     {"n10", 7},
                                     {"n9", 7},
                                     {"10.0.0.100", 1}})
        members.push_back({NodeId(members.size() + 1), 5, {host, static_cast<uint16_t>(port)}, {}});
    number_members(members);
    std::string order;
    for (const auto& m : members)
        order += to_string(m.node) + " " + m.peer_address.describe() + "\n";
    EXPECT_EQ(order,
              "1 10.0.0.7:7\n2 10.0.0.9:7\n3 10.0.0.9:8\n4 10.0.0.10:7\n5 10.0.0.100:1\n"
              "6 n9:7\n7 n10:7\n");
    members.resize(1);
    number_members(members);
    EXPECT_EQ(members[0].node, NodeId(1));
}

TEST(Node, ANodesNumberFollowsFromItsAddressAndNotFromWhenItCame) {
    for (const auto& order : {std::vector<size_t>{0, 1, 2, 3}, {0, 3, 2, 1}, {2, 0, 3, 1}}) {
        Cluster c(4);
        for (size_t i : order) {
            c.boot(i);
            c.world.run_for(seconds(1));
        }
        ASSERT_TRUE(c.started());
        for (size_t i = 0; i < 4; ++i)
            EXPECT_EQ(c.processes[i]->node->identity().node, NodeId(i + 1));
    }
}

TEST(Node, AClusterIsBornOnceAllItsMembersAreThere) {
    Cluster c(3);
    for (size_t i : {1, 0})
        c.boot(i);
    c.world.run_for(seconds(3));
    EXPECT_FALSE(c.up(0) || c.up(1));
    c.boot(2);
    ASSERT_TRUE(c.started());
    for (size_t i = 0; i < 3; ++i)
        EXPECT_EQ(c.founding(i), c.founding(0));
    EXPECT_EQ(c.execute(1, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(1));
    EXPECT_EQ(c.execute(2, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(2));
    EXPECT_EQ(c.execute(0, command(kv::Op::IncrBy, {"q:n"})), kv::Reply::number(1));
}

TEST(Node, WhoComesToACompleteClusterIsToldSo) {
    Cluster c(1);
    c.boot(0);
    ASSERT_TRUE(c.started());
    c.boot(1);
    ASSERT_TRUE(c.world.run_until([&] { return c.processes[1]->started.has_value(); }, seconds(5)));
    EXPECT_EQ(c.processes[1]->started->error().code, Errc::Conflict);
}

// A founding record is for ever: who could not be reached at what it says has no way back in.
TEST(Node, AFounderTakesNobodyWhomTheOthersCouldNotReach) {
    Cluster c(3);
    c.boot(0);
    c.world.run_for(seconds(1));
    sim::Host* guest = sim::boot_host(c.world, c.machines[3]->index);
    const auto ask = [](port::Shard* shard, uint64_t nonce, port::Address peer,
                        std::shared_ptr<Result<Bytes>> out) -> port::Task<> {
        *out = co_await rpc::call_once(
            *shard, {"n0", 7}, {std::string(kJoin), encode(JoinRequest{nonce, peer, {}, {}})},
            seconds(1));
    };
    for (const port::Address& peer : {port::Address{"n0", 7}, {"127.0.0.1", 7}, {"localhost", 9}}) {
        const auto answer = std::make_shared<Result<Bytes>>();
        guest->scope().spawn("ask", ask(&guest->shard(), 5, peer, answer));
        c.world.run_for(seconds(2));
        ASSERT_FALSE(*answer) << peer.describe();
        EXPECT_EQ(answer->error().code, Errc::Conflict) << answer->error().describe();
    }
    c.boot(1);
    c.boot(2);
    EXPECT_TRUE(c.started()) << "nobody of those holds a place";
}

TEST(Node, AStartThatCannotListenTakesNoPlace) {
    Cluster c(2);
    c.boot(0);
    sim::Host* squatter = sim::boot_host(c.world, c.machines[1]->index);
    Registry registry;
    Node node(
        {&squatter->shard()},
        [] {
            Options o;
            o.directory = "data";
            o.peer_address = {"n1", 7};
            o.join = {"n0", 7};
            return o;
        }(),
        [](std::string) -> Result<std::unique_ptr<port::Engine>> {
            return fail(Errc::Io, "not asked for");
        },
        registry, Log(c.world.log(c.machines[1]->index), "n"));
    auto taken = squatter->shard().net().listen({"n1", 7}, [](const auto&) {});
    ASSERT_TRUE(taken);
    Result<void> started;
    const auto start = [](Node* n, Result<void>* out) -> port::Task<> {
        *out = co_await n->start();
    };
    squatter->scope().spawn("start", start(&node, &started));
    c.world.run_for(seconds(3));
    EXPECT_FALSE(started);
    EXPECT_FALSE(c.processes[0]->started) << "the founder still waits for its second member";
}

// An order names a group by its keyspace. With two of one name the place of a node was given away
// while a group still counted on it.
TEST(Node, NoKeyspaceIsNamedLikeTheSystemGroup) {
    Cluster c(1);
    sim::Host* host = sim::boot_host(c.world, c.machines[0]->index);
    for (const char* name : {"system", "default", ""}) {
        Result<void> made;
        const auto make = [](port::Shard* shard, std::string keyspace,
                             Result<void>* out) -> port::Task<> {
            *out = co_await init(*shard, "d", 1, {std::move(keyspace)}, 1);
        };
        host->scope().spawn("init", make(&host->shard(), name, &made));
        c.world.run_for(seconds(1));
        ASSERT_FALSE(made) << name;
        EXPECT_EQ(made.error().code, Errc::InvalidArgument);
    }
}

TEST(Node, AnEmptyDirectoryIsNotAdopted) {
    Cluster c(1);
    c.boot(1, false);
    ASSERT_TRUE(c.world.run_until([&] { return c.processes[1]->started.has_value(); }, seconds(5)));
    EXPECT_EQ(c.processes[1]->started->error().code, Errc::NotFound);
}

TEST(Node, ADirectoryThatLostItsIdentityIsNobodysBirthplace) {
    for (const bool founder : {true, false}) {
        Cluster c(1);
        const size_t i = founder ? 0 : 1;
        c.machines[i]->image.put("data/engine", "x");
        c.boot(i);
        ASSERT_TRUE(
            c.world.run_until([&] { return c.processes[i]->started.has_value(); }, seconds(5)));
        ASSERT_FALSE(c.up(i));
        EXPECT_EQ(c.processes[i]->started->error().code, Errc::Corrupt);
        EXPECT_NE(c.processes[i]->started->error().context.find("engine"), std::string::npos);
    }
}

// Whoever crashes wherever on the way to a cluster: it comes about, once, and all agree.
TEST(Node, BirthSurvivesACrashOfAnybodyAnywhere) {
    for (uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE(seed);
        Cluster c(3, seed);
        for (size_t i = 0; i < 3; ++i)
            c.boot(i);
        Prng prng(seed);
        const size_t victim = prng.below(3);
        c.world.arm_crash(c.machines[victim]->index, 1 + prng.below(150),
                          prng.below(2) ? sim::CrashKind::PowerCut : sim::CrashKind::Kill);
        for (int round = 0; round < 40 && (round < 2 || !c.all_up()); ++round) {
            c.world.run_for(milliseconds(500));
            for (size_t i = 0; i < 3; ++i)
                if (!c.world.up(c.machines[i]->index)) c.boot(i);
        }
        ASSERT_TRUE(c.all_up());
        std::set<NodeId> ids;
        for (size_t i = 0; i < 3; ++i) {
            EXPECT_EQ(c.founding(i), c.founding(0));
            ids.insert(c.processes[i]->node->identity().node);
        }
        EXPECT_EQ(ids.size(), 3u);
        EXPECT_EQ(c.execute(2, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(1));
    }
}

TEST(Node, ANodeThatStartsAgainIsTheSameOneOfAHigherIncarnation) {
    Cluster c(3);
    for (size_t i = 0; i < 3; ++i)
        c.boot(i);
    ASSERT_TRUE(c.started());
    const Identity before = c.processes[1]->node->identity();
    EXPECT_EQ(c.execute(1, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(1));
    c.crash(1);
    c.boot(1);
    ASSERT_TRUE(c.started());
    EXPECT_EQ(c.processes[1]->node->identity().node, before.node);
    const Identity& after = c.processes[1]->node->identity();
    EXPECT_EQ(count_of(after.incarnation), count_of(before.incarnation) + 1);
    EXPECT_EQ(after.earlier, std::vector{before.incarnation});
    EXPECT_EQ(c.execute(1, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(2));
}

TEST(Node, AcknowledgedWritesSurviveTheLossOfPowerOfAllNodes) {
    Cluster c(3, 5, 2);
    for (size_t i = 0; i < 3; ++i)
        c.boot(i);
    ASSERT_TRUE(c.started());
    for (int64_t n = 1; n <= 20; ++n)
        ASSERT_EQ(c.execute(n % 3, command(kv::Op::IncrBy, {"n"}), n % 2), kv::Reply::number(n));
    for (size_t i = 0; i < 3; ++i)
        c.crash(i);
    for (size_t i = 0; i < 3; ++i)
        c.boot(i);
    ASSERT_TRUE(c.started());
    EXPECT_EQ(c.execute(1, command(kv::Op::Get, {"n"})).text.view(), "20");
}

// Its own replica refuses each copy, for it leads nobody: that is no doubt.
TEST(Node, TheLastNodeStandingSaysThatNothingWasDone) {
    for (const auto how : {sim::CrashKind::Kill, sim::CrashKind::PowerCut}) {
        Cluster c(3);
        for (size_t i = 0; i < 3; ++i)
            c.boot(i);
        ASSERT_TRUE(c.started());
        ASSERT_EQ(c.execute(2, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(1));
        // A connection left half-open would be a doubt: what is sent on it may arrive.
        c.crash(0, how, sim::Farewell::Reset);
        c.crash(1, how, sim::Farewell::Reset);
        c.world.run_for(seconds(20));
        EXPECT_EQ(c.execute(2, command(kv::Op::IncrBy, {"n"})).text.view(), execute::kClusterDown);
    }
}

// ------------------------------------------------------------------------------- old copies (D7)

// The files of a node; its engine begins empty again, for the journal still has everything.
struct Backup {
    explicit Backup(const Machine& m) {
        for (const auto& path : m.image.paths())
            files[path] = m.image.content(path).value();
    }
    void restore(Machine& m) const {
        for (const auto& path : m.image.paths())
            m.image.erase(path);
        for (const auto& [path, content] : files)
            m.image.put(path, content.view());
        m.engine = engine::MemImage();
    }
    std::map<std::string, Bytes> files;
};

// Three nodes; the second was started again after the backup that is returned.
Backup with_old_copy(Cluster& c) {
    for (size_t i = 0; i < 3; ++i)
        c.boot(i);
    EXPECT_TRUE(c.started());
    c.crash(1);
    Backup backup(*c.machines[1]);
    c.boot(1);
    EXPECT_TRUE(c.started());
    EXPECT_EQ(c.execute(1, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(1));
    c.crash(1);
    return backup;
}

TEST(Node, ADirectoryThatIsRolledBackTakesNoPartAndStaysOut) {
    Cluster c(3);
    with_old_copy(c).restore(*c.machines[1]);
    c.boot(1);
    ASSERT_TRUE(ends(c, 1));
    EXPECT_NE(c.processes[1]->ended.find("is an old copy"), std::string::npos);
    EXPECT_NE(c.processes[1]->ended.find("must not take part again"), std::string::npos);
    c.crash(1);
    c.boot(1);
    ASSERT_TRUE(c.world.run_until([&] { return c.processes[1]->started.has_value(); }, seconds(5)));
    ASSERT_FALSE(c.up(1)) << "it has heard it before";
    EXPECT_EQ(c.processes[1]->started->error().code, Errc::Conflict);
    EXPECT_EQ(c.execute(2, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(2));
}

TEST(Node, NeitherRestartedPeersNorManyStartsLetAnOldCopyIn) {
    Cluster c(3);
    const Backup backup = with_old_copy(c);
    for (size_t i : {0, 2})
        c.crash(i);
    backup.restore(*c.machines[1]);
    for (int starts = 0; starts < 3; ++starts) {  // nobody hears of these
        c.boot(1);
        ASSERT_TRUE(c.world.run_until([&] { return c.up(1); }, seconds(20)));
        c.crash(1);
    }
    for (size_t i : {0, 2, 1})
        c.boot(i);
    ASSERT_TRUE(ends(c, 1));
    EXPECT_EQ(c.execute(2, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(2));
}

// As a supervisor starts it again and again while something is in its way. Were these starts
// counted, those that others saw would be forgotten, and the copy would seem to have been away.
TEST(Node, StartsThatFailLetNoOldCopyIn) {
    Cluster c(3);
    const Backup backup = with_old_copy(c);
    backup.restore(*c.machines[1]);
    bool fails = true;
    c.refuse_engine = &fails;
    for (size_t starts = 0; starts < kEarlierStarts + 5; ++starts) {
        c.boot(1);
        ASSERT_TRUE(
            c.world.run_until([&] { return c.processes[1]->started.has_value(); }, seconds(20)));
        ASSERT_FALSE(c.up(1));
        c.crash(1);
    }
    fails = false;
    c.boot(1);
    ASSERT_TRUE(ends(c, 1));
    EXPECT_EQ(c.execute(2, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(2));
}

// D9: two processes that both began from one copy have the same count of starts.
TEST(Node, OfTwoDirectoriesThatAreOneAtMostOneIsHeard) {
    Cluster c(3);
    with_old_copy(c);
    Backup copy(*c.machines[1]);
    c.boot(1);
    ASSERT_TRUE(c.started());
    EXPECT_EQ(c.execute(1, command(kv::Op::IncrBy, {"n"})), kv::Reply::number(2));
    const Identity one = c.processes[1]->node->identity();
    c.crash(1);
    copy.restore(*c.machines[1]);
    c.boot(1);
    ASSERT_TRUE(ends(c, 1));
    const Identity& other = c.processes[1]->node->identity();
    EXPECT_EQ(count_of(other.incarnation), count_of(one.incarnation));
    EXPECT_EQ(other.earlier, one.earlier);
    EXPECT_NE(other.incarnation, one.incarnation);
}

// Mutant engine_owner_unchecked.
TEST(Node, AnEngineOfAnotherNodeIsRefusedByName) {
    int met = 0;
    for (uint64_t seed = 1; seed <= 20 && met < 3; ++seed) {
        Cluster c(3, seed);
        for (size_t i = 0; i < 3; ++i)
            c.boot(i);
        ASSERT_TRUE(c.started());
        c.world.run_for(seconds(2));
        for (size_t i : {1, 2})
            c.crash(i);
        std::swap(c.machines[1]->engine, c.machines[2]->engine);
        if (c.machines[1]->engine.keys() == 0) continue;  // nothing was durable yet: it is no one's
        ++met;
        c.boot(1);
        ASSERT_TRUE(
            c.world.run_until([&] { return c.processes[1]->started.has_value(); }, seconds(20)));
        const auto& started = *c.processes[1]->started;
        ASSERT_FALSE(started);
        EXPECT_EQ(started.error().code, Errc::Conflict);
        EXPECT_NE(started.error().context.find("data/engine: the engine belongs to node "),
                  std::string::npos)
            << started.error().context;
        c.crash(1);
        std::swap(c.machines[1]->engine, c.machines[2]->engine);
        for (size_t i : {1, 2})
            c.boot(i);
        EXPECT_TRUE(c.started());
    }
    EXPECT_EQ(met, 3);
}

// ------------------------------------------------------------------------------- orders

TEST(Node, AnOrderThatLooksForALeaderGivesUpWhenItsNodeIsToldToEnd) {
    Cluster c(3);
    for (size_t i = 0; i < 3; ++i)
        c.boot(i);
    ASSERT_TRUE(c.started());
    c.crash(1);
    c.crash(2);
    c.world.run_for(seconds(5));
    const auto answer = std::make_shared<std::optional<Result<std::string>>>();
    Process* p = c.processes[0];
    p->scope.spawn("order",
                   give(p->node.get(), {Order::What::List, "default", {}, {}, false}, answer));
    c.world.run_for(seconds(1));
    ASSERT_FALSE(*answer) << "it looks for one";
    p->shards[0]->post([p] { p->node->give_up_orders(); });
    c.world.run_for(milliseconds(500));
    ASSERT_TRUE(*answer);
    EXPECT_EQ((*answer)->error().code, Errc::Unavailable);
}

// Unavailable is a word that nothing was done; the end of a leader is none.
TEST(Node, AnOrderWhoseLeaderDiesIsNotToldAsRefusedIfItWasDone) {
    size_t done = 0;
    for (const auto farewell : {sim::Farewell::Reset, sim::Farewell::Drawn})
        for (int us = 0; us <= 12000; us += 1500) {
            Cluster c(5);
            for (size_t i = 0; i < 5; ++i)
                c.boot(i);
            ASSERT_TRUE(c.started());
            c.world.run_for(seconds(2));
            const std::string list = order(c, 0, {Order::What::List, "system", {}, {}, false});
            const NodeId lead(std::stoull(list.substr(list.find("\"leader\":") + 9)));
            size_t leader = 0, at = 5, gone = 5;
            for (size_t i = 0; i < 5; ++i) {
                if (c.processes[i]->node->identity().node == lead)
                    leader = i;
                else if (at == 5)
                    at = i;
                else
                    gone = i;
            }
            const NodeId goes = c.processes[gone]->node->identity().node;
            const auto answer = std::make_shared<std::optional<Result<std::string>>>();
            Process* p = c.processes[at];
            p->scope.spawn(
                "order", give(p->node.get(),
                              Order{Order::What::Remove, "system", goes, {}, false, true}, answer));
            c.world.run_for(microseconds(us));
            if (*answer) break;
            c.crash(leader, sim::CrashKind::Kill, farewell);
            ASSERT_TRUE(c.world.run_until([&] { return answer->has_value(); }, seconds(40)));
            const std::string now = order(c, at, {Order::What::List, "system", {}, {}, false});
            if (now.find("{\"node\":" + to_string(goes) + ",") != std::string::npos) continue;
            ++done;
            if (!**answer) {
                EXPECT_TRUE((*answer)->error().code == Errc::Closed ||
                            (*answer)->error().code == Errc::Timeout)
                    << us << ": " << (*answer)->error().describe();
            }
        }
    EXPECT_GT(done, 0u);
}

// Anybody may ask: what is worked on at a time is bounded.
TEST(Node, ThousandsOfCallsAtATimeAreRefused) {
    Cluster c(3);
    for (size_t i = 0; i < 3; ++i)
        c.boot(i);
    ASSERT_TRUE(c.started());
    c.crash(1);
    c.crash(2);
    c.world.run_for(seconds(5));
    const auto node = c.processes[0]->node.get();
    // Each looks for a leader, for seconds.
    const auto& lost = c.founding(0).members[1];
    const Bytes question = encode(JoinRequest{1, lost.peer_address, {}, lost.node});
    const auto refused = std::make_shared<size_t>(0);
    c.processes[0]->shards[0]->post([node, question, refused] {
        for (int i = 0; i < 1000; ++i)
            static_cast<CallHandler*>(node)->on_call(
                {std::string(kJoin), question}, [refused](Result<Bytes> a) { *refused += !a; });
    });
    c.world.run_for(milliseconds(200));
    EXPECT_GE(*refused, 900u);
    EXPECT_LT(*refused, 1000u);
}

TEST(KnownStarts, ALaterStartIsBelievedIfItKnowsOfTheOneSeen) {
    using V = KnownStarts::Verdict;
    const NodeId n(2);
    KnownStarts known;
    const auto start = [](uint64_t count, uint64_t drawn) {
        return Incarnation(count << 32 | drawn);
    };
    EXPECT_EQ(known.judge(n, start(5, 1), {}), V::Newer) << "never seen";
    EXPECT_TRUE(known.note(n, start(5, 1)));
    EXPECT_EQ(known.judge(n, start(5, 1), {}), V::Known);
    EXPECT_EQ(known.judge(n, start(5, 2), {}), V::OldCopy);
    EXPECT_EQ(known.judge(n, start(4, 9), {}), V::OldCopy);
    EXPECT_EQ(known.judge(n, start(7, 1), {start(5, 1), start(6, 3)}), V::Newer);
    EXPECT_EQ(known.judge(n, start(7, 1), {start(5, 2), start(6, 3)}), V::OldCopy);
    EXPECT_EQ(known.judge(n, start(7, 1), {}), V::OldCopy);
    EXPECT_FALSE(known.note(n, start(4, 1)));
    EXPECT_EQ(known.last(n), start(5, 1));
    EXPECT_EQ(known.judge(n, next_start(before_life(1), 7), {}), V::Newer) << "a later life";
    EXPECT_EQ(life_of(next_start(next_start(before_life(3), 7), 8)), 3u);
    EXPECT_EQ(count_of(next_start(next_start(before_life(3), 7), 8)), 2u);
    std::vector<Incarnation> many;
    for (uint64_t i = 0; i < kEarlierStarts; ++i)
        many.push_back(start(10 + i, i));
    EXPECT_EQ(known.judge(n, start(90, 1), many), V::Newer) << "away for too long to be known";
    many.pop_back();
    EXPECT_EQ(known.judge(n, start(90, 1), many), V::OldCopy);
}

// A turn's commands, entries and answers that are too much for one frame leave in several, in
// order.
TEST(Node, WhatFillsSeveralFramesKeepsItsOrder) {
    Cluster c(3);
    for (size_t i = 0; i < 3; ++i)
        c.boot(i);
    ASSERT_TRUE(c.started());
    constexpr int kCommands = 20;
    constexpr size_t kBytes = 100'000;
    static_assert(kCommands * kBytes > rpc::kBodyBytesGoal);
    for (size_t i = 0; i < 3; ++i) {
        std::vector<int64_t> lengths;
        Process* p = c.processes[i];
        p->shards[0]->post([p, i, &lengths] {
            for (int k = 0; k < kCommands; ++k)
                p->node->strategy(ShardId(0))
                    .execute(
                        {command(kv::Op::Append, {"log" + std::to_string(i)},
                                 {Bytes::copy(std::string(kBytes, 'x'))}),
                         execute::Bound::Linearizable, seconds(10), execute::StreamId(1)},
                        [&lengths](execute::Outcome o) { lengths.push_back(o.reply.integer); });
        });
        ASSERT_TRUE(c.world.run_until([&] { return lengths.size() == kCommands; }, seconds(15)));
        for (int k = 0; k < kCommands; ++k)
            EXPECT_EQ(lengths[k], static_cast<int64_t>(kBytes) * (k + 1));
    }
}

// A gateway that does not read: what it asks beyond the room for answers is refused, and what was
// accepted before is answered.
struct Slow : sim::Collector {
    std::map<uint64_t, std::vector<replica::Answer::Kind>> answers;  // by ticket
    port::Consumed on_data(const Bytes& available) override {
        for (size_t at = 0;;) {
            size_t used = 0;
            auto read = rpc::read_frame(available.suffix(at), used);
            EXPECT_TRUE(read.has_value());
            if (!read || !std::holds_alternative<rpc::Frame>(*read)) return {at, 0};
            at += used;
            const auto& frame = std::get<rpc::Frame>(*read);
            if (frame.header.type != rpc::FrameType::ForwardReply) continue;
            wire::Reader in(frame.body);
            in.varint();
            while (in.ok() && !in.at_end()) {
                const auto a = replica::read_answered(in);
                answers[a.ticket].push_back(a.answer.kind);
            }
        }
    }
};

TEST(Node, NoCommandIsAcceptedWhoseAnswerMayFindNoRoom) {
    Cluster c(3);
    c.rpc.unsent_bytes_max = 2'000'000;
    for (size_t i = 0; i < 3; ++i)
        c.boot(i);
    ASSERT_TRUE(c.started());
    constexpr GroupId kGroup{2};
    ASSERT_EQ(c.execute(0, command(kv::Op::Set, {"k"}, {Bytes::copy(std::string(100'000, 'x'))})),
              kv::Reply::ok());
    const NodeId leader = c.processes[0]->node->member(ShardId(0)).router().leader_of(kGroup);
    size_t leads = 0, gone = 0;
    for (size_t i = 0; i < 3; ++i)
        (c.processes[i]->node->identity().node == leader ? leads : gone) = i;
    const rpc::Header header{
        rpc::FrameType::Hello, c.founding(0).cluster, c.founding(0).cluster_incarnation, 0, 0, 0};
    const NodeId absent = c.processes[gone]->node->identity().node;
    const Incarnation last_start = c.processes[gone]->node->identity().incarnation;
    c.crash(gone);

    sim::Host* host = sim::boot_host(c.world, c.machines[3]->index);
    Slow& slow = host->own<Slow>();
    auto& dialed = host->own<sim::DialResult>();
    host->scope().spawn("dial", sim::dial_into(host->shard(), {"n" + std::to_string(leads), 7}, "",
                                               seconds(1), slow, dialed));
    ASSERT_TRUE(c.world.run_until([&] { return dialed.done && slow.connection; }, seconds(2)));
    const auto say = [&](const Bytes& frame) {
        host->shard().post([&slow, frame] { slow.connection->out().append(frame); });
        c.world.run_for(milliseconds(100));
    };
    rpc::FrameBuilder hello;
    wire::field(hello.body(), 1, absent.value);
    wire::field(hello.body(), 2, last_start.value);
    wire::field(hello.body(), 4, static_cast<uint64_t>(rpc::Lane::Normal));
    say(hello.finish(header));
    slow.connection->pause_reading(true);
    constexpr uint64_t kCommands = 40;
    for (uint64_t ticket = 1; ticket <= kCommands; ++ticket) {
        rpc::FrameBuilder b;
        replica::write_head(b.body(), {kGroup, ShardId(0), 1, 1});
        kv::Command get = command(kv::Op::Get, {"k"});
        get.keyspace = KeyspaceId(1);
        replica::write_forwarded(b.body(), ticket, 0, 5000, get);
        auto forward = header;
        forward.type = rpc::FrameType::Forward;
        say(b.finish(forward));
    }
    host->shard().post([&slow] { slow.connection->pause_reading(false); });
    c.world.run_for(seconds(2));
    EXPECT_FALSE(slow.closed || slow.ended);
    uint64_t done = 0, busy = 0;
    for (uint64_t ticket = 1; ticket <= kCommands; ++ticket) {
        ASSERT_EQ(slow.answers[ticket].size(), 1u) << ticket;
        done += slow.answers[ticket][0] == replica::Answer::Kind::Done;
        busy += slow.answers[ticket][0] == replica::Answer::Kind::Busy;
    }
    EXPECT_EQ(done + busy, kCommands);
    EXPECT_GE(done, 10u) << "half of the room";
    EXPECT_GE(busy, 10u);
}

// Somebody with the cluster's number and a node's.
struct Pretender : rpc::Receiver {
    Pretender(port::Shard& shard, rpc::Identity self, LogSink& sink)
        : endpoint(shard, self, {}, *this, registry, Log(sink, "p")) {}
    Result<void> admit(const rpc::Peer&) override { return {}; }
    void on_frame(const rpc::Peer&, rpc::Frame) override {}
    void on_peer_up(const rpc::Peer&, bool) override { ++ups; }
    void on_peer_down(const rpc::Peer&, bool) override {}
    Registry registry;
    int ups = 0;
    rpc::Endpoint endpoint;
};

TEST(Node, OnlyWhomTheFoundingRecordNamesIsTalkedTo) {
    Cluster c(3);
    for (size_t i = 0; i < 3; ++i)
        c.boot(i);
    ASSERT_TRUE(c.started());
    const NodeId absent = c.processes[2]->node->identity().node;
    const Incarnation last_start = c.processes[2]->node->identity().incarnation;
    c.crash(2);
    const Founding founding = c.founding(0);
    const auto extra = c.machines[3]->index;
    for (const auto& [number, let_in] :
         {std::pair{NodeId(77), false}, {NodeId(1), false}, {absent, true}}) {
        sim::Host* host = sim::boot_host(c.world, extra);
        auto& pretender = host->own<Pretender>(
            host->shard(),
            rpc::Identity{founding.cluster, founding.cluster_incarnation, number, last_start},
            c.world.log(extra));
        pretender.endpoint.add_peer(NodeId(1), {"n0", 7});
        c.world.run_for(seconds(2));
        EXPECT_EQ(pretender.ups, let_in ? 2 : 0) << to_string(number);
        c.world.crash(extra, sim::CrashKind::Kill);
    }
}

}  // namespace
}  // namespace asterias::node
