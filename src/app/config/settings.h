// app/config/settings.h: everything that an operator can set of a node, in one table: from a row
// come the key of the file, the flag, the environment variable, the checks and
// docs/configuration.md. Contract: the defaults are those of the Options that the rooms declare; a
// limit that is a field there and a row here is set by it. Rows have distinct names. Threading:
// immutable, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "edge/http/door.h"
#include "edge/resp/door.h"
#include "runtime/epoll/password.h"
#include "runtime/epoll/runtime.h"
#include "service/node/node_shard.h"

namespace asterias::config {

// One node, as it will be. Addresses are made of `host` and the ports.
struct Settings {
    std::string data = "asterias-data";
    std::string host = "127.0.0.1";
    uint16_t resp_port = 6379;
    uint16_t http_port = 8080;
    uint16_t peer_port = 7400;
    std::string join;      // HOST:PORT of a node's peer port
    uint16_t replace = 0;  // joining in the place of this node
    uint32_t shards = 1;
    std::string name;  // stands in log lines
    std::string log_level = "info";
    std::string log_format = "human";
    uint32_t memtable_mib = 32;  // engine write buffer
    bool insecure = false;
    bool private_network = false;
    std::string tls_cert, tls_key, tls_client_ca;  // PEM files; tls_cert: the Redis door speaks TLS
    Duration tls_handshake_timeout = runtime::RuntimeOptions{}.tls_handshake_timeout;
    size_t tls_handshakes_max = runtime::RuntimeOptions{}.tls_handshakes_max;
    std::map<std::string, runtime::PasswordHash> users;  // not a row: the table [users] of the file
    std::string enable_debug_command = "no";
    edge_resp::Options resp;
    edge_http::Options http;
    node::Options node;
};

enum class Kind : unsigned char { Text, Choice, Flag, Number, Signed, Bytes, Time };
// When another value is taken.
enum class Change : unsigned char {
    Restart,
    Hangup,   // at SIGHUP, from what is said then
    Running,  // the same, and by CONFIG SET
};

struct Row {
    using Field =
        std::variant<std::string& (*)(Settings&), bool& (*)(Settings&), uint16_t& (*)(Settings&),
                     uint32_t& (*)(Settings&), uint64_t& (*)(Settings&), int64_t& (*)(Settings&),
                     Duration& (*)(Settings&)>;
    const char* group;
    const char* name;  // of the key in the file; --name; ASTERIAS_NAME
    Kind kind;
    uint64_t low, high;   // Number, Bytes; Time: in milliseconds; Signed: as int64_t
    const char* choices;  // Choice: "a|b"
    Change change;
    const char* what;  // a line
    Field field;
};

std::span<const Row> rows();
// Null if there is none of that name.
const Row* find_row(std::string_view name);
// The name of a row that `name` may have meant; empty: nothing is near.
std::string nearest(std::string_view name);

std::string flag_of(const Row& row);         // "--resp-port"
std::string environment_of(const Row& row);  // "ASTERIAS_RESP_PORT"
// What may be written: "1 to 64", "human or json", "1KiB to 1GiB".
std::string range_of(const Row& row);

// Sets the field of `row` from `text`: a number, with a unit where there is one (64MiB, 300ms), a
// name. Errors: InvalidArgument; the text says what would be right, not which row it was.
Result<void> set(const Row& row, Settings& settings, std::string_view text);
// As set() would take it; a Text without value is empty.
std::string get(const Row& row, const Settings& settings);

}  // namespace asterias::config
