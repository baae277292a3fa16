#include "sim/scenario/scenario.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <map>

#include "sim/check/checks.h"
#include "sim/scenario/params.h"

namespace asterias::sim {

namespace {

constexpr std::array<std::string_view, std::variant_size_v<FaultSpec>> kFaultNames = {
    "partition", "crash", "pause", "disk", "slow", "full", "clock", "net", "frames"};
constexpr std::array<std::string_view, 4> kWorkloadKinds = {"kv", "counter", "pairs", "order"};

struct Unit {
    std::string_view name;
    int64_t nanoseconds;
};
constexpr std::array<Unit, 6> kUnits = {{{"h", 3'600'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"s", 1'000'000'000},
                                         {"ms", 1'000'000},
                                         {"us", 1'000},
                                         {"ns", 1}}};

std::string text_of(Duration time) {
    if (time == Duration(0)) return "0s";
    for (const Unit& unit : kUnits)
        if (time.count() % unit.nanoseconds == 0)
            return std::to_string(time.count() / unit.nanoseconds) + std::string(unit.name);
    return "";
}
std::string text_of(double value) {
    char text[64];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
}
template <std::integral T>
std::string text_of(T value) {
    return std::to_string(value);
}
template <typename T>
std::string text_of(const Range<T>& range) {
    const std::string low = text_of(range.low);
    return range.low == range.high ? low : low + ".." + text_of(range.high);
}

template <typename T>
bool read(std::string_view text, T& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}
bool read(std::string_view text, Duration& value) {
    const size_t digits = text.find_first_not_of("-0123456789");
    int64_t number = 0;
    if (digits == std::string_view::npos || !read(text.substr(0, digits), number)) return false;
    for (const Unit& unit : kUnits) {
        int64_t nanoseconds = 0;
        if (text.substr(digits) != unit.name) continue;
        if (__builtin_mul_overflow(number, unit.nanoseconds, &nanoseconds)) return false;
        value = Duration(nanoseconds);
        return true;
    }
    return false;
}
template <typename T>
bool read(std::string_view text, Range<T>& range) {
    const size_t dots = text.find("..");
    if (dots == std::string_view::npos) {
        if (!read(text, range.low)) return false;
        range.high = range.low;
        return true;
    }
    return read(text.substr(0, dots), range.low) && read(text.substr(dots + 2), range.high);
}

std::string joined(auto&& words) {
    std::string out;
    for (const std::string_view word : words)
        out += (out.empty() ? "" : ", ") + std::string(word);
    return out;
}

// Visitor: takes the values of key=value words; the first error stays.
class Taker {
public:
    Taker(std::string what, std::map<std::string, std::string> given)
        : what_(std::move(what)), given_(std::move(given)) {}

    void choice(std::string_view name, std::string& value, Words allowed) {
        const auto text = take(name);
        if (!text) return;
        if (std::find(allowed.begin(), allowed.end(), *text) == allowed.end())
            return complain(name, *text, "one of " + joined(allowed));
        value = *text;
    }
    void fixed(std::string_view name, Duration& value, Duration low, Duration high) {
        Times range{value, value};
        const auto text = take(name);
        if (!text) return;
        if (!read(*text, range) || range.low != range.high || range.low < low || range.high > high)
            return complain(name, *text, "a time from " + text_of(low) + " to " + text_of(high));
        value = range.low;
    }
    void share(std::string_view name, double& value, double high) {
        Chances range{value, value};
        bounded(name, range, 0.0, high, "a probability");
        if (range.low != range.high)
            complain(name, text_of(range), "a single probability");
        else
            value = range.low;
    }
    void count(std::string_view name, Counts& range, uint64_t low, uint64_t high) {
        bounded(name, range, low, high, "a number or range");
    }
    void count_each(std::string_view name, Counts& range, uint64_t low, uint64_t high) {
        bounded(name, range, low, high, "a number or range");
    }
    void number(std::string_view name, Range<int64_t>& range, int64_t low, int64_t high) {
        bounded(name, range, low, high, "a number or range");
    }
    void chance(std::string_view name, Chances& range, double high) {
        bounded(name, range, 0.0, high, "a probability or range");
    }
    void interval(std::string_view name, Times& range, Duration low, Duration high) {
        bounded(name, range, low, high, "a time or range");
    }
    void length(std::string_view name, Times& range, Duration low, Duration high) {
        bounded(name, range, low, high, "a time or range");
    }

    Result<void> finish() {
        if (error_.empty() && !given_.empty())
            error_ = "unknown parameter '" + given_.begin()->first + "' of " + what_ +
                     "; known: " + joined(known_);
        if (error_.empty()) return {};
        return fail(Errc::InvalidArgument, error_);
    }

private:
    std::optional<std::string> take(std::string_view name) {
        known_.push_back(name);
        const auto at = given_.find(std::string(name));
        if (at == given_.end()) return std::nullopt;
        std::string text = std::move(at->second);
        given_.erase(at);
        return text;
    }
    template <typename T>
    void bounded(std::string_view name, Range<T>& value, T low, T high, const std::string& kind) {
        const auto text = take(name);
        if (!text) return;
        Range<T> range;
        // Written so that a value that is not a number is refused too.
        const bool fits =
            read(*text, range) && range.low >= low && range.high <= high && range.low <= range.high;
        if (!fits)
            return complain(name, *text, kind + " within " + text_of(low) + ".." + text_of(high));
        value = range;
    }
    void complain(std::string_view name, const std::string& text, const std::string& wanted) {
        if (error_.empty())
            error_ = std::string(name) + "=" + text + " of " + what_ + " is not " + wanted;
    }

    std::string what_, error_;
    std::map<std::string, std::string> given_;
    std::vector<std::string_view> known_;
};

// Visitor: " name=value" of all.
class Printer {
public:
    void choice(std::string_view name, std::string& value, Words) { say(name, value); }
    void fixed(std::string_view name, Duration& value, Duration, Duration) {
        say(name, text_of(value));
    }
    void share(std::string_view name, double& value, double) { say(name, text_of(value)); }
    void count(std::string_view name, Counts& r, uint64_t, uint64_t) { say(name, text_of(r)); }
    void count_each(std::string_view name, Counts& r, uint64_t, uint64_t) { say(name, text_of(r)); }
    void number(std::string_view name, Range<int64_t>& r, int64_t, int64_t) {
        say(name, text_of(r));
    }
    void chance(std::string_view name, Chances& r, double) { say(name, text_of(r)); }
    void interval(std::string_view name, Times& r, Duration, Duration) { say(name, text_of(r)); }
    void length(std::string_view name, Times& r, Duration, Duration) { say(name, text_of(r)); }

    std::string text;

private:
    void say(std::string_view name, const std::string& value) {
        text += " " + std::string(name) + "=" + value;
    }
};

std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> words;
    line = line.substr(0, line.find('#'));
    while (true) {
        const size_t begin = line.find_first_not_of(" \t\r");
        if (begin == std::string_view::npos) return words;
        line.remove_prefix(begin);
        const size_t end = std::min(line.find_first_of(" \t\r"), line.size());
        words.emplace_back(line.substr(0, end));
        line.remove_prefix(end);
    }
}

// Words from `from` on must be name=value.
template <typename Spec>
Result<void> take_params(const std::string& what, const std::vector<std::string>& words,
                         size_t from, Spec& spec) {
    std::map<std::string, std::string> given;
    for (size_t i = from; i < words.size(); ++i) {
        const size_t equals = words[i].find('=');
        if (equals == std::string::npos)
            return fail(Errc::InvalidArgument, "expected name=value, found '" + words[i] + "'");
        if (!given.emplace(words[i].substr(0, equals), words[i].substr(equals + 1)).second)
            return fail(Errc::InvalidArgument,
                        "'" + words[i].substr(0, equals) + "' is given twice");
    }
    Taker taker(what, std::move(given));
    visit_params(spec, taker);
    return taker.finish();
}

template <size_t I = 0>
FaultSpec default_fault(size_t kind) {
    if constexpr (I + 1 < std::variant_size_v<FaultSpec>)
        if (kind != I) return default_fault<I + 1>(kind);
    return FaultSpec(std::in_place_index<I>);
}

class Parser {
public:
    Result<void> line(const std::vector<std::string>& words) {
        const std::string& head = words[0];
        if (head == "world") return world(words);
        if (head == "workload") return workload(words);
        if (head == "fault") return fault(words);
        if (head == "swarm") return swarm(words);
        if (head == "check") return checks(words);
        if (head == "require") return required(words);
        return bad("unknown line '" + head +
                   "'; known: world, workload, fault, swarm, check, require");
    }
    Result<Scenario> finish() {
        if (!seen_world_) return bad("there is no world line");
        if (scenario.workloads.empty()) return bad("there is no workload line");
        if (scenario.checks.empty()) return bad("there is no check line");
        return std::move(scenario);
    }

    Scenario scenario;

private:
    static std::unexpected<Error> bad(std::string text) {
        return fail(Errc::InvalidArgument, std::move(text));
    }

    Result<void> world(const std::vector<std::string>& words) {
        if (std::exchange(seen_world_, true)) return bad("a second world line");
        return take_params("world", words, 1, scenario.world);
    }

    Result<void> workload(const std::vector<std::string>& words) {
        if (words.size() < 2 || std::find(kWorkloadKinds.begin(), kWorkloadKinds.end(), words[1]) ==
                                    kWorkloadKinds.end())
            return bad("workload needs one of " + joined(kWorkloadKinds));
        Workload spec;
        spec.kind = words[1];
        TRY(take_params("workload " + spec.kind, words, 2, spec));
        if ((spec.kind == "pairs" || spec.kind == "order") && spec.keys.low < 2)
            return bad("workload " + spec.kind + " needs keys=2 or more");
        scenario.workloads.push_back(std::move(spec));
        return {};
    }

    Result<void> fault(const std::vector<std::string>& words) {
        const auto name = words.size() < 2
                              ? kFaultNames.end()
                              : std::find(kFaultNames.begin(), kFaultNames.end(), words[1]);
        if (name == kFaultNames.end()) return bad("fault needs one of " + joined(kFaultNames));
        FaultSpec spec = default_fault(static_cast<size_t>(name - kFaultNames.begin()));
        for (const FaultSpec& other : scenario.faults)
            if (other.index() == spec.index()) return bad("a second fault " + words[1] + " line");
        TRY(std::visit([&](auto& f) { return take_params("fault " + words[1], words, 2, f); },
                       spec));
        scenario.faults.push_back(std::move(spec));
        return {};
    }

    Result<void> swarm(const std::vector<std::string>& words) {
        if (scenario.swarm) return bad("a second swarm line");
        scenario.swarm.emplace();
        TRY(take_params("swarm", words, 1, *scenario.swarm));
        if (scenario.swarm->off + scenario.swarm->extreme > 1)
            return bad("off and extreme of swarm are more than 1 together");
        return {};
    }

    Result<void> checks(const std::vector<std::string>& words) {
        if (!scenario.checks.empty()) return bad("a second check line");
        const auto names = check_names();
        for (size_t i = 1; i < words.size(); ++i) {
            if (std::find(names.begin(), names.end(), words[i]) == names.end())
                return bad("unknown check '" + words[i] + "'; known: " + joined(names));
            if (std::find(scenario.checks.begin(), scenario.checks.end(), words[i]) !=
                scenario.checks.end())
                return bad("check " + words[i] + " is named twice");
            scenario.checks.push_back(words[i]);
        }
        if (scenario.checks.empty()) return bad("check needs one of " + joined(names));
        return {};
    }

    Result<void> required(const std::vector<std::string>& words) {
        if (words.size() < 2) return bad("require needs metric>=number");
        for (size_t i = 1; i < words.size(); ++i) {
            const size_t sign = words[i].find(">=");
            Requirement one;
            if (sign == std::string::npos || !read(words[i].substr(sign + 2), one.minimum) ||
                one.minimum == 0)
                return bad("expected metric>=number from 1, found '" + words[i] + "'");
            one.metric = words[i].substr(0, sign);
            std::vector<std::string_view> known;
            for (const Metric& metric : metrics())
                known.push_back(metric.name);
            if (!find_metric(one.metric))
                return bad("unknown metric '" + one.metric + "'; known: " + joined(known));
            for (const Requirement& other : scenario.required)
                if (other.metric == one.metric) return bad(one.metric + " is required twice");
            scenario.required.push_back(std::move(one));
        }
        return {};
    }

    bool seen_world_ = false;
};

template <typename Spec>
std::string params_text(Spec spec) {
    Printer printer;
    visit_params(spec, printer);
    return printer.text;
}

}  // namespace

std::string_view fault_name(const FaultSpec& fault) { return kFaultNames[fault.index()]; }

std::string print(const FaultSpec& fault) {
    return "fault " + std::string(fault_name(fault)) +
           std::visit([](const auto& f) { return params_text(f); }, fault);
}

std::string print(const Scenario& scenario) {
    std::string out = "world" + params_text(scenario.world) + "\n";
    for (const Workload& workload : scenario.workloads)
        out += "workload " + workload.kind + params_text(workload) + "\n";
    for (const FaultSpec& fault : scenario.faults)
        out += print(fault) + "\n";
    if (scenario.swarm) out += "swarm" + params_text(*scenario.swarm) + "\n";
    out += "check";
    for (const std::string& check : scenario.checks)
        out += " " + check;
    out += scenario.required.empty() ? "" : "\nrequire";
    for (const Requirement& required : scenario.required)
        out += " " + required.metric + ">=" + std::to_string(required.minimum);
    return out + "\n";
}

Result<Scenario> parse_scenario(std::string_view name, std::string_view text) {
    Parser parser;
    for (size_t number = 1; !text.empty(); ++number) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const std::vector<std::string> words = words_of(line);
        if (words.empty()) continue;
        if (const Result<void> done = parser.line(words); !done)
            return fail(done.error().code, std::string(name) + ":" + std::to_string(number) + ": " +
                                               done.error().context);
    }
    Result<Scenario> scenario = parser.finish();
    if (!scenario)
        return fail(scenario.error().code, std::string(name) + ": " + scenario.error().context);
    return scenario;
}

}  // namespace asterias::sim
