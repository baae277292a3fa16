// CONFIG GET and CONFIG SET against the table of settings. The errors are those that a Redis 7.0.15
// answered.
#include "app/config/parameters.h"

#include <gtest/gtest.h>

namespace asterias::config {
namespace {

struct Running : testing::Test {
    int told = 0;
    Parameters parameters{Settings{}, [this] { ++told; }};

    std::string get(const std::string& name) {
        for (const auto& one : parameters.all())
            if (one.name == name) return one.value;
        return "absent";
    }
    std::string set(std::vector<edge_resp::Parameters::Value> wanted) {
        auto done = parameters.set(wanted);
        const auto* refused = std::get_if<edge_resp::Parameters::Refused>(&done);
        return refused ? refused->text : "OK";
    }
    static std::string failed(const std::string& name, const std::string& why) {
        return "ERR CONFIG SET failed (possibly related to argument '" + name + "') - " + why;
    }
};

TEST_F(Running, EveryRowIsToldAndWhatRedisCallsOtherwiseTwice) {
    for (const Row& row : rows())
        EXPECT_NE(get(row.name), "absent") << row.name;
    EXPECT_EQ(get("port"), "6379");
    EXPECT_EQ(get("resp-port"), "6379");
    EXPECT_EQ(get("proto-max-bulk-len"), "16777216");
    EXPECT_EQ(get("insecure"), "no");
    EXPECT_EQ(get("appendonly"), "yes");
    const auto all = parameters.all();
    for (size_t i = 1; i < all.size(); ++i)
        EXPECT_LT(all[i - 1].name, all[i].name);
}

TEST_F(Running, SeveralAreSetAtOnceAndTheDoorsAreTold) {
    EXPECT_EQ(
        set({{"Timeout", "70"}, {"slowlog-log-slower-than", "-1"}, {"command-timeout", "2s"}}),
        "OK");
    EXPECT_EQ(told, 1);
    EXPECT_EQ(get("timeout"), "70");
    EXPECT_EQ(get("slowlog-log-slower-than"), "-1");
    EXPECT_EQ(parameters.live().idle_timeout, 70u);
    EXPECT_EQ(parameters.live().slowlog_slower_than, -1);
    EXPECT_EQ(parameters.live().command_timeout, seconds(2));
}

TEST_F(Running, WithOneWrongNoneIsSet) {
    EXPECT_EQ(set({{"timeout", "70"}, {"slowlog-max-len", "x"}}),
              failed("slowlog-max-len", "argument couldn't be parsed into an integer"));
    EXPECT_EQ(set({{"timeout", "70"}, {"port", "1"}}),
              failed("port", "can't set immutable config"));
    EXPECT_EQ(get("timeout"), "0");
    EXPECT_EQ(told, 0);
}

TEST_F(Running, ErrorsAreThoseOfRedis) {
    EXPECT_EQ(set({{"maxmemory", "1"}, {"maxmemory", "2"}}),
              failed("maxmemory", "duplicate parameter"));
    EXPECT_EQ(set({{"port", "1"}, {"resp-port", "1"}}), failed("resp-port", "duplicate parameter"));
    EXPECT_EQ(set({{"daemonize", "yes"}}), failed("daemonize", "can't set immutable config"));
    EXPECT_EQ(set({{"Foo", "1"}}),
              "ERR Unknown option or number of arguments for CONFIG SET - 'Foo'");
    EXPECT_EQ(set({{"timeout", "-1"}}),
              failed("timeout", "argument must be between 0 and 2147483647 inclusive"));
    EXPECT_EQ(set({{"timeout", "99999999999"}}),
              failed("timeout", "argument must be between 0 and 2147483647 inclusive"));
    EXPECT_EQ(set({{"slowlog-log-slower-than", "1gb"}}),
              failed("slowlog-log-slower-than", "argument couldn't be parsed into an integer"));
    EXPECT_EQ(set({{"command-timeout", "5"}}),
              failed("command-timeout", "argument takes 10ms to 1h, not '5'"));
}

TEST_F(Running, WhatTheFileSaysAtSighupWinsOverWhatWasSet) {
    EXPECT_EQ(set({{"timeout", "70"}}), "OK");
    parameters.replace(Settings{});
    EXPECT_EQ(get("timeout"), "0");
    EXPECT_EQ(told, 2);
}

}  // namespace
}  // namespace asterias::config
