#include "app/access.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "app/commands.h"
#include "app/secret.h"

namespace asterias::app {
namespace {

constexpr Duration kEntryTime = seconds(3);    // a node that hangs is passed by
constexpr Duration kAnswerTime = seconds(10);  // a node's own command-timeout ends before
constexpr const char* kWays =
    "the door asks for a password: --user NAME with ASTERIAS_PASSWORD in the environment, or with "
    "--password-file FILE";

Result<std::shared_ptr<tls::ClientContext>> context_of(const AccessOptions& o) {
    if (o.tls_cert.empty() != o.tls_key.empty())
        return fail(Errc::InvalidArgument, "--tls-cert and --tls-key go together");
    if (!o.tls && !o.tls_no_verify && o.tls_ca.empty() && o.tls_name.empty() && o.tls_cert.empty())
        return nullptr;
    // OpenSSL writes without MSG_NOSIGNAL.
    std::signal(SIGPIPE, SIG_IGN);
    return tls::ClientContext::make({.verify = !o.tls_no_verify,
                                     .ca_file = o.tls_ca,
                                     .name = o.tls_name,
                                     .cert_file = o.tls_cert,
                                     .key_file = o.tls_key});
}

}  // namespace

std::expected<RedisDoors, int> RedisDoors::make(const AccessOptions& options,
                                                const Caller& caller) {
    RedisDoors doors(caller);
    const auto wrong = [&](const std::string& why) {
        return std::unexpected(caller.fail(kUsage, why));
    };
    for (size_t at = 0; at <= options.nodes.size();) {
        const size_t comma = std::min(options.nodes.find(',', at), options.nodes.size());
        auto address = door_of(options.nodes.substr(at, comma - at), caller);
        at = comma + 1;
        if (!address) return std::unexpected(kUsage);
        if (address->host == "localhost") address->host = "127.0.0.1";
        doors.addresses_.push_back(std::move(*address));
    }
    auto context = context_of(options);
    if (!context) return wrong(context.error().context);
    doors.access_.tls = std::move(*context);
    doors.access_.user = options.user;
    if (!options.password_file.empty()) {
        auto password = secret_in(options.password_file);
        if (!password) return wrong("--password-file " + password.error().context);
        doors.access_.password = std::move(*password);
    } else if (const char* password = ::getenv("ASTERIAS_PASSWORD")) {
        doors.access_.password = password;
    }
    return doors;
}

std::expected<RespClient, int> RedisDoors::enter(bool quiet) {
    const auto refuse = [&](int code, const std::string& why) {
        return std::unexpected(quiet ? code : caller_.fail(code, why));
    };
    std::string silent;
    for (size_t tried = 0; tried < addresses_.size(); ++tried, pass_on()) {
        const port::Address& address = addresses_[at_];
        auto client = RespClient::connect(address, kEntryTime, access_);
        if (!client && client.error().code == Errc::Conflict)
            return refuse(client.error().context.starts_with("TRYAGAIN") ? kFailed : kRefused,
                          address.describe() + ": " + client.error().context);
        const auto there =
            client ? client->call({"PING"}) : Result<resp::Value>(std::unexpect, client.error());
        if (there && !there->is_error()) {
            client->set_timeout(kAnswerTime);
            return std::move(*client);
        }
        if (there && there->text.view().starts_with("NOAUTH")) {
            if (quiet || !access_.password.empty()) return refuse(kRefused, kWays);
            auto password = ask_secret("Password of " + access_.user);
            if (!password || password->empty()) return refuse(kRefused, kWays);
            access_.password = std::move(*password);
            return enter(quiet);
        }
        silent += (silent.empty() ? "" : "\n") +
                  (there ? address.describe() + ": " + there->text.str() : there.error().context);
        if (!there && there.error().context.find(address.describe()) == std::string::npos)
            silent += " (" + address.describe() + ")";
    }
    return refuse(kUnreachable, silent + "\nIs a node's --resp-port there" +
                                    (access_.tls ? ", and does it speak TLS?"
                                                 : " (one that speaks TLS: --tls)?") +
                                    " Name it with " + caller_.flag + ".");
}

int exit_code_of(const resp::Value& error) {
    const std::string_view text = error.text.view();
    for (const char* passing : {"CLUSTERDOWN", "TRYAGAIN", "UNKNOWN", "LOADING"})
        if (text.starts_with(passing)) return kFailed;
    return kRefused;
}

}  // namespace asterias::app
