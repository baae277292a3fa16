// app/config/load.h: from what an operator said in a file, in the environment and by flags to the
// settings of a node. A flag wins over the environment, that over the file, that over the default.
// Pure: texts come in, nothing is opened here. Threading: pure functions.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/config/settings.h"

namespace asterias::config {

struct Said {
    struct File {
        std::string path;  // for messages
        std::string text;  // TOML
    };
    std::optional<File> file;
    // The value of a variable; null: it is not set. Empty function: none is.
    std::function<const char*(const std::string&)> environment;
    std::map<std::string, std::string> flags;  // by the name of their row
};

enum class Source : unsigned char { Default, File, Environment, Flag };

struct Loaded {
    Settings settings;
    struct Origin {
        Source source = Source::Default;
        std::string where;  // as an operator finds it: "node.toml:3", "ASTERIAS_HOST", "--host"
    };
    std::vector<Origin> origins;  // as rows()
    // What is wrong, a line each, the place first. With any the settings are not to be used.
    std::vector<std::string> problems;
    // Names that a problem is about: what they should be is not known, so nothing is said of what
    // their defaults contradict. "users": the table [users].
    std::set<std::string, std::less<>> doubted;
};

// Every problem is found that can be found at once: lines that do not parse, keys that nobody
// knows, values out of their range, values that contradict each other (both are named). Each says
// what is allowed, or the way out.
Loaded load(const Said& said);

// What a running node takes of what is said now: of live rows and users the new values, of all
// others its own. Problems are those of that mixture, and: what protects the door (users, TLS, the
// CA of clients) would be gone, as it is in a file that was cut off; that takes a restart.
struct Reloaded {
    Loaded loaded;
    std::vector<std::string> waiting;  // a line for each setting that is said anew and not live
};
Reloaded reload(const Said& said, const Loaded& running);

// A file that gives these settings, each with where it came from as a comment.
std::string print(const Loaded& loaded);
// docs/configuration.md.
std::string document();

}  // namespace asterias::config
