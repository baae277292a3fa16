#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include <gtest/gtest.h>

#include "app/config/contradictions.h"
#include "app/config/load.h"

namespace asterias::config {
namespace {

using Flags = std::map<std::string, std::string>;

Loaded of_file(std::string text, Flags flags = {}) {
    Said said;
    said.file = {"n.toml", std::move(text)};
    said.flags = std::move(flags);
    return load(said);
}

std::string problems(const Loaded& loaded) {
    std::string all;
    for (const auto& p : loaded.problems)
        all += p + "\n";
    return all;
}

TEST(Config, AFlagWinsOverTheEnvironmentThatOverTheFileThatOverTheDefault) {
    Said said;
    said.file = {"n.toml", "resp-port = 1\nhttp-port = 2\npeer-port = 3\n"};
    said.environment = [](const std::string& name) -> const char* {
        return name == "ASTERIAS_RESP_PORT" || name == "ASTERIAS_HTTP_PORT" ? "20" : nullptr;
    };
    said.flags["resp-port"] = "30";
    const Loaded l = load(said);
    EXPECT_EQ(problems(l), "");
    EXPECT_EQ(l.settings.resp_port, 30);
    EXPECT_EQ(l.settings.http_port, 20);
    EXPECT_EQ(l.settings.peer_port, 3);
    EXPECT_EQ(l.settings.shards, 1u);
    const std::string shown = print(l);
    for (const char* line :
         {"resp-port = 30  # --resp-port", "http-port = 20  # ASTERIAS_HTTP_PORT",
          "peer-port = 3  # n.toml:3", "shards = 1  # default"})
        EXPECT_NE(shown.find(std::string(line) + "\n"), shown.npos) << line << "\n" << shown;
}

TEST(Config, AnUnknownKeyIsRefusedWithItsLineAndTheNearestName) {
    EXPECT_EQ(problems(of_file("\npipeline-maximum = 5\n")),
              "n.toml:2: there is no 'pipeline-maximum'; did you mean pipeline-max (1 to "
              "1000000)?\n");
    EXPECT_EQ(problems(of_file("RESP_PORT = 5\n")),
              "n.toml:1: there is no 'RESP_PORT'; did you mean resp-port (0 to 65535)?\n");
    EXPECT_EQ(problems(of_file("[zzzzzzzzzz]\na = 1\n")),
              "n.toml:1: there is no 'zzzzzzzzzz'; asterias config lists what there is\n");
}

TEST(Config, WhatIsOutOfRangeOrOfAnotherKindIsRefusedAndAllOfItAtOnce) {
    EXPECT_EQ(problems(of_file("shards = 0\nresp-port = 70000\ncommand-timeout = 5\n"
                               "log-level = \"loud\"\ninsecure = \"yes\"\nhost = [1]\n"
                               "value-bytes-max = \"17MiB\"\nmaxclients = -1\n")),
              "n.toml:1: shards takes 1 to 64, not '0'\n"
              "n.toml:2: resp-port takes 0 to 65535, not '70000'\n"
              "n.toml:3: command-timeout takes 10ms to 1h, not '5'\n"
              "n.toml:4: log-level takes debug, info, warn or error, not 'loud'\n"
              "n.toml:5: insecure takes true or false, not 'yes'\n"
              "n.toml:6: host takes text\n"
              "n.toml:7: value-bytes-max takes 1KiB to 16MiB, not '17MiB'\n"
              "n.toml:8: maxclients takes 1 to 1000000, not '-1'\n");
}

TEST(Config, WordsThatAreNoTomlAreRefusedWithTheirLine) {
    EXPECT_TRUE(problems(of_file("shards = 1\nresp-port = = 5\n")).starts_with("n.toml:2: "));
    EXPECT_TRUE(problems(of_file("shards = 1\nshards = 2\n")).starts_with("n.toml:2: "));
    // Assertions of the library stood where these are found.
    for (const char* bad : {"[!]", "[\x02", "[[!]]", "!", "= 1", "a.!", "a = !", "a = [", "a = {!"})
        EXPECT_TRUE(problems(of_file(bad)).starts_with("n.toml:1: ")) << bad;
    // The library does not reckon with U+FB26 to U+FEFE, be it in a string (found by config_fuzz).
    EXPECT_TRUE(problems(of_file("shards =\uFEF7 1\n")).starts_with("n.toml:1: "));
    EXPECT_TRUE(problems(of_file("shards \uFE0F= 1\n")).starts_with("n.toml:1: "));
    EXPECT_EQ(problems(of_file("shards = 1 # \u26A0\uFE0F\ndata = \"\"\"\uFEF7\"\"\"\n")), "");
}

TEST(Config, ContradictionsNameBothAsTheOperatorSaidThem) {
    EXPECT_EQ(problems(of_file("resp-port = 8080\n")),
              "n.toml:1: resp-port and --http-port both take port 8080; give one of them "
              "another\n");
    EXPECT_EQ(problems(of_file("shards = 2\npeer-port = 1\nhttp-port = 1\nresp-port = 1\n")),
              "n.toml:4: resp-port and http-port (n.toml:3) both take port 1; give one of them "
              "another\n"
              "n.toml:4: resp-port and peer-port (n.toml:2) both take port 1; give one of them "
              "another\n"
              "n.toml:3: http-port and peer-port (n.toml:2) both take port 1; give one of them "
              "another\n");
    EXPECT_EQ(problems(of_file("inflight-bytes-max = \"1MiB\"\n", {{"value-bytes-max", "2MiB"}})),
              "n.toml:1: inflight-bytes-max 1MiB is less than --value-bytes-max 2MiB: not one of "
              "them would fit; raise the first, or lower the second\n");
    EXPECT_EQ(problems(of_file("rpc-silence-max = \"150ms\"\n")),
              "n.toml:1: rpc-silence-max 150ms is less than twice --rpc-alive-interval 500ms (its "
              "default): a connection that lives would be given up; raise the first, or lower the "
              "second\n");
    EXPECT_EQ(problems(of_file("replace = 3\n")),
              "n.toml:1: replace takes a place in a cluster: name a node of it with --join "
              "HOST:PEER_PORT\n");
    EXPECT_EQ(problems(of_file("", {{"resp-port", "8080"}})),
              "--resp-port and --http-port both take port 8080; give one of them another\n");
}

TEST(Config, UnknownKeysBadValuesBrokenLinesAndContradictionsAreToldTogether) {
    EXPECT_EQ(problems(of_file("resp-prt = 1\nshards = 0\nhttp-port = = 2\nresp-port = 7400\n"
                               "log-level = loud\ninflight-bytes-max = \"1MiB\"\n"
                               "value-bytes-max = \"2MiB\"\nshards = 2\nmaxclients = true\n")),
              "n.toml:1: there is no 'resp-prt'; did you mean resp-port (0 to 65535)?\n"
              "n.toml:2: shards takes 1 to 64, not '0'\n" +
                  of_file("\n\nhttp-port = = 2\n").problems[0] + "\n" +
                  of_file("\n\n\n\nlog-level = loud\n").problems[0] + "\n" +
                  of_file("shards = 0\n\n\n\n\n\n\nshards = 2\n").problems[1] + "\n" +
                  "n.toml:9: maxclients takes 1 to 1000000, not 'true'\n"
                  "n.toml:4: resp-port and --peer-port both take port 7400; give one of them "
                  "another\n"
                  "n.toml:6: inflight-bytes-max 1MiB is less than value-bytes-max (n.toml:7) 2MiB: "
                  "not one of them would fit; raise the first, or lower the second\n");
}

TEST(Config, WhatWasMeantOtherwiseIsNotJudgedByItsDefault) {
    // The certificate is there, but misspelt; broken; of another kind.
    for (const char* cert : {"tls-crt = \"c\"\n", "tls-cert = c\n", "tls-cert = 1979-05-27\n"})
        EXPECT_EQ(of_file(cert + std::string("tls-key = \"k\"\n")).problems.size(), 1u) << cert;
    const auto far = of_file("host = \"192.0.2.1\"\n[users]\nbob = \"hunter2\"\n").problems;
    ASSERT_EQ(far.size(), 2u);
    EXPECT_EQ(far[1].find("[users]"), far[1].npos) << far[1];
    EXPECT_NE(far[1].find("wants tls-cert and tls-key, private-network."), far[1].npos) << far[1];
    // Its password is not told either way.
    const auto bare = of_file("host = \"192.0.2.1\"\n[users]\nbob = hunter2\nhunter2\n").problems;
    ASSERT_EQ(bare.size(), 3u);
    for (const auto& told : bare)
        EXPECT_EQ(told.find("hunter2"), told.npos) << told;
    EXPECT_NE(bare[2].find("wants tls-cert and tls-key, private-network."), bare[2].npos);
    EXPECT_NE(of_file("log-level = loud\n").problems[0].find("log-level cannot be read: "),
              std::string::npos);
    EXPECT_NE(of_file("log-level = loud\n")
                  .problems[0]
                  .find("; it takes debug, info, warn or error, in quotes"),
              std::string::npos);
    // Behind the head of a table that does not parse nothing is guessed.
    EXPECT_EQ(of_file("host = \"192.0.2.1\"\n[users\nbob = \"hunter2\"\n").problems.size(), 1u);
    // Nor is there an end to it.
    EXPECT_EQ(of_file("a = \"\"\"\nx = 1\ny = 2\n").problems.size(), 1u);
    std::string broken;
    for (int i = 0; i < 100; ++i)
        broken += "a" + std::to_string(i) + " = =\n";
    EXPECT_EQ(of_file(broken).problems.size(), 20u);
}

TEST(Config, BeyondLoopbackItNamesTheThreeWaysOutAndWhatIsMissing) {
    const std::string host = "host = \"192.0.2.1\"\n";
    const std::string tls = "tls-cert = \"c\"\ntls-key = \"k\"\n";
    const std::string user = "[users]\na = \"scrypt$10$8$1$" + std::string(32, '0') + "$" +
                             std::string(64, '0') + "\"\n";
    EXPECT_EQ(problems(of_file(host + "insecure = true\n")), "");
    EXPECT_EQ(problems(of_file(host + tls + "private-network = true\n" + user)), "");
    EXPECT_NE(
        problems(of_file(host))
            .find("wants tls-cert and tls-key, [users] in the file, private-network. Or, to be "
                  "open to whoever comes, --insecure."),
        std::string::npos);
    EXPECT_NE(problems(of_file(host + tls + user)).find("wants private-network. Or"),
              std::string::npos);
    EXPECT_EQ(problems(of_file("tls-key = \"k\"\n")),
              "n.toml:1: --tls-cert and tls-key go together: the certificate is missing; name its "
              "file with tls-cert, or leave both out\n");
    EXPECT_EQ(problems(of_file("tls-client-ca = \"k\"\n")),
              "n.toml:1: tls-client-ca checks clients of a door that speaks TLS: --tls-cert is "
              "missing; name it and tls-key, or leave this out\n");
}

const std::string kUsers =
    "[users]\na = \"scrypt$10$8$1$" + std::string(32, '0') + "$" + std::string(64, '0') + "\"\n";

Reloaded again(const Loaded& running, std::string text) {
    Said said;
    said.file = {"n.toml", std::move(text)};
    return reload(said, running);
}

TEST(Config, AReloadTakesWhatIsLiveAndNamesWhatWaitsForARestart) {
    const Loaded running = of_file("tls-cert = \"c\"\ntls-key = \"k\"\n");
    const Reloaded r = again(running,
                             "tls-cert = \"d\"\ntls-key = \"k\"\nhttp-port = 6379\n"
                             "host = \"127.0.0.2\"\n" +
                                 kUsers);
    EXPECT_EQ(problems(r.loaded), "");
    EXPECT_EQ(r.loaded.settings.tls_cert, "d");
    EXPECT_EQ(r.loaded.settings.users.size(), 1u);
    // Two ports that are one in the file are none of the running node.
    EXPECT_EQ(r.loaded.settings.http_port, 8080);
    EXPECT_EQ(r.loaded.settings.host, "127.0.0.1");
    EXPECT_EQ(r.waiting, (std::vector<std::string>{
                             "host is \"127.0.0.1\" until a restart, then \"127.0.0.2\" (n.toml:4)",
                             "http-port is 8080 until a restart, then 6379 (n.toml:3)"}));
}

TEST(Config, WhatMayBeBelowZeroIsReadAndPrintedSo) {
    const Loaded l = of_file("slowlog-log-slower-than = -1\n");
    EXPECT_EQ(problems(l), "");
    EXPECT_EQ(l.settings.resp.slowlog_slower_than, -1);
    EXPECT_NE(print(l).find("slowlog-log-slower-than = -1  # n.toml:1\n"), std::string::npos);
    EXPECT_EQ(problems(of_file("slowlog-log-slower-than = -2\n")),
              "n.toml:1: slowlog-log-slower-than takes -1 to 2147483647, not '-2'\n");
    EXPECT_EQ(again(l, "timeout = 9\n").loaded.settings.resp.slowlog_slower_than, 10'000);
    EXPECT_EQ(again(l, "timeout = 9\n").loaded.settings.resp.idle_timeout, 9u);
}

TEST(Config, AReloadIsJudgedByWhatRunsAndOpensNoDoor) {
    const std::string tls = "tls-cert = \"c\"\ntls-key = \"k\"\n";
    const std::string ca = "tls-client-ca = \"a\"\n";
    const std::string far = "host = \"192.0.2.1\"\nprivate-network = true\n";
    const Loaded running = of_file(far + tls + ca + kUsers);
    ASSERT_EQ(problems(running), "");
    EXPECT_EQ(problems(again(running, tls + ca + kUsers).loaded), "");
    // A file that was cut off, in three places; neither a host in it nor insecure helps.
    for (const char* begin : {"", "host = \"127.0.0.1\"\n", "insecure = true\n"}) {
        const auto told = [&](const std::string& rest) {
            return problems(again(running, begin + rest).loaded);
        };
        EXPECT_NE(told(tls + ca).find("[users] has nobody"), std::string::npos);
        EXPECT_NE(told(tls + kUsers).find("tls-client-ca is gone"), std::string::npos);
        EXPECT_NE(told(kUsers).find("from TLS to none"), std::string::npos);
    }
    // Protection may come.
    const Loaded open = of_file(tls);
    EXPECT_EQ(problems(again(open, tls + ca + kUsers).loaded), "");
    EXPECT_NE(problems(again(of_file(""), tls).loaded).find("or back takes a restart"),
              std::string::npos);
}

TEST(Config, AHostIsAnAddressThatOthersCouldUseHoweverItIsWritten) {
    const auto told = [](const std::string& host) {
        return problems(of_file("insecure = true\nhost = \"" + host + "\"\n"));
    };
    for (const char* host : {"127.0.0.1", "localhost", "::1", "192.0.2.1", "2001:db8::1"})
        EXPECT_EQ(told(host), "") << host;
    for (const char* host : {"*", "0.0.0.0", "::", "0:0:0:0:0:0:0:0", "::0", "::ffff:0.0.0.0"})
        EXPECT_NE(told(host).find("could reach this one"), std::string::npos) << host;
    for (const char* host : {"", "0", "example.com", "127.0.0", "127.0.0.1.example.com"})
        EXPECT_NE(told(host).find("give a numeric one"), std::string::npos) << host;
    // What only begins like loopback is beyond it.
    EXPECT_TRUE(is_loopback("127.1.2.3") && is_loopback("::ffff:127.0.0.1"));
    EXPECT_FALSE(is_loopback("127.example.com") || is_loopback("::ffff:192.0.2.1"));
}

TEST(Config, AnEmptyVariableIsRefused) {
    Said said;
    said.environment = [](const std::string& name) -> const char* {
        return name == "ASTERIAS_TLS_CERT" ? "" : nullptr;
    };
    EXPECT_EQ(problems(load(said)),
              "ASTERIAS_TLS_CERT: is set, and empty; unset it, or give it a value\n");
}

TEST(Config, AUserWithoutAHashIsRefusedAndNotTold) {
    const std::string told = problems(of_file("[users]\nbob = \"hunter2\"\n"));
    EXPECT_TRUE(told.starts_with("n.toml:2: what stands for user 'bob' is no hash")) << told;
    EXPECT_EQ(told.find("hunter2"), told.npos);
}

TEST(Config, SizesAndTimesHaveUnits) {
    const Loaded l = of_file(
        "unsent-bytes-max = \"2MiB\"\ninflight-bytes-max = 33554432\n"
        "command-timeout = \"1500ms\"\nhttp-idle-timeout = \"2min\"\n");
    EXPECT_EQ(problems(l), "");
    EXPECT_EQ(l.settings.resp.unsent_bytes_max, 2u << 20);
    EXPECT_EQ(l.settings.resp.inflight_bytes_max, 32u << 20);
    EXPECT_EQ(l.settings.resp.command_timeout, milliseconds(1500));
    EXPECT_EQ(l.settings.http.idle_timeout, seconds(120));
    EXPECT_EQ(get(*find_row("command-timeout"), l.settings), "1500ms");
    EXPECT_EQ(get(*find_row("inflight-bytes-max"), l.settings), "32MiB");
}

TEST(Config, WhatIsPrintedIsAFileThatGivesTheSame) {
    const Loaded once = of_file("name = \"a \\\"b\\\" \\\\ \\t\"\nlog-format = \"json\"\n");
    ASSERT_EQ(problems(once), "");
    const Loaded again = of_file(print(once));
    EXPECT_EQ(problems(again), "");
    for (const Row& row : rows())
        EXPECT_EQ(get(row, once.settings), get(row, again.settings)) << row.name;
}

TEST(Config, EveryDefaultIsInItsRangeAndEveryNameIsThereOnce) {
    std::set<std::string> names;
    for (const Row& row : rows()) {
        Settings settings;
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
        const std::string value = get(row, settings);
        if (row.kind == Kind::Text) continue;
        const auto done = set(row, settings, value);
        EXPECT_TRUE(done) << row.name << " " << (done ? "" : done.error().context);
        EXPECT_EQ(get(row, settings), value);
    }
}

TEST(Config, TheDocumentIsTheTable) {
    const auto root = std::filesystem::path(ASTERIAS_TESTDATA) / "x/../../../../..";
    std::ifstream in(root.lexically_normal() / "docs/configuration.md");
    const std::string written{std::istreambuf_iterator<char>(in), {}};
    EXPECT_EQ(written, document()) << "asterias config --markdown > docs/configuration.md";
}

}  // namespace
}  // namespace asterias::config
