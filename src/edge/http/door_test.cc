// The observation door over the simulated network.
#include "edge/http/door.h"

#include <gtest/gtest.h>

#include "runtime/sim/test_support.h"

namespace asterias::edge_http {
namespace {

struct Bench {
    explicit Bench(Options options = {}) : world(1) {
        server = world.add_node("s", {});
        client = world.add_node("c", {});
        host = sim::boot_host(world, server);
        guest = sim::boot_host(world, client);
        options.address = {"s", 80};
        Pages pages;
        pages.metrics = [this] {
            ++made;
            return metrics;
        };
        pages.status = [this] { return status_page(this); };
        pages.live = [this] { return checks_page(this, 1); };
        pages.ready = [this] { return checks_page(this, checks.size()); };
        pages.api = [this](ApiRequest request) { return api_page(this, std::move(request)); };
        door = &host->own<std::unique_ptr<Door>>(std::make_unique<Door>(
            host->shard(), std::move(pages), options, Log(world.log(server), "t")));
        EXPECT_TRUE((*door)->listen());
    }
    static port::Task<std::string> status_page(Bench* b) {
        ++b->statuses;
        b->most_at_once = std::max(b->most_at_once, ++b->at_once);
        co_await port::sleep(b->host->shard(), milliseconds(20));
        --b->at_once;
        co_return "{}";
    }
    static port::Task<std::vector<Check>> checks_page(Bench* b, size_t first) {
        co_return std::vector<Check>(b->checks.begin(),
                                     b->checks.begin() + static_cast<ptrdiff_t>(first));
    }
    static port::Task<ApiReply> api_page(Bench* b, ApiRequest request) {
        co_await port::sleep(b->host->shard(), milliseconds(20));
        b->asked.push_back(request);
        co_return b->api_reply;
    }
    sim::Collector& connect() {
        auto& c = guest->own<sim::Collector>();
        auto& result = guest->own<sim::DialResult>();
        guest->scope().spawn("dial",
                             sim::dial_into(guest->shard(), {"s", 80}, "", seconds(1), c, result));
        EXPECT_TRUE(world.run_until([&] { return result.done; }, seconds(1)));
        return c;
    }
    sim::Collector& ask(std::string text) {
        auto& c = connect();
        guest->shard().post([&c, text] { c.connection->out().append(text); });
        world.run_for(milliseconds(200));
        return c;
    }

    sim::World world;
    sim::NodeIndex server, client;
    sim::Host *host, *guest;
    std::unique_ptr<Door>* door;
    std::string metrics = "m 1\n";
    std::vector<Check> checks{{"loops", ""}, {"disk", ""}, {"keyspaces", ""}};
    int made = 0, statuses = 0, at_once = 0, most_at_once = 0;
    std::vector<ApiRequest> asked;
    ApiReply api_reply{200, "{}"};
};

size_t count(const std::string& text, std::string_view what) {
    size_t n = 0;
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at)
        ++n;
    return n;
}

TEST(HttpDoor, PipelinedRequestsAreAnsweredInOrderAlsoBehindAPageThatTakesTime) {
    Bench b;
    auto& c = b.ask(
        "GET /metrics HTTP/1.1\r\nHost: s\r\n\r\nGET /status HTTP/1.1\r\nHost: s\r\n\r\n"
        "GET /health HTTP/1.1\r\nHost: s\r\n\r\n");
    EXPECT_EQ(count(c.received, "HTTP/1.1 200 OK"), 3u);
    EXPECT_LT(c.received.find("m 1\n"), c.received.find("{}\n"));
    EXPECT_LT(c.received.find("{}\n"), c.received.find("ok\n"));
    EXPECT_FALSE(c.ended || c.closed) << "kept alive";
}

TEST(HttpDoor, HeadSendsTheHeadOnly) {
    Bench b;
    auto& c = b.ask("HEAD /metrics HTTP/1.1\r\nHost: s\r\n\r\n");
    EXPECT_NE(c.received.find("Content-Length: 4\r\n"), std::string::npos);
    EXPECT_TRUE(c.received.ends_with("\r\n\r\n"));
}

TEST(HttpDoor, WhatItDoesNotUnderstandIsRefusedAndTheConnectionClosed) {
    const std::pair<const char*, const char*> cases[] = {
        {"nonsense\r\n\r\n", "400"},
        {"GET /metrics HTTP/1.1\r\n\r\n", "400"},  // no Host
        {"GET /metrics HTTP/1.1\r\nHost : s\r\n\r\n", "400"},
        {"GET /metrics HTTP/2.0\r\nHost: s\r\n\r\n", "505"},
        {"POST /metrics HTTP/1.1\r\nHost: s\r\n\r\n", "405"},
        {"GET / HTTP/1.1\r\nHost: s\r\nContent-Length: 3\r\n\r\nabc", "413"},
        {"GET / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n", "413"},
    };
    for (const auto& [request, code] : cases) {
        Bench b;
        auto& c = b.ask(request);
        EXPECT_TRUE(c.received.starts_with(std::string("HTTP/1.1 ") + code)) << c.received;
        EXPECT_TRUE(c.ended || c.closed);
    }
}

TEST(HttpDoor, AHeadWithoutAnEndIsRefusedAtItsBound) {
    Bench b;
    auto& c = b.ask("GET / HTTP/1.1\r\nX: " + std::string(17 * 1024, 'x'));
    EXPECT_TRUE(c.received.starts_with("HTTP/1.1 431")) << c.received;
    EXPECT_TRUE(c.ended || c.closed);
}

TEST(HttpDoor, BytesThatCanBeNoRequestAreRefusedAtOnce) {
    for (const std::string bytes :
         {"\x16\x03\x01", "\r", "\n", " GET", "GET / HTTP/1.1\n", "GET /\x01", "GE\xc3\xa4",
          "GET / HTTP/1.1\r\nHost: s\n", "GET / HTTP/1.1\rX", "*3\r\n", "GET /\r\n"}) {
        Bench b;
        auto& c = b.ask(bytes);
        EXPECT_TRUE(c.received.starts_with("HTTP/1.1 400")) << bytes << ": " << c.received;
        EXPECT_TRUE(c.ended || c.closed) << bytes;
    }
}

TEST(HttpDoor, ARequestThatDoesNotEndInTimeIsRefusedHoweverItTrickles) {
    Bench b;
    auto& c = b.ask("GET /metrics HTTP/1.1\r\nHost: s\r\n\r\nGET /me");
    ASSERT_TRUE(c.received.starts_with("HTTP/1.1 200"));
    for (int i = 0; i < 9; ++i) {
        b.world.run_for(seconds(1));
        b.guest->shard().post([&c] { c.connection->out().append(std::string_view("t")); });
    }
    b.world.run_for(milliseconds(100));
    EXPECT_FALSE(c.ended || c.closed) << "its time is not over";
    c.received.clear();
    b.world.run_for(seconds(1));
    EXPECT_TRUE(c.received.starts_with("HTTP/1.1 408 Request Timeout\r\n")) << c.received;
    EXPECT_TRUE(c.ended || c.closed);
}

TEST(HttpDoor, AConnectionBetweenRequestsIsKeptForItsTimeAndThenClosed) {
    Bench b;
    for (const char* before : {"", "GET /status HTTP/1.1\r\nHost: s\r\n\r\n"}) {
        auto& c = b.ask(before);
        c.received.clear();
        b.world.run_for(seconds(59));
        EXPECT_FALSE(c.ended || c.closed) << before;
        b.world.run_for(seconds(2));
        EXPECT_TRUE(c.ended || c.closed) << before;
        EXPECT_EQ(c.received, "") << "nothing was asked";
    }
}

TEST(HttpDoor, KeepAliveIsWhatTheVersionAndTheClientSay) {
    for (const auto& [head, kept] :
         {std::pair{"GET /health HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n", false},
          {"GET /health HTTP/1.0\r\n\r\n", false},
          {"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true}}) {
        Bench b;
        auto& c = b.ask(head);
        EXPECT_EQ(!(c.ended || c.closed), kept) << head;
    }
}

// Code and body of a page.
std::string told(Bench& b, const std::string& path) {
    const std::string all = b.ask("GET " + path + " HTTP/1.1\r\nHost: s\r\n\r\n").received;
    return all.substr(9, 3) + " " + all.substr(all.find("\r\n\r\n") + 4);
}

TEST(HttpDoor, ANodeThatIsNotReadyListsItsChecksAndIsAliveAllTheSame) {
    Bench b;
    b.checks[2].trouble = "default: no leader";
    const std::string list =
        "[+]loops ok\n[+]disk ok\n[-]keyspaces failed: default: no leader\nreadyz check failed\n";
    EXPECT_EQ(told(b, "/readyz"), "503 " + list);
    EXPECT_EQ(told(b, "/health"), "503 " + list);
    EXPECT_EQ(told(b, "/livez"), "200 ok\n");
    b.checks[0].trouble = "shard 0";
    EXPECT_EQ(told(b, "/livez"), "503 [-]loops failed: shard 0\nlivez check failed\n");
}

TEST(HttpDoor, ChecksAreListedOnRequestAndCanBeLeftOut) {
    Bench b;
    EXPECT_EQ(told(b, "/readyz"), "200 ok\n");
    EXPECT_EQ(told(b, "/livez?verbose"), "200 [+]loops ok\nok\n");
    b.checks[1].trouble = "full";
    b.checks[2].trouble = "default: no leader";
    EXPECT_TRUE(told(b, "/readyz?exclude=disk").starts_with("503 "));
    EXPECT_EQ(told(b, "/readyz?exclude=disk&exclude=keyspaces"), "200 ok\n");
    EXPECT_EQ(told(b, "/readyz?exclude=disk&verbose&exclude=keyspaces&exclude=dsk"),
              "200 [+]loops ok\n[-]disk failed: full (excluded)\n"
              "[-]keyspaces failed: default: no leader (excluded)\n"
              "there is no check 'dsk' to exclude\nok\n");
    EXPECT_EQ(told(b, "/readyz?exclude=%4"), "400 broken query\n");
}

TEST(HttpDoor, AQueryIsDecodedAndAnsweredInOrder) {
    Bench b;
    b.api_reply = {409, "[1]"};
    auto& c = b.ask(
        "POST /v1/replica?op=add&keyspace=a%20b%2Bc+d&node=4&&node=5&empty= HTTP/1.1\r\nHost: s\r\n"
        "asterias-command: 1\r\n\r\nGET /v1/why HTTP/1.1\r\nHost: s\r\n\r\n"
        "GET /metrics HTTP/1.1\r\nHost: s\r\n\r\n");
    ASSERT_EQ(b.asked.size(), 2u);
    EXPECT_TRUE(b.asked[0].post);
    EXPECT_EQ(b.asked[0].path, "/v1/replica");
    EXPECT_EQ(b.asked[0].query["keyspace"], "a b+c d");
    EXPECT_EQ(b.asked[0].query["node"], "5");
    EXPECT_FALSE(b.asked[1].post);
    EXPECT_EQ(count(c.received, "HTTP/1.1 409 Conflict"), 2u);
    EXPECT_TRUE(c.received.ends_with("m 1\n"));
    EXPECT_FALSE(c.ended || c.closed);
}

TEST(HttpDoor, APostIsACommandOnlyWithTheHeaderThatNoBrowserSends) {
    Bench b;
    auto& c = b.ask("POST /v1/replica?op=remove HTTP/1.1\r\nHost: s\r\nContent-Length: 0\r\n\r\n");
    EXPECT_TRUE(c.received.starts_with("HTTP/1.1 403")) << c.received;
    EXPECT_TRUE(b.asked.empty());
    for (const char* query : {"%", "a=%4", "a=%zz"})
        EXPECT_TRUE(b.ask("GET /v1/why?" + std::string(query) + " HTTP/1.1\r\nHost: s\r\n\r\n")
                        .received.starts_with("HTTP/1.1 400"))
            << query;
    EXPECT_TRUE(b.asked.empty());
}

TEST(HttpDoor, WhoDoesNotReadItsPagesIsNotReadFrom) {
    Bench b;
    b.metrics = std::string(100'000, 'm');
    auto& c = b.connect();
    c.connection->pause_reading(true);
    std::string all;
    for (int i = 0; i < 1000; ++i)
        all += "GET /metrics HTTP/1.1\r\nHost: s\r\n\r\n";
    b.guest->shard().post([&] { c.connection->out().append(all); });
    b.world.run_for(seconds(1));
    EXPECT_LT(b.made, 50) << "100 MB of pages wait in memory";
    c.connection->pause_reading(false);
    b.world.run_until([&] { return c.received.size() > 1000 * 100'000u; }, seconds(60));
    EXPECT_EQ(count(c.received, "HTTP/1.1 200 OK"), 1000u);
}

TEST(HttpDoor, WhoGoesOnAskingDoesNotKeepTheDoorFromClosing) {
    Bench b;
    std::string all;
    for (int i = 0; i < 100; ++i)
        all += "GET /status HTTP/1.1\r\nHost: s\r\n\r\n";
    // Of two connections one always waits for a page.
    for (int i = 0; i < 2; ++i) {
        auto& c = b.connect();
        b.guest->shard().post([&c, all] { c.connection->out().append(all); });
        b.world.run_for(milliseconds(10));
    }
    bool closed = false;
    const auto close = [](Door* door, bool* out) -> port::Task<> {
        co_await door->close();
        *out = true;
    };
    b.host->shard().post([&] { b.host->scope().spawn("close", close(b.door->get(), &closed)); });
    b.world.run_for(milliseconds(200));
    EXPECT_TRUE(closed);
    b.world.run_for(seconds(5));
}

TEST(HttpDoor, TheDoorMayGoInTheTurnInWhichAConnectionEnds) {
    Bench b;
    auto& c = b.connect();
    b.world.run_for(milliseconds(10));
    b.guest->shard().post([&c] { c.connection.reset(); });
    for (int i = 0; i < 2000 && (*b.door); ++i) {
        b.world.step();
        if (i == 3) b.host->shard().post([&b] { b.door->reset(); });
    }
}

// However many ask: each page is made once at a time, and nobody gets one that was begun before it
// asked.
TEST(Http, ManyWhoAskForAPageThatTakesTimeShareTheNext) {
    Bench b;
    std::vector<sim::Collector*> clients;
    for (int i = 0; i < 50; ++i)
        clients.push_back(&b.connect());
    for (auto* c : clients)
        b.guest->shard().post(
            [c] { c->connection->out().append("GET /status HTTP/1.1\r\nHost: h\r\n\r\n"); });
    b.world.run_for(milliseconds(200));
    for (auto* c : clients)
        EXPECT_TRUE(c->received.starts_with("HTTP/1.1 200 OK\r\n")) << c->received;
    EXPECT_EQ(b.most_at_once, 1);
    EXPECT_LE(b.statuses, 3);
}

}  // namespace
}  // namespace asterias::edge_http
