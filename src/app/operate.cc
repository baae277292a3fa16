// What the commands that ask a node's HTTP door share; asterias why.
#include "app/operate.h"

#include <cstdio>

#include "app/client.h"
#include "app/commands.h"
#include "app/local_cluster.h"
#include "app/text.h"

namespace asterias::app {

void Caller::tell(const std::string& text) const {
    std::fprintf(stderr, "asterias %s: %s\n", command, text.c_str());
}

int Caller::fail(int exit_code, const std::string& text) const {
    tell(text);
    if (json)
        std::printf("{\"error\":%s,\"exit_code\":%d}\n", json_string(text).c_str(), exit_code);
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
