#include "sim/scenario/scenario.h"

#include <algorithm>
#include <array>
#include <map>

#include "sim/check/checks.h"
#include "sim/scenario/params.h"
#include "sim/scenario/text.h"

namespace asterias::sim {

namespace {

using text::read;
using text::text_of;

// Without the first word, `none`.
constexpr auto kFaultNames = Words(kFaultWords).subspan(1);
static_assert(kFaultNames.size() == std::variant_size_v<FaultSpec>);
constexpr std::array<std::string_view, 5> kWorkloadKinds = {"kv", "counter", "pairs", "order",
                                                            "spans"};

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
                         size_t from, Spec& spec, const auto&... more) {
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
    visit_params(spec, taker, more...);
    return taker.finish();
}

template <size_t I = 0>
FaultSpec default_fault(size_t kind) {
    if constexpr (I + 1 < std::variant_size_v<FaultSpec>)
        if (kind != I) return default_fault<I + 1>(kind);
    return FaultSpec(std::in_place_index<I>);
}

bool is_name(std::string_view name);

class Parser {
public:
    Result<void> line(const std::vector<std::string>& words) {
        const std::string& head = words[0];
        if (head == "world") return world(words);
        if (head == "workload") return workload(words);
        if (head == "fault") return fault(words);
        if (head == "swarm") return swarm(words);
        if (head == "script") return script(words);
        if (head == "at") return step(words);
        if (head == "check") return checks(words);
        if (head == "expect") return expected(words);
        if (head == "require") return required(words);
        return bad("unknown line '" + head +
                   "'; known: world, workload, fault, swarm, script, at, check, expect, "
                   "require");
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

    Result<void> script(const std::vector<std::string>& words) {
        if (std::exchange(seen_script_, true)) return bad("a second script line");
        return take_params("script", words, 1, scenario.script);
    }

    Result<void> step(const std::vector<std::string>& words) {
        Step step;
        if (words.size() < 3 || !read(words[1], step.at) || step.at.low < Duration(0) ||
            step.at.high > kLongest || step.at.low > step.at.high)
            return bad("expected `at TIME VERB ...`, TIME a time or range from 0s to 24h");
        const Verb* verb = find_verb(words[2]);
        if (!verb) {
            std::vector<std::string_view> known;
            for (const Verb& v : kVerbs)
                known.push_back(v.name);
            return bad("unknown verb '" + words[2] + "'; known: " + joined(known));
        }
        step.verb = words[2];
        size_t next = 3;
        if (verb->who) TRY(take_names(words, next, *verb, step.who));
        if (verb->other) TRY(take_names(words, next, *verb, step.other));
        TRY(take_params("at " + step.verb, words, next, step, *verb));
        if (!verb->what.empty() && step.what.empty())
            return bad("at " + step.verb + " needs what=, one of " + joined(verb->what));
        scenario.script.steps.push_back(std::move(step));
        return {};
    }

    // Nodes that a fault may end for good are known before the run, so they are named by number.
    static Result<void> take_names(const std::vector<std::string>& words, size_t& next,
                                   const Verb& verb, std::string& names) {
        const std::string what = "at " + std::string(verb.name);
        if (next >= words.size()) return bad(what + " needs names of nodes");
        names = words[next++];
        const bool links = verb.name == "cut";
        const bool doomed = verb.name == "rot" || verb.name == "directory";
        for (const std::string& name : names_of(names)) {
            const bool fits = links    ? read_link(name).has_value()
                              : doomed ? read_node(name).has_value() && name == names
                                       : is_name(name);
            if (!fits)
                return bad("'" + name + "' of " + what + " is not " +
                           (links    ? "a link, n1>n2"
                            : doomed ? "a node, n1"
                                     : "a node (n1), a role (a), `leader` or `all`"));
        }
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

    Result<void> expected(const std::vector<std::string>& words) {
        const Hope* hope = words.size() < 2 ? nullptr : find_hope(words[1]);
        if (!hope) {
            std::vector<std::string_view> known;
            for (const Hope& h : kHopes)
                known.push_back(h.name);
            return bad("expect needs one of " + joined(known));
        }
        Expectation one;
        one.what = words[1];
        TRY(take_params("expect " + one.what, words, 2, one, *hope));
        scenario.expected.push_back(std::move(one));
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

    bool seen_world_ = false, seen_script_ = false;
};

template <typename Spec>
std::string params_text(Spec spec, const auto&... more) {
    Printer printer;
    visit_params(spec, printer, more...);
    return printer.text;
}

bool is_name(std::string_view name) {
    return name == "leader" || name == "all" || read_role(name) || read_node(name);
}

}  // namespace

const Verb* find_verb(std::string_view name) {
    const auto found = std::ranges::find(kVerbs, name, &Verb::name);
    return found == kVerbs.end() ? nullptr : &*found;
}

const Hope* find_hope(std::string_view name) {
    const auto found = std::ranges::find(kHopes, name, &Hope::name);
    return found == kHopes.end() ? nullptr : &*found;
}

std::vector<std::string> names_of(std::string_view names) {
    std::vector<std::string> all;
    while (true) {
        const size_t comma = names.find(',');
        all.emplace_back(names.substr(0, comma));
        if (comma == std::string_view::npos) return all;
        names.remove_prefix(comma + 1);
    }
}

std::optional<uint32_t> read_node(std::string_view name) {
    uint32_t number = 0;
    if (!name.starts_with('n') || !read(name.substr(1), number) || number < 1 || number > 64)
        return {};
    return number - 1;
}

std::optional<uint32_t> read_role(std::string_view name) {
    if (name.size() != 1 || name[0] < 'a' || name[0] > 'z') return {};
    return static_cast<uint32_t>(name[0] - 'a');
}

std::optional<std::pair<uint32_t, uint32_t>> read_link(std::string_view name) {
    const size_t arrow = name.find('>');
    if (arrow == std::string_view::npos) return {};
    const auto from = read_node(name.substr(0, arrow)), to = read_node(name.substr(arrow + 1));
    if (!from || !to || from == to) return {};
    return std::pair(*from, *to);
}

std::string_view fault_name(const FaultSpec& fault) { return kFaultNames[fault.index()]; }

std::string print(const FaultSpec& fault) {
    return "fault " + std::string(fault_name(fault)) +
           std::visit([](const auto& f) { return params_text(f); }, fault);
}

std::string print(const Step& step) {
    std::string out = "at " + text_of(step.at) + " " + step.verb;
    for (const std::string* names : {&step.who, &step.other})
        if (!names->empty()) out += " " + *names;
    return out + params_text(step, *find_verb(step.verb));
}

std::string print(const Expectation& expectation) {
    return "expect " + expectation.what + params_text(expectation, *find_hope(expectation.what));
}

std::string print(const Scenario& scenario) {
    std::string out = "world" + params_text(scenario.world) + "\n";
    for (const Workload& workload : scenario.workloads)
        out += "workload " + workload.kind + params_text(workload) + "\n";
    for (const FaultSpec& fault : scenario.faults)
        out += print(fault) + "\n";
    if (scenario.swarm) out += "swarm" + params_text(*scenario.swarm) + "\n";
    if (scenario.script.every > Duration(0)) out += "script" + params_text(scenario.script) + "\n";
    for (const Step& step : scenario.script.steps)
        out += print(step) + "\n";
    out += "check";
    for (const std::string& check : scenario.checks)
        out += " " + check;
    for (const Expectation& expectation : scenario.expected)
        out += "\n" + print(expectation);
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
