#include <gtest/gtest.h>

#include "app/load/generator.h"
#include "app/load/histogram.h"
#include "app/load/session.h"

namespace asterias::load {
namespace {

TEST(load, quantiles_are_within_the_width_of_a_bucket) {
    Histogram h;
    for (uint64_t i = 1; i <= 100'000; ++i)
        h.add(i * 1000);
    for (const double part : {0.5, 0.99, 0.999}) {
        const double exact = part * 100'000 * 1000;
        EXPECT_NEAR(static_cast<double>(h.quantile(part)), exact, exact * 0.017) << part;
    }
    EXPECT_EQ(h.quantile(1), h.max());
    EXPECT_EQ(Histogram().quantile(0.5), 0u);
}

TEST(load, a_session_counts_answers_that_are_not_as_promised) {
    const auto session = make_resp_session();
    std::string out;
    session->greet(out);
    EXPECT_EQ(out, "");
    session->ask(Operation::Set, "k", "v", out);
    session->ask(Operation::Get, "k", "", out);
    session->ask(Operation::Set, "k", "v", out);
    EXPECT_EQ(out.substr(0, out.find("*2")), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
    Finished finished;
    const Bytes input = Bytes::copy("+OK\r\n$-1\r\n-TRYAGAIN later\r\n+O");
    EXPECT_EQ(session->receive(input, out, finished), input.size() - 2);
    EXPECT_EQ(finished.done, 3u);
    EXPECT_EQ(finished.failed, 2u);
    EXPECT_FALSE(finished.broken);
}

TEST(load, the_answer_to_the_password_is_no_operation_and_a_refusal_ends_the_connection) {
    for (const bool right : {true, false}) {
        const auto session = make_resp_session({"ann", "secret"});
        std::string out;
        session->greet(out);
        EXPECT_EQ(out, "*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$6\r\nsecret\r\n");
        session->ask(Operation::Get, "k", "", out);
        Finished finished;
        session->receive(Bytes::copy(right ? "+OK\r\n$1\r\nv\r\n" : "-WRONGPASS no\r\n"), out,
                         finished);
        EXPECT_EQ(finished.broken, !right);
        EXPECT_EQ(finished.done, right ? 1u : 0u);
        EXPECT_EQ(finished.failed, 0u);
    }
}

TEST(load, endpoints_that_are_none_are_refused) {
    for (const char* text : {"", "localhost:6379", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
                             "127.0.0.1:65536", "127.0.0.1:1x"}) {
        Options options;
        options.endpoints = {text};
        EXPECT_FALSE(Generator::make(options)) << text;
    }
}

}  // namespace
}  // namespace asterias::load
