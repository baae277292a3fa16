#include "sim/minimise.h"

#include <algorithm>
#include <cctype>

namespace asterias::sim {
namespace {

class Minimiser {
public:
    Minimiser(Scenario scenario, const std::string& failure, const Fails& fails,
              const std::function<bool()>& enough)
        : failure_(failure), fails_(fails), enough_(enough) {
        best_.scenario = std::move(scenario);
    }

    Minimal run() {
        best_.reproduced = still_fails(best_.scenario);
        for (bool smaller = best_.reproduced; smaller && !enough_();) {
            smaller = false;
            smaller |= shorten();
            smaller |= drop_steps();
            smaller |= drop_each(&Scenario::faults, 0);
            smaller |= drop_each(&Scenario::workloads, 1);
            smaller |= fewer_clients();
            smaller |= simpler_world();
        }
        return std::move(best_);
    }

private:
    bool still_fails(const Scenario& scenario) {
        ++best_.tries;
        return kind_of_failure(fails_(scenario)) == failure_;
    }
    bool try_one(Scenario scenario) {
        if (enough_() || !still_fails(scenario)) return false;
        best_.scenario = std::move(scenario);
        return true;
    }

    // The safety phase ends earlier; what would come later goes with it.
    bool shorten() {
        bool shorter = false;
        for (const double share : {0.5, 0.75, 0.9}) {
            while (best_.scenario.world.duration > seconds(1)) {
                Scenario next = best_.scenario;
                const auto ms = static_cast<double>(next.world.duration / milliseconds(1)) * share;
                next.world.duration = milliseconds(static_cast<int64_t>(ms));
                std::erase_if(next.script.steps,
                              [&](const Step& step) { return step.at.low >= next.world.duration; });
                if (!try_one(std::move(next))) break;
                shorter = true;
            }
        }
        return shorter;
    }

    // By halves, then quarters ..., as Zeller's ddmin.
    bool drop_steps() {
        const size_t before = best_.scenario.script.steps.size();
        for (size_t part = (before + 1) / 2; part >= 1; part /= 2) {
            for (size_t at = 0; at < best_.scenario.script.steps.size() && !enough_();) {
                Scenario next = best_.scenario;
                auto& steps = next.script.steps;
                const auto first = steps.begin() + static_cast<ptrdiff_t>(at);
                steps.erase(first,
                            first + static_cast<ptrdiff_t>(std::min(part, steps.size() - at)));
                if (!try_one(std::move(next))) at += part;
            }
            if (part == 1) break;
        }
        return best_.scenario.script.steps.size() < before;
    }

    template <typename T>
    bool drop_each(std::vector<T> Scenario::* list, size_t least) {
        bool fewer = false;
        for (size_t i = 0; i < (best_.scenario.*list).size();) {
            if ((best_.scenario.*list).size() <= least) break;
            Scenario next = best_.scenario;
            (next.*list).erase((next.*list).begin() + static_cast<ptrdiff_t>(i));
            if (try_one(std::move(next)))
                fewer = true;
            else
                ++i;
        }
        return fewer;
    }

    bool fewer_clients() {
        bool fewer = false;
        for (size_t i = 0; i < best_.scenario.workloads.size(); ++i)
            while (best_.scenario.workloads[i].clients.low > 1) {
                Scenario next = best_.scenario;
                Counts& clients = next.workloads[i].clients;
                clients.low = clients.high = clients.low / 2;
                if (!try_one(std::move(next))) break;
                fewer = true;
            }
        return fewer;
    }

    bool simpler_world() {
        bool simpler = false;
        Scenario next = best_.scenario;
        next.world.shards = {1, 1};
        if (next != best_.scenario) simpler |= try_one(next);
        next = best_.scenario;
        next.world.nodes = {3, 3};
        if (next != best_.scenario) simpler |= try_one(next);
        return simpler;
    }

    const std::string failure_;
    const Fails& fails_;
    const std::function<bool()>& enough_;
    Minimal best_;
};

}  // namespace

// The name of the check; of a process that ended its last words, without numbers.
std::string kind_of_failure(const std::string& failure) {
    const size_t colon = failure.find(':');
    if (failure.substr(0, colon) != "process") return failure.substr(0, colon);
    std::string words;
    for (const char c : failure)
        if (!std::isdigit(static_cast<unsigned char>(c))) words += c;
    return words;
}

Minimal minimise(const Scenario& spelled_out, const std::string& failure, const Fails& fails,
                 const std::function<bool()>& enough) {
    return Minimiser(spelled_out, kind_of_failure(failure), fails, enough).run();
}

}  // namespace asterias::sim
