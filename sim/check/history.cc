#include "sim/check/history.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "base/check.h"

namespace asterias::sim {

std::string_view to_string(OpKind kind) {
    static constexpr std::array<std::string_view, 9> kNames = {
        "get", "set", "del", "incr", "setnx", "setpx", "mset", "mget", "wipe"};
    return kNames[static_cast<size_t>(kind)];
}

Duration Recorder::stamp(Duration now) {
    last_ = std::max(now, last_ + Duration(1));
    return last_;
}

Recorder::Id Recorder::invoked(Duration now, Op op) {
    op.invoked = stamp(now);
    op.completed = kNever;
    op.outcome = Outcome::Unknown;
    op.results.clear();
    if (op.connection != 0) {
        const auto at = std::lower_bound(sequences_.begin(), sequences_.end(),
                                         std::pair<uint64_t, uint64_t>(op.connection, 0));
        if (at != sequences_.end() && at->first == op.connection)
            op.sequence = ++at->second;
        else
            op.sequence = sequences_.insert(at, {op.connection, 1})->second;
    }
    history_.push_back(std::move(op));
    ++open_;
    return history_.size() - 1;
}

void Recorder::complete(Id id, Duration now, Outcome outcome) {
    CHECK(id < history_.size(), "an id comes from invoked()");
    Op& op = history_[id];
    CHECK(op.completed == kNever, "an operation completes once");
    op.completed = stamp(now);
    op.outcome = outcome;
    --open_;
}

void Recorder::ok(Id id, Duration now, std::vector<Value> results) {
    complete(id, now, Outcome::Ok);
    history_[id].results = std::move(results);
}
void Recorder::failed(Id id, Duration now) { complete(id, now, Outcome::Failed); }
void Recorder::unknown(Id id, Duration now) { complete(id, now, Outcome::Unknown); }

namespace {

// `into` is one operation so far; `next` another attempt of the same request, invoked later.
void merge_attempt(Op& into, const Op& next, std::vector<std::string>* disagreements) {
    if (into.kind != next.kind || into.keys != next.keys || into.arguments != next.arguments ||
        (into.outcome == Outcome::Ok && next.outcome == Outcome::Ok &&
         into.results != next.results)) {
        if (disagreements)
            disagreements->push_back("attempts of one request differ:\n  " + print(into) + "\n  " +
                                     print(next) + "\n");
        return;
    }
    into.connection = into.sequence = 0;
    if (next.outcome != Outcome::Ok) return;
    if (into.outcome == Outcome::Ok) {
        into.completed = std::min(into.completed, next.completed);
    } else {
        into.outcome = Outcome::Ok;
        into.completed = next.completed;
        into.results = next.results;
    }
}

}  // namespace

History merge_requests(const History& history, std::vector<std::string>* disagreements) {
    History merged;
    std::map<std::pair<uint64_t, uint64_t>, std::vector<const Op*>> requests;
    for (const Op& op : history) {
        if (op.request == 0)
            merged.push_back(op);
        else
            requests[{op.client, op.request}].push_back(&op);
    }
    for (auto& [id, attempts] : requests) {
        std::sort(attempts.begin(), attempts.end(), [](const Op* a, const Op* b) {
            return std::tie(a->invoked, a->connection, a->sequence) <
                   std::tie(b->invoked, b->connection, b->sequence);
        });
        const auto happened = std::find_if(attempts.begin(), attempts.end(), [](const Op* op) {
            return op->outcome != Outcome::Failed;
        });
        if (happened == attempts.end()) {
            merged.push_back(*attempts.front());
            continue;
        }
        Op one = **happened;
        for (auto at = happened + 1; at != attempts.end(); ++at)
            if ((*at)->outcome != Outcome::Failed) merge_attempt(one, **at, disagreements);
        merged.push_back(std::move(one));
    }
    return merged;
}

std::vector<std::string> written_keys(const History& history) {
    std::set<std::string> keys;
    for (const Op& op : history)
        if (!is_read(op.kind) && op.outcome != Outcome::Failed)
            keys.insert(op.keys.begin(), op.keys.end());
    return {keys.begin(), keys.end()};
}

uint64_t expirations_seen(const History& history) {
    std::vector<const Op*> by_time;
    for (const Op& op : history)
        by_time.push_back(&op);
    std::ranges::sort(by_time, {}, [](const Op* op) { return op->invoked; });
    // By key: the last write. Which one it is, is not known of those that overlap.
    struct Last {
        bool expires = false;
        Duration end{-1};
    };
    std::map<std::string, Last> last;
    uint64_t seen = 0;
    for (const Op* op : by_time) {
        if (op->outcome == Outcome::Failed) continue;
        if (is_read(op->kind)) {
            for (size_t i = 0; op->outcome == Outcome::Ok && i < op->keys.size(); ++i) {
                const auto at = last.find(op->keys[i]);
                seen += !op->results[i] && at != last.end() && at->second.expires &&
                        at->second.end < op->invoked;
            }
            continue;
        }
        const Duration end = op->outcome == Outcome::Ok ? op->completed : kNever;
        for (const std::string& key : op->keys) {
            Last& before = last[key];
            const bool after = before.end < op->invoked;
            before = {after && op->kind == OpKind::SetPx, std::max(before.end, end)};
        }
    }
    return seen;
}

}  // namespace asterias::sim
