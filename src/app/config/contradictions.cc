#include "app/config/contradictions.h"

#include <algorithm>
#include <array>
#include <initializer_list>

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
    const Loaded::Origin& origin(const char* name) const {
        const Row* row = find_row(name);
        CHECK(row, "a rule is about settings of the table");
        return loaded_.origins[static_cast<size_t>(row - rows().data())];
    }
    // A setting as the operator said it.
    std::string said(const char* name) const {
        const auto& from = origin(name);
        if (from.source == Source::File) return std::string(name) + " (" + from.where + ")";
        return from.source == Source::Environment ? from.where : "--" + std::string(name);
    }
    std::string with_value(const char* name) const {
        const bool by_default = origin(name).source == Source::Default;
        return said(name) + " " + get(*find_row(name), settings_) +
               (by_default ? " (its default)" : "");
    }
    bool doubted(const char* name) const { return loaded_.doubted.contains(name); }
    // Of all of them together; the line of the first that stands in the file comes first.
    void find(std::initializer_list<const char*> names, std::string text) {
        std::string place;
        for (const char* name : names) {
            if (doubted(name)) return;
            if (place.empty() && origin(name).source == Source::File) place = origin(name).where;
        }
        const std::string again = " (" + place + ")";
        if (const size_t at = text.find(again); !place.empty() && at != text.npos)
            text.erase(at, again.size());
        found_.push_back(place.empty() ? text : place + ": " + text);
    }

    void addresses() {
        const auto& s = settings_;
        const auto host = runtime::parse_host(s.host);
        if (host) beyond_loopback();
        if (!host)
            find({"host"}, said("host") + " '" + s.host +
                               "' is no address: give a numeric one, or localhost");
        else if (is_everywhere(*host))
            find({"host"}, said("host") + " " + s.host +
                               " is no address under which other nodes could reach this one; name "
                               "the one that they will use.");
        if (!s.join.empty())
            if (auto address = port::Address::parse(s.join); !address)
                find({"join"}, said("join") + ": " + address.error().context);
        if (s.replace && s.join.empty())
            find({"replace", "join"}, said("replace") +
                                          " takes a place in a cluster: name a node of it with " +
                                          said("join") + " HOST:PEER_PORT");
        ports("resp-port", s.resp_port, "http-port", s.http_port);
        ports("resp-port", s.resp_port, "peer-port", s.peer_port);
        ports("http-port", s.http_port, "peer-port", s.peer_port);
    }

    void ports(const char* a, uint16_t first, const char* b, uint16_t second) {
        const std::string one = said(a), other = said(b);
        const auto trouble = port_trouble({{one.c_str(), first}, {other.c_str(), second}}, 1);
        if (!trouble.empty()) find({a, b}, trouble + "; give one of them another");
    }

    void beyond_loopback() {
        const auto& s = settings_;
        if (is_loopback(s.host) || s.insecure) return;
        std::string missing;
        if (s.tls_cert.empty() && !doubted("tls-cert")) missing += " tls-cert and tls-key,";
        if (s.users.empty() && !doubted("users")) missing += " [users] in the file,";
        if (!s.private_network && !doubted("private-network")) missing += " private-network,";
        if (missing.empty()) return;
        missing.back() = '.';
        find({"host", "insecure"},
             with_value("host") +
                 " is beyond loopback. Three ways out: keep to 127.0.0.1; or TLS and users for the "
                 "Redis door, and a network for the HTTP and the peer port, which have neither, "
                 "that only nodes and operators reach: here that wants" +
                 missing + " Or, to be open to whoever comes, --insecure.");
    }

    void tls() {
        const auto& s = settings_;
        const char* missing = s.tls_key.empty() ? "tls-key" : "tls-cert";
        if (s.tls_cert.empty() != s.tls_key.empty())
            find({"tls-cert", "tls-key"},
                 said("tls-cert") + " and " + said("tls-key") +
                     " go together: " + (s.tls_key.empty() ? "the key" : "the certificate") +
                     " is missing; name its " + "file with " + missing + ", or leave both out");
        if (!s.tls_client_ca.empty() && s.tls_cert.empty())
            find({"tls-client-ca", "tls-cert"},
                 said("tls-client-ca") + " checks clients of a door that speaks TLS: " +
                     said("tls-cert") + " is missing; name it and tls-key, or leave this out");
    }

    // `holder` has room for one of the others, at least.
    void holds(const char* holder, uint64_t room, const char* one, uint64_t bytes) {
        if (room < bytes)
            find({holder, one}, with_value(holder) + " is less than " + with_value(one) +
                                    ": not one of them would fit; raise the first, or lower the "
                                    "second");
    }

    void limits() {
        const auto& s = settings_;
        holds("inflight-bytes-max", s.resp.inflight_bytes_max, "value-bytes-max",
              s.resp.value_bytes_max);
        holds("replies-bytes-max", s.resp.replies_bytes_max, "value-bytes-max",
              s.resp.value_bytes_max);
        holds("replica-queue-bytes-max", s.node.replica_queue_bytes_max, "value-bytes-max",
              s.resp.value_bytes_max);
        if (s.node.rpc.silence_max < 2 * s.node.rpc.alive_interval)
            find({"rpc-silence-max", "rpc-alive-interval"},
                 with_value("rpc-silence-max") + " is less than twice " +
                     with_value("rpc-alive-interval") +
                     ": a connection that lives would be given up; raise the first, or lower the "
                     "second");
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
