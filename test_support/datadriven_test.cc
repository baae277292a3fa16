#include "test_support/datadriven.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace asterias::test {
namespace {

std::string write_file(const std::string& text) {
    const std::string path = testing::TempDir() + "datadriven_test.txt";
    std::ofstream(path) << text;
    return path;
}

std::string read_file(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

std::string echo(const DatadrivenCommand& c) {
    std::string text = c.name;
    for (const auto& p : c.positional)
        text += " [" + p + "]";
    for (const auto& [key, values] : c.keyed)
        for (const auto& v : values)
            text += " " + key + ":" + v;
    return text + "\n" + c.input;
}

TEST(Datadriven, TakesCommandsApart) {
    const auto path = write_file(
        "# why\nsay a b=1 c=(2, 3)\nmore\n----\nsay [a] b:1 c:2 c:3\nmore\n\nsay\n----\nsay\n");
    EXPECT_EQ(run_datadriven(path, echo), std::vector<std::string>{});
}

TEST(Datadriven, NamesTheLineThatDiffers) {
    const auto path = write_file("say\n----\nsay\n\nsay x\n----\nsay y\n");
    const auto failures = run_datadriven(path, echo);
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_NE(failures[0].find("datadriven_test.txt:5"), std::string::npos);
}

TEST(Datadriven, RefusesAFileWithoutCommandsOrWithoutRule) {
    EXPECT_EQ(run_datadriven(write_file("# nothing\n"), echo).size(), 1u);
    EXPECT_EQ(run_datadriven(write_file("say\n"), echo).size(), 1u);
    EXPECT_EQ(run_datadriven("/nowhere/at/all.txt", echo).size(), 1u);
}

TEST(Datadriven, RewriteKeepsCommentsAndInputsAndFencesBlankLines) {
    const auto path = write_file("# why\nsay\n----\nold\n\nblank\n----\nold\n");
    auto handler = [](const DatadrivenCommand& c) {
        return c.name == "blank" ? std::string("a\n\nb") : echo(c);
    };
    setenv("REWRITE", "1", 1);
    EXPECT_TRUE(run_datadriven(path, handler).empty());
    unsetenv("REWRITE");
    EXPECT_EQ(read_file(path), "# why\nsay\n----\nsay\n\nblank\n----\n----\na\n\nb\n----\n----\n");
    EXPECT_TRUE(run_datadriven(path, handler).empty());
}

}  // namespace
}  // namespace asterias::test
