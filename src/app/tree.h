// app/tree.h: the tree of commands as data, read off the declarations of the command line: what
// completion, the manual, `help --json` and the words about a misspelt one are made of, so that
// none of them can tell of another program than this. Threading: immutable.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace asterias::app {

struct OptionWord {
    std::vector<std::string> names;  // "--json", "-h"; of a positional its one name
    bool positional = false;
    bool takes_value = false;
    bool repeats = false;
    bool required = false;
    bool file = false;                 // its value is the name of a file
    std::vector<std::string> choices;  // of its value; empty: any
    std::string what, otherwise;       // otherwise: its value when it is not said
};

struct CommandWord {
    std::vector<std::string> path;  // {"kv", "get"}; the program itself: {}
    std::string what;
    std::string footer;
    std::vector<OptionWord> options;
    std::vector<CommandWord> commands;

    std::string name() const;  // "asterias kv get"
};

CommandWord tree_of(const CLI::App& app);
// The command itself and all below it, parents first.
std::vector<const CommandWord*> all_of(const CommandWord& root);

// Texts made of the tree. `shell`: bash, zsh or fish.
std::string completion_of(const CommandWord& root, const std::string& shell);
std::string manual_of(const CommandWord& root, const std::string& version);  // man(7)
std::string json_of(const CommandWord& root);

}  // namespace asterias::app
