// engine/conformance/model.h: what an engine may hold: a base state and the list of steps since.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "port/engine.h"

namespace asterias::engine {

using State = std::map<std::string, std::string, std::less<>>;

struct Install {
    std::vector<port::Span> spans;
    std::vector<port::KeyValue> content;
};

struct Step {
    std::optional<Install> install;
    port::EngineBatch batch;  // of an install: its meta
    port::EngineSeq seq;      // written() after the step
};

void apply_step(State& state, const Step& step);
// Where two states differ first; empty if they are equal.
std::string difference(const State& expected, const State& actual);

class Model {
public:
    // The engine was opened and holds `state`, all of it durable.
    void restart(State state);
    void record(Step step);
    // A step that failed in a way that leaves open whether it happened. The last one before a
    // crash.
    void record_uncertain(Step step);
    void note_durable(port::EngineSeq durable);
    void note_all_durable() { sure_ = steps_.size(); }

    const State& now() const { return now_; }
    size_t steps() const { return steps_.size(); }
    size_t sure() const { return sure_; }  // so many steps were seen durable
    // Steps that certainly happened.
    size_t certain() const { return steps_.size() - (uncertain_ ? 1 : 0); }
    bool uncertain() const { return uncertain_; }

    // How many steps `state` contains: from sure() to steps(). Nothing if it is no such prefix;
    // `why` then describes the mismatch with the shortest allowed one.
    std::optional<size_t> prefix_of(const State& state, std::string& why) const;

private:
    State base_, now_;
    std::vector<Step> steps_;
    size_t sure_ = 0;
    bool uncertain_ = false;
};

}  // namespace asterias::engine
