// The catalogue in words, for people.
#include "core/catalogue/catalogue.h"

namespace asterias::catalogue {

std::string_view word_of(State state) {
    switch (state) {
        case State::Serving:
            return "serving";
        case State::Founding:
            return "being founded";
        case State::Fencing:
            return "about to be given its keys";
        case State::Copying:
            return "its keys are moved to it";
        case State::Opening:
            return "about to serve";
        case State::Clearing:
            return "serving, moved keys are deleted where they were";
        case State::Closing:
            return "being closed";
        case State::Lifting:
            return "being dropped";
    }
    return "?";
}

std::vector<std::string> promise(const Keyspace& k) {
    const uint32_t quorum = k.copies / 2 + 1;
    const uint32_t losses = k.copies - quorum;
    const auto copies = [](uint32_t n) {
        return std::to_string(n) + (n == 1 ? " copy" : " copies");
    };
    std::vector<std::string> words;
    words.push_back("A write is acknowledged when it is on the disks of " + std::to_string(quorum) +
                    " of " + copies(k.copies) + ".");
    if (losses == 0)
        words.push_back(k.copies == 1
                            ? "The loss of its one node loses it, and while that node is down it "
                              "serves nothing."
                            : "While one of its nodes is down it serves nothing; the loss of one "
                              "disk loses nothing.");
    else
        words.push_back("It serves while at most " + std::to_string(losses) +
                        " of its nodes are down; no acknowledged write is lost while " +
                        std::to_string(quorum) + " keep their disks.");
    words.push_back(
        "A read is linearizable: it sees every write acknowledged before it began, "
        "whichever node was asked.");
    words.push_back(
        "A key past its deadline is gone for all at the same place in the log; its "
        "leader's clock decides when.");
    return words;
}

}  // namespace asterias::catalogue
