// sim/explore/explorer.h: every state that a group can reach within the bounds of a Setup, breadth
// first, so that the first broken rule comes with a shortest way there.
//
// The network is the set of all messages ever sent: each may arrive at any time, in any order, any
// number of times, or never. A reply of a term that its addressee's disk is beyond is taken out:
// the core drops it without a word, whatever else happens.
//
// A state is small because its parts are numbered: replicas (by fingerprint), messages, histories.
// What an action makes of a replica is computed once, by the real core, and then looked up. So a
// state costs some tens of bytes and a step some tens of nanoseconds, while no line of the core is
// modelled. States that were seen are remembered by 128 bits; at 10^8 states the chance that two of
// them ever met in one is below 10^-22.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/explore/history.h"
#include "sim/explore/replica.h"
#include "sim/explore/tables.h"

namespace asterias::sim::explore {

struct Limits {
    uint64_t states = 60'000'000;  // some 50 bytes each, and the breadth of a level
    // Compare every so many-th replica that is found to be one already known with that one, action
    // by action; 0: none. The test of the fingerprint.
    uint64_t audit_every = 0;
};

struct Report {
    uint64_t states = 0, transitions = 0, replicas = 0, parcels = 0, histories = 0, audited = 0;
    uint64_t commits = 0;   // the longest committed log that was seen
    uint64_t installs = 0;  // replica states in the middle of one
    uint64_t changes = 0;   // committed memberships that were seen
    unsigned depth = 0;
    bool complete = false;            // all states within the bounds were seen
    std::string broken;               // the first broken rule; empty: none
    std::vector<std::string> script;  // the way there
};

class Explorer {
public:
    Explorer(const Setup& setup, const Limits& limits);
    ~Explorer();
    Report run();

private:
    struct Local;
    struct Step;
    struct State;
    struct Known;

    uint32_t number_of(Replica replica);
    uint32_t number_of(const Parcel& parcel);
    View view_of(const Replica& replica);
    const Step& step(uint32_t local, Action action);
    Step compute(const Local& local, Action action);
    std::string audit(const Replica& known, const Replica& found);

    State start();
    void expand(const State& state, std::vector<uint32_t>& next);
    void expand_replica(const State& state, size_t r, std::vector<uint32_t>& next);
    void take(const State& state, Action action, uint8_t Budgets::* budget,
              std::vector<uint32_t>& next);
    void send(State& state, const std::vector<uint32_t>& parcels) const;
    void drop_void(State& state) const;
    void drop_links(State& state, size_t replica) const;
    void move_parcels(State& state, Action action) const;
    uint32_t link_of(uint32_t parcel) const;
    Hash128 hash_of_sent(const State& state) const;
    bool is_void(const State& state, uint32_t parcel) const;
    std::string note(State& state, uint32_t before, Action action, const Step& step);
    MembershipOf membership_of() const;
    Hash128 hash_of(const State& state) const;
    void found(const std::string& broken, uint32_t node, Action last);
    std::vector<std::string> retell(const std::vector<Action>& actions);

    const Setup setup_;
    const Limits limits_;
    std::unique_ptr<Known> known_;
    Report report_;
};

}  // namespace asterias::sim::explore
