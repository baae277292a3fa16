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

TEST(RespClients, CanBeAskedForWhileTheDoorDrains) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "MULTI\r\nSET k v\r\nCLIENT INFO\r\nCLIENT KILL LADDR x:1\r\nINFO server\r\nEXEC\r\n");
    bool drained = false;
    b.host->shard().post([&] { (*b.door)->drain(seconds(5), [&drained] { drained = true; }); });
    b.world.run_for(milliseconds(50));
    kv::Reply all;
    all.kind = kv::Reply::Kind::Array;
    all.items.push_back(kv::Reply::ok());
    b.answer(0, all);
    EXPECT_NE(c.received.find(" laddr=s:6379 "), std::string::npos) << c.received;
    EXPECT_NE(c.received.find("tcp_port:6379"), std::string::npos);
    EXPECT_TRUE(drained);
}

TEST(RespClients, AreSilentAsRedisIs) {
    const auto hears = [](const std::string& text) {
        Bench b;
        auto& c = b.connect();
        b.say(c, text);
        return c.received;
    };
    const std::string subscribed = "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n",
                      unsubscribed = "*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:0\r\n",
                      refused = "-ERR Protocol error: invalid multibulk length\r\n";
    EXPECT_EQ(hears("CLIENT REPLY OFF\r\nRESET\r\nPING\r\n"), "+RESET\r\n+PONG\r\n");
    EXPECT_EQ(hears("CLIENT REPLY SKIP\r\nRESET\r\nPING\r\n"), "+PONG\r\n");
    EXPECT_EQ(hears("CLIENT REPLY OFF\r\nMULTI\r\nSUBSCRIBE x\r\nSSUBSCRIBE x\r\nPUBLISH b y\r\n"
                    "UNSUBSCRIBE\r\nEXEC\r\nCLIENT REPLY ON\r\nPING\r\n"),
              subscribed + unsubscribed + "+OK\r\n+PONG\r\n");
    EXPECT_EQ(
        hears("MULTI\r\nSSUBSCRIBE x\r\nEXEC\r\n"),
        "+OK\r\n+QUEUED\r\n*1\r\n-ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client\r\n");
    EXPECT_EQ(hears("CLIENT REPLY SKIP\r\nPING\r\n*x\r\n"), refused);
    EXPECT_EQ(hears("CLIENT REPLY SKIP\r\n*x\r\n"), "");
    EXPECT_EQ(hears("CLIENT REPLY OFF\r\n*x\r\n"), "");
}

TEST(RespClients, HaveShortNamesAndAreListedOnce) {
    Bench b;
    auto& c = b.connect();
    const std::string longest(256, 'n'), too_long = longest + "n";
    b.say(c, "CLIENT SETNAME " + longest + "\r\nCLIENT SETNAME " + too_long +
                 "\r\nHELLO 2 SETNAME " + too_long + "\r\n");
    const std::string refused = "-ERR Client names have at most 256 bytes.\r\n";
    EXPECT_EQ(c.received, "+OK\r\n" + refused + refused);
    c.received.clear();
    b.say(c, "CLIENT LIST ID 1 1 7 1\r\n");
    const auto first = c.received.find("id=1 ");
    EXPECT_NE(first, std::string::npos);
    EXPECT_EQ(c.received.find("id=1 ", first + 1), std::string::npos);
}

}  // namespace
}  // namespace asterias::edge_resp
