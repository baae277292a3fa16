// app/parameters.h: the settings of a process (app/config/parameters.h) as its Redis doors, on
// several shards, ask for them and change them.
#pragma once

#include <mutex>
#include <utility>

#include "app/config/parameters.h"

namespace asterias::app {

class Parameters final : public edge_resp::Parameters {
public:
    Parameters(const config::Settings& settings, std::function<void()> changed)
        : parameters_(settings, std::move(changed)) {}

    std::vector<Value> all() const override {
        const std::lock_guard lock(mutex_);
        return parameters_.all();
    }
    std::variant<edge_resp::Live, Refused> set(const std::vector<Value>& wanted) override {
        const std::lock_guard lock(mutex_);
        return parameters_.set(wanted);
    }
    void replace(const config::Settings& settings) {
        const std::lock_guard lock(mutex_);
        parameters_.replace(settings);
    }
    edge_resp::Live live() const {
        const std::lock_guard lock(mutex_);
        return parameters_.live();
    }

private:
    mutable std::mutex mutex_;
    config::Parameters parameters_;
};

}  // namespace asterias::app
