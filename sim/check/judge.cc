#include "sim/check/judge.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "sim/check/search.h"
#include "sim/check/windows.h"

namespace asterias::sim {

namespace {

// Disjoint sets of keys joined by operations on several keys.
class KeyGroups {
public:
    uint32_t find(const std::string& key) {
        const auto [at, fresh] = numbers_.emplace(key, static_cast<uint32_t>(parent_.size()));
        if (fresh) parent_.push_back(at->second);
        return root(at->second);
    }
    void join(const std::string& a, const std::string& b) {
        const uint32_t left = find(a), right = find(b);
        parent_[std::max(left, right)] = std::min(left, right);
    }

private:
    uint32_t root(uint32_t at) {
        while (parent_[at] != at)
            at = parent_[at] = parent_[parent_[at]];
        return at;
    }
    std::map<std::string, uint32_t> numbers_;
    std::vector<uint32_t> parent_;
};

std::vector<Window> narrowed(const Model& model, bool by_connection) {
    // Each round spreads what is known over one more edge; stopping early only loses sharpness.
    constexpr int kRoundsMax = 64;
    std::vector<Window> windows = windows_of(model);
    for (int round = 0; round < kRoundsMax; ++round) {
        bool more = narrow_by_sight(model, windows);
        if (narrow_by_counting(model, windows)) more = true;
        if (by_connection && narrow_by_connection(model, windows)) more = true;
        if (!more) break;
    }
    return windows;
}

struct Part {
    std::vector<SearchOp> ops;
    SearchResult result;
};

// Every part with its result. Parts come in the order of their first operation.
std::vector<Part> search_parts(Model& model, const Promise& promise, uint64_t steps_max) {
    const std::vector<Window> windows = narrowed(model, promise.by_connection);
    KeyGroups groups;
    for (const ModelOp& op : model.ops())
        for (const std::string& key : op.source->keys)
            groups.join(op.source->keys[0], key);
    std::map<uint32_t, size_t> part_of;
    std::vector<Part> parts;
    for (uint32_t i = 0; i < windows.size(); ++i) {
        const Op& op = *model.ops()[i].source;
        const auto [at, fresh] = part_of.emplace(groups.find(op.keys[0]), parts.size());
        if (fresh) parts.emplace_back();
        parts[at->second].ops.push_back({.op = i,
                                         .lo = windows[i].lo,
                                         .hi = windows[i].hi,
                                         .certain = windows[i].certain,
                                         .chain = promise.by_connection ? op.connection : 0,
                                         .place = op.sequence});
    }
    for (Part& part : parts)
        part.result = search(model, part.ops, steps_max);
    return parts;
}

std::string keys_text(const Model& model, const Part& part) {
    std::vector<std::string> names;
    for (const SearchOp& op : part.ops)
        for (const uint32_t key : model.ops()[op.op].keys)
            names.push_back(model.key_name(key));
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    std::string out = names.size() == 1 ? "key" : "keys";
    for (size_t i = 0; i < names.size() && i < 8; ++i)
        out += " " + names[i];
    return names.size() > 8 ? out + " and " + std::to_string(names.size() - 8) + " more" : out;
}

// What an operation was narrowed to, where that says more than its line does.
std::string narrowings(const Model& model, const Part& part) {
    std::string out;
    for (const SearchOp& op : part.ops) {
        const Op& source = *model.ops()[op.op].source;
        const Duration end = source.outcome == Outcome::Ok ? source.completed : kNever;
        if (op.lo == source.invoked && op.hi == end) continue;
        out += "    " + print(source) + "   only " + std::to_string(op.lo.count()) + ".." +
               (op.hi == kNever ? "-" : std::to_string(op.hi.count())) + "\n";
    }
    return out;
}

Finding describe(const History& history, const Promise& promise, const SearchLimits& limits) {
    const auto violates = [&](const History& h, uint64_t& effort) {
        return quick_verdict(h, promise, limits.steps_max / 10, &effort) == Verdict::Violation;
    };
    Finding finding{Verdict::Violation, promise.name, {}, {}};
    finding.trace = shrink(history, violates, limits.shrink_effort_max);
    Model model(finding.trace, promise.expiry);
    for (const Part& part : search_parts(model, promise, limits.steps_max)) {
        if (part.result.verdict != Verdict::Violation) continue;
        finding.text = "no order explains " + keys_text(model, part) + ".\n" +
                       explain(model, part.ops, part.result);
        const std::string narrow = narrowings(model, part);
        if (!narrow.empty())
            finding.text += "From what others saw" +
                            std::string(promise.by_connection ? " and the order sent" : "") +
                            ", in nanoseconds:\n" + narrow;
        break;
    }
    return finding;
}

}  // namespace

Verdict quick_verdict(const History& history, const Promise& promise, uint64_t steps_max,
                      uint64_t* effort) {
    Model model(history, promise.expiry);
    Verdict worst = Verdict::Pass;
    if (effort) *effort += history.size();
    for (const Part& part : search_parts(model, promise, steps_max)) {
        worst = std::max(worst, part.result.verdict);
        if (effort) *effort += part.result.steps;
    }
    return worst;
}

CheckReport judge(const History& history, const Promise& promise, const SearchLimits& limits) {
    Model model(history, promise.expiry);
    CheckReport report;
    report.operations = history.size();
    bool described = false;
    for (const Part& part : search_parts(model, promise, limits.steps_max)) {
        report.steps += part.result.steps;
        if (part.result.verdict == Verdict::Pass) continue;
        const std::string keys = keys_text(model, part);
        if (part.result.verdict == Verdict::Undecided) {
            report.findings.push_back({Verdict::Undecided,
                                       promise.name,
                                       keys + ": " + std::to_string(part.ops.size()) +
                                           " operations, no answer after " +
                                           std::to_string(part.result.steps) + " steps.\n",
                                       {}});
        } else if (described) {
            report.findings.push_back(
                {Verdict::Violation, promise.name, "no order explains " + keys + " either.\n", {}});
        } else {
            History suspects;
            if (promise.by_connection)
                suspects = history;  // other keys may hold the evidence
            else
                for (const SearchOp& op : part.ops)
                    suspects.push_back(*model.ops()[op.op].source);
            report.findings.push_back(describe(suspects, promise, limits));
            described = true;
        }
    }
    return report;
}

std::vector<std::vector<uint32_t>> parts_of(const History& history) {
    KeyGroups groups;
    for (const Op& op : history)
        for (const std::string& key : op.keys)
            groups.join(op.keys[0], key);
    std::map<uint32_t, size_t> part_of;
    std::vector<std::vector<uint32_t>> parts;
    for (uint32_t i = 0; i < history.size(); ++i) {
        const auto [at, fresh] = part_of.emplace(groups.find(history[i].keys[0]), parts.size());
        if (fresh) parts.emplace_back();
        parts[at->second].push_back(i);
    }
    return parts;
}

}  // namespace asterias::sim
