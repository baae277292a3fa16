// proto/resp/arguments.h: options of commands, parsed without knowledge of data or time, with the
// conflicts, order of checks and error texts of Redis 7.0 (t_string.c, expire.c).
// Threading: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "proto/resp/request.h"

namespace asterias::resp {

// Send the text as an error reply; nothing happened.
struct ArgumentError {
    std::string text;  // with its code: "ERR syntax error"
};

// When a value goes.
struct Expiry {
    enum class Kind : uint8_t { None, Keep, After, At, Persist };
    Kind kind = Kind::None;
    int64_t milliseconds = 0;  // After: from now; At: since 1970
};

// The moment in milliseconds since 1970; nullopt if it lies beyond 64 bits. kind is After or At.
std::optional<int64_t> expiry_deadline(const Expiry& expiry, int64_t now_milliseconds);
// "ERR invalid expire time in '<command>' command".
ArgumentError invalid_expire_time(std::string_view command);

struct SetOptions {
    enum class Condition : uint8_t { Always, IfAbsent, IfPresent };
    Condition condition = Condition::Always;
    bool get = false;  // reply with the old value
    Expiry expiry;
};
// Of SET key value [NX|XX] [GET] [EX s|PX ms|EXAT s|PXAT ms|KEEPTTL]; request.size() >= 3.
std::variant<SetOptions, ArgumentError> parse_set_options(const Request& request);

// Of GETEX key [EX s|PX ms|EXAT s|PXAT ms|PERSIST]; request.size() >= 2. Never Keep.
std::variant<Expiry, ArgumentError> parse_getex_options(const Request& request);
// Of SETEX key seconds value ("setex") and PSETEX ("psetex"): the time to live.
std::variant<Expiry, ArgumentError> setex_argument(const Bytes& argument, std::string_view command,
                                                   bool seconds);

struct ExpireOptions {
    bool if_none = false;      // NX: only a key without a deadline
    bool if_some = false;      // XX
    bool if_later = false;     // GT: no deadline counts as the latest
    bool if_earlier = false;   // LT
    int64_t milliseconds = 0;  // from now or since 1970, as the command has it; may be negative
};
// Of EXPIRE key seconds [NX|XX|GT|LT], PEXPIRE, EXPIREAT and PEXPIREAT; request.size() >= 3.
// `command` is the name for the error text.
std::variant<ExpireOptions, ArgumentError> parse_expire_options(const Request& request,
                                                                std::string_view command,
                                                                bool seconds);

struct CopyOptions {
    std::optional<int64_t> database;  // not negative
    bool replace = false;
};
// Of COPY source destination [DB n] [REPLACE]; request.size() >= 3.
std::variant<CopyOptions, ArgumentError> parse_copy_options(const Request& request,
                                                            int64_t databases);
// A database's number, below `databases`.
std::variant<int64_t, ArgumentError> database_argument(const Bytes& argument, int64_t databases);

struct LcsOptions {
    bool length = false, indexes = false, match_lengths = false;
    int64_t shortest = 0;
};
// Of LCS key1 key2 [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]; request.size() >= 3.
std::variant<LcsOptions, ArgumentError> parse_lcs_options(const Request& request);

struct RestoreOptions {
    bool replace = false;
    Expiry expiry;  // None, After, At
};
// Of RESTORE key ttl value [REPLACE] [ABSTTL] [IDLETIME s|FREQ n]; request.size() >= 4.
std::variant<RestoreOptions, ArgumentError> parse_restore_options(const Request& request);

// Of MEMORY USAGE key [SAMPLES n], which say nothing for a string; request.size() >= 3.
std::optional<ArgumentError> check_usage_options(const Request& request);

struct HelloOptions {
    std::optional<int> version;  // 2 or 3; absent: keep the current one
    struct Credentials {
        Bytes user, password;
    };
    std::optional<Credentials> credentials;
    std::optional<Bytes> client_name;
};
// Of HELLO [version [AUTH user password] [SETNAME name]].
std::variant<HelloOptions, ArgumentError> parse_hello_options(const Request& request);

// Of CLIENT SETNAME and HELLO: no blanks, no control bytes, 256 bytes. The error, else empty.
std::string_view client_name_error(std::string_view name);

// A key, value or increment that must be a 64-bit integer: "ERR value is not an integer or out of
// range".
std::variant<int64_t, ArgumentError> integer_argument(const Bytes& argument);

// ASCII letters compare alike.
bool equals_ignoring_case(std::string_view a, std::string_view b);

}  // namespace asterias::resp
