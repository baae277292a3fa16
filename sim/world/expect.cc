#include "sim/world/expect.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/check.h"
#include "sim/scenario/text.h"

namespace asterias::sim {
namespace {

constexpr Duration kLook = milliseconds(50);
constexpr Duration kReplyTravels = milliseconds(100);

std::string name(uint32_t node) { return "n" + std::to_string(node + 1); }

std::string seconds_of(Duration time) {
    const int64_t ms = time / milliseconds(1);
    std::string digits = std::to_string(ms % 1000);
    return std::to_string(ms / 1000) + "." + std::string(3 - digits.size(), '0') + digits + " s";
}

std::string fate_of(Fate fate) {
    switch (fate) {
        case Fate::Ok:
            return "done";
        case Fate::Refused:
            return "refused";
        case Fate::Unknown:
            return "answered UNKNOWN";
        case Fate::Silent:
            return "not answered";
    }
    return {};
}

std::string describe(const Question& a) {
    return "what " + name(a.node) + " was asked at " + seconds_of(a.asked) + " was " +
           fate_of(a.fate) + " at " + seconds_of(a.ended);
}

bool is_cut(const Cut& cut, uint32_t from, uint32_t to) {
    return std::ranges::find(cut.links, sim::Link{from, to}) != cut.links.end();
}

// By node: it is among more than half of the nodes that reach each other.
std::vector<bool> large_side(const Cut& cut, uint32_t nodes) {
    std::vector<uint32_t> side(nodes);
    std::iota(side.begin(), side.end(), 0u);
    for (uint32_t round = 0; round < nodes; ++round)
        for (uint32_t x = 0; x < nodes; ++x)
            for (uint32_t y = 0; y < nodes; ++y)
                if (!is_cut(cut, x, y) && !is_cut(cut, y, x))
                    side[x] = side[y] = std::min(side[x], side[y]);
    std::vector<bool> large(nodes);
    for (uint32_t x = 0; x < nodes; ++x)
        large[x] = 2 * std::ranges::count(side, side[x]) > static_cast<int64_t>(nodes);
    return large;
}

bool is_deaf(const Cut& cut, uint32_t node, uint32_t nodes) {
    for (uint32_t other = 0; other < nodes; ++other)
        if (other != node && !is_cut(cut, other, node)) return false;
    return true;
}

std::string rate(double share, const Timeline& timeline, const Timeline& quiet) {
    const uint64_t with = done(timeline), without = done(quiet);
    if (without > 0 && static_cast<double>(with) >= share * static_cast<double>(without)) return {};
    return std::to_string(with) + " commands were done, " + std::to_string(without) +
           " are when all is quiet: less than " + text::text_of(share) + " of them";
}

// Only what is asked so early that its deadline is before the end of the cut.
std::string serves(Duration within, const Timeline& t, const Cut& cut) {
    const std::vector<bool> large = large_side(cut, t.nodes);
    for (const Question& a : t.asked) {
        if (!large[a.node] || a.asked < cut.begin + within) continue;
        if (a.asked + t.command_timeout >= cut.end || a.fate == Fate::Ok) continue;
        return describe(a) + ", which is more than " + text::text_of(within) +
               " after the cut at " + seconds_of(cut.begin) + " that leaves it a majority";
    }
    return {};
}

std::string refuses(Duration within, const Timeline& t, const Cut& cut) {
    const std::vector<bool> large = large_side(cut, t.nodes);
    for (const Question& a : t.asked) {
        if (large[a.node] || a.asked < cut.begin || a.asked >= cut.end) continue;
        if (a.fate == Fate::Silent || a.ended > a.asked + t.command_timeout + kReplyTravels)
            return describe(a) + ", beyond the deadline of " + text::text_of(t.command_timeout);
        if (a.fate == Fate::Ok && a.asked >= cut.begin + within && a.ended < cut.end)
            return describe(a) + " without a majority, which the cut at " + seconds_of(cut.begin) +
                   " took from it";
    }
    return {};
}

std::string steps_down(Duration within, const Timeline& t, const Cut& cut) {
    for (const Lead& lead : t.leads)
        if (is_deaf(cut, lead.node, t.nodes) && lead.first < cut.end &&
            std::min(lead.last, cut.end) > cut.begin + within + kLook)
            return name(lead.node) + " leads group " + to_string(lead.group) + " in term " +
                   to_string(lead.term) + " until " + seconds_of(lead.last) +
                   " and hears nobody since " + seconds_of(cut.begin);
    return {};
}

// No group has more events within the cut than are allowed for its length.
std::string few(std::string_view what, uint64_t per_minute, const Cut& cut,
                const std::vector<std::pair<GroupId, Duration>>& events) {
    std::map<GroupId, uint64_t> count;
    for (const auto& [group, at] : events)
        if (at > cut.begin && at <= cut.end) ++count[group];
    const auto length = static_cast<uint64_t>((cut.end - cut.begin) / milliseconds(1));
    const uint64_t most = std::max<uint64_t>(1, per_minute * length / 60'000);
    for (const auto& [group, n] : count)
        if (n > most)
            return std::to_string(n) + " " + std::string(what) + " of group " + to_string(group) +
                   " in the cut at " + seconds_of(cut.begin) + ", which lasts " +
                   seconds_of(cut.end - cut.begin) + ": more than " + std::to_string(most);
    return {};
}

std::string in_cut(const Expectation& e, const Timeline& t, const Cut& cut) {
    if (e.what == "serves") return serves(e.within, t, cut);
    if (e.what == "refuses") return refuses(e.within, t, cut);
    if (e.what == "steps_down") return steps_down(e.within, t, cut);
    std::vector<std::pair<GroupId, Duration>> events;
    if (e.what == "leaders") {
        for (const Lead& lead : t.leads)
            events.emplace_back(lead.group, lead.first);
        return few("new leaders", e.per_minute.high, cut, events);
    }
    CHECK(e.what == "terms", "the scenario parser admits only known expectations");
    for (const TermBegun& term : t.terms)
        events.emplace_back(term.group, term.at);
    return few("new terms", e.per_minute.high, cut, events);
}

}  // namespace

uint64_t done(const Timeline& t) {
    return static_cast<uint64_t>(std::ranges::count_if(t.asked, [&](const Question& a) {
        return a.fate == Fate::Ok && a.asked >= t.begin && a.ended < t.end;
    }));
}

std::string unmet(const Expectation& e, const Timeline& timeline, const Timeline& quiet) {
    if (e.what == "expiry") return {};  // the checkers judge it
    if (e.what == "rate") return rate(e.share, timeline, quiet);
    for (const Cut& cut : timeline.cuts)
        if (std::string text = in_cut(e, timeline, cut); !text.empty()) return text;
    return {};
}

Scenario quiet_of(const Scenario& scenario) {
    Scenario quiet = scenario;
    quiet.faults.clear();
    quiet.script = {};
    for (const FaultSpec& fault : scenario.faults)
        if (const auto* net = std::get_if<NetFault>(&fault)) {
            NetFault delay;
            delay.delay = net->delay;
            quiet.faults.emplace_back(delay);
        }
    return quiet;
}

}  // namespace asterias::sim
