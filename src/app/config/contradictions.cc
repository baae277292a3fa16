#include "app/config/contradictions.h"

#include <algorithm>
#include <array>

#include "app/config/ports.h"
#include "base/check.h"
#include "runtime/epoll/host.h"

namespace asterias::config {
namespace {

bool is_ipv4(const std::array<uint8_t, 16>& a) {
    return std::all_of(a.begin(), a.begin() + 10, [](uint8_t b) { return b == 0; }) &&
           a[10] == 0xff && a[11] == 0xff;
}

// Every node would look for the others at its own machine.
bool is_everywhere(const std::array<uint8_t, 16>& a) {
    return std::all_of(a.begin() + (is_ipv4(a) ? 12 : 0), a.end(),
                       [](uint8_t b) { return b == 0; });
}

class Judge {
public:
    explicit Judge(const Loaded& loaded) : loaded_(loaded), settings_(loaded.settings) {}

    std::vector<std::string> run() {
        addresses();
        tls();
        limits();
        return std::move(found_);
    }

private:
    // A setting as the operator said it.
    std::string said(const char* name) const {
        const Row* row = find_row(name);
        CHECK(row, "a rule is about settings of the table");
        const auto& origin = loaded_.origins[static_cast<size_t>(row - rows().data())];
        if (origin.source == Source::File) return std::string(name) + " (" + origin.where + ")";
        return origin.source == Source::Environment ? origin.where : flag_of(*row);
    }
    std::string with_value(const char* name) const {
        return said(name) + " " + get(*find_row(name), settings_);
    }
    void find(std::string text) { found_.push_back(std::move(text)); }

    void addresses() {
        const auto& s = settings_;
        const auto host = runtime::parse_host(s.host);
        if (host) beyond_loopback();
        if (!host)
            find(said("host") + " '" + s.host +
                 "' is no address: give a numeric one, or localhost");
        else if (is_everywhere(*host))
            find(said("host") + " " + s.host +
                 " is no address under which other nodes could reach this one; name the one that "
                 "they will use.");
        if (!s.join.empty())
            if (auto address = port::Address::parse(s.join); !address)
                find(said("join") + ": " + address.error().context);
        if (s.replace && s.join.empty())
            find(said("replace") + " takes a place in a cluster: name a node of it with " +
                 said("join"));
        const std::string resp = said("resp-port"), http = said("http-port"),
                          peer = said("peer-port");
        const std::string trouble = port_trouble(
            {{resp.c_str(), s.resp_port}, {http.c_str(), s.http_port}, {peer.c_str(), s.peer_port}},
            1);
        if (!trouble.empty()) find(trouble);
    }

    void beyond_loopback() {
        const auto& s = settings_;
        if (is_loopback(s.host) || s.insecure) return;
        std::string missing;
        if (s.tls_cert.empty()) missing += " tls-cert and tls-key,";
        if (s.users.empty()) missing += " [users] in the file,";
        if (!s.private_network) missing += " private-network,";
        if (missing.empty()) return;
        missing.back() = '.';
        find(with_value("host") +
             " is beyond loopback. Three ways out: keep to 127.0.0.1; or TLS and users for the "
             "Redis door, and a network for the HTTP and the peer port, which have neither, that "
             "only nodes and operators reach: here that wants" +
             missing + " Or, to be open to whoever comes, --insecure.");
    }

    void tls() {
        const auto& s = settings_;
        if (s.tls_cert.empty() != s.tls_key.empty())
            find(said("tls-cert") + " and " + said("tls-key") + " go together: " +
                 (s.tls_key.empty() ? "the key" : "the certificate") + " is missing");
        if (!s.tls_client_ca.empty() && s.tls_cert.empty())
            find(said("tls-client-ca") +
                 " checks clients of a door that speaks TLS: " + said("tls-cert") + " is missing");
    }

    // `holder` has room for one of the others, at least.
    void holds(const char* holder, uint64_t room, const char* one, uint64_t bytes) {
        if (room < bytes)
            find(with_value(holder) + " is less than " + with_value(one) +
                 ": not one of them would fit");
    }

    void limits() {
        const auto& s = settings_;
        holds("inflight-bytes-max", s.resp.inflight_bytes_max, "value-bytes-max",
              s.resp.value_bytes_max);
        holds("replies-bytes-max", s.resp.replies_bytes_max, "value-bytes-max",
              s.resp.value_bytes_max);
        holds("replica-queue-bytes-max", s.node.replica_queue_bytes_max, "value-bytes-max",
              s.resp.value_bytes_max);
        holds("rpc-silence-max", static_cast<uint64_t>(s.node.rpc.silence_max.count()),
              "rpc-alive-interval", static_cast<uint64_t>(2 * s.node.rpc.alive_interval.count()));
    }

    const Loaded& loaded_;
    const Settings& settings_;
    std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> contradictions(const Loaded& loaded) { return Judge(loaded).run(); }

bool is_loopback(const std::string& host) {
    const auto a = runtime::parse_host(host);
    if (!a) return false;
    if (is_ipv4(*a)) return (*a)[12] == 127;
    return (*a)[15] == 1 && std::all_of(a->begin(), a->end() - 1, [](uint8_t b) { return b == 0; });
}

}  // namespace asterias::config
