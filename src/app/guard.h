// app/guard.h: the users of a process (runtime/epoll/password.h) as its Redis doors ask for them.
#pragma once

#include "edge/resp/guard.h"
#include "runtime/epoll/password.h"

namespace asterias::app {

class Guard final : public edge_resp::Guard {
public:
    explicit Guard(runtime::Users& users) : users_(users) {}
    bool required() const override { return !users_.empty(); }
    void check(port::Shard& shard, std::string user, std::string password, Done done) override {
        users_.check(shard, std::move(user), std::move(password),
                     [done = std::move(done)](runtime::Users::Verdict verdict) mutable {
                         done(verdict == runtime::Users::Verdict::Right   ? Verdict::Right
                              : verdict == runtime::Users::Verdict::Wrong ? Verdict::Wrong
                                                                          : Verdict::Busy);
                     });
    }

private:
    runtime::Users& users_;
};

}  // namespace asterias::app
