// CLIENT about connections: who they are, to end them, to be silent.
#include "edge/resp/door_test_bench.h"

namespace asterias::edge_resp {
namespace {

TEST(RespClients, AreListedWithWhatTheyDo) {
    Bench b;
    auto &one = b.connect(), &two = b.connect();
    b.say(one, "CLIENT SETNAME me\r\nSELECT 3\r\nMULTI\r\nPING\r\n");
    b.say(two, "HELLO 3\r\nSUBSCRIBE a b\r\n");
    two.received.clear();
    b.say(two, "CLIENT LIST\r\n");
    EXPECT_NE(two.received.find("id=1 addr=c laddr=s:6379 fd=0 name=me age=0 idle=0 flags=x db=3 "
                                "sub=0 psub=0 ssub=0 multi=1 "),
              std::string::npos)
        << two.received;
    EXPECT_NE(two.received.find("cmd=ping user=default redir=-1 resp=2\n"), std::string::npos);
    EXPECT_NE(two.received.find("id=2 "), std::string::npos);
    two.received.clear();
    b.say(two, "CLIENT LIST TYPE pubsub\r\n");
    EXPECT_EQ(two.received.find("id=1 "), std::string::npos);
    EXPECT_NE(two.received.find(" flags=P db=0 sub=2 "), std::string::npos);
    two.received.clear();
    b.say(two, "CLIENT LIST ID 1 7\r\nCLIENT INFO\r\n");
    EXPECT_NE(two.received.find("id=1 "), std::string::npos);
    EXPECT_NE(two.received.find("cmd=client|info "), std::string::npos);
}

TEST(RespClients, AreEndedByWhatTheyHaveInCommon) {
    Bench b;
    auto &one = b.connect(), &two = b.connect(), &three = b.connect();
    b.say(two, "SUBSCRIBE a\r\n");
    b.say(one, "CLIENT KILL TYPE pubsub\r\nCLIENT KILL ID 3 SKIPME no\r\nCLIENT KILL ID 3\r\n");
    EXPECT_EQ(one.received, ":1\r\n:1\r\n:0\r\n");
    EXPECT_TRUE(two.ended || two.closed);
    EXPECT_TRUE(three.ended || three.closed);
    EXPECT_EQ((*b.door)->connections(), 1u);
    EXPECT_EQ(b.messages->listeners(pubsub::Kind::Channel, "a"), 0u);
    one.received.clear();
    b.say(one, "CLIENT KILL SKIPME yes\r\nCLIENT KILL c\r\nPING\r\n");
    EXPECT_EQ(one.received, ":0\r\n+OK\r\n") << "its own end comes behind the answer";
    EXPECT_TRUE(one.ended || one.closed);
}

TEST(RespClients, WhoWantsNoRepliesGetsNoneAndMessagesAllTheSame) {
    Bench b;
    auto &c = b.connect(), &says = b.connect();
    b.say(c,
          "CLIENT REPLY SKIP\r\nGET a\r\nGET b\r\nCLIENT REPLY OFF\r\nGET c\r\nPING\r\nnosuch\r\n");
    ASSERT_EQ(b.strategy->asked.size(), 3u);
    for (const size_t i : {2, 0, 1})
        b.answer(i, kv::Reply::number(static_cast<int64_t>(i)));
    EXPECT_EQ(c.received, ":1\r\n");
    b.say(c, "SUBSCRIBE a\r\n");
    b.say(says, "PUBLISH a x\r\n");
    EXPECT_TRUE(
        c.received.ends_with("$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
                             "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"));
    b.say(c, "UNSUBSCRIBE\r\n");
    c.received.clear();
    b.say(c, "ECHO x\r\nCLIENT REPLY ON\r\nPING\r\n");
    EXPECT_EQ(c.received, "+OK\r\n+PONG\r\n");
}

}  // namespace
}  // namespace asterias::edge_resp
