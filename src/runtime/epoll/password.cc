#include "runtime/epoll/password.h"

#include <algorithm>
#include <charconv>
#include <mutex>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <span>
#include <vector>

#include "base/check.h"
#include "base/mutant.h"
#include "runtime/epoll/workers.h"

namespace asterias::runtime {
namespace {

constexpr uint64_t kMemoryMax = 64 * 1024 * 1024;

void draw(std::span<uint8_t> to) {
    CHECK(RAND_bytes(to.data(), static_cast<int>(to.size())) == 1, "the system has randomness");
}

std::string hex(std::span<const uint8_t> bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (const uint8_t b : bytes) {
        out += kDigits[b >> 4];
        out += kDigits[b & 15];
    }
    return out;
}

bool parse_hex(std::string_view text, std::span<uint8_t> to) {
    if (text.size() != to.size() * 2) return false;
    for (size_t i = 0; i < to.size(); ++i) {
        const char* at = text.data() + 2 * i;
        const auto [end, ec] = std::from_chars(at, at + 2, to[i], 16);
        if (ec != std::errc() || end != at + 2) return false;
    }
    return true;
}

bool parse_number(std::string_view text, uint32_t low, uint32_t high, uint32_t& to) {
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), to);
    return ec == std::errc() && end == text.data() + text.size() && to >= low && to <= high;
}

uint64_t memory_of(const PasswordHash& hash) {
    return 128ull * hash.r * ((uint64_t{1} << hash.log_n) + hash.p + 2);
}

std::array<uint8_t, 32> derive(const PasswordHash& hash, std::string_view password) {
    std::array<uint8_t, 32> key;
    const int done = EVP_PBE_scrypt(password.data(), password.size(), hash.salt.data(),
                                    hash.salt.size(), uint64_t{1} << hash.log_n, hash.r, hash.p,
                                    2 * kMemoryMax, key.data(), key.size());
    CHECK(done == 1, "scrypt takes the parameters that were checked");
    return key;
}

bool equal(std::span<const uint8_t> a, std::span<const uint8_t> b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Result<PasswordHash> parse_password_hash(std::string_view text) {
    const auto refuse = [] {
        return fail(Errc::InvalidArgument,
                    "is no hash of a password; asterias user hash makes one");
    };
    std::vector<std::string_view> parts;
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find('$', at), text.size());
        parts.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    PasswordHash hash;
    if (parts.size() != 6 || parts[0] != "scrypt" || !parse_number(parts[1], 10, 20, hash.log_n) ||
        !parse_number(parts[2], 1, 32, hash.r) || !parse_number(parts[3], 1, 4, hash.p) ||
        !parse_hex(parts[4], hash.salt) || !parse_hex(parts[5], hash.key))
        return refuse();
    if (memory_of(hash) > kMemoryMax) return refuse();
    return hash;
}

std::string describe(const PasswordHash& hash) {
    return "scrypt$" + std::to_string(hash.log_n) + "$" + std::to_string(hash.r) + "$" +
           std::to_string(hash.p) + "$" + hex(hash.salt) + "$" + hex(hash.key);
}

Result<PasswordHash> hash_password(std::string_view password) {
    if (password.empty()) return fail(Errc::InvalidArgument, "a password is not empty");
    if (password.size() > kPasswordBytesMax)
        return fail(Errc::InvalidArgument,
                    "a password has at most " + std::to_string(kPasswordBytesMax) + " bytes");
    PasswordHash hash;
    draw(hash.salt);
    hash.key = derive(hash, password);
    return hash;
}

bool matches(const PasswordHash& hash, std::string_view password) {
    return equal(derive(hash, password), hash.key);
}

// Shared with the jobs, which may outlive who asked.
struct Users::Impl {
    using Mac = std::array<uint8_t, 32>;
    mutable std::mutex mutex;
    Table table;                       // under mutex
    std::map<std::string, Mac> right;  // under mutex: of the last right password of each user
    size_t waiting = 0;                // under mutex
    std::map<std::string, size_t> waiting_of;  // under mutex: the same, by host
    PasswordHash nobody;                       // under mutex: compared when there is no such user
    Mac secret{};
    Workers thread{"ast-password", 1};

    // Under mutex. False: too many wait, of all or of this host.
    bool enter(const std::string& host) {
        if (waiting >= kWaitingMax) return false;
        size_t& of_host = waiting_of[host];
        if (of_host >= kWaitingOfHostMax) return false;
        ++of_host;
        ++waiting;
        return true;
    }
    void leave(const std::string& host) {
        --waiting;
        const auto it = waiting_of.find(host);
        if (--it->second == 0) waiting_of.erase(it);
    }

    Mac mac(std::string_view password) const {
        Mac out{};
        unsigned size = 0;
        HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
             reinterpret_cast<const uint8_t*>(password.data()), password.size(), out.data(), &size);
        return out;
    }
};

Users::Users(Table table) : impl_(std::make_shared<Impl>()) {
    draw(impl_->secret);
    replace(std::move(table));
}

Users::~Users() { impl_->thread.join(); }

PasswordHash Users::nobody_among(const Table& table) {
    PasswordHash nobody;
    const auto cost = [](const PasswordHash& h) { return (uint64_t{h.r} * h.p) << h.log_n; };
    if (!table.empty())
        nobody = std::ranges::max_element(table, {}, [&](const auto& e) {
                     return cost(e.second);
                 })->second;
    draw(nobody.salt);
    draw(nobody.key);
    return nobody;
}

void Users::replace(Table table) {
    const std::lock_guard lock(impl_->mutex);
    // A flood of wrong passwords must not lock out who was right before the table was read again.
    std::erase_if(impl_->right, [&](const auto& one) {
        const auto before = impl_->table.find(one.first), now = table.find(one.first);
        return now == table.end() || before == impl_->table.end() || before->second != now->second;
    });
    impl_->nobody = nobody_among(table);
    impl_->table = std::move(table);
}

bool Users::empty() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->table.empty();
}

bool Users::knows(const std::string& user) const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->table.contains(user);
}

void Users::check(port::Shard& shard, Asker asker, std::string user, std::string password,
                  std::move_only_function<void(Verdict)> done) {
    if (password.size() > kPasswordBytesMax || password.empty()) return done(Verdict::Wrong);
    PasswordHash hash;
    bool remembered = false, busy = false;
    {
        const std::lock_guard lock(impl_->mutex);
        const auto right = impl_->right.find(user);
        remembered = right != impl_->right.end() && equal(right->second, impl_->mac(password));
        busy = !remembered && !impl_->enter(asker.host);
        const auto it = impl_->table.find(user);
        hash = it == impl_->table.end() ? impl_->nobody : it->second;
    }
    if (remembered) return done(Verdict::Right);
    if (busy) return done(Verdict::Busy);
    impl_->thread.push([impl = impl_.get(), &shard, asker = std::move(asker),
                        user = std::move(user), hash, password = std::move(password),
                        done = std::move(done)]() mutable {
        const bool wanted = !asker.gone || !asker.gone->load(std::memory_order_relaxed);
        const bool right = wanted && (matches(hash, password) || MUTANT(epoll_any_password));
        {
            const std::lock_guard lock(impl->mutex);
            impl->leave(asker.host);
            // A table that came meanwhile may not know this password any more.
            const auto it = impl->table.find(user);
            if (right && it != impl->table.end() && it->second == hash)
                impl->right[user] = impl->mac(password);
        }
        OPENSSL_cleanse(password.data(), password.size());
        const Verdict verdict = !wanted ? Verdict::Busy : right ? Verdict::Right : Verdict::Wrong;
        shard.submit(shard.id(), [verdict, done = std::move(done)]() mutable { done(verdict); });
    });
}

}  // namespace asterias::runtime
