// What the demo counts, in which order it makes trouble, and what it draws.
#include <algorithm>

#include <gtest/gtest.h>

#include "app/demo_load.h"
#include "app/demo_round.h"
#include "app/demo_screen.h"
#include "app/demo_text.h"

namespace asterias::app {
namespace {

std::string counts_in(const Result<DemoText>& text) {
    if (!text) return text.error().context;
    std::string all;
    for (size_t i = 0; i < text->names.size(); ++i)
        all += (i ? " " : "") + text->names[i] + ":" + std::to_string(text->counts[i]);
    return all + (text->note.empty() ? "" : " | " + text->note);
}

std::string in_order(const DemoText& text) {
    std::string all;
    for (const uint32_t item : text.items)
        all += text.names[item] + " ";
    return all;
}

TEST(DemoText, WordsAreRunsOfLettersAndDigitsInLowerCase) {
    EXPECT_EQ(counts_in(words_of("The end, the END; 7 ends.")), "7:1 end:2 ends:1 the:2");
    EXPECT_EQ(counts_in(words_of("\xc3\xbc"
                                 "ber x")),
              "x:1 \xc3\xbc"
              "ber:1");
}

TEST(DemoText, ItemsKeepTheOrderOfTheText) {
    EXPECT_EQ(in_order(*words_of("to be or not to be")), "to be or not to be ");
}

TEST(DemoText, WhatIsNoTextIsSaid) {
    EXPECT_EQ(counts_in(words_of("")), "is empty");
    EXPECT_EQ(counts_in(words_of(" .,;\n")), "holds no words");
    EXPECT_EQ(counts_in(words_of(std::string_view("ab\0cd", 5))),
              "is no text: there is a zero byte at 2");
}

TEST(DemoText, AColumnIsTakenByItsNameOrItsNumber) {
    const std::string csv = "city,land\nBonn,de\nLyon,fr\nKiel,de\n";
    EXPECT_EQ(counts_in(column_of(csv, "land")), "de:2 fr:1");
    EXPECT_EQ(counts_in(column_of(csv, "2")), "de:2 fr:1 land:1");
}

TEST(DemoText, QuotesSeparatorsAndLineEndsAreThoseOfTheField) {
    EXPECT_EQ(counts_in(column_of("a,b\r\n\"x,\"\"y\"\"\nz\",1\r\nw,2", "a")), "w:1 x,\"y\"\nz:1");
    EXPECT_EQ(counts_in(column_of("a;b\n1,5;2\n", "a")), "1,5:1");
    EXPECT_EQ(counts_in(column_of("a\tb\n1\t2\n", "b")), "2:1");
    EXPECT_EQ(counts_in(column_of("\xef\xbb\xbf"
                                  "a,b\n1,2\n",
                                  "a")),
              "1:1");
}

TEST(DemoText, RowsWithoutTheValueAreLeftOutAndNoted) {
    EXPECT_EQ(counts_in(column_of("a,b\n1,2\n3\n4,\n\n5,2\n", "b")),
              "2:2 | 2 rows without a value in it were left out");
}

TEST(DemoText, AColumnThatIsNotThereIsSaidWithThoseThatAre) {
    EXPECT_EQ(counts_in(column_of("a,b\n1,2\n", "c")),
              "has no column 'c'; its first line names: a, b");
    EXPECT_EQ(counts_in(column_of("a,b\n1,2\n", "3")), "has no column 3; its first line has 2");
    EXPECT_EQ(counts_in(column_of("a,b\n1,2\n", "0")), "has no column 0; its first line has 2");
    EXPECT_EQ(counts_in(column_of("a,b\n", "a")), "has no value in column a");
}

TEST(DemoText, AQuoteThatStaysOpenIsSaidWithItsLine) {
    EXPECT_EQ(counts_in(column_of("a,b\n\"x\ny\",2\n3,\"4\n5\n", "a")),
              "has a quote in the row that begins at line 4 that is never closed");
}

TEST(DemoText, TheBuiltInTextHasWords) {
    const auto text = words_of(sonnets());
    ASSERT_TRUE(text);
    EXPECT_GT(text->items.size(), 4000u);
    EXPECT_TRUE(std::ranges::binary_search(text->names, "temperate"));
}

TEST(DemoWork, EndsAfterAWholePass) {
    const DemoText text = *words_of("a b c");
    Work work(text);
    for (int i = 0; i < 4; ++i)
        EXPECT_TRUE(work.take());
    work.finish(0);
    EXPECT_EQ(work.total(), 6u);
    EXPECT_EQ(work.passes(), 2u);
    EXPECT_EQ(text.names[*work.take()], "b");
    EXPECT_EQ(text.names[*work.take()], "c");
    EXPECT_FALSE(work.take());
    work.finish(100);  // decided already
    EXPECT_FALSE(work.take());
}

TEST(DemoWork, CountsAtLeastAsManyAsAreWanted) {
    const DemoText text = *words_of("a b c");
    Work work(text);
    work.finish(7);
    EXPECT_EQ(work.total(), 9u);
}

TEST(DemoPlan, AllIsEveryKindInAnOrderThatTheSeedRepeats) {
    auto plan = plan_of("all", 3, 7);
    EXPECT_EQ(plan.kinds, plan_of("all", 3, 7).kinds);
    bool another = false;
    for (uint64_t seed = 0; seed < 20; ++seed)
        another |= plan_of("all", 3, seed).kinds != plan.kinds;
    EXPECT_TRUE(another);
    std::ranges::sort(plan.kinds);
    EXPECT_EQ(plan.kinds, (std::vector<std::string>{"all-nodes", "follower", "leader", "stop"}));
    EXPECT_EQ(plan_of("all", 1, 7).kinds.size(), 3u);
    EXPECT_TRUE(plan_of("none", 3, 7).kinds.empty());
}

TEST(DemoScreen, DrawsANodeALineAndWhatWasCounted) {
    const DemoPicture picture{.seconds = 4.25,
                              .nodes = {DemoNode::Leads, DemoNode::Killed},
                              .addresses = {"127.0.0.1:1", "127.0.0.1:2"},
                              .words = 12345,
                              .rate = 1000,
                              .rates = {0, 500, 1000},
                              .gap_ms = 31,
                              .retries = 9,
                              .unknown = 2,
                              .lost_answers = 5,
                              .doing = "kill -9 of node 2"};
    std::string all;
    for (const auto& line : drawn(picture, false))
        all += line.text + "\n";
    for (const char* text : {"node 1   *  127.0.0.1:1      leads", "node 2   x", "with kill -9",
                             "12,345 acknowledged, 1,000/s   -#", "gap      31 ms",
                             "9 asked again; in doubt 7 times (2 UNKNOWN, 5 lost connections)",
                             "4.2 s: kill -9 of node 2"})
        EXPECT_NE(all.find(text), std::string::npos) << text << " in\n" << all;
    EXPECT_TRUE(std::ranges::all_of(all, [](char c) { return static_cast<signed char>(c) > 0; }));
    EXPECT_EQ(drawn(picture, true)[2].colour, DemoColour::Bad);
}

TEST(DemoScreen, NumbersAndLinesAreMadeToFit) {
    EXPECT_EQ(grouped(0), "0");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(1234567), "1,234,567");
    EXPECT_EQ(cut_to("abc", 2), "ab");
    EXPECT_EQ(cut_to("\xc3\xa4\xc3\xb6\xc3\xbc", 2), "\xc3\xa4\xc3\xb6");
    EXPECT_EQ(cut_to("abc", 9), "abc");
}

TEST(DemoScreen, AWordThatIsShownCommandsNoTerminal) {
    EXPECT_EQ(shown("a\x1b[2Jb"), "'a?[2Jb'");
    EXPECT_EQ(shown("a\xc2\x9b"
                    "b"),
              "'a?b'");
    EXPECT_EQ(shown("caf\xe9"), "'caf?'");
    EXPECT_EQ(shown("caf\xc3\xa9"), "'caf\xc3\xa9'");
    EXPECT_EQ(shown(std::string(40, 'x')), "'" + std::string(32, 'x') + "...' (40 bytes)");
    EXPECT_EQ(shown(std::string(31, 'x') + "\xc3\xa9"),
              "'" + std::string(31, 'x') + "...' (33 bytes)");
}

}  // namespace
}  // namespace asterias::app
