#include "engine/conformance/test_shard.h"

#include "base/check.h"

namespace asterias::engine {

void TestShard::run_until(const std::function<bool()>& done) {
    while (!done()) {
        port::Callback fn;
        {
            std::unique_lock lock(mutex_);
            if (ready_.empty() && timers_.empty())
                submitted_.wait(lock, [this] { return !ready_.empty(); });
            if (!ready_.empty()) {
                fn = std::move(ready_.front());
                ready_.pop_front();
            }
        }
        if (!fn) {
            auto first = timers_.begin();
            now_ = first->first.first;
            fn = std::move(first->second);
            timers_.erase(first);
        }
        fn();
    }
}

template <typename T>
T TestShard::wait_for(port::Task<T> asked) {
    struct Reader {
        static port::Task<> run(port::Task<T> asked, std::optional<T>& answer) {
            answer = co_await std::move(asked);
        }
    };
    std::optional<T> answer;
    port::Scope scope(*this);
    scope.spawn("test.read", Reader::run(std::move(asked), answer));
    run_until([&] { return answer && scope.active() == 0; });
    return std::move(*answer);
}

Result<std::optional<Bytes>> TestShard::read(port::Engine& engine, std::string_view key) {
    return wait_for(engine.get(*this, Bytes::copy(key)));
}

Result<std::vector<port::KeyValue>> TestShard::scan(port::Engine& engine, std::string_view from,
                                                    port::ScanLimit limit) {
    return wait_for(engine.scan(*this, Bytes::copy(from), {}, limit));
}

Result<void> TestShard::add(port::Staging& staging, std::vector<port::KeyValue> content) {
    return wait_for(staging.add(*this, std::move(content)));
}

Result<void> TestShard::install(port::Staging& staging, port::EngineBatch meta) {
    return wait_for(staging.install(*this, std::move(meta)));
}

Result<void> TestShard::install(port::Engine& engine, std::vector<port::Span> spans,
                                std::vector<port::KeyValue> content, port::EngineBatch meta) {
    auto staging = engine.stage(std::move(spans));
    if (!staging) return std::unexpected(staging.error());
    if (auto added = add(**staging, std::move(content)); !added) return added;
    return install(**staging, std::move(meta));
}

port::Net& TestShard::net() { check_failed("no net", "an engine does not ask for the network"); }
port::Disk& TestShard::disk() { check_failed("no disk", "an engine has its own disk"); }

void TestShard::submit(ShardId to, port::Callback fn) {
    CHECK(to == id_, "there is one shard");
    std::lock_guard lock(mutex_);  // held to the end: who is woken may be done with the shard
    ready_.push_back(std::move(fn));
    submitted_.notify_one();
}

port::TimerId TestShard::after(Duration delay, port::Callback fn) {
    const uint64_t id = ++last_timer_;
    timers_.emplace(std::pair(now_ + delay, id), std::move(fn));
    return port::TimerId(id);
}

void TestShard::cancel(port::TimerId id) {
    std::erase_if(timers_, [id](const auto& timer) { return timer.first.second == id.value; });
}

}  // namespace asterias::engine
