// asterias keyspace: which keyspaces there are, and new ones and fewer while the cluster runs.
#include <chrono>
#include <cstdio>
#include <thread>

#include "app/commands.h"
#include "app/doors.h"
#include "app/local_cluster.h"
#include "app/operate.h"
#include "service/node/json.h"

namespace asterias::app {
namespace {

constexpr std::chrono::milliseconds kLook{200};
constexpr std::chrono::seconds kSilence{20};

struct Shown {
    std::string name, id, state, copies, founded_on, promise;
    bool settled = false;
};

// The text between the brackets of a list.
std::string list_of(const std::string& json, const char* name, size_t at) {
    const std::string mark = "\"" + std::string(name) + "\":[";
    const size_t found = json.find(mark, at);
    if (found == std::string::npos) return "";
    const size_t from = found + mark.size();
    return json.substr(from, json.find(']', from) - from);
}

std::vector<Shown> keyspaces_in(const std::string& json) {
    constexpr std::string_view kEach = "{\"name\":";
    const size_t end = std::min(json.find("\"refusals\":"), json.size());
    std::vector<Shown> all;
    for (size_t at = json.find(kEach); at < end; at = json.find(kEach, at + 1))
        all.push_back({json_field(json, "name", at), json_field(json, "id", at),
                       json_field(json, "state", at), json_field(json, "copies", at),
                       list_of(json, "founded_on", at), list_of(json, "promise", at),
                       json_field(json, "settled", at) == "true"});
    return all;
}

// Why the order of that number came to nothing; empty: it is not among the last.
std::string refusal_of(const std::string& json, const std::string& id) {
    size_t at = json.find("\"refusals\":");
    std::string why;
    while (at != std::string::npos && (at = json.find("{\"id\":", at)) != std::string::npos) {
        if (json_field(json, "id", at) == id) why = json_field(json, "why", at);
        ++at;
    }
    return why;
}

void print(const Shown& k, bool words) {
    std::printf("%s: %s, %s %s wanted, founded on node%s %s\n", k.name.c_str(), k.state.c_str(),
                k.copies.c_str(), k.copies == "1" ? "copy" : "copies",
                k.founded_on.find(',') == std::string::npos ? "" : "s", k.founded_on.c_str());
    if (!words) return;
    // ["sentence","sentence"]
    for (size_t at = k.promise.find('"'); at != std::string::npos;) {
        const size_t end = k.promise.find('"', at + 1);
        if (end == std::string::npos) break;
        std::printf("  %s\n", k.promise.substr(at + 1, end - at - 1).c_str());
        at = k.promise.find('"', end + 1);
    }
}

class KeyspaceChange {
public:
    KeyspaceChange(const KeyspaceOptions& options, const Caller& caller, port::Address address)
        : options_(options), caller_(caller), doors_(std::move(address), caller) {}

    // The exit code.
    int run() {
        if (auto there = doors_.learn(); !there) return unreachable(there.error(), caller_);
        const auto answer = doors_.ask("POST", query());
        if (!answer)
            return caller_.fail(kFailed, "it is not known whether the order was taken" + look());
        if (answer->code != 200) return failed(*answer, caller_);
        id_ = json_field(answer->body, "id");
        if (json_field(answer->body, "done") == "true") return say("done");
        return options_.no_wait ? say("under way") : follow();
    }

private:
    std::string query() const {
        std::string text =
            "/v1/keyspace?op=" + options_.op + "&name=" + percent_encoded(options_.name);
        if (options_.copies) text += "&copies=" + std::to_string(options_.copies);
        if (!options_.on.empty()) text += "&on=" + percent_encoded(options_.on);
        if (options_.move) text += "&move=1";
        if (options_.force) text += "&force=1";
        return text;
    }
    int follow() {
        using Clock = std::chrono::steady_clock;
        const auto deadline = Clock::now() + std::chrono::seconds(options_.timeout_s);
        auto heard = Clock::now();
        std::string told;
        while (true) {
            const auto answer = doors_.ask("GET", "/v1/keyspace");
            if (answer && answer->code == 200) {
                heard = Clock::now();
                doors_.answered_well();
                const Shown* there = nullptr;
                const auto all = keyspaces_in(answer->body);
                for (const auto& k : all)
                    if (k.id == id_) there = &k;
                if (!there || there->settled) return ended(there, answer->body);
                if (there->state != told) caller_.tell(there->name + ": " + there->state);
                told = there->state;
            } else if (answer) {
                doors_.pass_on(error_in(*answer));
            }
            if (Clock::now() - heard > kSilence)
                return caller_.fail(
                    kUnreachable,
                    "no node answers. The order was taken, and goes on by itself" + look());
            if (Clock::now() > deadline)
                return caller_.fail(kFailed,
                                    "not done within --timeout. It goes on by itself" + look());
            std::this_thread::sleep_for(kLook);
        }
    }
    int ended(const Shown* there, const std::string& json) {
        if ((options_.op == "create") == (there != nullptr)) return say("done");
        const std::string why = refusal_of(json, id_);
        return caller_.fail(kRefused, why.empty() ? "it was called off by another order" : why);
    }
    static std::string look() { return ". How far it is shows: asterias keyspace list"; }
    int say(const char* outcome) {
        if (options_.json)
            std::printf("{\"outcome\":\"%s\",\"id\":%s}\n", outcome, id_.c_str());
        else
            std::printf("%s\n", outcome);
        return kDone;
    }

    const KeyspaceOptions& options_;
    const Caller& caller_;
    Doors doors_;
    std::string id_;
};

}  // namespace

int run_keyspace(const KeyspaceOptions& options) {
    const Caller caller{"keyspace", "--node-address", options.json};
    const auto address = door_of(options.address, caller);
    if (!address) return kUsage;
    if (options.op == "create" || options.op == "drop")
        return KeyspaceChange(options, caller, *address).run();
    const auto answer = http_ask(*address, "GET",
                                 "/v1/keyspace?name=" + percent_encoded(options.name), seconds(20));
    if (!answer) return unreachable(answer.error(), caller);
    if (answer->code != 200) return failed(*answer, caller);
    if (options.json) {
        std::fputs(answer->body.c_str(), stdout);
        return kDone;
    }
    for (const auto& k : keyspaces_in(answer->body))
        print(k, options.op == "describe");
    return kDone;
}

}  // namespace asterias::app
