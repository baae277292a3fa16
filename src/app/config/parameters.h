// app/config/parameters.h: the table of settings as CONFIG GET and CONFIG SET of the Redis door
// know it: every row by its name, some by the name that Redis has for it, and what Redis has and is
// fixed here. Threading: one at a time; app/parameters.h sees to that.
#pragma once

#include <functional>

#include "app/config/settings.h"

namespace asterias::config {

class Parameters final : public edge_resp::Parameters {
public:
    // `changed` is called, inside, whenever live() is another: it tells the doors.
    Parameters(const Settings& settings, std::function<void()> changed)
        : settings_(settings), changed_(std::move(changed)) {}

    std::vector<Value> all() const override;
    // Errors, as of Redis 7.0: a name twice, unknown, not to be changed, a value that is none.
    std::variant<edge_resp::Live, Refused> set(const std::vector<Value>& wanted) override;
    // What is said at SIGHUP.
    void replace(const Settings& settings);
    edge_resp::Live live() const;

private:
    Settings settings_;
    const std::function<void()> changed_;
};

}  // namespace asterias::config
