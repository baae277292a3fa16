// From a history that breaks a promise to a short one that still does.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "sim/check/judge.h"

namespace asterias::sim {

namespace {

class Shrinker {
public:
    Shrinker(History history, const Violates& violates, uint64_t effort_max)
        : history_(std::move(history)), violates_(violates), effort_max_(effort_max) {}

    History run() {
        cut_end();
        for (size_t before = 0; before != history_.size();) {
            before = history_.size();
            drop_parts();
            drop_single();
        }
        std::sort(history_.begin(), history_.end(), [](const Op& a, const Op& b) {
            return std::tie(a.invoked, a.connection, a.sequence) <
                   std::tie(b.invoked, b.connection, b.sequence);
        });
        return std::move(history_);
    }

private:
    bool may_try() const { return effort_ < effort_max_; }

    bool accept(History candidate) {
        if (!may_try() || !violates_(candidate, effort_)) return false;
        history_ = std::move(candidate);
        return true;
    }

    // What was known at `end`: replies that came later are not there yet.
    History until(Duration end) const {
        History cut;
        for (const Op& op : history_) {
            if (op.invoked > end) continue;
            cut.push_back(op);
            if (op.completed <= end || op.outcome == Outcome::Failed) continue;
            cut.back().completed = kNever;
            cut.back().outcome = Outcome::Unknown;
            cut.back().results.clear();
        }
        return cut;
    }

    // A longer beginning of a history only knows more, so bisection finds the reply that broke it.
    void cut_end() {
        std::vector<Duration> ends;
        for (const Op& op : history_)
            if (op.outcome == Outcome::Ok) ends.push_back(op.completed);
        std::sort(ends.begin(), ends.end());
        size_t low = 0, high = ends.size();
        while (low < high) {
            const size_t middle = low + (high - low) / 2;
            History cut = until(ends[middle]);
            if (!may_try()) return;
            if (violates_(cut, effort_))
                high = middle;
            else
                low = middle + 1;
        }
        if (high < ends.size()) history_ = until(ends[high]);
    }

    void without(const std::vector<bool>& dropped) {
        History rest;
        for (size_t i = 0; i < history_.size(); ++i)
            if (!dropped[i]) rest.push_back(history_[i]);
        accept(std::move(rest));
    }

    void drop_parts() {
        std::vector<std::string> first_keys;
        for (const auto& part : parts_of(history_))
            first_keys.push_back(history_[part[0]].keys[0]);
        for (const std::string& key : first_keys) {
            for (const auto& part : parts_of(history_)) {
                if (history_[part[0]].keys[0] != key) continue;
                std::vector<bool> dropped(history_.size(), false);
                for (const uint32_t i : part)
                    dropped[i] = true;
                without(dropped);
                break;
            }
        }
    }

    // Indices of what may go: it changed nothing, or it is a blind write that nobody saw on keys
    // that know only such writes and reads.
    std::vector<uint32_t> removable() const {
        std::set<std::string> not_plain;
        std::set<std::pair<std::string, Value>> seen;
        for (const Op& op : history_) {
            if (op.outcome == Outcome::Failed) continue;
            if (!is_read(op.kind) && op.kind != OpKind::Set && op.kind != OpKind::MSet)
                not_plain.insert(op.keys.begin(), op.keys.end());
            if (op.outcome != Outcome::Ok || !is_read(op.kind)) continue;
            for (size_t k = 0; k < op.keys.size(); ++k)
                seen.insert({op.keys[k], op.results[k]});
        }
        std::vector<uint32_t> found;
        for (uint32_t i = 0; i < history_.size(); ++i) {
            const Op& op = history_[i];
            bool may = is_read(op.kind) || op.outcome == Outcome::Failed;
            if (op.outcome == Outcome::Ok && (op.kind == OpKind::Del || op.kind == OpKind::SetNx) &&
                op.results[0] == "0")
                may = true;
            if (op.kind == OpKind::Set || op.kind == OpKind::MSet) {
                may = true;
                for (size_t k = 0; k < op.keys.size(); ++k)
                    if (not_plain.contains(op.keys[k]) ||
                        seen.contains({op.keys[k], op.arguments[k]}))
                        may = false;
            }
            if (may) found.push_back(i);
        }
        return found;
    }

    void drop_single() {
        for (size_t chunk = std::max<size_t>(removable().size() / 2, 1);; chunk /= 2) {
            for (size_t from = 0; may_try();) {
                const std::vector<uint32_t> may = removable();
                if (from >= may.size()) break;
                std::vector<bool> dropped(history_.size(), false);
                for (size_t i = from; i < std::min(from + chunk, may.size()); ++i)
                    dropped[may[i]] = true;
                const size_t before = history_.size();
                without(dropped);
                if (history_.size() == before) from += chunk;
            }
            if (chunk <= 1) break;
        }
    }

    History history_;
    const Violates& violates_;
    const uint64_t effort_max_;
    uint64_t effort_ = 0;
};

}  // namespace

History shrink(History history, const Violates& violates, uint64_t effort_max) {
    return Shrinker(std::move(history), violates, effort_max).run();
}

}  // namespace asterias::sim
