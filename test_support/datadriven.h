// test_support/datadriven.h: tests as documents, in the format of cockroachdb/datadriven:
//
//     # a comment explains the scenario
//     command positional key=value key=(several,values)
//     optional lines of input
//     ----
//     expected output, up to a blank line
//
// Output that has blank lines itself is fenced by "----" doubled before and after it. With the
// environment variable REWRITE=1 the outputs are written into the file instead of compared; the
// diff is then reviewed as a change of behaviour.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace asterias::test {

struct DatadrivenCommand {
    std::string file;
    size_t line = 0;  // of the command, from 1
    std::string name;
    std::vector<std::string> positional;
    std::map<std::string, std::vector<std::string>> keyed;
    std::string input;  // lines between command and ----

    std::string where() const { return file + ":" + std::to_string(line); }
    bool has(const std::string& key) const { return keyed.contains(key); }
    // The single value of key, or `otherwise`.
    std::string value(const std::string& key, const std::string& otherwise = "") const;
    uint64_t number(const std::string& key, uint64_t otherwise = 0) const;
    std::vector<std::string> values(const std::string& key) const;
};

// Returns the output of one command; a newline at its end is added when missing.
using DatadrivenHandler = std::function<std::string(const DatadrivenCommand&)>;

// Runs every command of the file in order; returns one description per command whose output is not
// as expected (and per fault of the file itself). Empty: all is well.
std::vector<std::string> run_datadriven(const std::string& path, const DatadrivenHandler& handler);

// The lines of a command's input, each taken apart as a command itself; lines that are none are
// left out.
std::vector<DatadrivenCommand> parse_lines(const DatadrivenCommand& command);

// The paths of all *.txt below `directory`, sorted.
std::vector<std::string> datadriven_files(const std::string& directory);

}  // namespace asterias::test
