// sim/story.h: what happened in a run, for people: who starts, falls and leads, what was done to
// the cluster, what nodes say of themselves; of the clients only how they fared in between.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace asterias::sim {

class Storyteller {
public:
    using Print = std::function<void(std::string_view line)>;
    // `operations`: nothing is left out, every operation and every word of a node is told.
    Storyteller(Print print, bool operations) : print_(std::move(print)), all_(operations) {}

    // A line of a run (world/cluster.h, Story): seconds, then what happened.
    void hear(std::string_view line);
    // What is left to tell.
    void end();

private:
    void count(std::string_view text);
    void tell_clients();

    Print print_;
    const bool all_;
    std::string since_;  // when the first of what is counted happened
    uint64_t answered_ = 0, failed_ = 0, unknown_ = 0, lost_ = 0;
    std::map<std::string, uint64_t, std::less<>> errors_;  // by their first word
};

}  // namespace asterias::sim
