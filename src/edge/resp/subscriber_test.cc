// Messages: who listens, who publishes, and in which order a connection sees what.
#include "edge/resp/door_test_bench.h"

namespace asterias::edge_resp {
namespace {

std::string pushed(char type, std::initializer_list<std::string_view> words) {
    std::string out = type + std::to_string(words.size()) + "\r\n";
    for (const auto w : words)
        out += "$" + std::to_string(w.size()) + "\r\n" + std::string(w) + "\r\n";
    return out;
}
std::string noticed(std::string_view verb, std::string_view name, int count, char type = '*') {
    std::string out = type + std::string("3\r\n$") + std::to_string(verb.size()) + "\r\n" +
                      std::string(verb) + "\r\n$" + std::to_string(name.size()) + "\r\n" +
                      std::string(name) + "\r\n:" + std::to_string(count) + "\r\n";
    return out;
}

TEST(RespMessages, WhoListensHearsByChannelAndByPattern) {
    Bench b;
    auto &hears = b.connect(), &says = b.connect();
    b.say(hears, "SUBSCRIBE a b a\r\nPSUBSCRIBE a*\r\nSSUBSCRIBE a\r\n");
    EXPECT_EQ(hears.received, noticed("subscribe", "a", 1) + noticed("subscribe", "b", 2) +
                                  noticed("subscribe", "a", 2) + noticed("psubscribe", "a*", 3) +
                                  noticed("ssubscribe", "a", 1));
    hears.received.clear();
    b.say(says, "PUBLISH a x\r\nPUBLISH ab y\r\nSPUBLISH a z\r\nPUBLISH c w\r\n");
    EXPECT_EQ(says.received, ":2\r\n:1\r\n:1\r\n:0\r\n");
    EXPECT_EQ(hears.received,
              pushed('*', {"message", "a", "x"}) + pushed('*', {"pmessage", "a*", "a", "x"}) +
                  pushed('*', {"pmessage", "a*", "ab", "y"}) + pushed('*', {"smessage", "a", "z"}));
}

TEST(RespMessages, Resp2OnlyListensWhileItListensAndResp3DoesAll) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "SUBSCRIBE a\r\nGET k\r\nCONFIG GET x\r\nPING\r\nPING hi\r\nUNSUBSCRIBE\r\nPING\r\n");
    const std::string rest =
        "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
        "context\r\n";
    EXPECT_EQ(c.received, noticed("subscribe", "a", 1) + "-ERR Can't execute 'get': " + rest +
                              "-ERR Can't execute 'config|get': " + rest +
                              pushed('*', {"pong", ""}) + pushed('*', {"pong", "hi"}) +
                              noticed("unsubscribe", "a", 0) + "+PONG\r\n");
    EXPECT_TRUE(b.strategy->asked.empty());
    auto& three = b.connect();
    b.say(three, "HELLO 3\r\n");
    three.received.clear();
    b.say(three, "SUBSCRIBE a\r\nPUBLISH a x\r\nPING\r\n");
    EXPECT_EQ(three.received, noticed("subscribe", "a", 1, '>') +
                                  pushed('>', {"message", "a", "x"}) + ":1\r\n+PONG\r\n");
}

TEST(RespMessages, UnsubscribeAlwaysAnswers) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "UNSUBSCRIBE\r\nPUNSUBSCRIBE x\r\nSUNSUBSCRIBE\r\n");
    EXPECT_EQ(c.received, "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n" +
                              noticed("punsubscribe", "x", 0) +
                              "*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n");
}

TEST(RespMessages, APublishWaitsForWhatItsConnectionAskedBefore) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "SET k v\r\nPUBLISH a 1\r\nPUBLISH a 2\r\nGET k\r\n");
    EXPECT_TRUE(b.messages->published.empty());
    ASSERT_EQ(b.strategy->asked.size(), 2u);
    b.answer(1, kv::Reply::nil());
    EXPECT_TRUE(b.messages->published.empty());
    b.answer(0, kv::Reply::ok());
    EXPECT_EQ(b.messages->published, (std::vector<std::string>{"1", "2"}));
    EXPECT_EQ(c.received, "+OK\r\n:0\r\n:0\r\n$-1\r\n");
}

TEST(RespMessages, InATransactionItIsDoneWhenTheRestIsCommitted) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "HELLO 3\r\nSUBSCRIBE a\r\n");
    c.received.clear();
    b.say(c, "MULTI\r\nSET k v\r\nPUBLISH a x\r\nEXEC\r\n");
    EXPECT_TRUE(b.messages->published.empty());
    kv::Reply all;
    all.kind = kv::Reply::Kind::Array;
    all.items.push_back(kv::Reply::ok());
    b.answer(0, all);
    EXPECT_EQ(c.received, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n" +
                              pushed('>', {"message", "a", "x"}));
    // Without data it waits for what was asked before it, all the same.
    b.say(c, "SET k w\r\nMULTI\r\nPUBLISH b y\r\nEXEC\r\n");
    EXPECT_EQ(b.messages->published.size(), 1u);
    b.answer(1, kv::Reply::ok());
    EXPECT_EQ(b.messages->published.size(), 2u);
    EXPECT_TRUE(c.received.ends_with("+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:0\r\n")) << c.received;
    b.say(c, "PING\r\n");
    EXPECT_TRUE(c.received.ends_with("+PONG\r\n"));
}

TEST(RespMessages, ASubscriptionIsConfirmedWhenItIsKnownAndNothingComesAheadOfThat) {
    Bench b;
    auto &hears = b.connect(), &says = b.connect();
    b.messages->taken = pubsub::Messages::Taken::Later;
    b.say(hears, "SUBSCRIBE a\r\nGET k\r\nUNSUBSCRIBE a\r\nPING\r\n");
    b.say(says, "PUBLISH a x\r\n");
    EXPECT_EQ(hears.received, "");
    b.host->shard().post([&b] { b.messages->unconfirmed[0](); });
    b.world.run_for(milliseconds(50));
    EXPECT_TRUE(hears.received.starts_with(noticed("subscribe", "a", 1) +
                                           pushed('*', {"message", "a", "x"}) +
                                           "-ERR Can't execute 'get'"));
    EXPECT_TRUE(hears.received.ends_with(noticed("unsubscribe", "a", 0) + "+PONG\r\n"));
}

TEST(RespMessages, SubscribingWaitsForItsTurnAndFullSaysSo) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "GET k\r\nSUBSCRIBE a\r\nGET l\r\n");
    EXPECT_TRUE(b.messages->names(pubsub::Kind::Channel).empty());
    EXPECT_EQ(b.strategy->asked.size(), 1u);
    b.answer(0, kv::Reply::nil());
    EXPECT_EQ(b.strategy->asked.size(), 1u) << "GET is not allowed by then";
    EXPECT_TRUE(c.received.starts_with("$-1\r\n" + noticed("subscribe", "a", 1)));
    b.messages->taken = pubsub::Messages::Taken::Full;
    auto& other = b.connect();
    b.say(other, "SUBSCRIBE x\r\nPING\r\n");
    EXPECT_TRUE(other.received.find("pubsub-names-bytes-max") != std::string::npos);
    EXPECT_TRUE(other.received.ends_with("+PONG\r\n"));
}

TEST(RespMessages, PubsubTellsWhoListens) {
    Bench b;
    auto &one = b.connect(), &two = b.connect(), &asks = b.connect();
    b.say(one, "SUBSCRIBE a b\r\nPSUBSCRIBE p*\r\n");
    b.say(two, "SUBSCRIBE a\r\nPSUBSCRIBE p* q*\r\nSSUBSCRIBE s\r\n");
    b.say(asks,
          "PUBSUB CHANNELS\r\nPUBSUB CHANNELS a*\r\nPUBSUB NUMSUB a c\r\nPUBSUB NUMPAT\r\n"
          "PUBSUB SHARDCHANNELS\r\nPUBSUB SHARDNUMSUB s a\r\nPUBSUB NUMSUB\r\n"
          "PUBSUB channels a b\r\n");
    EXPECT_EQ(asks.received,
              pushed('*', {"a", "b"}) + pushed('*', {"a"}) +
                  "*4\r\n$1\r\na\r\n:2\r\n$1\r\nc\r\n:0\r\n:2\r\n" + pushed('*', {"s"}) +
                  "*4\r\n$1\r\ns\r\n:1\r\n$1\r\na\r\n:0\r\n*0\r\n"
                  "-ERR unknown subcommand or wrong number of arguments for 'channels'. Try PUBSUB "
                  "HELP.\r\n");
}

TEST(RespMessages, WhoGoesOrResetsListensNoMore) {
    Bench b;
    auto &gone = b.connect(), &reset = b.connect();
    b.say(gone, "SUBSCRIBE a\r\n");
    b.say(reset, "SUBSCRIBE a\r\nRESET\r\nECHO x\r\n");
    EXPECT_EQ(reset.received, noticed("subscribe", "a", 1) + "+RESET\r\n$1\r\nx\r\n");
    EXPECT_EQ(b.messages->listeners(pubsub::Kind::Channel, "a"), 1u);
    b.guest->shard().post([&gone] { gone.connection.reset(); });
    b.world.run_for(milliseconds(50));
    EXPECT_EQ(b.messages->listeners(pubsub::Kind::Channel, "a"), 0u);
}

TEST(RespMessages, WhoDoesNotReadIsCutOffAndHoldsUpNobody) {
    Options options;
    options.pubsub_unsent_bytes_max = 1024 * 1024;
    Bench b(options);
    auto &slow = b.connect(), &reads = b.connect(), &says = b.connect();
    b.say(slow, "SUBSCRIBE a\r\n");
    b.say(reads, "SUBSCRIBE a\r\n");
    slow.connection->pause_reading(true);
    std::string all;
    for (int i = 0; i < 400; ++i)
        all += "PUBLISH a " + std::string(10'000, 'x') + "\r\n";
    reads.received.clear();
    for (int round = 0; round < 4; ++round)
        b.say(says, all);
    b.world.run_for(seconds(5));
    EXPECT_EQ((*b.door)->connections(), 2u);
    EXPECT_EQ(b.messages->listeners(pubsub::Kind::Channel, "a"), 1u);
    const size_t each = pushed('*', {"message", "a", std::string(10'000, 'x')}).size();
    EXPECT_EQ(reads.received.size(), 1600 * each);
}

TEST(RespMessages, NamesAndPatternsAreBounded) {
    Bench b;
    auto& c = b.connect();
    const auto say = [&](const std::string& text) {
        c.received.clear();
        b.say(c, text + "\r\n");
        return c.received;
    };
    const std::string longest(1024, 'x');
    const std::string channel =
        "-ERR the channel's name is too long, at most 1024 bytes (channel-bytes-max)\r\n";
    const std::string pattern = "-" + std::string(kGlobTooLong) + "\r\n";
    for (const char* verb : {"SUBSCRIBE a ", "SSUBSCRIBE "})
        EXPECT_EQ(say(verb + longest + "x"), channel);
    for (const char* verb : {"PUBLISH ", "SPUBLISH "}) {
        EXPECT_EQ(say(verb + longest + "x m"), channel);
        EXPECT_EQ(say(verb + longest + " " + longest + "x"), ":0\r\n") << "a message may be long";
    }
    for (const char* verb : {"PSUBSCRIBE a* ", "PUBSUB CHANNELS ", "PUBSUB SHARDCHANNELS "})
        EXPECT_EQ(say(verb + longest + "x"), pattern);
    EXPECT_EQ(say("PUBSUB CHANNELS " + longest), "*0\r\n");
    EXPECT_EQ(say("PUBSUB NUMSUB"), "*0\r\n");
    say("MULTI");
    EXPECT_EQ(say("PUBLISH " + longest + "x m"), channel);
    EXPECT_TRUE(say("EXEC").starts_with("-EXECABORT "));
    say("SUBSCRIBE " + longest);
    EXPECT_EQ(b.heard.names(pubsub::Kind::Channel), std::vector<std::string>{longest});
}

}  // namespace
}  // namespace asterias::edge_resp
