// runtime/epoll/password.h: passwords as they are kept (salted scrypt, RFC 7914) and compared.
// "scrypt$14$8$1$SALT$KEY": log2 of N, r, p, then hexadecimal digits.
// Contract: a comparison takes the same time whatever is wrong, also for a user that there is not.
// No password and no hash ever stands in an error or a log line.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "port/shard.h"

namespace asterias::runtime {

inline constexpr size_t kPasswordBytesMax = 1024;

struct PasswordHash {
    // 16 MiB and some 40 ms: RFC 7914's choice for logins.
    uint32_t log_n = 14, r = 8, p = 1;
    std::array<uint8_t, 16> salt{};
    std::array<uint8_t, 32> key{};

    bool operator==(const PasswordHash&) const = default;
};

// Errors: InvalidArgument, also for what would take more than 64 MiB or a second.
Result<PasswordHash> parse_password_hash(std::string_view text);
std::string describe(const PasswordHash& hash);

// Both are slow: not for a shard's loop. Errors: InvalidArgument (empty, or too long).
Result<PasswordHash> hash_password(std::string_view password);
bool matches(const PasswordHash& hash, std::string_view password);

// Who asks for a check.
struct Asker {
    std::string host;                         // none has more than its share of what waits
    std::shared_ptr<std::atomic<bool>> gone;  // nobody waits for the verdict; may be empty
};

// The users of a process. Who was right once is remembered in memory, under a key that is drawn at
// the start, and costs microseconds; all others are computed by one thread, one after another.
// Thread-safe; ends after the loops of the shards that ask.
class Users {
public:
    using Table = std::map<std::string, PasswordHash>;
    enum class Verdict : unsigned char { Right, Wrong, Busy };
    // Calls on their way to the thread, beyond which the verdict is Busy.
    static constexpr size_t kWaitingMax = 64;
    static constexpr size_t kWaitingOfHostMax = 8;  // of them, of one host

    explicit Users(Table table);
    ~Users();
    Users(const Users&) = delete;
    Users& operator=(const Users&) = delete;

    // Who is remembered stays so, if their hash is the same.
    void replace(Table table);
    bool empty() const;
    bool knows(const std::string& user) const;
    // Calls `done` on `shard`: at once if it is remembered or hopeless, else later.
    void check(port::Shard& shard, Asker asker, std::string user, std::string password,
               std::move_only_function<void(Verdict)> done);
    // With the parameters of the costliest of the table: what is compared when there is no such
    // user. The defaults for an empty table.
    static PasswordHash nobody_among(const Table& table);

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace asterias::runtime
