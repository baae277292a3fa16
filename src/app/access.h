// app/access.h: how the commands that speak to Redis doors find and enter them (kv, bench, top).
// What goes wrong is said on standard error, with --json on standard output, too. Threading: one
// thread.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "app/client.h"
#include "app/operate.h"

namespace asterias::app {

// As it was said on the command line; the password never stands there, where ps would show it.
struct AccessOptions {
    std::string nodes = "127.0.0.1:6379";  // HOST:RESP_PORT, with commas
    std::string user = "default";
    std::string password_file;  // empty: ASTERIAS_PASSWORD, then the terminal
    bool tls = false;
    bool tls_no_verify = false;
    std::string tls_ca, tls_name, tls_cert, tls_key;  // any of them: tls
};

class RedisDoors {
public:
    // Error: the exit code; it is said already.
    static std::expected<RedisDoors, int> make(const AccessOptions& options, const Caller& caller);
    // A connection to the first that answers, the last one that did before the others. A door that
    // wants a password and was given none: it is asked for on the terminal, once. Error: the exit
    // code; it is said already, unless `quiet`.
    std::expected<RespClient, int> enter(bool quiet = false);
    // The present one failed: the next is asked first.
    void pass_on() { at_ = (at_ + 1) % addresses_.size(); }

    const std::vector<port::Address>& addresses() const { return addresses_; }
    const Access& access() const { return access_; }

private:
    explicit RedisDoors(const Caller& caller) : caller_(caller) {}

    const Caller caller_;
    std::vector<port::Address> addresses_;
    Access access_;
    size_t at_ = 0;
};

// What a door's error answer means for the exit code: kRefused for a password, a value too large
// and what else asking again cannot change; kFailed for the rest.
int exit_code_of(const resp::Value& error);

}  // namespace asterias::app
