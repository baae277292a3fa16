// asterias demo: many clients count the words of a text with INCR through all nodes while a node,
// or all of them, are killed with kill -9 and started again; the counts are then compared with a
// count by one thread. Each increment is an ASTERIAS.REQUEST, so that asking again is exact.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>

#include "app/client.h"
#include "app/commands.h"
#include "app/local_cluster.h"
#include "app/operate.h"
#include "base/prng.h"

namespace asterias::app {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Counts = std::map<std::string, int64_t>;

std::vector<std::string> words_of(std::istream& in) {
    std::vector<std::string> words;
    std::string word;
    for (char c; in.get(c);) {
        const auto u = static_cast<unsigned char>(c);
        if (std::isalnum(u) || u >= 0x80) {
            word += static_cast<char>(std::tolower(u));
        } else if (!word.empty()) {
            words.push_back(std::exchange(word, {}));
        }
    }
    if (!word.empty()) words.push_back(word);
    return words;
}

// 100,000 words, few of them often and many seldom, as in a language.
std::vector<std::string> made_up_words() {
    Prng prng(20);
    std::vector<std::string> vocabulary;
    for (int i = 0; i < 5000; ++i) {
        std::string w;
        for (uint64_t n = prng.between(1, 4); n > 0; --n) {
            w += "bdfgklmnprstvz"[prng.below(14)];
            w += "aeiou"[prng.below(5)];
        }
        vocabulary.push_back(w);
    }
    std::vector<std::string> words;
    for (int i = 0; i < 100000; ++i) {
        const double u = prng.unit();
        words.push_back(vocabulary[static_cast<size_t>(u * u * u * 5000)]);
    }
    return words;
}

// What the clients share.
struct Progress {
    std::atomic<size_t> next{0}, done{0}, retries{0}, unknown{0};
    std::atomic<int64_t> last_ack_us{0}, gap_us{0};
    std::atomic<bool> give_up{false};
    std::FILE* out = stdout;  // what is told meanwhile
    SteadyClock::time_point begun = SteadyClock::now();

    int64_t now_us() const {
        return std::chrono::duration_cast<microseconds>(SteadyClock::now() - begun).count();
    }
    void acknowledged() {
        const int64_t now = now_us();
        const int64_t gap = now - last_ack_us.exchange(now);
        int64_t seen = gap_us.load();
        while (gap > seen && !gap_us.compare_exchange_weak(seen, gap)) {
        }
        done.fetch_add(1);
    }
    void stop(const std::string& why) {
        const std::lock_guard lock(mutex_);
        if (!give_up.exchange(true)) why_ = why;
    }
    // Why nobody counts any more; empty: everything was counted.
    std::string stopped() const {
        const std::lock_guard lock(mutex_);
        return why_;
    }

private:
    mutable std::mutex mutex_;
    std::string why_;
};

// Will asking again help? Every other error is the last word.
bool passes(std::string_view error) {
    if (error.starts_with("ERR max number of clients")) return true;  // of this node, just now
    for (const std::string_view code : {"UNKNOWN", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "BUSY"})
        if (error == code || error.starts_with(std::string(code) + " ")) return true;
    return false;
}

std::string shown(const std::string& word) {
    constexpr size_t kMost = 32;
    if (word.size() <= kMost) return "'" + word + "'";
    size_t end = kMost;
    while (end > 0 && (static_cast<unsigned char>(word[end]) & 0xc0) == 0x80)
        --end;  // not inside of a character
    return "'" + word.substr(0, end) + "...' (" + std::to_string(word.size()) + " bytes)";
}

// One client: asks its node; in doubt asks the next one the same again, until it has an answer.
class Client {
public:
    Client(const LocalCluster& cluster, size_t id, Progress& progress)
        : cluster_(cluster), id_(id), progress_(progress), node_(id % cluster.size()) {}

    void count(const std::vector<std::string>& words) {
        for (size_t i; (i = progress_.next.fetch_add(1)) < words.size();) {
            if (!increment(words[i])) return;
            progress_.acknowledged();
        }
    }

private:
    // False: the demo has been given up.
    bool increment(const std::string& word) {
        const std::vector<std::string> request = {"ASTERIAS.REQUEST", "demo-" + std::to_string(id_),
                                                  std::to_string(++sequence_), "INCR",
                                                  "demo:" + word};
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
    // Without an answer the next node is asked next.
    std::optional<resp::Value> ask(const std::vector<std::string>& request) {
        if (!connection_)
            if (auto connected = RespClient::connect(cluster_.resp(node_), seconds(6)))
                connection_.emplace(std::move(*connected));
        if (connection_)
            if (auto value = connection_->call(request)) return std::move(*value);
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

Result<Counts> read_counts(const LocalCluster& cluster, const Counts& expected) {
    Counts counts;
    for (size_t node = 0; node < cluster.size(); ++node) {
        auto client = RespClient::connect(cluster.resp(node), seconds(10));
        if (!client) continue;
        bool all = true;
        counts.clear();
        for (const auto& [word, n] : expected) {
            auto value = client->call({"GET", "demo:" + word});
            if (!value || value->is_error()) {
                all = false;
                break;
            }
            counts[word] = value->is_null() ? 0 : std::atoll(value->text.str().c_str());
        }
        if (all) return counts;
    }
    return fail(Errc::Unavailable, "no node answered every read");
}

void make_trouble(LocalCluster& cluster, const std::string& kind, size_t total, Progress& progress,
                  std::string& told) {
    if (kind == "none") return;
    auto wait_for = [&](size_t done) {
        while (progress.done < done && !progress.give_up)
            std::this_thread::sleep_for(milliseconds(2));
    };
    wait_for(total * 2 / 5);
    if (progress.give_up) return;
    std::vector<size_t> victims;
    if (kind == "all") {
        for (size_t i = 0; i < cluster.size(); ++i)
            victims.push_back(i);
    } else {
        const size_t leader = cluster.leader("demo");
        const bool known = leader < cluster.size();
        victims.push_back(known ? leader : 0);
        told = "node " + std::to_string(victims[0] + 1) +
               (known ? ", the leader," : " (no node named a leader)");
    }
    for (size_t v : victims)
        cluster.kill_hard(v);
    if (kind == "all") told = "all nodes";
    std::fprintf(progress.out, "  kill -9    %s at %zu of %zu words\n", told.c_str(),
                 progress.done.load(), total);
    std::fflush(progress.out);
    // One of several: let the others carry on for a while. All, or the only one: nothing else can
    // go on.
    if (victims.size() < cluster.size()) wait_for(total * 7 / 10);
    for (size_t v : victims)
        cluster.spawn(v);
    std::fprintf(progress.out, "  started    again at %zu of %zu words\n", progress.done.load(),
                 total);
    std::fflush(progress.out);
}

// Prints what was found; the process's exit code. Without counts: it was stopped before.
int judge(const std::optional<Result<Counts>>& read, const Counts& expected, size_t words,
          double taken, const Progress& progress, bool json) {
    const std::string stopped = progress.stopped();
    size_t wrong = 0;
    if (read) {
        if (*read)
            for (const auto& [word, n] : expected)
                wrong += (*read)->at(word) != n;
        const std::string found = !*read       ? read->error().context
                                  : wrong == 0 ? "all equal"
                                               : std::to_string(wrong) + " differ";
        std::fprintf(progress.out, "  checked    %zu counts against a count by one thread: %s\n",
                     expected.size(), found.c_str());
    }
    const bool exact = read && *read && wrong == 0;
    const double gap_ms = static_cast<double>(progress.gap_us) / 1e3;
    std::fprintf(
        progress.out,
        "  rate       %.0f words/s over %.1f s; longest gap %.0f ms; retries %zu, of them UNKNOWN "
        "%zu\n",
        static_cast<double>(progress.done) / taken, taken, gap_ms, progress.retries.load(),
        progress.unknown.load());
    const std::string verdict = exact  ? "exact: nothing lost, nothing twice"
                                : read ? "WRONG"
                                       : "stopped: " + stopped;
    std::fprintf(progress.out, "  verdict    %s\n", verdict.c_str());
    if (json)
        std::printf(
            "{\"exact\":%s,\"stopped\":%s,\"words\":%zu,\"wrong\":%zu,\"seconds\":%.3f,"
            "\"gap_ms\":%.1f,\"retries\":%zu,\"unknown\":%zu}\n",
            exact ? "true" : "false", read ? "false" : "true", words, wrong, taken, gap_ms,
            progress.retries.load(), progress.unknown.load());
    return exact ? kDone : read ? kCheckFailed : kFailed;
}

std::vector<std::string> load_words(const std::string& file) {
    if (file.empty()) return made_up_words();
    std::ifstream in(file, std::ios::binary);
    return words_of(in);
}

int count_and_judge(LocalCluster& cluster, const DemoOptions& options,
                    const std::vector<std::string>& words) {
    Counts expected;
    for (const auto& w : words)
        ++expected[w];
    Progress progress;
    if (options.json) progress.out = stderr;
    std::fprintf(progress.out,
                 "  promised   every acknowledged increment is kept, and none is done twice\n");
    std::fprintf(progress.out,
                 "  counting   %zu words (%zu different) with %u clients through %zu nodes\n",
                 words.size(), expected.size(), options.clients, cluster.size());
    std::fflush(progress.out);

    std::string told = "nobody";
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < options.clients; ++i)
        threads.emplace_back([&, i] { Client(cluster, i, progress).count(words); });
    // Nobody waits for ever: without an acknowledgement for a minute the demo has failed.
    std::thread watch([&] {
        while (progress.done < words.size() && !progress.give_up) {
            if (progress.now_us() - progress.last_ack_us > 60'000'000)
                progress.stop("no word was acknowledged for a minute");
            std::this_thread::sleep_for(milliseconds(20));
        }
    });
    // On this thread: a child ends with the thread that started it (see run_program).
    make_trouble(cluster, options.kill, words.size(), progress, told);
    for (auto& t : threads)
        t.join();
    const double taken = static_cast<double>(progress.now_us()) / 1e6;
    watch.join();
    std::optional<Result<Counts>> read;
    if (progress.done == words.size()) {
        cluster.wait_ready(seconds(20));
        read = read_counts(cluster, expected);
    }
    return judge(read, expected, words.size(), taken, progress, options.json);
}

}  // namespace

int run_demo(const DemoOptions& options) {
    const Caller caller{"demo", "", options.json};
    const std::vector<std::string> words = load_words(options.file);
    if (words.empty()) return caller.fail(kUsage, options.file + " holds no words");
    std::string data = options.data;
    // An earlier count in it would be added to, and its nodes have ports of their own.
    if (!data.empty() && std::filesystem::exists(data + "/node-1")) {
        return caller.fail(kUsage, data +
                                       " holds a cluster already, and the demo makes its own; name "
                                       "a directory with --data that is not there yet");
    }
    if (data.empty()) {
        char name[] = "/tmp/asterias-demo-XXXXXX";
        if (!::mkdtemp(name)) return caller.fail(kFailed, "no temporary directory");
        data = name;
    }
    int result = kFailed;
    {
        LocalCluster cluster({.data = data, .nodes = options.nodes, .keyspaces = {"demo"}});
        if (auto started = cluster.start(seconds(30)); !started)
            return caller.fail(kFailed, started.error().context);
        result = count_and_judge(cluster, options, words);
    }
    if (options.data.empty() && result == kDone) {
        std::error_code ec;
        std::filesystem::remove_all(data, ec);
    } else {
        std::fprintf(options.json ? stderr : stdout, "  data       %s\n", data.c_str());
    }
    return result;
}

}  // namespace asterias::app
