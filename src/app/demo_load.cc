#include "app/demo_load.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace asterias::app {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Will asking again help? Every other error is the last word.
bool passes(std::string_view error) {
    if (error.starts_with("ERR max number of clients")) return true;  // of this node, just now
    for (const std::string_view code : {"UNKNOWN", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "BUSY"})
        if (error == code || error.starts_with(std::string(code) + " ")) return true;
    return false;
}

// Asks its node; without an answer the next one the same again, until it has one.
class CountingClient {
public:
    CountingClient(const LocalCluster& cluster, size_t id, Progress& progress)
        : cluster_(cluster), id_(id), progress_(progress), node_(id % cluster.size()) {}

    // False: the demo has been given up.
    bool increment(const std::string& word) {
        const std::vector<std::string> request = {"ASTERIAS.REQUEST", "demo-" + std::to_string(id_),
                                                  std::to_string(++sequence_), "INCR",
                                                  kDemoPrefix + word};
        for (int attempt = 0; !progress_.give_up; ++attempt) {
            if (attempt > 0) {
                progress_.retries.fetch_add(1);
                std::this_thread::sleep_for(milliseconds(std::min(attempt * 5, 100)));
            }
            const auto value = ask(request);
            if (!value) continue;
            if (value->kind == resp::ValueKind::Integer) return true;
            const std::string text = value->text.str();
            if (!value->is_error() || !passes(text))
                progress_.stop("the word " + shown(word) + " was answered with: " + text);
            if (text.starts_with("UNKNOWN")) progress_.unknown.fetch_add(1);
        }
        return false;
    }

private:
    std::optional<resp::Value> ask(const std::vector<std::string>& request) {
        if (!connection_)
            if (auto connected = RespClient::connect(cluster_.resp(node_), seconds(6)))
                connection_.emplace(std::move(*connected));
        if (connection_) {
            if (auto value = connection_->call(request)) return std::move(*value);
            progress_.lost_answers.fetch_add(1);
        }
        connection_.reset();
        node_ = (node_ + 1) % cluster_.size();
        return std::nullopt;
    }

    const LocalCluster& cluster_;
    const size_t id_;
    Progress& progress_;
    size_t node_;
    std::optional<RespClient> connection_;
    uint64_t sequence_ = 0;
};

void raise_to(std::atomic<int64_t>& most, int64_t value) {
    int64_t seen = most.load();
    while (value > seen && !most.compare_exchange_weak(seen, value)) {
    }
}

bool valid_utf8(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const size_t length = lead < 0x80                   ? 1
                              : lead >= 0xc2 && lead < 0xe0 ? 2
                              : lead >= 0xe0 && lead < 0xf0 ? 3
                              : lead >= 0xf0 && lead < 0xf5 ? 4
                                                            : 0;
        if (length == 0 || i + length > text.size()) return false;
        for (size_t k = 1; k < length; ++k)
            if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
        i += length;
    }
    return true;
}

}  // namespace

std::optional<uint32_t> Work::take() {
    const std::lock_guard lock(mutex_);
    if (total_ && next_ >= *total_) return std::nullopt;
    return text_.items[next_++ % text_.items.size()];
}

void Work::finish(size_t at_least) {
    const std::lock_guard lock(mutex_);
    if (total_) return;
    const size_t pass = text_.items.size();
    total_ = (std::max({next_, at_least, size_t{1}}) + pass - 1) / pass * pass;
}

size_t Work::total() const {
    const std::lock_guard lock(mutex_);
    return total_.value_or(0);
}

int64_t Progress::now_us() const {
    return std::chrono::duration_cast<microseconds>(SteadyClock::now() - begun).count();
}

void Progress::acknowledged() {
    const int64_t now = now_us();
    const int64_t gap = now - last_ack_us.exchange(now);
    raise_to(gap_us, gap);
    raise_to(trouble_gap_us, gap);
    done.fetch_add(1);
}

void Progress::stop(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (!give_up.exchange(true)) why_ = why;
}

std::string Progress::stopped() const {
    const std::lock_guard lock(mutex_);
    return why_;
}

void count_words(const LocalCluster& cluster, size_t id, const DemoText& text, Work& work,
                 Progress& progress) {
    CountingClient client(cluster, id, progress);
    while (const auto place = work.take()) {
        if (!client.increment(text.names[*place])) return;
        progress.acknowledged();
    }
}

Result<std::vector<int64_t>> read_counts(const LocalCluster& cluster, size_t node,
                                         const std::vector<std::string>& names, Duration patience,
                                         const std::atomic<bool>& end) {
    constexpr size_t kAtOnce = 50;
    auto deadline = SteadyClock::now() + patience;
    std::optional<RespClient> connection;
    std::vector<int64_t> counts;
    std::string trouble = "it could not be reached";
    while (counts.size() < names.size()) {
        if (end) return fail(Errc::Cancelled, "interrupted");
        if (SteadyClock::now() > deadline) return fail(Errc::Timeout, trouble);
        if (!connection) {
            auto connected = RespClient::connect(cluster.resp(node), seconds(10));
            if (connected) connection.emplace(std::move(*connected));
        }
        std::vector<std::string> request = {"MGET"};
        for (size_t i = counts.size(); i < names.size() && request.size() <= kAtOnce; ++i)
            request.push_back(kDemoPrefix + names[i]);
        auto value = connection ? connection->call(request)
                                : Result<resp::Value>(fail(Errc::Unavailable, "no connection"));
        if (!value || value->is_error()) {
            trouble = value ? value->text.str() : value.error().context;
            if (value && !passes(trouble)) return fail(Errc::Corrupt, trouble);
            connection.reset();
            std::this_thread::sleep_for(milliseconds(50));
            continue;
        }
        if (value->items.size() + 1 != request.size())
            return fail(Errc::Corrupt, "it answered with another number of values");
        for (const auto& item : value->items)
            counts.push_back(item.is_null() ? 0 : std::atoll(item.text.str().c_str()));
        deadline = SteadyClock::now() + patience;
    }
    return counts;
}

std::string shown(const std::string& word) {
    constexpr size_t kMost = 32;
    const bool text = valid_utf8(word);
    size_t end = std::min(word.size(), kMost);
    // Not inside of a character.
    while (text && end < word.size() && (static_cast<unsigned char>(word[end]) & 0xc0) == 0x80)
        --end;
    std::string out;
    for (size_t i = 0; i < end; ++i) {
        const auto c = static_cast<unsigned char>(word[i]);
        const bool c1 = c == 0xc2 && i + 1 < end && static_cast<unsigned char>(word[i + 1]) < 0xa0;
        if (c1) ++i;
        out += c < 0x20 || c == 0x7f || c1 || (c >= 0x80 && !text) ? '?' : word[i];
    }
    if (end == word.size()) return "'" + out + "'";
    return "'" + out + "...' (" + std::to_string(word.size()) + " bytes)";
}

}  // namespace asterias::app
