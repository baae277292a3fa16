// asterias top: the cluster, live: drawn again and again on a terminal, one picture below the other
// elsewhere.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <ctime>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/picture.h"
#include "app/text.h"

namespace asterias::app {
namespace {

using SteadyClock = std::chrono::steady_clock;

volatile std::sig_atomic_t ended = 0;

void on_end(int) { ended = 1; }

__attribute__((format(printf, 1, 2))) std::string line(const char* form, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, form);
    std::vsnprintf(text, sizeof text, form, arguments);
    va_end(arguments);
    return text;
}

std::string number(const std::optional<double>& value, const char* form = "%.0f") {
    if (!value) return "-";
    char text[32];
    std::snprintf(text, sizeof text, form, *value);
    return text;
}

std::string clock_text() {
    const time_t now = std::time(nullptr);
    tm utc;
    gmtime_r(&now, &utc);
    char text[16];
    std::strftime(text, sizeof text, "%H:%M:%SZ", &utc);
    return text;
}

std::vector<std::string> lines_of(const Picture& p) {
    const auto id = [](uint64_t n) { return std::to_string(n); };
    const auto answering = std::count_if(p.nodes.begin(), p.nodes.end(),
                                         [](const Picture::Node& n) { return n.answers; });
    std::vector<std::string> all = {
        line("cluster %s  %s  %td of %zu nodes answer, %zu groups", p.cluster.c_str(),
             clock_text().c_str(), answering, p.nodes.size(), p.groups.size()),
        line("%-5s %-21s %10s %7s %8s %8s %8s %7s", "node", "redis", "commands/s", "clients",
             "sync us", "read us", "max us", "gap ms")};
    for (const auto& n : p.nodes) {
        const auto reads = n.reads.value_or(Probe::Seen{});
        const bool read = reads.reads > 0;
        all.push_back(line("%-5s %-21s %10s %7s %8s %8s %8s %7s", id(n.node).c_str(),
                           n.door.c_str(), number(n.commands).c_str(),
                           n.answers ? number(n.connections).c_str() : "-",
                           number(n.sync_us).c_str(), read ? id(reads.median_us).c_str() : "-",
                           read ? id(reads.max_us).c_str() : "-", id(reads.gap_ms).c_str()));
        if (!n.answers)
            all.push_back(
                line("      it does not answer%s%s", n.http.empty() ? "" : " at ", n.http.c_str()));
        else if (!reads.trouble.empty())
            all.push_back("      not measured: " + shown(reads.trouble));
    }
    all.push_back("");
    all.push_back(line("%-5s %-21s %10s %7s %8s %8s %8s", "group", "keyspace", "commands/s",
                       "leader", "term", "copies", "behind"));
    for (const auto& g : p.groups) {
        const auto& s = g.said;
        all.push_back(line("%-5s %-21s %10s %7s %8s %8s %8s", id(s.group).c_str(),
                           s.keyspace.c_str(), number(g.commands).c_str(),
                           s.leader ? id(s.leader).c_str() : "none", id(s.term).c_str(),
                           s.copies.empty() ? "?" : (s.copies + "/" + s.wanted).c_str(),
                           s.role == "Leader" ? id(g.behind).c_str() : "?"));
        if (!s.stopped.empty()) all.push_back("      stopped: " + s.stopped);
        if (!s.below.empty()) all.push_back("      " + s.below);
    }
    return all;
}

std::string json_of(const Picture& p) {
    const auto or_null = [](const std::optional<double>& v) {
        return v ? number(v, "%.1f") : std::string("null");
    };
    std::string nodes, groups;
    for (const auto& n : p.nodes) {
        nodes +=
            (nodes.empty() ? "" : ",") +
            line("{\"node\":%llu,\"answers\":%s,\"door\":", static_cast<unsigned long long>(n.node),
                 n.answers ? "true" : "false") +
            json_string(n.door) + ",\"http\":" + json_string(n.http) +
            ",\"commands_per_second\":" + or_null(n.commands) +
            line(",\"connections\":%.0f", n.connections) + ",\"sync_us\":" + or_null(n.sync_us);
        if (const auto& r = n.reads)
            nodes += line(
                         ",\"reads\":{\"count\":%zu,\"median_us\":%llu,\"max_us\":%llu,"
                         "\"longest_gap_ms\":%llu,\"trouble\":",
                         r->reads, static_cast<unsigned long long>(r->median_us),
                         static_cast<unsigned long long>(r->max_us),
                         static_cast<unsigned long long>(r->gap_ms)) +
                     json_string(r->trouble) + "}";
        nodes += "}";
    }
    for (const auto& g : p.groups) {
        const auto& s = g.said;
        groups +=
            (groups.empty() ? "" : ",") +
            line(
                "{\"group\":%llu,\"leader\":%llu,\"term\":%llu,\"copies\":%s,\"wanted\":%s,"
                "\"behind\":%llu,\"well\":%s,\"keyspace\":",
                static_cast<unsigned long long>(s.group), static_cast<unsigned long long>(s.leader),
                static_cast<unsigned long long>(s.term),
                s.copies.empty() ? "null" : s.copies.c_str(),
                s.wanted.empty() ? "null" : s.wanted.c_str(),
                static_cast<unsigned long long>(g.behind), s.well() ? "true" : "false") +
            json_string(s.keyspace) + ",\"commands_per_second\":" + or_null(g.commands) + "}";
    }
    return "{\"cluster\":" + json_string(p.cluster) + line(",\"seconds\":%.3f", p.seconds) +
           ",\"nodes\":[" + nodes + "],\"groups\":[" + groups + "]}\n";
}

// Keys come one by one and unseen, and what was on the screen comes back at the end.
class Screen {
public:
    explicit Screen(bool drawn)
        : live_(drawn && ::isatty(STDOUT_FILENO) == 1),
          keys_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
        if (!live_) return;
        if (keys_) {
            termios raw = before_;
            raw.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON);
            ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        }
        std::fputs("\x1b[?1049h\x1b[?25l", stdout);
    }
    ~Screen() {
        if (!live_) return;
        std::fputs("\x1b[?25h\x1b[?1049l", stdout);
        std::fflush(stdout);
        if (keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
    bool live() const { return live_; }

    // What does not fit is left out, and that it is.
    void draw(const std::vector<std::string>& lines) const {
        winsize size{24, 80, 0, 0};
        ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
        const size_t rows = std::max<size_t>(size.ws_row, 4),
                     columns = std::max<size_t>(size.ws_col, 20);
        std::string out = "\x1b[H";
        const size_t room = lines.size() + 1 > rows ? rows - 2 : lines.size();
        for (size_t i = 0; i < room; ++i)
            out += cut(lines[i], columns) + "\x1b[K\n";
        if (room < lines.size())
            out += "... and " + std::to_string(lines.size() - room) + " more lines\x1b[K\n";
        out +=
            cut("q quits" + std::string(keys_ ? "" : " not: no terminal to read from"), columns) +
            "\x1b[K\x1b[J";
        std::fputs(out.c_str(), stdout);
        std::fflush(stdout);
    }
    // Until then; false: it is to end.
    bool wait(SteadyClock::time_point until) const {
        while (!ended) {
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(until - SteadyClock::now());
            if (left.count() <= 0) return true;
            pollfd input{STDIN_FILENO, POLLIN, 0};
            if (::poll(&input, live_ && keys_ ? 1 : 0, static_cast<int>(left.count())) <= 0)
                continue;
            char key = 0;
            const ssize_t n = ::read(STDIN_FILENO, &key, 1);
            if (n <= 0 || key == 'q' || key == 'Q') return false;
        }
        return false;
    }

private:
    termios before_{};
    const bool live_, keys_;
};

int print_once(Photographer& photographer, const TopOptions& options, const Caller& caller) {
    if (auto first = photographer.take(); !first) return unreachable(first.error(), caller);
    const timespec interval{options.interval_ms / 1000, options.interval_ms % 1000 * 1'000'000};
    nanosleep(&interval, nullptr);
    const auto picture = photographer.take();
    if (!picture) return unreachable(picture.error(), caller);
    if (options.json)
        std::fputs(json_of(*picture).c_str(), stdout);
    else
        for (const auto& each : lines_of(*picture))
            std::puts(each.c_str());
    return picture->well() ? kDone : kCheckFailed;
}

// Nobody answers: it is shown, and looked at again; only who never did ends it.
int show(Photographer& photographer, const TopOptions& options, const Caller& caller) {
    auto picture = photographer.take();
    if (!picture) return unreachable(picture.error(), caller);
    const Screen screen(!options.json);
    for (auto next = SteadyClock::now(); !ended;) {
        const auto lines =
            picture ? lines_of(*picture)
                    : std::vector<std::string>{"no node answers: " + picture.error().context};
        if (options.json) {
            std::fputs(picture
                           ? json_of(*picture).c_str()
                           : ("{\"error\":" + json_string(picture.error().context) + "}\n").c_str(),
                       stdout);
        } else if (screen.live()) {
            screen.draw(lines);
        } else {
            for (const auto& each : lines)
                std::puts(each.c_str());
            std::puts("");
        }
        if (std::fflush(stdout) != 0) return kFailed;  // whoever read it is gone
        next = std::max(next + std::chrono::milliseconds(options.interval_ms), SteadyClock::now());
        if (!screen.wait(next)) break;
        picture = photographer.take();
    }
    return kDone;
}

}  // namespace

int run_top(const TopOptions& options) {
    const Caller caller{"top", "--node", options.json};
    auto address = door_of(options.address, caller);
    if (!address) return kUsage;
    const auto doors = RedisDoors::make(options.access, caller);
    if (!doors) return doors.error();
    Photographer photographer(std::move(*address), doors->access());
    if (options.once) return print_once(photographer, options, caller);
    struct sigaction end{};
    end.sa_handler = on_end;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
        ::sigaction(signal, &end, nullptr);
    return show(photographer, options, caller);
}

}  // namespace asterias::app
