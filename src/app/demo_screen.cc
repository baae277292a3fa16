#include "app/demo_screen.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sys/ioctl.h>
#include <unistd.h>

#include "service/node/json.h"

namespace asterias::app {
namespace {

using std::chrono::milliseconds;

std::string fixed(double value, int digits) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

std::string rounded(double value) {
    return grouped(static_cast<uint64_t>(std::max(value, 0.0) + 0.5));
}

const char* name_of(DemoNode state) {
    switch (state) {
        case DemoNode::Serves:
            return "serves";
        case DemoNode::Leads:
            return "leads";
        case DemoNode::Silent:
            return "silent";
        case DemoNode::Killed:
            return "killed";
        case DemoNode::Stopped:
            return "stopped";
        case DemoNode::Starting:
            return "starting";
    }
    return "";
}

const char* explained(DemoNode state) {
    switch (state) {
        case DemoNode::Serves:
            return "serves    follows the leader";
        case DemoNode::Leads:
            return "leads     every increment goes through it";
        case DemoNode::Silent:
            return "silent    does not say who leads";
        case DemoNode::Killed:
            return "killed    with kill -9";
        case DemoNode::Stopped:
            return "stopped   with SIGSTOP: alive, and it does nothing";
        case DemoNode::Starting:
            return "starting  reads its disk, finds the others";
    }
    return "";
}

DemoColour colour_of(DemoNode state) {
    switch (state) {
        case DemoNode::Leads:
            return DemoColour::Good;
        case DemoNode::Killed:
        case DemoNode::Stopped:
            return DemoColour::Bad;
        case DemoNode::Silent:
        case DemoNode::Starting:
            return DemoColour::Waits;
        case DemoNode::Serves:
            break;
    }
    return DemoColour::None;
}

const char* mark_of(DemoNode state, bool unicode) {
    switch (colour_of(state)) {
        case DemoColour::Bad:
            return unicode ? "✗" : "x";
        case DemoColour::Waits:
            return unicode ? "○" : "o";
        case DemoColour::Good:
            return unicode ? "★" : "*";
        case DemoColour::None:
            break;
    }
    return unicode ? "●" : "+";
}

std::string bars(const std::vector<double>& rates, bool unicode) {
    static constexpr const char* kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static constexpr const char* kAscii[] = {"_", ".", ".", "-", "-", "=", "=", "#"};
    double most = 1;
    for (const double rate : rates)
        most = std::max(most, rate);
    std::string text;
    for (const double rate : rates) {
        const auto level = static_cast<size_t>(std::clamp(rate / most * 7.99, 0.0, 7.0));
        text += rate <= 0 ? " " : (unicode ? kBlocks : kAscii)[level];
    }
    return text;
}

bool speaks_utf8() {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        const char* value = std::getenv(name);
        if (!value || !*value) continue;
        std::string text = value;
        std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
        return text.find("utf-8") != std::string::npos || text.find("utf8") != std::string::npos;
    }
    return false;
}

bool set(const char* variable) {
    const char* value = std::getenv(variable);
    return value && *value;
}

winsize window() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) size = {24, 80, 0, 0};
    return size;
}

}  // namespace

std::string grouped(uint64_t n) {
    std::string text = std::to_string(n);
    for (size_t at = text.size(); at > 3;) {
        at -= 3;
        text.insert(at, ",");
    }
    return text;
}

std::string cut_to(const std::string& text, size_t columns) {
    size_t end = 0;
    for (size_t characters = 0; end < text.size(); ++end)
        if ((static_cast<unsigned char>(text[end]) & 0xc0) != 0x80 && characters++ == columns)
            break;
    return text.substr(0, end);
}

std::string in_doubt(const DemoPicture& p) {
    return grouped(p.retries) + " asked again; in doubt " + grouped(p.unknown + p.lost_answers) +
           " times (" + grouped(p.unknown) + " UNKNOWN, " + grouped(p.lost_answers) +
           " lost connections)";
}

std::vector<DemoLine> drawn(const DemoPicture& p, bool unicode) {
    std::vector<DemoLine> lines = {{}};
    for (size_t i = 0; i < p.nodes.size(); ++i) {
        char text[160];
        std::snprintf(text, sizeof text, "  node %zu   %s  %-16s %s", i + 1,
                      mark_of(p.nodes[i], unicode), p.addresses[i].c_str(), explained(p.nodes[i]));
        lines.push_back({colour_of(p.nodes[i]), text});
    }
    lines.emplace_back();
    lines.push_back({DemoColour::None, "  words    " + grouped(p.words) + " acknowledged, " +
                                           rounded(p.rate) + "/s  " + bars(p.rates, unicode)});
    lines.push_back({DemoColour::None, "  gap      " + rounded(p.gap_ms) +
                                           " ms, the longest without an acknowledgement"});
    lines.push_back({DemoColour::None, "  doubt    " + in_doubt(p)});
    lines.push_back({DemoColour::None, "           ASTERIAS.REQUEST: asked again is done once"});
    lines.push_back({DemoColour::None, "  now      " + fixed(p.seconds, 1) + " s: " + p.doing});
    return lines;
}

std::string line_of(const DemoPicture& p) {
    std::string nodes;
    for (const DemoNode node : p.nodes)
        nodes += std::string(nodes.empty() ? "" : " ") + name_of(node);
    return "  " + fixed(p.seconds, 1) + " s  " + nodes + "; " + grouped(p.words) + " words, " +
           rounded(p.rate) + "/s; gap " + rounded(p.gap_ms) + " ms; " + grouped(p.retries) +
           " asked again";
}

std::string event_of(const DemoPicture& p) {
    std::string nodes;
    for (const DemoNode node : p.nodes)
        nodes += (nodes.empty() ? "" : ",") + node::quoted(name_of(node));
    return "\"seconds\":" + fixed(p.seconds, 3) + ",\"nodes\":[" + nodes +
           "],\"words\":" + std::to_string(p.words) + ",\"rate\":" + fixed(p.rate, 0) +
           ",\"gap_ms\":" + fixed(p.gap_ms, 1) + ",\"retries\":" + std::to_string(p.retries) +
           ",\"unknown\":" + std::to_string(p.unknown) +
           ",\"lost_answers\":" + std::to_string(p.lost_answers);
}

DemoScreen::DemoScreen(bool json)
    : mode_(json ? Mode::Events
            : ::isatty(STDOUT_FILENO) && !set("NO_COLOR") &&
                    std::string_view(set("TERM") ? std::getenv("TERM") : "dumb") != "dumb"
                ? Mode::Picture
                : Mode::Lines),
      unicode_(speaks_utf8()) {}

void DemoScreen::say(const std::string& text) {
    if (mode_ == Mode::Events) return;
    clear();
    std::printf("%s\n", text.c_str());
    std::fflush(stdout);
}

void DemoScreen::event(const std::string& kind, const std::string& fields) {
    if (mode_ != Mode::Events) return;
    std::printf("{\"event\":\"%s\"%s%s}\n", kind.c_str(), fields.empty() ? "" : ",",
                fields.c_str());
    std::fflush(stdout);
}

void DemoScreen::show(const DemoPicture& picture) {
    const auto now = std::chrono::steady_clock::now();
    const auto every = milliseconds(mode_ == Mode::Picture  ? 100
                                    : mode_ == Mode::Events ? 1000
                                                            : 2000);
    // At once where it was taken away: the lines above it moved.
    const bool gone = mode_ == Mode::Picture && drawn_lines_ == 0;
    if (!gone && now - shown_at_ < every) return;
    shown_at_ = now;
    if (mode_ == Mode::Picture) return redraw(picture);
    event("progress", event_of(picture));
    say(line_of(picture));
}

void DemoScreen::redraw(const DemoPicture& picture) {
    static constexpr const char* kColours[] = {"", "\x1b[32m", "\x1b[31m", "\x1b[33m"};
    const winsize size = window();
    const auto lines = drawn(picture, unicode_);
    // What scrolls cannot be taken back.
    if (lines.size() + 1 > size.ws_row) return;
    std::string out = drawn_lines_ ? "\x1b[" + std::to_string(drawn_lines_) + "A" : "";
    for (const auto& line : lines) {
        const std::string colour = kColours[static_cast<size_t>(line.colour)];
        out += "\r" + colour + cut_to(line.text, size.ws_col - 1) +
               (colour.empty() ? "" : "\x1b[0m") + "\x1b[K\n";
    }
    drawn_lines_ = lines.size();
    std::fputs(out.c_str(), stdout);
    std::fflush(stdout);
}

void DemoScreen::clear() {
    if (drawn_lines_) std::printf("\x1b[%zuA\r\x1b[J", drawn_lines_);
    std::fflush(stdout);
    drawn_lines_ = 0;
}

}  // namespace asterias::app
