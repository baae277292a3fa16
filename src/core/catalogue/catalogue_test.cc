#include "core/catalogue/catalogue.h"

#include <gtest/gtest.h>

namespace asterias::catalogue {
namespace {

Catalogue founded() {
    Catalogue c;
    c.next = KeyspaceId(2);
    c.keyspaces.push_back({kDefault,
                           "default",
                           State::Serving,
                           3,
                           false,
                           false,
                           {{NodeId(1)}, {NodeId(2)}, {NodeId(3)}}});
    return c;
}
Wish cart() { return {"cart", 2, false, {{NodeId(3), 1}, {NodeId(1)}}}; }

TEST(Catalogue, KeepsWhatItIs) {
    Catalogue c = advanced(with(founded(), cart()).value(), KeyspaceId(2));
    c = refused(c, KeyspaceId(2), "it holds 3 keys");
    EXPECT_EQ(decode_catalogue(encode(c)).value(), c);
}

TEST(Catalogue, ANewKeyspaceGoesThroughEveryState) {
    Catalogue c = with(founded(), cart()).value();
    const KeyspaceId id(2);
    EXPECT_EQ(c.generation, 2u);
    EXPECT_EQ(c.find("cart")->members.front(), Birth{NodeId(1)}) << "ascending";
    EXPECT_EQ(c.of(GroupId(3)), c.find("cart"));
    for (const State state :
         {State::Fencing, State::Copying, State::Opening, State::Clearing, State::Serving}) {
        c = advanced(c, id);
        EXPECT_EQ(c.find(id)->state, state);
    }
    EXPECT_FALSE(c.unsettled());
    c = without(c, "cart", false).value();
    EXPECT_EQ(c.find(id)->state, State::Closing);
    c = gone(advanced(c, id), id);
    EXPECT_EQ(c.find("cart"), nullptr);
    EXPECT_EQ(c.generation, 10u);
    EXPECT_EQ(with(c, cart())->find("cart")->id, KeyspaceId(3)) << "numbers are not used again";
}

TEST(Catalogue, ARefusalIsToldAndLeadsBack) {
    Catalogue c = advanced(with(founded(), cart()).value(), KeyspaceId(2));
    c = refused(c, KeyspaceId(2), "it holds 3 keys");
    EXPECT_EQ(c.find("cart")->state, State::Lifting);
    EXPECT_EQ(c.refusals.back().why, "it holds 3 keys");
    Catalogue d = with(founded(), cart()).value();
    for (int i = 0; i < 5; ++i)
        d = advanced(d, KeyspaceId(2));
    d = refused(without(d, "cart", false).value(), KeyspaceId(2), "it holds keys");
    EXPECT_EQ(d.find("cart")->state, State::Opening) << "it serves again";
}

TEST(Catalogue, WhatIsBeingMadeCanBeCalledOff) {
    const Catalogue c = with(founded(), cart()).value();
    EXPECT_EQ(without(c, "cart", false)->find("cart")->state, State::Lifting);
    const Catalogue copying = advanced(advanced(c, KeyspaceId(2)), KeyspaceId(2));
    EXPECT_EQ(without(copying, "cart", false)->find("cart")->state, State::Lifting);
    // Its group may be lost for good at that moment, and all that is on all keys waits.
    const Catalogue opening = advanced(copying, KeyspaceId(2));
    EXPECT_EQ(without(opening, "cart", false)->find("cart")->state, State::Lifting);
}

// Mutant catalogue_reopened_called_off.
TEST(Catalogue, WhatServedBeforeIsNotCalledOffForItsKeysAreNowhereElse) {
    Catalogue c = with(founded(), cart()).value();
    for (int i = 0; i < 5; ++i)
        c = advanced(c, KeyspaceId(2));
    c = refused(without(c, "cart", false).value(), KeyspaceId(2), "it holds keys");
    ASSERT_EQ(c.find("cart")->state, State::Opening);
    for (const bool force : {false, true})
        EXPECT_EQ(without(c, "cart", force).error().code, Errc::Conflict);
    EXPECT_EQ(decode_catalogue(encode(c)).value(), c);
}

TEST(Catalogue, FromBeforeAFenceUntilItsKeysAreServedAgainNobodySpeaksOfAllKeys) {
    Catalogue c = with(founded(), cart()).value();
    std::vector<bool> moving{c.moving()};
    for (int i = 0; i < 5; ++i) {
        c = advanced(c, KeyspaceId(2));
        moving.push_back(c.moving());
    }
    c = without(c, "cart", false).value();
    moving.push_back(c.moving());
    moving.push_back(advanced(c, KeyspaceId(2)).moving());
    EXPECT_EQ(moving, (std::vector{false, true, true, true, false, false, false, true}));
}

TEST(Catalogue, OrdersThatCannotBeAreRefused) {
    const Catalogue c = with(founded(), cart()).value();
    EXPECT_EQ(with(c, cart()).error().code, Errc::Conflict) << "it is there";
    for (const char* name : {"", "default", "system", "a:b", "a b", "\xff"}) {
        Wish wish = cart();
        wish.name = name;
        EXPECT_EQ(with(founded(), wish).error().code, Errc::InvalidArgument) << name;
    }
    Wish wish = cart();
    wish.name = std::string(65, 'x');
    EXPECT_FALSE(with(founded(), wish));
    wish = cart();
    wish.members.push_back({NodeId(2)});
    EXPECT_FALSE(with(founded(), wish)) << "more members than copies";
    wish.copies = 3;
    wish.members[2] = wish.members[1];
    EXPECT_FALSE(with(founded(), wish)) << "one node twice";
    EXPECT_EQ(without(c, "default", true).error().code, Errc::InvalidArgument);
    EXPECT_EQ(without(c, "other", false).error().code, Errc::Conflict);
}

TEST(Catalogue, NodesWithTheFewestReplicasAreChosen) {
    Catalogue c = founded();
    const std::vector<Birth> nodes = {{NodeId(1)}, {NodeId(2)}, {NodeId(3)}, {NodeId(4), 2}};
    EXPECT_EQ(choose(c, nodes, 2), (std::vector<Birth>{{NodeId(1)}, {NodeId(4), 2}}));
    EXPECT_EQ(choose(c, nodes, 9).size(), 4u);
}

TEST(Catalogue, RecordsThatContradictThemselvesAreDamaged) {
    Catalogue c = with(founded(), cart()).value();
    c.keyspaces[1].id = KeyspaceId(7);
    EXPECT_EQ(decode_catalogue(encode(c)).error().code, Errc::Corrupt) << "not given out yet";
    c = with(founded(), cart()).value();
    c.keyspaces[1].name = "default";
    EXPECT_FALSE(decode_catalogue(encode(c)));
    c = founded();
    c.keyspaces[0].members.clear();
    EXPECT_FALSE(decode_catalogue(encode(c)));
}

TEST(Catalogue, PromisesFollowFromTheNumberOfCopies) {
    Keyspace k;
    k.copies = 3;
    EXPECT_NE(promise(k)[0].find("2 of 3 copies"), std::string::npos);
    k.copies = 1;
    EXPECT_NE(promise(k)[1].find("loss of its one node loses it"), std::string::npos);
    k.copies = 2;
    EXPECT_NE(promise(k)[1].find("it serves nothing"), std::string::npos);
}

}  // namespace
}  // namespace asterias::catalogue
