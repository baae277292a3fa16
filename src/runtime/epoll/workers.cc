#include "runtime/epoll/workers.h"

#include <csignal>
#include <pthread.h>

#include "base/check.h"
#include "runtime/epoll/shard.h"

namespace asterias::runtime {

void Workers::push(Job job) {
    const std::lock_guard lock(mutex_);
    CHECK(!stopping_, "jobs come before join()");
    jobs_.push_back(std::move(job));
    if (idle_ < jobs_.size() && threads_.size() < most_) {
        threads_.emplace_back([this] { work(); });
    } else {
        ready_.notify_one();
    }
}

void Workers::work() {
    // Signals are for shard 0 (signalfd) or for the default action, never for a helper thread.
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    ::pthread_setname_np(::pthread_self(), name_);
    std::unique_lock lock(mutex_);
    for (;;) {
        ++idle_;
        ready_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        --idle_;
        if (stopping_) return;
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job();
        job = {};
        lock.lock();
    }
}

void Workers::join() {
    std::deque<Job> dropped;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        dropped.swap(jobs_);
    }
    ready_.notify_all();
    for (auto& thread : threads_)
        thread.join();
    threads_.clear();
}

void detail::resume_on(EpollShard& shard, std::move_only_function<void()> fn) {
    shard.deliver(std::move(fn));
}

}  // namespace asterias::runtime
