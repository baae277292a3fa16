#include "app/config/settings.h"

#include <algorithm>
#include <charconv>
#include <concepts>
#include <limits>
#include <vector>

#include "app/config/nearest.h"

namespace asterias::config {
namespace {

constexpr uint64_t kKiB = 1024, kMiB = kKiB * kKiB, kGiB = kMiB * kKiB;
constexpr uint64_t kMinute = 60'000, kHour = 60 * kMinute;
constexpr Change kStart = Change::Restart, kLive = Change::Hangup, kRunning = Change::Running;
constexpr uint64_t kMost = INT32_MAX;

// clang-format off
#define AT(member) +[](Settings& s) -> auto& { return s.member; }
const Row kRows[] = {
    {"Node", "data", Kind::Text, 0, 0, "", kStart, "Directory of the node", AT(data)},
    {"Node", "host", Kind::Text, 0, 0, "", kStart, "Address to listen on and to be reached at", AT(host)},
    {"Node", "resp-port", Kind::Number, 0, 65535, "", kStart, "Redis protocol", AT(resp_port)},
    {"Node", "http-port", Kind::Number, 0, 65535, "", kStart, "Metrics, status, health, operators' orders", AT(http_port)},
    {"Node", "peer-port", Kind::Number, 0, 65535, "", kStart, "Other nodes", AT(peer_port)},
    {"Node", "join", Kind::Text, 0, 0, "", kStart, "HOST:PEER_PORT of a node of the cluster", AT(join)},
    {"Node", "replace", Kind::Number, 0, 65535, "", kStart, "With join, on an empty directory: take the place of this node, whose disk is lost; 0: no", AT(replace)},
    {"Node", "shards", Kind::Number, 1, 64, "", kStart, "Event loops, one thread each; fixed by the first start", AT(shards)},
    {"Node", "memtable-mib", Kind::Number, 1, 1024, "", kStart, "Engine write buffer in MiB", AT(memtable_mib)},
    {"Node", "insecure", Kind::Flag, 0, 0, "", kStart, "Listen beyond loopback without TLS and users", AT(insecure)},
    {"Node", "private-network", Kind::Flag, 0, 0, "", kStart, "Only nodes and operators reach the HTTP and the peer port, which have neither TLS nor passwords", AT(private_network)},

    {"Log", "name", Kind::Text, 0, 0, "", kStart, "Stands in log lines", AT(name)},
    {"Log", "log-level", Kind::Choice, 0, 0, "debug|info|warn|error", kStart, "The least that is logged", AT(log_level)},
    {"Log", "log-format", Kind::Choice, 0, 0, "human|json", kStart, "Log lines for people, or a JSON object each", AT(log_format)},

    {"Redis door", "maxclients", Kind::Number, 1, 1'000'000, "", kStart, "Connections of a shard; fewer if the process may have few descriptors", AT(resp.connections_max)},
    {"Redis door", "databases", Kind::Number, 1, 16, "", kStart, "What SELECT takes, from 0", AT(resp.databases)},
    {"Redis door", "command-timeout", Kind::Time, 10, kHour, "", kRunning, "A command without an answer for so long is answered with an error", AT(resp.command_timeout)},
    {"Redis door", "auth-timeout", Kind::Time, 100, kHour, "", kRunning, "Where there are users: a connection that is none of them for so long is closed", AT(resp.auth_timeout)},
    {"Redis door", "key-bytes-max", Kind::Bytes, 1, kMiB, "", kStart, "A longer key is refused", AT(resp.key_bytes_max)},
    {"Redis door", "value-bytes-max", Kind::Bytes, kKiB, 16 * kMiB, "", kStart, "A longer value is refused; a request may have twice as much", AT(resp.value_bytes_max)},
    {"Redis door", "pipeline-max", Kind::Number, 1, 1'000'000, "", kStart, "Unanswered commands of a connection; beyond them it is not read from", AT(resp.pipeline_max)},
    {"Redis door", "unsent-bytes-max", Kind::Bytes, kMiB, kGiB, "", kStart, "Unsent replies of a connection; beyond them it is not read from", AT(resp.unsent_bytes_max)},
    {"Redis door", "replies-bytes-max", Kind::Bytes, kMiB, 64 * kGiB, "", kStart, "Replies under way at a door, by estimate; beyond them connections rest in turn", AT(resp.replies_bytes_max)},
    {"Redis door", "requests-bytes-max", Kind::Bytes, kMiB, 64 * kGiB, "", kStart, "Unfinished requests at a door; beyond them the larger ones are read one at a time", AT(resp.requests_bytes_max)},
    {"Redis door", "inflight-bytes-max", Kind::Bytes, kMiB, 64 * kGiB, "", kStart, "Unanswered commands at a door; beyond them -TRYAGAIN", AT(resp.inflight_bytes_max)},

    {"Redis door", "pubsub-unsent-bytes-max", Kind::Bytes, kMiB, kGiB, "", kRunning, "Unsent on a connection when a message comes; beyond them it is closed", AT(resp.pubsub_unsent_bytes_max)},
    {"Redis door", "scan-cursors-max", Kind::Number, 1, 1'000'000, "", kStart, "Places of SCAN that a shard keeps; beyond them the longest unused are lost", AT(resp.cursors_max)},
    {"Redis door", "scan-cursors-bytes-max", Kind::Bytes, kMiB, kGiB, "", kStart, "The same in bytes", AT(resp.cursors_bytes_max)},
    {"Redis door", "timeout", Kind::Number, 0, kMost, "", kRunning, "Seconds without a command, then a connection is closed that does not listen to messages; 0: never", AT(resp.idle_timeout)},
    {"Redis door", "slowlog-log-slower-than", Kind::Signed, ~uint64_t{0}, kMost, "", kRunning, "Microseconds from which a command is in SLOWLOG; 0: all, -1: none", AT(resp.slowlog_slower_than)},
    {"Redis door", "slowlog-max-len", Kind::Number, 0, 10'000, "", kRunning, "Entries of SLOWLOG", AT(resp.slowlog_max_len)},
    {"Redis door", "latency-monitor-threshold", Kind::Number, 0, kMost, "", kRunning, "Milliseconds from which LATENCY notes a command; 0: none", AT(resp.latency_threshold)},
    {"Redis door", "enable-debug-command", Kind::Choice, 0, 0, "no|local|yes", kStart, "Who may hold up its own connection with DEBUG SLEEP; local: over loopback", AT(enable_debug_command)},

    {"TLS", "tls-cert", Kind::Text, 0, 0, "", kLive, "Certificate of the Redis door, with its chain (PEM); the door then speaks nothing but TLS", AT(tls_cert)},
    {"TLS", "tls-key", Kind::Text, 0, 0, "", kLive, "Its key (PEM, without passphrase)", AT(tls_key)},
    {"TLS", "tls-client-ca", Kind::Text, 0, 0, "", kLive, "Clients show a certificate of one of these (PEM)", AT(tls_client_ca)},
    {"TLS", "tls-handshake-timeout", Kind::Time, 100, kHour, "", kStart, "A connection whose handshake takes longer is closed", AT(tls_handshake_timeout)},
    {"TLS", "tls-handshakes-max", Kind::Number, 1, 100'000, "", kStart, "Handshakes under way of a shard; beyond them one that sent nothing is given up, or the oldest", AT(tls_handshakes_max)},

    {"HTTP door", "http-connections-max", Kind::Number, 1, 100'000, "", kStart, "Connections; fewer if the process may have few descriptors", AT(http.connections_max)},
    {"HTTP door", "http-head-bytes-max", Kind::Bytes, kKiB, kMiB, "", kStart, "A longer request is refused (431)", AT(http.head_bytes_max)},
    {"HTTP door", "http-request-timeout", Kind::Time, 100, kHour, "", kStart, "From the first byte of a request to its end (408)", AT(http.request_timeout)},
    {"HTTP door", "http-idle-timeout", Kind::Time, 100, 24 * kHour, "", kStart, "Between two requests; then the connection is closed", AT(http.idle_timeout)},

    {"Groups", "router-inflight-max", Kind::Number, 1, 10'000'000, "", kStart, "Commands under way to a group, of a shard; beyond them -TRYAGAIN", AT(node.router.inflight_max)},
    {"Groups", "replica-queue-max", Kind::Number, 1, 10'000'000, "", kStart, "Commands that wait at the leader of a group; beyond them -TRYAGAIN", AT(node.replica_queue_max)},
    {"Groups", "replica-queue-bytes-max", Kind::Bytes, kMiB, 16 * kGiB, "", kStart, "The same in bytes", AT(node.replica_queue_bytes_max)},
    {"Groups", "replica-held-replies-max", Kind::Bytes, kMiB, 16 * kGiB, "", kStart, "Bytes that the leader of a group has evaluated and not answered; beyond them its queue waits", AT(node.replica_held_replies_max)},
    {"Groups", "log-retained-bytes-max", Kind::Bytes, kMiB, 64 * kGiB, "", kStart, "Log of a group kept for who is behind; beyond it a snapshot is sent", AT(node.log_retained_bytes_max)},
    {"Groups", "change-timeout", Kind::Time, 1000, 24 * kHour, "", kStart, "How long an order about copies waits for its end; it goes on behind that", AT(node.change_timeout)},
    {"Groups", "snapshots-sending-max", Kind::Number, 1, 64, "", kStart, "Snapshots that a shard sends at a time", AT(node.snapshots_sending_max)},
    {"Groups", "snapshots-receiving-max", Kind::Number, 1, 64, "", kStart, "Snapshots that a shard takes at a time", AT(node.snapshots_receiving_max)},
    {"Groups", "snapshot-piece-bytes", Kind::Bytes, 4 * kKiB, 8 * kMiB, "", kStart, "A piece of a snapshot is sent when it has grown to this", AT(node.snapshot_pace.piece_bytes)},
    {"Groups", "snapshot-pieces-unanswered-max", Kind::Number, 1, 1024, "", kStart, "Pieces on their way to a replica", AT(node.snapshot_pace.unanswered_max)},
    {"Groups", "snapshot-give-up", Kind::Time, 1000, kHour, "", kStart, "A snapshot without progress for so long is begun anew", AT(node.snapshot_pace.give_up_after)},

    {"Between nodes", "rpc-unsent-bytes-max", Kind::Bytes, 64 * kMiB, 16 * kGiB, "", kStart, "Unsent on a connection between nodes; from half of it commands wait", AT(node.rpc.unsent_bytes_max)},
    {"Between nodes", "rpc-alive-interval", Kind::Time, 10, kMinute, "", kStart, "A silent connection between nodes says that it lives", AT(node.rpc.alive_interval)},
    {"Between nodes", "rpc-silence-max", Kind::Time, 100, kHour, "", kStart, "A connection between nodes that is silent for so long is given up", AT(node.rpc.silence_max)},
};
#undef AT
// clang-format on

struct Unit {
    const char* name;
    uint64_t factor;
};
constexpr Unit kByteUnits[] = {{"GiB", kGiB}, {"MiB", kMiB}, {"KiB", kKiB}, {"B", 1}};
constexpr Unit kTimeUnits[] = {{"h", kHour}, {"min", kMinute}, {"s", 1000}, {"ms", 1}};

std::span<const Unit> units_of(Kind kind) {
    if (kind == Kind::Bytes) return kByteUnits;
    if (kind == Kind::Time) return kTimeUnits;
    return {};
}

// In the largest unit that gives a whole number.
std::string number_text(Kind kind, uint64_t value) {
    for (const Unit& unit : units_of(kind))
        if (value % unit.factor == 0 && value > 0)
            return std::to_string(value / unit.factor) + unit.name;
    return std::to_string(value);
}

bool parse_number(Kind kind, std::string_view text, uint64_t& value) {
    size_t digits = 0;
    for (value = 0; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
        if (value > std::numeric_limits<uint64_t>::max() / 100) return false;
        value = value * 10 + static_cast<uint64_t>(text[digits] - '0');
    }
    if (digits == 0) return false;
    const std::string_view unit = text.substr(digits);
    if (unit.empty()) return kind != Kind::Time || value == 0;  // 5 of what?
    for (const Unit& u : units_of(kind))
        if (unit == u.name) {
            if (value > std::numeric_limits<uint64_t>::max() / u.factor) return false;
            value *= u.factor;
            return true;
        }
    return false;
}

bool parse_signed(const Row& row, std::string_view text, uint64_t& value) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    value = static_cast<uint64_t>(number);
    return error == std::errc{} && end == text.data() + text.size() &&
           number >= static_cast<int64_t>(row.low) && number <= static_cast<int64_t>(row.high);
}

bool is_choice(const Row& row, std::string_view text) {
    const std::string all = "|" + std::string(row.choices) + "|";
    return !text.empty() && text.find('|') == text.npos &&
           all.find("|" + std::string(text) + "|") != all.npos;
}

void assign(std::string& to, std::string_view text, uint64_t) { to = text; }
void assign(bool& to, std::string_view text, uint64_t) { to = text == "true"; }
void assign(int64_t& to, std::string_view, uint64_t n) { to = static_cast<int64_t>(n); }
void assign(uint16_t& to, std::string_view, uint64_t n) { to = static_cast<uint16_t>(n); }
void assign(uint32_t& to, std::string_view, uint64_t n) { to = static_cast<uint32_t>(n); }
void assign(uint64_t& to, std::string_view, uint64_t n) { to = n; }
void assign(Duration& to, std::string_view, uint64_t n) {
    to = milliseconds(static_cast<int64_t>(n));
}

std::string shown(const Row&, const std::string& value) { return value; }
std::string shown(const Row&, const bool& value) { return value ? "true" : "false"; }
std::string shown(const Row&, int64_t value) { return std::to_string(value); }
std::string shown(const Row&, Duration value) {
    return number_text(Kind::Time, static_cast<uint64_t>(value / milliseconds(1)));
}
template <std::unsigned_integral Number>
std::string shown(const Row& row, Number value) {
    return number_text(row.kind, value);
}

}  // namespace

std::span<const Row> rows() { return kRows; }

const Row* find_row(std::string_view name) {
    for (const Row& row : kRows)
        if (name == row.name) return &row;
    return nullptr;
}

std::string nearest(std::string_view name) {
    std::vector<std::string_view> names;
    for (const Row& row : kRows)
        names.emplace_back(row.name);
    return std::string(nearest_of(name, names));
}

std::string flag_of(const Row& row) { return std::string("--") + row.name; }

std::string environment_of(const Row& row) {
    std::string name = std::string("ASTERIAS_") + row.name;
    for (char& c : name)
        c = c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    return name;
}

std::string range_of(const Row& row) {
    switch (row.kind) {
        case Kind::Text:
            return "text";
        case Kind::Flag:
            return "true or false";
        case Kind::Choice: {
            std::string text = row.choices;
            for (size_t at = 0; (at = text.find('|', at)) != text.npos;)
                text.replace(at, 1, text.find('|', at + 1) == text.npos ? " or " : ", ");
            return text;
        }
        case Kind::Signed:
            return std::to_string(static_cast<int64_t>(row.low)) + " to " +
                   std::to_string(static_cast<int64_t>(row.high));
        default:
            return number_text(row.kind, row.low) + " to " + number_text(row.kind, row.high);
    }
}

Result<void> set(const Row& row, Settings& settings, std::string_view text) {
    const auto refuse = [&] {
        return fail(Errc::InvalidArgument,
                    "takes " + range_of(row) + ", not '" + std::string(text) + "'");
    };
    uint64_t number = 0;
    if (row.kind == Kind::Choice && !is_choice(row, text)) return refuse();
    if (row.kind == Kind::Flag && text != "true" && text != "false") return refuse();
    if (row.kind == Kind::Number || row.kind == Kind::Bytes || row.kind == Kind::Time)
        if (!parse_number(row.kind, text, number) || number < row.low || number > row.high)
            return refuse();
    if (row.kind == Kind::Signed && !parse_signed(row, text, number)) return refuse();
    std::visit([&](auto at) { assign(at(settings), text, number); }, row.field);
    return {};
}

std::string get(const Row& row, const Settings& settings) {
    // A field is found the same way for reading and for writing.
    auto& fields = const_cast<Settings&>(settings);
    return std::visit([&](auto at) { return shown(row, at(fields)); }, row.field);
}

}  // namespace asterias::config
