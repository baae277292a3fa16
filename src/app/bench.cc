// asterias bench: a load in a closed loop on the Redis doors of a cluster (app/load), and figures
// of it.
#include <csignal>
#include <cstdio>
#include <unistd.h>

#include "app/commands.h"
#include "app/load/generator.h"
#include "app/text.h"

namespace asterias::app {
namespace {

constexpr double kFillSecondsMost = 120;
constexpr size_t kDeletedAtOnce = 500;

volatile std::sig_atomic_t interrupted = 0;

void on_interrupt(int) { interrupted = 1; }

double micros(uint64_t ns) { return static_cast<double>(ns) / 1e3; }

class Bench {
public:
    Bench(const BenchOptions& options, const Caller& caller, RedisDoors doors)
        : options_(options), caller_(caller), doors_(std::move(doors)) {}

    int run() {
        // A wrong password is told once, not by every connection.
        if (auto client = doors_.enter(); !client) return client.error();
        std::signal(SIGINT, on_interrupt);
        std::signal(SIGTERM, on_interrupt);
        if (options_.mode != "set")
            if (const int code = fill(); code != kDone) return clean(code);
        const auto mode = options_.mode == "set"   ? load::Mode::Set
                          : options_.mode == "get" ? load::Mode::Get
                                                   : load::Mode::Mixed;
        auto made = load::Generator::make(options_of(mode));
        if (!made) return clean(caller_.fail(kUsage, made.error().context));
        const load::Figures figures = (*made)->run();
        clear_line();
        if (figures.latency.count() == 0)
            return clean(caller_.fail(
                kFailed, interrupted ? "interrupted before anything was counted"
                                     : "nothing was answered: " + figures.first_failure));
        print(figures);
        return clean(figures.failed || figures.reconnects ? kCheckFailed : kDone);
    }

private:
    load::Options options_of(load::Mode mode) {
        load::Options o;
        for (const auto& address : doors_.addresses())
            o.endpoints.push_back(address.describe());
        o.session = [who = load::Credentials{doors_.access().user, doors_.access().password}](
                        const std::string&) { return load::make_resp_session(who); };
        o.mode = mode;
        o.prefix = options_.prefix;
        o.connections = options_.connections;
        o.pipeline = options_.pipeline;
        o.seconds = options_.seconds;
        o.warmup_seconds = options_.warmup_seconds;
        o.keys = options_.keys;
        o.value_bytes = options_.value_bytes;
        o.seed = options_.seed;
        o.tls = doors_.access().tls;
        o.go_on = [this, tty = ::isatty(STDERR_FILENO) == 1, told = 0.0,
                   all = options_.seconds](const load::Figures& f) mutable {
            if (tty && f.seconds >= told + 0.5) {
                told = f.seconds;
                std::fprintf(stderr, "\r%4.1f of %.0f s, %llu done ", f.seconds, all,
                             static_cast<unsigned long long>(f.acknowledged));
                line_begun_ = true;
            }
            return !interrupted;
        };
        return o;
    }

    // What is to be read is written first.
    int fill() {
        auto o = options_of(load::Mode::Fill);
        o.go_on = [](const load::Figures&) { return !interrupted; };
        o.pipeline = 16;
        o.seconds = kFillSecondsMost;
        auto made = load::Generator::make(std::move(o));
        if (!made) return caller_.fail(kUsage, made.error().context);
        const load::Figures figures = (*made)->run();
        if (interrupted) return caller_.fail(kFailed, "interrupted");
        if (figures.acknowledged >= options_.keys) return kDone;
        return caller_.fail(kFailed, "the keys to read could not be written: " +
                                         (figures.first_failure.empty() ? "it took too long"
                                                                        : figures.first_failure));
    }

    // Deletes what was written, unless it is to stay; the code that it was given.
    int clean(int code) {
        if (options_.keep) return code;
        auto client = doors_.enter(true);
        for (uint64_t from = 0; from < options_.keys && client; from += kDeletedAtOnce) {
            RespClient::Command command = {"DEL"};
            for (uint64_t i = from; i < std::min(options_.keys, from + kDeletedAtOnce); ++i)
                command.push_back(load::key_name(options_.prefix, i));
            const auto answer = client->call(command);
            if (!answer || answer->is_error()) client = std::unexpected(kFailed);
        }
        if (!client)
            caller_.tell("its keys, " + options_.prefix + ":..., could not all be deleted");
        return code;
    }

    void clear_line() const {
        if (line_begun_) std::fputs("\r\x1b[K", stderr);
    }

    void print(const load::Figures& f) const {
        const auto done = static_cast<double>(f.latency.count());
        const double rate = f.seconds > 0 ? done / f.seconds : 0;
        const auto at = [&](double part) { return micros(f.latency.quantile(part)); };
        const double most = micros(f.latency.max());
        const double gap = static_cast<double>(f.longest_gap_ns) / 1e6;
        const auto failed = static_cast<unsigned long long>(f.failed);
        const auto again = static_cast<unsigned long long>(f.reconnects);
        if (options_.json) {
            std::printf(
                "{\"mode\":\"%s\",\"connections\":%u,\"pipeline\":%u,\"value_bytes\":%u,"
                "\"seconds\":%.3f,\"operations\":%.0f,\"per_second\":%.1f,\"p50_us\":%.1f,"
                "\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,"
                "\"longest_gap_ms\":%.1f,\"failed\":%llu,\"reconnects\":%llu,"
                "\"first_failure\":%s}\n",
                options_.mode.c_str(), options_.connections, options_.pipeline,
                options_.value_bytes, f.seconds, done, rate, at(0.5), at(0.9), at(0.99), at(0.999),
                most, gap, failed, again, json_string(f.first_failure).c_str());
            return;
        }
        std::printf("%s: %.0f operations in %.1f s, %.0f a second\n", options_.mode.c_str(), done,
                    f.seconds, rate);
        std::printf("  %u connections, %u outstanding each, values of %u bytes, %zu door%s\n",
                    options_.connections, options_.pipeline, options_.value_bytes,
                    doors_.addresses().size(), doors_.addresses().size() == 1 ? "" : "s");
        std::printf("  latency, us: p50 %.0f  p90 %.0f  p99 %.0f  p99.9 %.0f  max %.0f\n", at(0.5),
                    at(0.9), at(0.99), at(0.999), most);
        std::printf("  longest gap without a success: %.1f ms\n", gap);
        if (failed || again)
            std::printf("  failed: %llu, connections made again: %llu; the first: %s\n", failed,
                        again, shown(f.first_failure).c_str());
    }

    const BenchOptions& options_;
    const Caller& caller_;
    RedisDoors doors_;
    bool line_begun_ = false;
};

}  // namespace

int run_bench(const BenchOptions& options) {
    const Caller caller{"bench", "--node", options.json};
    auto doors = RedisDoors::make(options.access, caller);
    if (!doors) return doors.error();
    return Bench(options, caller, std::move(*doors)).run();
}

}  // namespace asterias::app
