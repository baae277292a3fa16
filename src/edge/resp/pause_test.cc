// CLIENT PAUSE, UNPAUSE and UNBLOCK; MONITOR; LOLWUT and MEMORY about the node.
#include <algorithm>

#include "edge/resp/door_test_bench.h"

namespace asterias::edge_resp {
namespace {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(RespPause, WritesWaitForItsEndAndReadsDoNot) {
    Bench b;
    auto &admin = b.connect(), &writer = b.connect(), &reader = b.connect();
    b.say(admin, "CLIENT PAUSE 60000 WRITE\r\n");
    EXPECT_EQ(admin.received, "+OK\r\n");
    b.say(writer, "SET k v\r\nPING\r\n");
    b.say(reader, "GET k\r\nSET k\r\n");
    ASSERT_EQ(b.strategy->asked.size(), 1u) << "the read alone";
    b.answer(0, kv::Reply::nil());
    EXPECT_EQ(reader.received, "$-1\r\n-ERR wrong number of arguments for 'set' command\r\n");
    EXPECT_EQ(writer.received, "") << "what comes behind waits, too";
    admin.received.clear();
    b.say(admin, "INFO clients\r\n");
    EXPECT_TRUE(has(admin.received, "blocked_clients:1\r\n")) << admin.received;
    b.say(admin, "CLIENT UNPAUSE\r\n");
    ASSERT_EQ(b.strategy->asked.size(), 2u);
    EXPECT_EQ(b.strategy->asked[1].request.command.op, kv::Op::Set);
    b.answer(1, kv::Reply::ok());
    EXPECT_EQ(writer.received, "+OK\r\n+PONG\r\n");
    admin.received.clear();
    b.say(admin, "INFO clients\r\n");
    EXPECT_TRUE(has(admin.received, "blocked_clients:0\r\n")) << admin.received;
}

TEST(RespPause, EndsByItselfWithTheLaterEndAndTheStricterKind) {
    Bench b;
    auto &admin = b.connect(), &other = b.connect();
    b.say(admin, "CLIENT PAUSE 1000 ALL\r\nCLIENT PAUSE 500 WRITE\r\n");
    EXPECT_EQ(admin.received, "+OK\r\n") << "the second waits as all do";
    b.say(other, "PING\r\n");
    b.world.run_for(milliseconds(600));
    EXPECT_EQ(other.received, "");
    b.world.run_for(milliseconds(600));
    EXPECT_EQ(other.received, "+PONG\r\n");
    EXPECT_EQ(admin.received, "+OK\r\n+OK\r\n");
}

TEST(RespPause, BeginsBehindItsTransactionAndHoldsExecOfWrites) {
    Bench b;
    auto &admin = b.connect(), &writer = b.connect(), &reader = b.connect();
    b.say(writer, "MULTI\r\nSET k v\r\n");
    b.say(reader, "MULTI\r\nGET k\r\n");
    b.say(admin, "MULTI\r\nSET a 1\r\nCLIENT PAUSE 60000 WRITE\r\nSET b 2\r\nEXEC\r\n");
    ASSERT_EQ(b.strategy->asked.size(), 1u);
    EXPECT_EQ(b.strategy->asked[0].request.command.batch.size(), 2u);
    kv::Reply both;
    both.kind = kv::Reply::Kind::Array;
    both.items = {kv::Reply::ok(), kv::Reply::ok()};
    b.answer(0, both);
    b.say(writer, "EXEC\r\n");
    b.say(reader, "EXEC\r\n");
    ASSERT_EQ(b.strategy->asked.size(), 2u) << "the read's";
    EXPECT_EQ(b.strategy->asked[1].request.command.batch[0].op, kv::Op::Get);
    b.say(admin, "PUBLISH c x\r\n");
    EXPECT_TRUE(b.messages->published.empty());
    b.say(reader, "RESET\r\nCLIENT UNPAUSE\r\n");
    EXPECT_EQ(b.strategy->asked.size(), 3u);
    EXPECT_EQ(b.messages->published.size(), 1u);
}

TEST(RespPause, WhoLeavesWhilePausedLeavesNothing) {
    Bench b;
    auto &admin = b.connect(), &writer = b.connect(), &half = b.connect();
    b.say(admin, "CLIENT PAUSE 60000 WRITE\r\n");
    b.say(writer, "SET k v\r\n");
    b.say(half, "SET k w\r\n");
    b.say(admin, "CLIENT KILL ID 2\r\nINFO clients\r\n");
    EXPECT_TRUE(has(admin.received, "blocked_clients:1\r\n")) << admin.received;
    b.guest->shard().post([&half] { half.connection->close_after_flush(); });
    b.world.run_for(milliseconds(50));
    b.say(admin, "CLIENT UNPAUSE\r\nMEMORY STATS\r\n");
    EXPECT_TRUE(b.strategy->asked.empty()) << "nothing was done of it";
    bool drained = false;
    b.host->shard().post([&] { (*b.door)->drain(seconds(5), [&drained] { drained = true; }); });
    b.world.run_for(milliseconds(50));
    for (size_t i = 0; i < b.strategy->asked.size(); ++i)
        b.answer(i, kv::Reply::ok());
    EXPECT_TRUE(drained);
}

TEST(RespPause, WhoGivesUpMeanwhileHasNothingDoneAndItsConnectionGoes) {
    Bench b;
    auto &admin = b.connect(), &writer = b.connect();
    b.say(admin, "CLIENT PAUSE 60000 WRITE\r\n");
    b.say(writer, "GET a\r\nSET k v\r\nPING\r\n");
    b.say(writer, "PING\r\n");
    b.guest->shard().post([&writer] { writer.connection->close_after_flush(); });
    b.world.run_for(milliseconds(50));
    b.answer(0, kv::Reply::nil());
    EXPECT_EQ((*b.door)->connections(), 1u);
    b.say(admin, "CLIENT UNPAUSE\r\n");
    EXPECT_EQ(b.strategy->asked.size(), 1u) << "the read alone";
}

TEST(RespPause, WhatComesMeanwhileIsReadBehindItAllOfIt) {
    Bench b;
    auto &admin = b.connect(), &few = b.connect(), &many = b.connect();
    b.say(admin, "CLIENT PAUSE 60000 WRITE\r\n");
    b.say(few, "SET k v\r\n");
    b.say(few, "ECHO 1\r\nEC");
    b.say(few, "HO 2\r\nSET k w\r\nECHO 3\r\n");
    const std::string text(50'000, 'x');
    b.say(many, "SET k v\r\n");
    b.say(many, "ECHO " + text + "\r\nECHO " + text + "\r\n");
    b.say(admin, "CLIENT UNPAUSE\r\n");
    ASSERT_EQ(b.strategy->asked.size(), 3u);
    for (size_t i = 0; i < 3; ++i)
        b.answer(i, kv::Reply::ok());
    EXPECT_EQ(few.received, "+OK\r\n$1\r\n1\r\n$1\r\n2\r\n+OK\r\n$1\r\n3\r\n");
    const std::string echo = "$50000\r\n" + text + "\r\n";
    EXPECT_TRUE(many.received == "+OK\r\n" + echo + echo);
}

TEST(RespPause, ItsEndWakesInLaterTurnsBehindWhatItsConnectionAskedWithIt) {
    Bench b;
    auto &admin = b.connect(), &writer = b.connect();
    b.say(admin, "CLIENT PAUSE 60000 WRITE\r\n");
    b.say(writer, "SET k waited\r\n");
    b.say(admin, "CLIENT UNPAUSE\r\nSET k mine\r\n");
    ASSERT_EQ(b.strategy->asked.size(), 2u);
    EXPECT_EQ(b.strategy->asked[0].request.command.values[0].view(), "mine");
    EXPECT_EQ(b.strategy->asked[1].request.command.values[0].view(), "waited");
}

// Those of them that are woken again may pause anew, and nobody is woken for nothing then.
TEST(RespPause, ManyMayEndItAtOnceAndBeginAnother) {
    Bench b;
    auto& admin = b.connect();
    std::vector<sim::Collector*> waiting;
    b.say(admin, "CLIENT PAUSE 10000 ALL\r\n");
    for (int i = 0; i < 400; ++i)
        waiting.push_back(&b.connect());
    for (auto* one : waiting)
        b.guest->shard().post([one] { one->connection->out().append("CLIENT UNPAUSE\r\n"); });
    auto &pauses = b.connect(), &writer = b.connect();
    b.say(pauses, "CLIENT PAUSE 60000 WRITE\r\n");
    b.say(writer, "SET k v\r\n");
    b.world.run_for(seconds(11));
    for (auto* one : waiting)
        EXPECT_EQ(one->received, "+OK\r\n");
    EXPECT_EQ(pauses.received, "+OK\r\n");
    EXPECT_TRUE(b.strategy->asked.empty()) << "the newer pause holds it";
    EXPECT_EQ(b.registry->gauge("asterias_resp_blocked_clients", "").value(), 1);
}

TEST(RespPause, WhatItHoldsIsBounded) {
    Options options;
    options.inflight_bytes_max = 100'000;
    Bench b(options);
    auto &admin = b.connect(), &one = b.connect(), &two = b.connect(), &three = b.connect();
    b.say(three, "MULTI\r\nSET k v\r\n");
    three.received.clear();
    b.say(admin, "CLIENT PAUSE 60000 WRITE\r\n");
    b.say(one, "SET k " + std::string(60'000, 'v') + "\r\n");
    b.say(two, "SET k " + std::string(60'000, 'v') + "\r\n");
    b.say(three, "EXEC\r\nPING\r\n");
    EXPECT_EQ(one.received + two.received, "");
    EXPECT_TRUE(three.received.starts_with("-EXECABORT Transaction discarded because of: ") &&
                has(three.received, "(inflight-bytes-max)") &&
                three.received.ends_with("+PONG\r\n"))
        << three.received;
    b.say(admin, "SET k v\r\nCLIENT UNPAUSE\r\n");
    EXPECT_TRUE(has(admin.received, "-TRYAGAIN nothing was done")) << admin.received;
    EXPECT_EQ(b.strategy->asked.size(), 2u);
}

TEST(RespPause, TellsWhatIsWrongWithItAsRedisDoes) {
    Bench b;
    auto& c = b.connect();
    b.say(c,
          "CLIENT PAUSE x\r\nCLIENT PAUSE -1\r\nCLIENT PAUSE 1 foo\r\nCLIENT PAUSE 1 all x\r\n"
          "CLIENT UNBLOCK x\r\nCLIENT UNBLOCK 1 foo\r\nCLIENT UNBLOCK 1 timeout x\r\n"
          "CLIENT UNBLOCK 1 ERROR\r\nCLIENT UNPAUSE\r\n");
    EXPECT_EQ(c.received,
              "-ERR timeout is not an integer or out of range\r\n"
              "-ERR timeout is negative\r\n"
              "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n"
              "-ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT "
              "HELP.\r\n"
              "-ERR value is not an integer or out of range\r\n"
              "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n"
              "-ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT "
              "HELP.\r\n"
              ":0\r\n+OK\r\n");
}

// Without the times.
std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (size_t at = 0, end; (end = text.find("\r\n", at)) != std::string::npos; at = end + 2) {
        const std::string line = text.substr(at, end - at);
        const size_t bracket = line.find('[');
        lines.push_back(bracket == std::string::npos ? line : line.substr(bracket));
    }
    return lines;
}
using Lines = std::vector<std::string>;

TEST(RespMonitor, IsShownWhatOthersAskAndNoSecrets) {
    Bench b;
    auto &watcher = b.connect(), &c = b.connect();
    b.say(watcher, "MONITOR\r\n");
    b.say(c,
          "SET k \"a\\\"b\\\\\\n\\x00\\xff\"\r\nselect 2\r\nGET k\r\nCONFIG GET x\r\nGET\r\n"
          "AUTH s3cret\r\nAUTH me s3cret\r\nHELLO 2 AUTH me s3cret SETNAME x\r\n");
    b.world.run_for(seconds(2));  // each wrong password takes a while
    const std::string all = watcher.received;
    EXPECT_FALSE(has(all, "s3cret")) << all;
    const auto lines = lines_of(all);
    ASSERT_EQ(lines.size(), 7u) << all;
    EXPECT_EQ(lines[0], "+OK");
    EXPECT_EQ(lines[1], R"([0 c] "SET" "k" "a\"b\\\n\x00\xff")");
    EXPECT_EQ(lines[2], R"([0 c] "select" "2")");
    EXPECT_EQ(lines[3], R"([2 c] "GET" "k")");
    EXPECT_EQ(lines[4], "[2 c] \"AUTH\" \"(redacted)\"");
    EXPECT_EQ(lines[5], "[2 c] \"AUTH\" \"(redacted)\" \"(redacted)\"");
    EXPECT_EQ(lines[6],
              "[2 c] \"HELLO\" \"2\" \"AUTH\" \"(redacted)\" \"(redacted)\" \"SETNAME\" \"x\"");
    EXPECT_TRUE(all.find(" [") > all.find("+OK\r\n+") + 5 + 10);
}

TEST(RespMonitor, AClientNamedLikeAnOptionHidesItsPasswordToo) {
    Bench b;
    auto &watcher = b.connect(), &c = b.connect();
    b.say(watcher, "MONITOR\r\n");
    b.say(c,
          "HELLO 2 SETNAME auth AUTH me s3cret\r\nHELLO AUTH s3cret\r\n"
          "HELLO 2 AUTH s3cret AUTH s3cret AUTH s3cret\r\n"
          "ASTERIAS.REQUEST c 1 auth me s3cret\r\n");
    b.world.run_for(seconds(2));
    EXPECT_FALSE(has(watcher.received, "s3cret")) << watcher.received;
    EXPECT_TRUE(has(watcher.received,
                    R"x("HELLO" "2" "SETNAME" "auth" "AUTH" "(redacted)" "(redacted)")x"));
    EXPECT_TRUE(has(watcher.received, R"x("ASTERIAS.REQUEST" "c" "1" "auth" "(redacted)")x"));
}

TEST(RespMonitor, IsShownATransactionWhenItRuns) {
    Bench b;
    auto &watcher = b.connect(), &c = b.connect();
    b.say(watcher, "MONITOR\r\n");
    b.say(c, "multi\r\nset k v\r\nselect 3\r\nget k\r\nexec\r\n");
    EXPECT_EQ(lines_of(watcher.received), (Lines{"+OK", R"([0 c] "multi")"}));
    kv::Reply both;
    both.kind = kv::Reply::Kind::Array;
    both.items = {kv::Reply::ok(), kv::Reply::nil()};
    b.answer(0, both);
    EXPECT_EQ(lines_of(watcher.received),
              (Lines{"+OK", R"([0 c] "multi")", R"([0 c] "set" "k" "v")", R"([0 c] "select" "3")",
                     R"([3 c] "get" "k")", R"([3 c] "exec")"}));
    watcher.received.clear();
    b.say(c, "multi\r\nset k v\r\nexec\r\nmulti\r\nnosuch\r\nexec\r\n");
    b.answer(1, kv::Reply::nil());
    const auto lines = lines_of(watcher.received);
    EXPECT_EQ(std::ranges::count(lines, R"([3 c] "set" "k" "v")"), 0) << "a watched key changed";
    EXPECT_EQ(std::ranges::count(lines, R"([3 c] "exec")"), 2);
}

TEST(RespMonitor, EndsWithResetAndAsksNothingOfKeys) {
    Bench b;
    auto &watcher = b.connect(), &c = b.connect();
    b.say(watcher, "MONITOR\r\nGET k\r\nPUBLISH c x\r\nPING\r\nMULTI\r\nMONITOR\r\nEXEC\r\n");
    EXPECT_TRUE(b.strategy->asked.empty());
    EXPECT_TRUE(has(watcher.received, "-ERR Replica can't interact with the keyspace\r\n"));
    EXPECT_TRUE(has(watcher.received, "*1\r\n-ERR MONITOR isn't allowed for DENY BLOCKING"));
    b.say(watcher, "RESET\r\n");
    watcher.received.clear();
    b.say(c, "PING\r\n");
    EXPECT_EQ(watcher.received, "");
    b.say(watcher, "GET k\r\n");
    EXPECT_EQ(b.strategy->asked.size(), 1u);
}

TEST(RespMonitor, LongCommandsAreCutAndWhoDoesNotReadIsCutOff) {
    Options options;
    options.pubsub_unsent_bytes_max = 40'000;
    Bench b(options);
    auto &watcher = b.connect(), &c = b.connect();
    b.say(watcher, "MONITOR\r\n");
    b.say(c, "ECHO " + std::string(20'000, 'x') + " \r\n");
    EXPECT_TRUE(has(watcher.received, "... (3620 more bytes)\"")) << watcher.received.size();
    b.say(watcher, "RESET\r\n");
    auto& blind = b.connect();
    b.say(blind, "MONITOR\r\n");
    b.guest->shard().post([&blind] { blind.connection->pause_reading(true); });
    for (int i = 0; i < 200 && !blind.closed && !blind.ended; ++i)
        b.say(c, "ECHO " + std::string(30'000, 'x') + "\r\n");
    EXPECT_EQ((*b.door)->connections(), 2u);
}

TEST(RespFigures, AreTheDoorsOwn) {
    Bench b;
    auto &c = b.connect(), &asker = b.connect();
    b.say(c, "SET k " + std::string(1000, 'v') + "\r\n");
    b.say(asker, "MEMORY STATS\r\nMEMORY DOCTOR\r\nLOLWUT 9 5 7\r\nLOLWUT VERSION x\r\n");
    EXPECT_TRUE(has(asker.received, "*18\r\n$13\r\nclients.count\r\n:2\r\n")) << asker.received;
    EXPECT_FALSE(has(asker.received, "clients.commands\r\n:0\r\n"));
    EXPECT_TRUE(has(asker.received, "No limit on the memory"));
    EXPECT_TRUE(has(asker.received, "Redis ver. 7.0.15\n"));
    EXPECT_TRUE(asker.received.ends_with("-ERR value is not an integer or out of range\r\n"));
}

TEST(RespFigures, TheBytesOfARequestAreThoseOfItsClient) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "*2\r\n$6\r\nclient\r\n$4\r\nlist\r\n");
    EXPECT_TRUE(has(c.received, " qbuf=26 ")) << c.received;
}

TEST(RespTransaction, TakesNoShutdown) {
    Bench b;
    auto& c = b.connect();
    b.say(c, "MULTI\r\nSHUTDOWN\r\nEXEC\r\nSHUTDOWN\r\n");
    EXPECT_TRUE(
        c.received.starts_with("+OK\r\n-ERR Command not allowed inside a transaction\r\n"
                               "-EXECABORT "))
        << c.received;
    EXPECT_TRUE(has(c.received, "-ERR 'shutdown' is not supported"));
}

}  // namespace
}  // namespace asterias::edge_resp
