#include "sim/check/atomic.h"

#include <algorithm>
#include <map>
#include <set>

#include "sim/check/model.h"

namespace asterias::sim {

namespace {

using KeySet = std::vector<std::string>;

KeySet sorted(KeySet keys) {
    std::sort(keys.begin(), keys.end());
    return keys;
}

bool may_write(const Op& op) { return !is_read(op.kind) && op.outcome != Outcome::Failed; }

// Key -> the set of keys it is always written with, by MSETs of one value; empty: no such key.
std::map<std::string, KeySet> find_pairs(const History& history) {
    std::map<std::string, KeySet> pairs;
    for (const Op& op : history) {
        if (!may_write(op)) continue;
        const bool one_value =
            op.kind == OpKind::MSet && op.keys.size() > 1 &&
            std::all_of(op.arguments.begin(), op.arguments.end(),
                        [&](const std::string& value) { return value == op.arguments[0]; });
        const KeySet set = one_value ? sorted(op.keys) : KeySet{};
        for (const std::string& key : op.keys) {
            const auto [at, fresh] = pairs.emplace(key, set);
            if (!fresh && at->second != set) at->second.clear();
        }
    }
    return pairs;
}

struct Tally {
    bool counter = true;
    int64_t acknowledged = 0, unknown = 0;
    std::map<int64_t, const Op*> answers;
    Duration last{-1};               // completion of the last answered INCR
    const Op* final_read = nullptr;  // the last answered read
};

int64_t plus(int64_t a, int64_t b) {
    int64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<int64_t>::max() : sum;
}

Finding violation(std::string check, std::string text, std::vector<const Op*> trace) {
    Finding finding{Verdict::Violation, std::move(check), std::move(text), {}};
    for (const Op* op : trace)
        finding.trace.push_back(*op);
    return finding;
}

void tally_incr(const Op& op, Tally& tally, CheckReport& report) {
    const int64_t amount = incr_number(op.arguments[0]).value_or(0);
    if (amount <= 0) tally.counter = false;
    if (op.outcome == Outcome::Unknown) {
        tally.unknown = plus(tally.unknown, amount);
        return;
    }
    const auto number = op.results[0] ? incr_number(*op.results[0]) : std::nullopt;
    if (!number) {  // the key held something else, so it is no counter
        tally.counter = false;
        return;
    }
    tally.acknowledged = plus(tally.acknowledged, amount);
    tally.last = std::max(tally.last, op.completed);
    const auto [at, fresh] = tally.answers.emplace(*number, &op);
    if (!fresh && tally.counter)
        report.findings.push_back(violation(
            "counters",
            "two increments of " + op.keys[0] + " answered " + std::to_string(*number) + ".\n",
            {at->second, &op}));
}

// A counter's key is written by INCR alone; everything else that was tallied is dropped.
std::map<std::string, Tally> tally_all(const History& history, CheckReport& report) {
    std::map<std::string, Tally> tallies;
    for (const Op& op : history)
        if (may_write(op))
            for (const std::string& key : op.keys) {
                Tally& tally = tallies[key];
                if (op.kind != OpKind::Incr) tally.counter = false;
            }
    for (const Op& op : history) {
        if (op.kind == OpKind::Incr && may_write(op) && tallies[op.keys[0]].counter)
            tally_incr(op, tallies[op.keys[0]], report);
        if (op.kind != OpKind::Get || op.outcome != Outcome::Ok) continue;
        const auto at = tallies.find(op.keys[0]);
        if (at == tallies.end()) continue;
        const Op*& final_read = at->second.final_read;
        if (!final_read || final_read->invoked < op.invoked) final_read = &op;
    }
    return tallies;
}

void judge_counter(const std::string& key, const Tally& tally, CheckReport& report) {
    const int64_t most = plus(tally.acknowledged, tally.unknown);
    const std::string range = "between " + std::to_string(tally.acknowledged) +
                              " acknowledged and " + std::to_string(most) +
                              " with those of unknown fate";
    if (!tally.answers.empty() && tally.answers.rbegin()->first > most)
        report.findings.push_back(violation("counters",
                                            "an increment of " + key + " answered more than " +
                                                std::to_string(most) + ", " + range + ".\n",
                                            {tally.answers.rbegin()->second}));
    if (!tally.final_read || tally.final_read->invoked < tally.last) {
        report.findings.push_back(
            {Verdict::Undecided, "counters", "counter " + key + " has no final read.\n", {}});
        return;
    }
    const Value& read = tally.final_read->results[0];
    const std::optional<int64_t> final_value = read ? incr_number(*read) : 0;
    if (!final_value || *final_value < tally.acknowledged || *final_value > most)
        report.findings.push_back(violation("counters",
                                            "counter " + key + " ends as " + read.value_or("nil") +
                                                ", but must be " + range + ".\n",
                                            {tally.final_read}));
}

}  // namespace

CheckReport check_pairs(const History& history) {
    const std::map<std::string, KeySet> pairs = find_pairs(history);
    CheckReport report;
    report.operations = history.size();
    for (const Op& op : history) {
        if (op.kind != OpKind::MGet || op.outcome != Outcome::Ok) continue;
        std::map<KeySet, size_t> first;
        for (size_t k = 0; k < op.keys.size(); ++k) {
            const auto pair = pairs.find(op.keys[k]);
            if (pair == pairs.end() || pair->second.empty()) continue;
            const auto [at, fresh] = first.emplace(pair->second, k);
            if (fresh || op.results[at->second] == op.results[k]) continue;
            report.findings.push_back(
                violation("atomic",
                          op.keys[at->second] + " and " + op.keys[k] +
                              " are always written together with one value, but one "
                              "MGET saw two.\n",
                          {&op}));
        }
    }
    return report;
}

CheckReport check_counters(const History& history) {
    CheckReport report;
    report.operations = history.size();
    const History merged = merge_requests(history);
    for (const auto& [key, tally] : tally_all(merged, report))
        if (tally.counter) judge_counter(key, tally, report);
    return report;
}

CheckReport check_requests(const History& history) {
    CheckReport report;
    report.operations = history.size();
    std::vector<std::string> disagreements;
    (void)merge_requests(history, &disagreements);
    for (std::string& text : disagreements)
        report.findings.push_back({Verdict::Violation, "requests", std::move(text), {}});
    return report;
}

CheckReport check_final_reads(const History& history) {
    std::map<std::string, Duration> last_answer, last_read;
    for (const Op& op : history) {
        if (op.outcome != Outcome::Ok) continue;
        for (const std::string& key : op.keys) {
            Duration& last = is_read(op.kind) ? last_read[key] : last_answer[key];
            last = std::max(last, is_read(op.kind) ? op.invoked : op.completed);
        }
    }
    CheckReport report;
    report.operations = history.size();
    std::string missing;
    for (const std::string& key : written_keys(history)) {
        const auto read = last_read.find(key);
        if (read == last_read.end() || read->second < last_answer[key]) missing += " " + key;
    }
    if (!missing.empty())
        report.findings.push_back(
            {Verdict::Undecided, "final", "no read after the last write of" + missing + ".\n", {}});
    return report;
}

CheckReport check_atomic(const History& history) {
    CheckReport report = check_pairs(history);
    report.add(check_counters(history));
    report.add(check_requests(history));
    report.add(check_final_reads(history));
    report.operations = history.size();
    return report;
}

}  // namespace asterias::sim
