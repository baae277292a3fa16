// app/demo_round.h: one round of the demo: clients that count, nodes that are killed by a plan, and
// the verdict.
// Threading: made and run by the thread that started the cluster (a node ends with the thread that
// started it, see LocalCluster); it has threads of its own for the clients.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "app/demo_load.h"
#include "app/demo_screen.h"
#include "app/demo_text.h"
#include "app/demo_watch.h"
#include "app/local_cluster.h"
#include "base/prng.h"

namespace asterias::app {

struct DemoPlan {
    std::vector<std::string> kinds;  // in this order
    uint64_t seed = 0;
    bool drawn = false;  // the order comes from the seed
};
// `chaos` as in kDemoChaos; a single node has no follower.
DemoPlan plan_of(const std::string& chaos, uint32_t nodes, uint64_t seed);

class DemoRound {
public:
    // The cluster has started. `end` may become true at any time, and nothing is counted then.
    DemoRound(LocalCluster& cluster, const DemoText& text, DemoScreen& screen, uint32_t clients,
              DemoPlan plan, const std::atomic<bool>& end);
    // Prints what happens and the verdict; kDone, kCheckFailed or kFailed.
    int run();

private:
    enum class Done : uint8_t { Nothing, Killed, Stopped, Restarted };
    struct Finding {
        size_t wrong = 0;          // counts, each node's
        std::vector<int64_t> one;  // as the first node that was asked has them
        std::string trouble;       // it could not be read
    };

    void start_clients();
    void direct();
    bool strike(const std::string& kind);
    void mend();
    void recovered();
    // One look at everything, and a short wait; false: it was given up.
    bool tick();
    bool play(Duration time);
    bool play_until(const std::function<bool()>& condition, Duration time);
    // `what` for people, `kind` of the event.
    void tell(const std::string& what, const std::string& text, const std::string& kind,
              const std::string& fields);
    DemoPicture picture();
    void sample();
    Finding check();
    int judge(const Finding& finding);
    void tell_counts(const Finding& finding);
    double seconds_now() const { return static_cast<double>(progress_.now_us()) / 1e6; }

    LocalCluster& cluster_;
    const DemoText& text_;
    DemoScreen& screen_;
    const uint32_t client_count_;
    const DemoPlan plan_;
    const std::atomic<bool>& end_;
    Prng prng_;
    Work work_;
    Progress progress_;
    DemoWatch watch_;
    std::vector<std::thread> clients_;
    std::atomic<size_t> clients_left_{0};
    std::vector<Done> done_;       // to each node
    std::vector<size_t> victims_;  // of the trouble that goes on
    std::string doing_;
    double taken_ = 0;  // seconds of counting
    std::vector<double> rates_;
    size_t sampled_words_ = 0;
    double sampled_at_ = 0;
};

}  // namespace asterias::app
