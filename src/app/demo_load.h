// app/demo_load.h: the clients of the demo. Each word is an INCR of its key, sent as an
// ASTERIAS.REQUEST; who is in doubt (an UNKNOWN, a lost connection) asks the next node the same
// again and is answered once. (With a plain INCR instead, killing the leader under 128 clients
// counts about 35 words twice, and the demo says WRONG.) Threading: Work and Progress are shared by
// all threads.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/client.h"
#include "app/demo_text.h"
#include "app/local_cluster.h"
#include "base/result.h"

namespace asterias::app {

// The keyspace of the demo; the key of a word is kDemoPrefix and the word.
inline constexpr const char* kDemoKeyspace = "demo";
inline constexpr const char* kDemoPrefix = "demo:";

// Hands out the words of the text in their order, again and again, and ends after a whole pass.
class Work {
public:
    explicit Work(const DemoText& text) : text_(text) {}
    // Place of the next word in `names`; none: all were handed out.
    std::optional<uint32_t> take();
    // Ends it with the pass that is under way, or a later one if `at_least` words want more. The
    // first call decides.
    void finish(size_t at_least);
    // Words of all passes, and those passes; 0 before finish.
    size_t total() const;
    size_t passes() const { return total() / text_.items.size(); }

private:
    const DemoText& text_;
    mutable std::mutex mutex_;
    size_t next_ = 0;
    std::optional<size_t> total_;
};

// What the clients did so far.
struct Progress {
    std::atomic<size_t> done{0}, retries{0}, unknown{0}, lost_answers{0};
    std::atomic<int64_t> last_ack_us{0}, gap_us{0};
    std::atomic<int64_t> trouble_gap_us{0};  // since the latest trouble began
    std::atomic<bool> give_up{false};
    std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();

    int64_t now_us() const;
    void acknowledged();
    // The first reason stays.
    void stop(const std::string& why);
    // Why nobody counts any more; empty: everything was counted, or still is.
    std::string stopped() const;

private:
    mutable std::mutex mutex_;
    std::string why_;
};

// Client number `id` until there is no more work, or it was given up.
void count_words(const LocalCluster& cluster, size_t id, const DemoText& text, Work& work,
                 Progress& progress);

// What `node` says that each of `names` was counted. Errors: Timeout when none of its answers
// helped for `patience`, Corrupt when it answered with something else, Cancelled when `end` became
// true.
Result<std::vector<int64_t>> read_counts(const LocalCluster& cluster, size_t node,
                                         const std::vector<std::string>& names, Duration patience,
                                         const std::atomic<bool>& end);

// A word for people: at most 32 bytes of it, and nothing that a terminal would obey.
std::string shown(const std::string& word);

}  // namespace asterias::app
