#include "sim/story.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace asterias::sim {
namespace {

constexpr size_t kTimeWidth = 9;
// The clients are heard at least so often, in seconds.
constexpr double kInterval = 1.0;

std::string line_of(std::string_view time, std::string_view text) {
    return std::string(kTimeWidth - std::min(kTimeWidth, time.size()), ' ') + std::string(time) +
           "  " + std::string(text);
}

// c7, r2: a client's.
bool is_client(std::string_view text) {
    return text.size() > 1 && (text[0] == 'c' || text[0] == 'r') &&
           std::isdigit(static_cast<unsigned char>(text[1]));
}

// Of connections there is no end of talk.
bool is_chatter(std::string_view text) {
    return text.find(" log info rpc: ") != std::string_view::npos ||
           text.ends_with(" is connected") || text.find(" log debug ") != std::string_view::npos;
}

// "n2 log warn node: text" reads "n2: node: text".
std::string without_level(std::string_view text) {
    const size_t log = text.find(" log ");
    if (log == std::string_view::npos) return std::string(text);
    const size_t level = text.find(' ', log + 5);
    if (level == std::string_view::npos) return std::string(text);
    return std::string(text.substr(0, log)) + " says" + std::string(text.substr(level));
}

}  // namespace

void Storyteller::hear(std::string_view line) {
    if (all_) return print_(line);
    const size_t space = line.find(' ');
    const std::string_view time = line.substr(0, space);
    const std::string_view text = space == std::string_view::npos ? "" : line.substr(space + 1);
    if (is_client(text)) {
        const std::string now(time);
        if (since_.empty()) since_ = now;
        if (std::stod(now) - std::stod(since_) >= kInterval) {
            tell_clients();
            since_ = now;
        }
        return count(text);
    }
    if (is_chatter(text)) return;
    tell_clients();
    print_(line_of(time, without_level(text)));
}

void Storyteller::count(std::string_view text) {
    constexpr std::string_view kHears = " hears (error) ";
    if (const size_t at = text.find(kHears); at != std::string_view::npos) {
        std::string_view error = text.substr(at + kHears.size());
        error = error.substr(0, error.find(' '));
        const auto it = errors_.find(error);
        ++(it == errors_.end() ? errors_.emplace(std::string(error), 0).first : it)->second;
    } else if (text.ends_with("-> failed")) {
        ++failed_;
    } else if (text.ends_with("-> unknown")) {
        ++unknown_;
    } else if (text.find(" -> ") != std::string_view::npos) {
        ++answered_;
    } else {
        ++lost_;
    }
}

void Storyteller::tell_clients() {
    if (since_.empty()) return;
    std::string text = "clients: " + std::to_string(answered_) + " answered";
    const auto add = [&text](uint64_t n, std::string_view what) {
        if (n > 0) text += ", " + std::to_string(n) + " " + std::string(what);
    };
    add(failed_, "refused");
    add(unknown_, "in doubt");
    add(lost_, "connections given up");
    std::string errors;
    for (const auto& [error, n] : errors_)
        errors += (errors.empty() ? "" : ", ") + error + " " + std::to_string(n);
    if (!errors.empty()) text += " (" + errors + ")";
    print_(line_of(since_, "    " + text));
    since_.clear();
    answered_ = failed_ = unknown_ = lost_ = 0;
    errors_.clear();
}

void Storyteller::end() { tell_clients(); }

}  // namespace asterias::sim
