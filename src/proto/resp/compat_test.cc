// docs/compat/resp.md says of each command of Redis 7.0 whether it is done here; the lists in it
// are made of the tables. To write them again:
//     ASTERIAS_WRITE=1 build/release/test_proto_resp --gtest_filter='RespCompat.*'
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "proto/resp/command_table.h"

namespace asterias::resp {
namespace {

constexpr std::string_view kMark = "<!-- from here on made of the command table -->\n";

std::string path() { return std::string(ASTERIAS_TESTDATA) + "/../../../../docs/compat/resp.md"; }

std::string shown(std::string_view name) {
    std::string text(name);
    std::ranges::replace(text, '|', ' ');
    for (char& c : text)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    return "`" + text + "`";
}

std::string_view title(CommandClass by) {
    switch (by) {
        case CommandClass::Keyed:
            return "On keys of one keyspace";
        case CommandClass::Batch:
            return "Transactions";
        case CommandClass::Span:
            return "On all keys of a database";
        case CommandClass::Message:
            return "Messages";
        case CommandClass::Local:
            return "About the connection, or this node";
    }
    return "";
}

void append_supported(std::string& out) {
    for (const auto by : {CommandClass::Keyed, CommandClass::Batch, CommandClass::Span,
                          CommandClass::Message, CommandClass::Local}) {
        std::string rows;
        for (const auto& spec : command_table())
            if (spec.by == by && subcommands(spec).empty())
                rows += "| " + shown(spec.name) + " | " + std::string(spec.summary) + " |\n";
        if (rows.empty()) continue;
        out.append("\n### ").append(title(by)).append(
            "\n\n| command | what it does |\n|---|---|\n");
        out += rows;
    }
}

void append_unsupported(std::string& out) {
    std::map<std::string_view, std::vector<std::string_view>> by_reason;
    for (const auto& command : unsupported_commands())
        by_reason[command.reason].push_back(command.name);
    for (const auto& [reason, names] : by_reason) {
        std::string line = "- *" + std::string(reason) + "*:";
        for (const auto name : names) {
            const std::string word = " " + shown(name) + (name == names.back() ? "" : ",");
            if (line.size() + word.size() > 100) {
                out += line + "\n";
                line = " ";
            }
            line += word;
        }
        out += line + "\n";
    }
}

std::string lists() {
    std::string out = "\n## Done\n";
    append_supported(out);
    out +=
        "\n## Not done\n\nEach answers `-ERR '...' is not supported: <reason>; see "
        "docs/compat/resp.md`.\n\n";
    append_unsupported(out);
    return out;
}

TEST(RespCompat, TheListOfCommandsIsThatOfTheTables) {
    std::stringstream whole;
    whole << std::ifstream(path()).rdbuf();
    const std::string text = whole.str();
    const size_t mark = text.find(kMark);
    ASSERT_NE(mark, std::string::npos) << path();
    const std::string wanted = text.substr(0, mark + kMark.size()) + lists();
    if (std::getenv("ASTERIAS_WRITE"))
        std::ofstream(path()) << wanted;
    else
        EXPECT_TRUE(text == wanted) << "ASTERIAS_WRITE=1 build/release/test_proto_resp "
                                       "--gtest_filter='RespCompat.*' writes it again";
}

TEST(RespCompat, NoCommandIsBothDoneAndNot) {
    for (const auto& command : unsupported_commands()) {
        EXPECT_EQ(find_command(command.name), nullptr) << command.name;
        EXPECT_EQ(find_unsupported(command.name), &command) << command.name;
    }
}

TEST(RespCompat, WhatIsNotDoneSaysWhy) {
    const auto refusal = [](std::initializer_list<std::string_view> words) {
        Request request;
        for (const auto word : words)
            request.push_back(Bytes::copy(word));
        const auto resolved = resolve_command(request);
        const auto* refused = std::get_if<CommandRefused>(&resolved);
        return refused ? refused->text : "";
    };
    EXPECT_EQ(refusal({"LPush", "a"}),
              "ERR 'lpush' is not supported: only strings are stored so far; see "
              "docs/compat/resp.md");
    EXPECT_TRUE(
        refusal({"config", "REWRITE"}).starts_with("ERR 'config|rewrite' is not supported: "));
    EXPECT_TRUE(refusal({"config", "nosuch"}).starts_with("ERR unknown subcommand 'nosuch'."));
    EXPECT_TRUE(refusal({"config|rewrite"}).starts_with("ERR unknown command 'config|rewrite'"));
}

}  // namespace
}  // namespace asterias::resp
