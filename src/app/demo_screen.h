// app/demo_screen.h: what the demo shows: a picture that is redrawn in place on a terminal, lines
// where there is none (or NO_COLOR is set, or TERM=dumb), or events, one JSON object a line.
// Threading: one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace asterias::app {

enum class DemoNode : uint8_t { Serves, Leads, Silent, Killed, Stopped, Starting };

// What is to be seen now.
struct DemoPicture {
    double seconds = 0;
    std::vector<DemoNode> nodes;
    std::vector<std::string> addresses;  // of their Redis doors
    size_t words = 0;
    double rate = 0;            // words a second, lately
    std::vector<double> rates;  // of the last half seconds, the newest last
    double gap_ms = 0;          // the longest between two acknowledgements
    size_t retries = 0, unknown = 0, lost_answers = 0;
    std::string doing;
};

enum class DemoColour : uint8_t { None, Good, Bad, Waits };
struct DemoLine {
    DemoColour colour = DemoColour::None;
    std::string text;
};
// The picture without a terminal's bytes; with `unicode` in its block characters, else in ASCII.
std::vector<DemoLine> drawn(const DemoPicture& picture, bool unicode);
// How often an answer was in doubt, in words.
std::string in_doubt(const DemoPicture& picture);
// The picture as one line.
std::string line_of(const DemoPicture& picture);
// The picture as the fields of an event.
std::string event_of(const DemoPicture& picture);

// 1234567 as 1,234,567.
std::string grouped(uint64_t n);
// At most `columns` characters of it.
std::string cut_to(const std::string& text, size_t columns);

class DemoScreen {
public:
    explicit DemoScreen(bool json);
    ~DemoScreen() { clear(); }
    // A line that stays: above the picture, if there is one. Nothing with --json.
    void say(const std::string& text);
    // `"name":value,...` of an event, its kind first. Nothing without --json.
    void event(const std::string& kind, const std::string& fields);
    // Does what it has to when it is time.
    void show(const DemoPicture& picture);
    // Takes the picture away.
    void clear();
    bool json() const { return mode_ == Mode::Events; }

private:
    enum class Mode : uint8_t { Picture, Lines, Events };
    void redraw(const DemoPicture& picture);

    Mode mode_;
    bool unicode_;
    size_t drawn_lines_ = 0;
    std::chrono::steady_clock::time_point shown_at_ = std::chrono::steady_clock::now();
};

}  // namespace asterias::app
