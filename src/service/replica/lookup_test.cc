// What commands read at their place in the queue: from memory, from disk, and how much of it.
#include "service/replica/replica_test_bench.h"

namespace asterias::replica {
namespace {

using Kind = Answer::Kind;

TEST(ReplicaLookup, AReadMissesTheCacheAndKeepsItsPlaceInTheQueue) {
    Bench b(1);
    b.elect();
    b.submit(1, 1, set("n", "5"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.engine->request_flush();
    b.run_for(milliseconds(100));
    engine::MemFaults faults;
    faults.would_block = 1;
    b.engine_image.set_faults(faults);
    b.submit(2, 0, get("n"));
    b.submit(3, 2, incr("n"));
    b.submit(4, 0, get("n"));
    EXPECT_EQ(b.await(4).reply.text.view(), "6");
    EXPECT_EQ(b.answer_to(2).reply.text.view(), "5");
    EXPECT_EQ(b.answer_to(3).reply, kv::Reply::number(6));
}

// `count` keys k0, k1, ... with the values 0, 1, ...; half of the looks into memory will miss.
kv::Command fill_half_cold(Bench& b, size_t count) {
    kv::Command all = on_key(kv::Op::MSet, "k");
    all.keys.clear();
    for (size_t i = 0; i < count; ++i) {
        all.keys.push_back(Bytes::copy("k" + std::to_string(i)));
        all.values.push_back(Bytes::copy(std::to_string(i)));
    }
    b.submit(1, 1, all);
    EXPECT_EQ(b.await(1).kind, Kind::Done);
    EXPECT_TRUE(b.turns_until([&] {
        return b.replica->status().overlay == 0 && b.engine->durable() == b.engine->written()
                   ? true
                   : (b.engine->request_flush(), false);
    }));
    engine::MemFaults faults;
    faults.would_block = 0.5;
    b.engine_image.set_faults(faults);
    b.engine->looks = b.engine->reads = 0;
    all.op = kv::Op::MGet;
    all.values.clear();
    return all;
}

TEST(ReplicaLookup, TheKeysOfOneCommandAreLookedUpOnceHoweverManyComeFromDisk) {
    constexpr size_t kCount = 2000;
    for (const auto op : {kv::Op::MGet, kv::Op::Exists}) {
        Bench b(1);
        b.elect();
        kv::Command all = fill_half_cold(b, kCount);
        all.op = op;
        all.keys.push_back(Bytes::literal("absent"));
        all.keys.push_back(Bytes::literal("k7"));
        all.request = {Bytes::literal("me"), 1};
        b.submit(2, 2, all);
        ASSERT_TRUE(b.turns_until([&] { return b.answered(2) > 0; }));
        const kv::Reply& reply = b.answer_to(2).reply;
        EXPECT_LE(b.engine->looks, kCount + 3);
        EXPECT_GE(b.engine->reads, kCount / 4) << "or this shows nothing";
        EXPECT_LE(b.engine->reads, kCount + 3);
        if (op == kv::Op::Exists) {
            EXPECT_EQ(reply, kv::Reply::number(kCount + 1));
            continue;
        }
        ASSERT_EQ(reply.items.size(), kCount + 2);
        for (size_t i = 0; i < kCount; ++i)
            ASSERT_EQ(reply.items[i].text.view(), std::to_string(i));
        EXPECT_EQ(reply.items[kCount], kv::Reply::nil());
        EXPECT_EQ(reply.items[kCount + 1].text.view(), "7");
    }
}

// What was looked up for it is no other command's.
TEST(ReplicaLookup, ACommandLostWhileItsKeysAreLookedUpLeavesNothingBehind) {
    Bench b(3);
    b.elect();
    const kv::Command all = fill_half_cold(b, 200);
    b.submit(2, 0, all);
    ASSERT_TRUE(b.turns_until([&] { return b.engine->reads > 50; }));
    b.depose();
    EXPECT_EQ(b.answer_to(2).kind, Kind::NotLeader);
    b.peers_vote = true;
    b.elect();
    b.submit(3, 2, set("k0", "new"), 2);
    b.submit(4, 0, all, 2);
    ASSERT_TRUE(b.turns_until([&] { return b.answered(4) > 0; }));
    const auto& items = b.answer_to(4).reply.items;
    ASSERT_EQ(items.size(), 200u);
    EXPECT_EQ(items[0].text.view(), "new");
    EXPECT_EQ(items[199].text.view(), "199");
}

TEST(ReplicaLookup, ACommandThatExpiresBehindItsLookupsLeavesNothingBehind) {
    Bench b(3);
    b.limit_uncommitted(1'000'000);
    b.kill();
    b.boot();
    b.elect();
    b.submit(1, 1, set("c", "5"));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.peers_append = false;
    b.submit(2, 2, set("a", std::string(400'000, 'x')));
    b.turn();
    kv::Command large = on_key(kv::Op::Append, "b");
    large.values = {Bytes::copy(std::string(700'000, 'x'))};
    b.submit(3, 3, large);  // looked up, and then there is no room
    auto patient = b.request(4, 0, get("c"));
    patient.deadline += seconds(60);
    b.replica->submit(std::move(patient));
    b.run_for(seconds(6));
    ASSERT_TRUE(b.leads());
    ASSERT_EQ(b.answer_to(3).kind, Kind::Refused);
    b.peers_append = true;
    EXPECT_EQ(b.await(4).reply.text.view(), "5");
}

// Forty keys with 1 MiB each, on disk and not in memory.
void fill_with_large_values(Bench& b, kv::Command& all) {
    b.elect();
    for (uint64_t i = 1; i <= 40; ++i) {
        const std::string key = "large" + std::to_string(i);
        all.keys.push_back(Bytes::copy(key));
        b.submit(i, i, set(key, std::string(1024 * 1024, 'x')));
        ASSERT_EQ(b.await(i).kind, Kind::Done);
    }
    ASSERT_TRUE(b.turns_until([&] {
        return b.engine->durable() == b.engine->written() || (b.engine->request_flush(), false);
    }));
    engine::MemFaults cold;
    cold.would_block = 1;
    b.engine_image.set_faults(cold);
    b.engine->reads = b.engine->most_under_way = 0;
}

TEST(ReplicaLookup, AnMGetBeyondTheLimitOnRepliesIsGivenUpWhileItsValuesAreRead) {
    Bench b(1);
    kv::Command all = on_key(kv::Op::MGet, "k");
    all.keys.clear();
    fill_with_large_values(b, all);
    const size_t count = all.keys.size();
    for (size_t i = 0; i < 400; ++i)
        all.keys.push_back(all.keys[i % count]);
    b.submit(101, 0, all);
    EXPECT_EQ(b.await(101).reply, kv::Reply::error(kv::kReplyTooLong));
    EXPECT_NE(kv::kReplyTooLong.find("reply-bytes-max"), std::string_view::npos);
    EXPECT_LE(b.engine->reads, 32u + 16u) << "it need not read the rest to know";
    EXPECT_LE(b.engine->most_under_way, 16u);
    // The same under a client's own number: refused, and the refusal is remembered.
    all.request = {Bytes::literal("me"), 1};
    b.submit(102, 41, all);
    EXPECT_EQ(b.await(102).reply, kv::Reply::error(kv::kReplyTooLong));
    all.keys.resize(1);
    b.submit(103, 42, all);
    EXPECT_EQ(b.await(103).reply, kv::Reply::error(kv::kReplyTooLong));
    // What fits is read, from disk or not.
    all.request = {};
    all.keys.resize(1);
    all.keys.resize(20, Bytes::literal("large2"));
    all.keys.push_back(Bytes::literal("absent"));
    b.submit(104, 0, all);
    EXPECT_EQ(b.await(104).reply.items.size(), 21u);
}

TEST(ReplicaLookup, CountingAndDeletingKeysHoldsNoneOfTheirValues) {
    Bench b(1);
    kv::Command all = on_key(kv::Op::Exists, "k");
    all.keys.clear();
    fill_with_large_values(b, all);
    b.submit(101, 0, all);
    EXPECT_EQ(b.await(101).reply, kv::Reply::number(40)) << "no limit on replies applies";
    all.op = kv::Op::Del;
    b.submit(102, 41, all);
    EXPECT_EQ(b.await(102).reply, kv::Reply::number(40));
    b.submit(103, 42, set("k", std::string(1024 * 1024, 'x')));
    all.op = kv::Op::Exists;
    all.keys.assign(40, Bytes::literal("k"));
    b.submit(104, 0, all);
    EXPECT_EQ(b.await(104).reply, kv::Reply::number(40)) << "nor to what is not applied yet";
}

// A turn takes two rounds here.  mutant replica_round_works_on
TEST(ReplicaLookup, ATurnDoesABoundedAmountOfWorkAndTheOrderStays) {
    const std::string large(2 * 1024 * 1024, 'x'), table(1999, 'x');
    const auto lcs = [] {
        kv::Command c = on_key(kv::Op::Lcs, "table");
        c.keys.push_back(c.keys[0]);
        c.flags = kv::flag::kLength;
        return c;
    };
    for (const kv::Command& hard :
         {on_key(kv::Op::Exists, "large"), on_key(kv::Op::StrLen, "large"),
          on_key(kv::Op::GetRange, "large"), lcs()}) {
        Bench b(1);
        b.elect();
        b.submit(1, 1, set("large", large));
        b.submit(2, 2, set("table", table));
        ASSERT_EQ(b.await(2).kind, Kind::Done);
        ASSERT_TRUE(b.turns_until([&] { return b.replica->status().overlay == 0; }));
        const size_t count = 40;
        b.answers.clear();
        for (uint64_t i = 0; i < count; ++i) {
            b.submit(10 + 2 * i, 0, hard);
            b.submit(11 + 2 * i, 3 + i, incr("n"));
        }
        b.turn();
        EXPECT_GE(b.replica->status().queued, count) << static_cast<int>(hard.op);
        ASSERT_TRUE(b.turns_until([&] { return b.answers.size() == 2 * count; }));
        for (uint64_t i = 0; i < count; ++i) {
            EXPECT_EQ(b.answer_to(10 + 2 * i).kind, Kind::Done);
            EXPECT_EQ(b.answer_to(11 + 2 * i).reply,
                      kv::Reply::number(static_cast<int64_t>(i + 1)));
        }
    }
}

TEST(ReplicaLookup, OneCommandOverManyKeysTakesSeveralTurnsAndLooksEachUpOnce) {
    Bench b(1);
    b.elect();
    kv::Command all = on_key(kv::Op::MSet, "k");
    all.keys.clear();
    for (size_t i = 0; i < 50'000; ++i) {
        all.keys.push_back(Bytes::copy("k" + std::to_string(i)));
        all.values.push_back(Bytes::literal("v"));
    }
    b.submit(1, 1, all);
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    ASSERT_TRUE(b.turns_until([&] { return b.replica->status().overlay == 0; }));
    b.engine->looks = 0;
    all.op = kv::Op::Exists;
    all.values.clear();
    b.submit(2, 0, all);
    b.turn();
    EXPECT_EQ(b.replica->status().queued, 1u);
    EXPECT_LT(b.engine->looks, all.keys.size());
    EXPECT_EQ(b.await(2).reply, kv::Reply::number(50'000));
    EXPECT_EQ(b.engine->looks, all.keys.size());
}

TEST(ReplicaLookup, APartOfAValueIsRightWhereverItComesFrom) {
    const auto range = [](int64_t first, int64_t last) {
        kv::Command c = on_key(kv::Op::GetRange, "a");
        c.number = first;
        c.number2 = last;
        return c;
    };
    Bench b(1);
    b.elect();
    for (int place = 0; place < 3; ++place) {  // the overlay, the engine's memory, its disk
        const uint64_t t = static_cast<uint64_t>(place) * 10;
        if (place == 0) b.submit(1, 1, set("a", "0123456789"));
        if (place == 1)
            ASSERT_TRUE(b.turns_until([&] { return b.replica->status().overlay == 0; }));
        if (place == 2) {
            ASSERT_TRUE(b.turns_until([&] {
                return b.engine->durable() == b.engine->written() ||
                       (b.engine->request_flush(), false);
            }));
            engine::MemFaults cold;
            cold.would_block = 1;
            b.engine_image.set_faults(cold);
        }
        b.submit(t + 2, 0, on_key(kv::Op::StrLen, "a"));
        b.submit(t + 3, 0, range(2, 4));
        b.submit(t + 4, 0, range(-3, -1));
        b.submit(t + 5, 0, range(5, 2));
        EXPECT_EQ(b.await(t + 5).reply.text.view(), "") << place;
        EXPECT_EQ(b.answer_to(t + 2).reply, kv::Reply::number(10)) << place;
        EXPECT_EQ(b.answer_to(t + 3).reply.text.view(), "234") << place;
        EXPECT_EQ(b.answer_to(t + 4).reply.text.view(), "789") << place;
    }
}

// mutant replica_replies_unbounded
TEST(ReplicaLookup, NoMoreIsEvaluatedThanMayWaitToBeAnswered) {
    Bench b(3);
    b.elect();
    const size_t value = 5 * 1024 * 1024;  // four exceed replica-held-replies-max
    b.submit(1, 1, set("big", std::string(value, 'x')));
    ASSERT_EQ(b.await(1).kind, Kind::Done);
    b.peers_heartbeat = false;
    for (uint64_t ticket = 2; ticket < 12; ++ticket)
        b.submit(ticket, 0, get("big"));
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.replica->status().queued, 6u);
    b.peers_heartbeat = true;
    ASSERT_TRUE(b.turns_until([&] { return b.answered(11) == 1; }));
    for (uint64_t ticket = 2; ticket < 12; ++ticket)
        EXPECT_EQ(b.answer_to(ticket).reply.text.size(), value);
    EXPECT_EQ(b.replica->status().queued, 0u);
}

TEST(ReplicaLookup, RepliesOfManyEmptyItemsAreCountedToo) {
    Bench b(3);
    b.held_replies_max = 100'000;
    b.kill();
    b.boot();
    b.elect();
    b.peers_heartbeat = false;
    kv::Command all = on_key(kv::Op::MGet, "absent");
    all.keys.resize(2000, all.keys[0]);
    for (uint64_t ticket = 2; ticket < 12; ++ticket)
        b.submit(ticket, 0, all);
    b.turn();
    b.turn();
    EXPECT_EQ(b.replica->status().queued, 6u) << "four exceed it, at 16 bytes for each item";
    b.peers_heartbeat = true;
    ASSERT_TRUE(b.turns_until([&] { return b.answered(11) == 1; }));
    EXPECT_EQ(b.answer_to(11).reply.items.size(), 2000u);
}

TEST(ReplicaLookup, AGatewayThatDoesNotTakeItsAnswersHoldsUpTheOthersForAMomentOnly) {
    Bench b(3);
    b.elect();
    const session::SessionId other{NodeId(8), Incarnation(1), ShardId(0)};
    const auto ask = [&](uint64_t ticket, uint64_t link, uint64_t sequence, kv::Command command) {
        auto request =
            b.request(ticket, sequence, std::move(command), 1, link == 1 ? kSession : other);
        request.origin.link = link;
        b.replica->submit(std::move(request));
        b.shard->touch();
    };
    b.full_links = {1};
    ask(1, 1, 1, incr("n"));
    ask(2, 2, 1, incr("n"));
    b.run_for(milliseconds(60));
    EXPECT_EQ(b.answered(2), 0u) << "there may be room soon";
    b.run_for(milliseconds(100));
    EXPECT_EQ(b.answer_to(1).kind, Kind::Busy);
    EXPECT_EQ(b.answer_to(2).reply, kv::Reply::number(1));
    // From now on at once, until there is room.
    ask(3, 1, 2, incr("n"));
    ask(4, 2, 2, incr("n"));
    b.turn();
    EXPECT_EQ(b.answer_to(3).kind, Kind::Busy);
    EXPECT_EQ(b.await(4).reply, kv::Reply::number(2));
    b.full_links.clear();
    ask(5, 1, 3, incr("n"));
    EXPECT_EQ(b.await(5).reply, kv::Reply::number(3));
}

}  // namespace
}  // namespace asterias::replica
