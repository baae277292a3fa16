// INFO: sections and names are those of Redis 7.0 where there is such a figure here
// (docs/compat/resp.md tells what stands for what).
#include <algorithm>
#include <cstdio>

#include "edge/resp/session.h"
#include "proto/resp/arguments.h"

namespace asterias::edge_resp {

namespace {

std::string line(std::string_view name, std::string_view value) {
    return std::string(name) + ":" + std::string(value) + "\r\n";
}
std::string line(std::string_view name, uint64_t value) {
    return line(name, std::to_string(value));
}

std::string with_digits(double value, int digits) {
    char text[64];
    const int n = std::snprintf(text, sizeof text, "%.*f", digits, value);
    return {text, static_cast<size_t>(std::clamp(n, 0, 63))};
}

std::string in_units(uint64_t bytes) {
    if (bytes < 1024) return std::to_string(bytes) + "B";
    auto value = static_cast<double>(bytes);
    for (const char* unit : {"K", "M", "G"}) {
        value /= 1024;
        if (value < 1024 || *unit == 'G') return with_digits(value, 2) + unit;
    }
    return "";
}

std::string info_cpu(const Process& p) {
    return line("used_cpu_sys", with_digits(p.system_time, 6)) +
           line("used_cpu_user", with_digits(p.user, 6)) +
           line("used_cpu_sys_children", with_digits(p.children_system, 6)) +
           line("used_cpu_user_children", with_digits(p.children_user, 6));
}

std::string info_commands(const Records& records) {
    std::string out;
    for (const auto& spec : resp::command_table()) {
        const CommandSums s = records.sums(spec.id);
        if (s.calls + s.rejected == 0) continue;
        const double each =
            s.calls ? static_cast<double>(s.micros) / static_cast<double>(s.calls) : 0;
        out += "cmdstat_" + std::string(spec.name) + ":calls=" + std::to_string(s.calls) +
               ",usec=" + std::to_string(s.micros) + ",usec_per_call=" + with_digits(each, 2) +
               ",rejected_calls=" + std::to_string(s.rejected) +
               ",failed_calls=" + std::to_string(s.failed) + "\r\n";
    }
    return out;
}

std::string info_errors(const Records& records) {
    std::string out;
    for (const auto& [code, count] : records.error_codes())
        out += line("errorstat_" + code, "count=" + std::to_string(count));
    return out;
}

std::string info_latencies(const Records& records) {
    std::string out;
    for (const auto& spec : resp::command_table()) {
        const CommandSums s = records.sums(spec.id);
        if (s.calls == 0) continue;
        const auto micros = [&s](double q) {
            return std::to_string(s.quantile_micros(q)) + ".000";
        };
        out += line("latency_percentiles_usec_" + std::string(spec.name),
                    "p50=" + micros(0.5) + ",p99=" + micros(0.99) + ",p99.9=" + micros(0.999));
    }
    return out;
}

// What somebody asked for.
struct Wanted {
    bool fallback = false, all = false, everything = false;

    explicit Wanted(const resp::Request& request) : request_(request) {
        fallback = request.size() == 1 || named("default");
        everything = named("everything");
        all = everything || named("all");
    }
    bool named(std::string_view name) const {
        return std::ranges::any_of(request_.arguments().subspan(1), [name](const Bytes& word) {
            return resp::equals_ignoring_case(name, word.view());
        });
    }

private:
    const resp::Request& request_;
};

enum class Told : unsigned char { Always, InAll, InEverything };

}  // namespace

std::string Door::info_server() const {
    const auto uptime =
        std::chrono::duration_cast<std::chrono::seconds>(shard_.clock().now() - started_).count();
    const Process process = about_.process ? about_.process() : Process{};
    return line("redis_version", "7.0.15") + line("redis_mode", "standalone") +
           line("asterias_version", about_.version) + line("os", process.system) +
           line("arch_bits", uint64_t{8 * sizeof(void*)}) + line("multiplexing_api", "epoll") +
           line("process_id", static_cast<uint64_t>(process.id)) +
           line("tcp_port", uint64_t{address_.port}) +
           line("server_time_usec", static_cast<uint64_t>(shard_.clock().wall().micros)) +
           line("uptime_in_seconds", static_cast<uint64_t>(uptime)) +
           line("uptime_in_days", static_cast<uint64_t>(uptime / 86400));
}

std::string Door::info_clients() const {
    return line("connected_clients", static_cast<uint64_t>(connected_.value())) +
           line("maxclients", uint64_t{options_.connections_max} * shard_.shard_count()) +
           line("blocked_clients", static_cast<uint64_t>(blocked_.value()));
}

std::string Door::info_memory(const Process& p) const {
    return line("used_memory", p.memory) + line("used_memory_human", in_units(p.memory)) +
           line("used_memory_rss", p.memory) + line("used_memory_rss_human", in_units(p.memory)) +
           line("used_memory_peak", p.memory_peak) +
           line("used_memory_peak_human", in_units(p.memory_peak)) +
           line("total_system_memory", p.machine_memory) +
           line("total_system_memory_human", in_units(p.machine_memory)) +
           line("maxmemory", uint64_t{0}) + line("maxmemory_human", "0B") +
           line("maxmemory_policy", "noeviction");
}

std::string Door::info_stats(const Records& records) const {
    const auto since = [&records](std::string_view name, uint64_t value) {
        return line(name, value - records.base(name));
    };
    std::string out = since("total_connections_received", accepted_.value()) +
                      since("total_commands_processed", commands_.value()) +
                      since("rejected_connections", refused_.value()) +
                      since("expired_keys", about_.expired ? about_.expired->value() : 0) +
                      line("evicted_keys", uint64_t{0});
    if (const auto* messages = about_.messages)
        out += line("pubsub_channels", messages->name_count(pubsub::Kind::Channel)) +
               line("pubsub_patterns", messages->name_count(pubsub::Kind::Pattern)) +
               line("pubsubshard_channels", messages->name_count(pubsub::Kind::Shard));
    return out + line("total_error_replies", records.errors());
}

void Door::reset_figures() {
    with_records([this](Records& records) {
        records.reset();
        records.base("total_connections_received") = accepted_.value();
        records.base("total_commands_processed") = commands_.value();
        records.base("rejected_connections") = refused_.value();
        records.base("expired_keys") = about_.expired ? about_.expired->value() : 0;
    });
}

// The sections that are named, each once, in this order; a name that is none adds nothing, as in
// Redis 7.0.
std::string Door::info(const resp::Request& request) {
    const Wanted wanted(request);
    std::string out;
    const auto section = [&](std::string_view name, auto lines, Told told = Told::Always) {
        const bool meant = wanted.named(name) || wanted.everything ||
                           (wanted.all && told != Told::InEverything) ||
                           (wanted.fallback && told == Told::Always);
        if (!meant) return;
        if (!out.empty()) out += "\r\n";
        out.append("# ").append(name).append("\r\n").append(lines());
    };
    const auto process = [this] { return about_.process ? about_.process() : Process{}; };
    section("Server", [this] { return info_server(); });
    section("Clients", [this] { return info_clients(); });
    section("Memory", [&] { return info_memory(process()); });
    section("Persistence", [] {
        return line("loading", uint64_t{0}) + line("aof_enabled", uint64_t{1}) +
               line("rdb_bgsave_in_progress", uint64_t{0}) +
               line("aof_rewrite_in_progress", uint64_t{0});
    });
    const auto with = [this](auto print) {
        std::string text;
        with_records([&](const Records& records) { text = print(records); });
        return text;
    };
    section("Stats", [&] { return with([this](const Records& r) { return info_stats(r); }); });
    section("Replication", [this] {
        return line("role", "master") + line("connected_slaves", uint64_t{0}) +
               line("master_repl_offset", uint64_t{0}) + line("asterias_cluster", about_.cluster) +
               line("asterias_node", about_.node) +
               (about_.replication ? about_.replication() : std::string());
    });
    section("CPU", [&] { return info_cpu(process()); });
    section("Modules", [] { return std::string(); }, Told::InEverything);
    section("Commandstats", [&] { return with(info_commands); }, Told::InAll);
    section("Errorstats", [&] { return with(info_errors); });
    section("Latencystats", [&] { return with(info_latencies); }, Told::InAll);
    section("Cluster", [] { return line("cluster_enabled", uint64_t{0}); });
    section("Keyspace", [] { return std::string(); });
    return out;
}

}  // namespace asterias::edge_resp
