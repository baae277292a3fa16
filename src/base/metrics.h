// base/metrics.h: counters, gauges and histograms that a room fills and a door prints.
// A Registry belongs to one node; metrics are registered at construction time and live as long as
// it. Threading: values are relaxed atomics, so any shard may count and any thread may print.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

namespace asterias {

class Counter {
public:
    void add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
    uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<uint64_t> value_{0};
};

class Gauge {
public:
    void set(int64_t v) { value_.store(v, std::memory_order_relaxed); }
    void add(int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
    int64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<int64_t> value_{0};
};

// Powers of two in microseconds, from <= 1 us to <= 2^30 us; enough to tell a sync from a stall.
class Histogram {
public:
    static constexpr size_t kBuckets = 32;
    void record_micros(uint64_t micros);
    uint64_t count() const { return count_.load(std::memory_order_relaxed); }
    uint64_t sum_micros() const { return sum_.load(std::memory_order_relaxed); }
    uint64_t bucket(size_t i) const { return buckets_[i].load(std::memory_order_relaxed); }
    // Upper bound of the bucket that holds quantile q (0..1); 0 when empty.
    uint64_t quantile_micros(double q) const;

private:
    std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
    std::atomic<uint64_t> count_{0}, sum_{0};
};

class Registry {
public:
    // `name` in Prometheus' form (asterias_journal_syncs_total); `labels` as printed inside braces,
    // e.g. `shard="0"`, or empty. The same (name, labels) twice returns the same metric.
    Counter& counter(std::string_view name, std::string_view help, std::string_view labels = "");
    Gauge& gauge(std::string_view name, std::string_view help, std::string_view labels = "");
    Histogram& histogram(std::string_view name, std::string_view help,
                         std::string_view labels = "");

    // Prometheus text format 0.0.4; families in the order of their first registration.
    std::string print() const;

private:
    enum class Kind : uint8_t { Counter, Gauge, Histogram };
    struct Metric {
        std::string labels;
        Counter counter;
        Gauge gauge;
        Histogram histogram;
    };
    struct Family {
        std::string name, help;
        Kind kind;
        std::deque<Metric> metrics;  // stable addresses
    };
    Metric& find(Kind kind, std::string_view name, std::string_view help, std::string_view labels);

    mutable std::mutex mutex_;  // registration and printing only
    std::deque<Family> families_;
};

}  // namespace asterias
