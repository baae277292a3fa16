// asterias status, asterias why: what the operator of a cluster asks, over the HTTP door of any
// node.
#include "app/operate.h"

#include <cstdio>

#include "app/client.h"
#include "app/commands.h"
#include "app/local_cluster.h"
#include "service/node/json.h"

namespace asterias::app {

void Caller::tell(const std::string& text) const {
    std::fprintf(stderr, "asterias %s: %s\n", command, text.c_str());
}

int Caller::fail(int exit_code, const std::string& text) const {
    tell(text);
    if (json)
        std::printf("{\"error\":%s,\"exit_code\":%d}\n", node::quoted(text).c_str(), exit_code);
    return exit_code;
}

Result<port::Address> door_of(const std::string& text, const Caller& caller) {
    auto address = port::Address::parse(text);
    if (!address) caller.fail(kUsage, std::string(caller.flag) + ": " + address.error().context);
    return address;
}

int unreachable(const Error& error, const Caller& caller) {
    return caller.fail(
        kUnreachable,
        error.context + "\nIs a node's --http-port there? Name it with " + caller.flag + ".");
}

std::string error_in(const HttpAnswer& answer) {
    const std::string why = json_field(answer.body, "error");
    return why.empty() ? "the node answered " + std::to_string(answer.code) : why;
}

int failed(const HttpAnswer& answer, const Caller& caller) {
    const std::string why = error_in(answer);
    switch (answer.code) {
        case 400:
        case 404:
            return caller.fail(kUsage, why);
        case 409:
            return caller.fail(kRefused, why);
        default:
            return caller.fail(kFailed, why);
    }
}

namespace {

void print_groups(const std::string& json) {
    std::printf("%-6s %-14s %-12s %6s %6s %10s %10s %7s\n", "group", "keyspace", "role here",
                "leader", "term", "commit", "applied", "copies");
    const auto field = [&json](const char* name, size_t at) { return json_field(json, name, at); };
    constexpr std::string_view kGroup = "{\"group\":";
    size_t at = json.find(kGroup, json.find("\"groups\":"));
    while (at != std::string::npos) {
        const size_t next = json.find(kGroup, at + 1);
        const auto own = [&](const char* name) {
            return json.find("\"" + std::string(name) + "\":", at) < next ? field(name, at) : "";
        };
        const std::string copies = own("copies"), wanted = own("wanted"), below = own("below");
        std::printf("%-6s %-14s %-12s %6s %6s %10s %10s %7s\n", field("group", at).c_str(),
                    field("keyspace", at).c_str(), field("role", at).c_str(),
                    field("leader", at).c_str(), field("term", at).c_str(),
                    field("commit", at).c_str(), field("applied", at).c_str(),
                    copies.empty() ? "?" : (copies + "/" + wanted).c_str());
        if (!below.empty()) std::printf("       %s\n", below.c_str());
        if (field("role", at) == "stopped")
            std::printf("       stopped: %s\n", field("why", at).c_str());
        at = next;
    }
}

}  // namespace

int run_status(const StatusOptions& options) {
    const Caller caller{"status", "--node", options.json};
    const auto address = door_of(options.address, caller);
    if (!address) return kUsage;
    const auto json = http_get(*address, "/status", seconds(5));
    if (!json) return unreachable(json.error(), caller);
    if (options.json) {
        std::fputs(json->c_str(), stdout);
        return kDone;
    }
    std::printf("cluster %s, seen from node %s (start %s)\n", json_field(*json, "cluster").c_str(),
                json_field(*json, "node").c_str(), json_field(*json, "incarnation").c_str());
    print_groups(*json);
    const size_t groups = json->find("\"groups\":");
    for (size_t at = json->find("\"connected\":false"); at < groups;
         at = json->find("\"connected\":false", at + 1)) {
        const size_t member = json->rfind("{\"node\":", at);
        std::printf("node %s at %s is not connected (%s); asterias why says more\n",
                    json_field(*json, "node", member).c_str(),
                    json_field(*json, "peer", member).c_str(),
                    json_field(*json, "since", at).c_str());
    }
    return kDone;
}

int run_why(const WhyOptions& options) {
    const Caller caller{"why", "--node", options.json};
    const auto address = door_of(options.address, caller);
    if (!address) return kUsage;
    const auto asked = http_ask(
        *address, "GET", "/v1/why?keyspace=" + percent_encoded(options.keyspace), seconds(10));
    if (!asked) return unreachable(asked.error(), caller);
    if (asked->code != 200) return failed(*asked, caller);
    const std::string& answer = asked->body;
    const size_t findings = answer.find("\"findings\":");
    size_t at = answer.find("{\"node\":", findings);
    const bool well = at == std::string::npos;
    if (options.json) {
        std::fputs(answer.c_str(), stdout);
        return well ? kDone : kCheckFailed;
    }
    if (well)
        std::printf(
            "All is well: %s nodes answer, and every one of %s groups has a leader and "
            "all its copies.\n",
            json_field(answer, "nodes").c_str(), json_field(answer, "groups").c_str());
    for (; at != std::string::npos; at = answer.find("{\"node\":", at + 1)) {
        const std::string keyspace = json_field(answer, "keyspace", at);
        std::printf("%s: node %s%s%s: %s\n    next: %s\n",
                    json_field(answer, "severity", at).c_str(),
                    json_field(answer, "node", at).c_str(), keyspace.empty() ? "" : ", keyspace ",
                    keyspace.c_str(), json_field(answer, "what", at).c_str(),
                    json_field(answer, "next", at).c_str());
    }
    return well ? kDone : kCheckFailed;
}

}  // namespace asterias::app
