// app/command_line.h: the commands of those who use a cluster, declared for the command line: kv,
// bench, top, map, completion, help. Those of its operators are in main.cc.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/commands.h"

namespace CLI {
class App;
}

namespace asterias::app {

class UserCommands {
public:
    // `app` keeps pointers into this: it must outlive it.
    void declare(CLI::App& app);
    // Once parsed: the exit code, if it was one of these.
    std::optional<int> run(const CLI::App& app) const;

private:
    void declare_kv(CLI::App& app);
    void declare_bench(CLI::App& app);
    void declare_top(CLI::App& app);
    void declare_words(CLI::App& app);
    int run_help(const CLI::App& app) const;

    std::string asked_;
    KvOptions kv_;
    BenchOptions bench_;
    TopOptions top_;
    MapOptions map_;
    std::string shell_;
    struct Help {
        std::vector<std::string> words;
        bool man = false, json = false;
    } help_;
};

// What is wrong with a command line that CLI11 refuses: its own words, the nearest names to those
// that there are not, and the commands that could have stood there.
std::string explain(const CLI::App& app, const std::string& what);

}  // namespace asterias::app
