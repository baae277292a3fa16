#include "app/text.h"

#include <gtest/gtest.h>

#include "app/concepts.h"
#include "app/view.h"

namespace asterias::app {
namespace {

TEST(text, utf8_is_what_rfc_3629_says) {
    for (const char* good : {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                             "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
        EXPECT_TRUE(is_utf8(good)) << good;
    for (const char* bad :
         {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "a\xFF", "\xC2"})
        EXPECT_FALSE(is_utf8(bad)) << bad;
}

TEST(text, json_keeps_every_byte) {
    EXPECT_EQ(json_string(std::string_view("a\"\\\n\0\x7F", 6)), R"("a\"\\\u000a\u0000\u007f")");
    EXPECT_EQ(json_string("\xC3\xBC\xFF."), "\"\xC3\xBC\\ufffd.\"");
    EXPECT_EQ(json_bytes("v", "ok"), R"("v":"ok")");
    // RFC 4648, section 10, behind a byte that is no UTF-8.
    EXPECT_EQ(json_bytes("v", "\xFF"), R"("v_base64":"/w==")");
    EXPECT_EQ(json_bytes("v", "\xFF\xFE"), R"("v_base64":"//4=")");
    EXPECT_EQ(json_bytes("v", "\xFF\xFE\xFD"), R"("v_base64":"//79")");
    EXPECT_EQ(json_bytes("v", "\xFF\xFE\xFD\xFC"), R"("v_base64":"//79/A==")");
}

TEST(text, what_is_shown_cannot_steer_a_terminal) {
    EXPECT_EQ(shown("plain \xC3\xBC"), "plain \xC3\xBC");
    EXPECT_EQ(shown("\x1b[31m\n\\\t"), "\\x1b[31m\\n\\\\\\x09");
    EXPECT_EQ(shown("\xC2\x9B"
                    "31m"),
              "\\xc2\\x9b31m");  // CSI in one character
    EXPECT_EQ(shown("\xFF"), "\\xff");
}

TEST(text, what_is_cut_ends_between_characters) {
    EXPECT_EQ(cut("short", 5), "short");
    EXPECT_EQ(cut("longer", 5), "lo...");
    EXPECT_EQ(cut("\xC3\xBC\xC3\xBC\xC3\xBC", 5), "\xC3\xBC...");
    EXPECT_EQ(cut("\xC3\xBC\xC3\xBC\xC3\xBC", 4), "...");
}

TEST(view, fields_of_one_object_are_not_taken_from_the_next) {
    const View view = view_of(
        R"({"cluster":"c","node":2,"incarnation":7,"members":[)"
        R"({"node":1,"peer":"a:1","door":"a:2","connected":false,"since":"long"},)"
        R"({"node":2,"peer":"b:1","door":"b:2"}],"groups":[)"
        R"({"group":1,"keyspace":"x","role":"Leader","leader":2,"term":3,"commit":4,"applied":4,)"
        R"("last":5,"copies":2,"wanted":3,"below":"few","peers":[)"
        R"({"node":1,"match":2,"heard":true},{"node":3,"match":0,"heard":false}]},)"
        R"({"group":2,"keyspace":"y","role":"stopped","leader":0,"term":1,"commit":0,"applied":0,)"
        R"("last":0,"why":"damage","peers":[]}],"shards":[{"shard":0}]})");
    EXPECT_EQ(view.node, 2u);
    ASSERT_EQ(view.members.size(), 2u);
    EXPECT_FALSE(view.members[0].connected);
    EXPECT_TRUE(view.members[1].connected);
    EXPECT_EQ(view.members[1].door, "b:2");
    ASSERT_EQ(view.groups.size(), 2u);
    EXPECT_EQ(view.groups[0].below, "few");
    ASSERT_EQ(view.groups[0].peers.size(), 2u);
    EXPECT_EQ(view.groups[0].peers[0].match, 2u);
    EXPECT_FALSE(view.groups[0].peers[1].heard);
    EXPECT_EQ(view.groups[1].copies, "");
    EXPECT_EQ(view.groups[1].stopped, "damage");
    EXPECT_TRUE(view.groups[1].peers.empty());
    EXPECT_TRUE(view_of("").groups.empty());
    EXPECT_TRUE(view_of("{\"groups\":[{\"group\":").groups.size() <= 1);
}

TEST(view, metrics_are_read_by_name_and_labels) {
    const auto m = metrics_in("# HELP a b\n# TYPE a counter\na 3\nb{c=\"d e\"} 4\n\nb 1.5");
    EXPECT_EQ(m.size(), 3u);
    EXPECT_EQ(m.at("a"), 3);
    EXPECT_EQ(m.at("b{c=\"d e\"}"), 4);
    EXPECT_EQ(m.at("b"), 1.5);
}

TEST(map, every_row_that_is_there_can_be_seen) {
    const auto rows = concepts_in(map_text());
    EXPECT_EQ(rows.size(), 128u);
    for (const auto& row : rows)
        EXPECT_EQ(row.there(), !row.see.empty() && !row.proof.empty() && !row.where.empty())
            << row.number;
}

}  // namespace
}  // namespace asterias::app
