#include "base/metrics.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace asterias {

void Histogram::record_micros(uint64_t micros) {
    const size_t i = micros <= 1 ? 0 : std::bit_width(micros - 1);
    buckets_[std::min(i, kBuckets - 1)].fetch_add(1, std::memory_order_relaxed);
    count_.fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(micros, std::memory_order_relaxed);
}

uint64_t Histogram::quantile_micros(double q) const {
    const auto target = static_cast<uint64_t>(q * static_cast<double>(count()));
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
        seen += bucket(i);
        if (seen > target) return uint64_t{1} << i;
    }
    return 0;
}

Registry::Metric& Registry::find(Kind kind, std::string_view name, std::string_view help,
                                 std::string_view labels) {
    std::lock_guard lock(mutex_);
    Family* family = nullptr;
    for (auto& f : families_)
        if (f.name == name) family = &f;
    if (!family)
        family = &families_.emplace_back(std::string(name), std::string(help), kind,
                                         std::deque<Metric>{});
    CHECK(family->kind == kind, "a metric name has one type");
    for (auto& m : family->metrics)
        if (m.labels == labels) return m;
    auto& m = family->metrics.emplace_back();
    m.labels = labels;
    return m;
}

Counter& Registry::counter(std::string_view n, std::string_view h, std::string_view l) {
    return find(Kind::Counter, n, h, l).counter;
}
Gauge& Registry::gauge(std::string_view n, std::string_view h, std::string_view l) {
    return find(Kind::Gauge, n, h, l).gauge;
}
Histogram& Registry::histogram(std::string_view n, std::string_view h, std::string_view l) {
    return find(Kind::Histogram, n, h, l).histogram;
}

std::string Registry::print() const {
    std::lock_guard lock(mutex_);
    std::string out;
    auto line = [&](const std::string& name, const std::string& labels, const std::string& value) {
        out += name;
        if (!labels.empty()) out += "{" + labels + "}";
        out += " " + value + "\n";
    };
    for (const auto& f : families_) {
        static constexpr const char* kTypes[] = {"counter", "gauge", "histogram"};
        out += "# HELP " + f.name + " " + f.help + "\n# TYPE " + f.name + " " +
               kTypes[static_cast<size_t>(f.kind)] + "\n";
        for (const auto& m : f.metrics) {
            switch (f.kind) {
                case Kind::Counter:
                    line(f.name, m.labels, std::to_string(m.counter.value()));
                    break;
                case Kind::Gauge:
                    line(f.name, m.labels, std::to_string(m.gauge.value()));
                    break;
                case Kind::Histogram: {
                    const std::string sep = m.labels.empty() ? "" : m.labels + ",";
                    uint64_t total = 0;
                    for (size_t i = 0; i + 1 < Histogram::kBuckets; ++i) {
                        total += m.histogram.bucket(i);
                        line(f.name + "_bucket",
                             sep + "le=\"" + std::to_string(uint64_t{1} << i) + "\"",
                             std::to_string(total));
                    }
                    total += m.histogram.bucket(Histogram::kBuckets - 1);
                    line(f.name + "_bucket", sep + "le=\"+Inf\"", std::to_string(total));
                    line(f.name + "_sum", m.labels, std::to_string(m.histogram.sum_micros()));
                    line(f.name + "_count", m.labels, std::to_string(total));
                }
            }
        }
    }
    return out;
}

}  // namespace asterias
