#include "app/demo_watch.h"

#include <algorithm>
#include <cstdlib>

#include "app/client.h"
#include "app/demo_load.h"

namespace asterias::app {

DemoWatch::DemoWatch(const LocalCluster& cluster)
    : cluster_(cluster), views_(cluster.size()), thread_([this] { look(); }) {}

DemoWatch::~DemoWatch() {
    over_ = true;
    thread_.join();
}

void DemoWatch::forget(size_t node, bool down) {
    const std::lock_guard lock(mutex_);
    views_[node] = View{.down = down, .generation = views_[node].generation + 1};
}

bool DemoWatch::answers(size_t node) const {
    const std::lock_guard lock(mutex_);
    return views_[node].answers;
}

size_t DemoWatch::leader_locked() const {
    const View* newest = nullptr;
    for (const View& view : views_)
        if (view.holds && (!newest || view.term > newest->term)) newest = &view;
    if (!newest || newest->leader >= views_.size()) return views_.size();
    return views_[newest->leader].answers ? newest->leader : views_.size();
}

size_t DemoWatch::leader() const {
    const std::lock_guard lock(mutex_);
    return leader_locked();
}

bool DemoWatch::all_well() const {
    const std::lock_guard lock(mutex_);
    const size_t leader = leader_locked();
    return leader < views_.size() && std::ranges::all_of(
                                         views_,
                                         [leader](const View& view) {
                                             return view.answers &&
                                                    (!view.holds || view.leader == leader);
                                         });
}

void DemoWatch::look() {
    while (!over_) {
        for (size_t node = 0; node < views_.size() && !over_; ++node)
            look_at(node);
        std::this_thread::sleep_for(milliseconds(50));
    }
}

void DemoWatch::look_at(size_t node) {
    uint64_t generation = 0;
    {
        const std::lock_guard lock(mutex_);
        if (views_[node].down) return;
        generation = views_[node].generation;
    }
    const auto status = http_get(cluster_.http(node), "/status", milliseconds(500));
    View view{.generation = generation, .leader = views_.size()};
    if (status) {
        const size_t at = status->find(std::string("\"keyspace\":\"") + kDemoKeyspace + "\"");
        view.answers = true;
        view.holds = at != std::string::npos;
        if (view.holds) {
            view.term = std::strtoull(json_field(*status, "term", at).c_str(), nullptr, 10);
            view.leader = cluster_.leader_in(*status, kDemoKeyspace);
        }
    }
    const std::lock_guard lock(mutex_);
    if (views_[node].generation == generation) views_[node] = view;
}

}  // namespace asterias::app
