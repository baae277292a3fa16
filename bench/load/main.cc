// asterias-load: closed-loop load on RESP and etcd servers. Prints one JSON object.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/resource.h>

#include "load/generator.h"

namespace {

using namespace asterias::load;

constexpr const char* kHelp =
    "usage: asterias-load --endpoints A.B.C.D:PORT[,...] [options]\n"
    "  --protocol resp|etcd   (resp)\n"
    "  --mode set|get|incr-hot|set-wait|fill   (set); set-wait: SET and WAIT 1 as one operation;\n"
    "                         fill: each key once; get wants filled keys\n"
    "  --connections N (1)    spread evenly over the endpoints\n"
    "  --pipeline N (1)       outstanding operations of each connection\n"
    "  --seconds S (5)  --warmup S (0.5)  --keys N (100000)  --value-bytes N (256)  --seed N (1)\n"
    "  --tls yes|no (no)      certificates are not checked\n"
    "example: asterias-load --endpoints 127.0.0.1:6379 --mode set --connections 64\n";

[[noreturn]] void usage(const std::string& why) {
    std::fprintf(stderr, "asterias-load: %s\n%s", why.c_str(), kHelp);
    std::exit(2);
}

Mode mode_of(const std::string& name) {
    if (name == "set") return Mode::Set;
    if (name == "get") return Mode::Get;
    if (name == "incr-hot") return Mode::IncrHot;
    if (name == "set-wait") return Mode::SetWait;
    if (name == "fill") return Mode::Fill;
    usage("unknown mode " + name);
}

double number(const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end || value < 0) usage(text + " is not a number");
    return value;
}

void set_option(Options& o, const std::string& name, const std::string& value) {
    if (name == "--protocol") {
        if (value != "resp" && value != "etcd") usage("unknown protocol " + value);
        o.etcd = value == "etcd";
    } else if (name == "--endpoints") {
        for (size_t at = 0; at <= value.size();) {
            const size_t comma = std::min(value.find(',', at), value.size());
            o.endpoints.push_back(value.substr(at, comma - at));
            at = comma + 1;
        }
    } else if (name == "--tls") {
        if (value != "yes" && value != "no") usage("--tls takes yes or no");
        o.tls = value == "yes";
    } else if (name == "--mode") {
        o.mode = mode_of(value);
    } else if (name == "--connections") {
        o.connections = static_cast<uint32_t>(number(value));
    } else if (name == "--pipeline") {
        o.pipeline = static_cast<uint32_t>(number(value));
    } else if (name == "--seconds") {
        o.seconds = number(value);
    } else if (name == "--warmup") {
        o.warmup_seconds = number(value);
    } else if (name == "--keys") {
        o.keys = static_cast<uint64_t>(number(value));
    } else if (name == "--value-bytes") {
        o.value_bytes = static_cast<uint32_t>(number(value));
    } else if (name == "--seed") {
        o.seed = static_cast<uint64_t>(number(value));
    } else {
        usage("unknown option " + name);
    }
}

Options parse(int argc, char** argv) {
    Options o;
    for (int i = 1; i < argc; i += 2) {
        if (!std::strcmp(argv[i], "--help")) {
            std::fputs(kHelp, stdout);
            std::exit(0);
        }
        if (i + 1 == argc) usage(std::string(argv[i]) + " wants a value");
        set_option(o, argv[i], argv[i + 1]);
    }
    if (o.endpoints.empty()) usage("--endpoints is missing");
    if (o.connections == 0 || o.pipeline == 0 || o.keys == 0)
        usage("connections, pipeline and keys are at least 1");
    if (o.etcd && (o.mode == Mode::IncrHot || o.mode == Mode::SetWait))
        usage("etcd has no INCR and no WAIT");
    if (o.etcd && o.value_bytes > 16'000) usage("etcd values: at most 16000 bytes here");
    return o;
}

double cpu_seconds() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::string json_text(const std::string& text) {
    std::string out;
    for (const char c : text)
        if (c == '"' || c == '\\')
            out.append({'\\', c});
        else if (c >= ' ' && c <= '~')
            out.push_back(c);
        else
            out.push_back(' ');
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    Generator generator(parse(argc, argv));
    const Figures f = generator.run();
    const auto us = [&](double part) {
        return static_cast<double>(f.latency.quantile(part)) / 1e3;
    };
    const auto done = static_cast<double>(f.latency.count());
    std::printf(
        "{\"operations\": %.0f, \"acknowledged\": %llu, \"per_second\": %.1f, \"failed\": %llu, "
        "\"reconnects\": %llu, "
        "\"seconds\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
        "\"max_us\": %.1f, \"longest_gap_ms\": %.1f, \"generator_cpu_seconds\": %.2f, "
        "\"first_failure\": \"%s\"}\n",
        done, static_cast<unsigned long long>(f.acknowledged), f.seconds > 0 ? done / f.seconds : 0,
        static_cast<unsigned long long>(f.failed), static_cast<unsigned long long>(f.reconnects),
        f.seconds, us(0.5), us(0.99), us(0.999), static_cast<double>(f.latency.max()) / 1e3,
        static_cast<double>(f.longest_gap_ns) / 1e6, cpu_seconds(),
        json_text(f.first_failure).c_str());
    return f.latency.count() > 0 ? 0 : 1;
}
