#include "engine/conformance/model.h"

#include "base/check.h"

namespace asterias::engine {
namespace {

void erase_range(State& state, std::string_view from, std::string_view to) {
    if (from < to) state.erase(state.lower_bound(from), state.lower_bound(to));
}

std::string quote(const State& state, State::const_iterator at) {
    if (at == state.end()) return "nothing";
    return at->first + "=" + at->second.substr(0, 12) + "(" + std::to_string(at->second.size()) +
           ")";
}

}  // namespace

void apply_step(State& state, const Step& step) {
    if (step.install) {
        for (const auto& [from, to] : step.install->spans)
            erase_range(state, from.view(), to.view());
        for (const auto& pair : step.install->content)
            state.insert_or_assign(pair.key.str(), pair.value.str());
    }
    for (const auto& op : step.batch.ops()) {
        switch (op.kind) {
            case port::EngineBatch::Kind::Put:
                state.insert_or_assign(op.key.str(), op.value.str());
                break;
            case port::EngineBatch::Kind::Delete:
                state.erase(op.key.str());
                break;
            case port::EngineBatch::Kind::DeleteRange:
                erase_range(state, op.key.view(), op.value.view());
                break;
        }
    }
}

std::string difference(const State& expected, const State& actual) {
    auto e = expected.begin();
    auto a = actual.begin();
    while (e != expected.end() && a != actual.end() && *e == *a)
        ++e, ++a;
    if (e == expected.end() && a == actual.end()) return {};
    return "expected " + quote(expected, e) + ", found " + quote(actual, a);
}

void Model::restart(State state) {
    base_ = std::move(state);
    now_ = base_;
    steps_.clear();
    sure_ = 0;
    uncertain_ = false;
}

void Model::record(Step step) {
    CHECK(!uncertain_, "an uncertain step is the last one before a crash");
    apply_step(now_, step);
    steps_.push_back(std::move(step));
}

void Model::record_uncertain(Step step) {
    CHECK(!uncertain_, "one uncertain step before a crash");
    steps_.push_back(std::move(step));
    uncertain_ = true;
}

void Model::note_durable(port::EngineSeq durable) {
    while (sure_ < certain() && steps_[sure_].seq <= durable)
        ++sure_;
}

std::optional<size_t> Model::prefix_of(const State& state, std::string& why) const {
    State candidate = base_;
    for (size_t i = 0; i < sure_; ++i)
        apply_step(candidate, steps_[i]);
    for (size_t count = sure_;; ++count) {
        if (candidate == state) return count;
        if (count == sure_) why = difference(candidate, state);
        if (count == steps_.size()) return std::nullopt;
        apply_step(candidate, steps_[count]);
    }
}

}  // namespace asterias::engine
