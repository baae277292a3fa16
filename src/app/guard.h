// app/guard.h: the users of a process (runtime/epoll/password.h) as its Redis doors ask for them.
#pragma once

#include <atomic>
#include <memory>

#include "edge/resp/guard.h"
#include "runtime/epoll/password.h"

namespace asterias::app {

class Guard final : public edge_resp::Guard {
public:
    explicit Guard(runtime::Users& users) : users_(users) {}
    bool required() const override { return !users_.empty(); }
    bool knows(const std::string& user) const override { return users_.knows(user); }
    GiveUp check(port::Shard& shard, std::string host, std::string user, std::string password,
                 Done done) override {
        const auto gone = std::make_shared<std::atomic<bool>>(false);
        users_.check(shard, {std::move(host), gone}, std::move(user), std::move(password),
                     [done = std::move(done)](runtime::Users::Verdict verdict) mutable {
                         done(verdict == runtime::Users::Verdict::Right   ? Verdict::Right
                              : verdict == runtime::Users::Verdict::Wrong ? Verdict::Wrong
                                                                          : Verdict::Busy);
                     });
        return [gone] { gone->store(true, std::memory_order_relaxed); };
    }

private:
    runtime::Users& users_;
};

}  // namespace asterias::app
