// asterias replica: who holds a keyspace, and changes of that, followed until they are done.
#include <chrono>
#include <cstdio>
#include <thread>

#include "app/commands.h"
#include "app/local_cluster.h"
#include "app/operate.h"

namespace asterias::app {
namespace {

constexpr const char* kName = "replica";
constexpr const char* kFlag = "--node-address";
constexpr Duration kAnswerTime = seconds(20);  // a leader is looked for, then it answers
constexpr std::chrono::milliseconds kLook{200};

struct Copy {
    std::string node, role, match, snapshot_bytes;
    bool witness = false, heard = false, needs_snapshot = false;
};
struct Group {
    std::string keyspace, leader, last;
    bool settled = false;
    std::vector<Copy> copies;

    const Copy* on(const std::string& node) const {
        for (const auto& copy : copies)
            if (copy.node == node) return &copy;
        return nullptr;
    }
};

// Of our own JSON; the fields of one object stand between `at` and `end`.
std::string field(const std::string& json, const char* name, size_t at, size_t end) {
    const size_t found = json.find("\"" + std::string(name) + "\":", at);
    return found < end ? json_field(json, name, at) : "";
}

std::vector<Group> groups_in(const std::string& json) {
    constexpr std::string_view kGroup = "{\"keyspace\":", kMember = "{\"node\":";
    std::vector<Group> all;
    size_t at = json.find(kGroup);
    while (at != std::string::npos) {
        const size_t end = std::min(json.find(kGroup, at + 1), json.size());
        Group g{json_field(json, "keyspace", at),
                json_field(json, "leader", at),
                json_field(json, "last", at),
                json_field(json, "settled", at) == "true",
                {}};
        for (size_t m = json.find(kMember, at); m < end; m = json.find(kMember, m + 1)) {
            const size_t stop = std::min(json.find('}', m), end);
            g.copies.push_back(
                {field(json, "node", m, stop), field(json, "role", m, stop),
                 field(json, "match", m, stop), field(json, "snapshot_bytes", m, stop),
                 field(json, "witness", m, stop) == "true", field(json, "heard", m, stop) == "true",
                 field(json, "needs_snapshot", m, stop) == "true"});
        }
        all.push_back(std::move(g));
        at = end == json.size() ? std::string::npos : end;
    }
    return all;
}

void print(const Group& g) {
    std::printf("%s: led by node %s%s\n", g.keyspace.c_str(), g.leader.c_str(),
                g.settled ? "" : ", being changed");
    for (const auto& c : g.copies)
        std::printf("  node %-4s %-8s %s of %s%s%s%s\n", c.node.c_str(),
                    c.witness ? "witness" : c.role.c_str(), c.match.empty() ? "?" : c.match.c_str(),
                    g.last.c_str(), c.heard ? "" : ", not heard",
                    c.needs_snapshot ? ", needs a snapshot" : "",
                    c.snapshot_bytes.empty()
                        ? ""
                        : (", snapshot under way: " + c.snapshot_bytes + " bytes").c_str());
}

// How far it is, in a line; empty: nothing to tell.
std::string progress(const Group& g, const std::string& node) {
    const Copy* copy = g.on(node);
    if (copy && copy->role == "learner") {
        const std::string how =
            copy->needs_snapshot || !copy->snapshot_bytes.empty()
                ? "a snapshot is on its way to it" +
                      (copy->snapshot_bytes.empty() ? std::string()
                                                    : ", " + copy->snapshot_bytes + " bytes so far")
                : "it has entry " + (copy->match.empty() ? "0" : copy->match) + " of " + g.last;
        return "node " + node + " catches up: " + how + (copy->heard ? "" : " (it is not heard)");
    }
    return g.settled ? "" : "the old members and the new agree on the change";
}

class Change {
public:
    Change(const ReplicaOptions& options, port::Address address)
        : options_(options), address_(std::move(address)), node_(std::to_string(options.node)) {}

    // The exit code.
    int run() {
        if (options_.op == "transfer" && !options_.node)
            if (auto before = look()) before_ = before->leader;
        const auto answer = http_ask(address_, "POST", query(), kAnswerTime);
        if (!answer) return unreachable(answer.error(), kName, kFlag);
        if (answer->code != 200) return failed(*answer, kName);
        const bool done = json_field(answer->body, "done") == "true";
        if (!done && options_.no_wait) return say("under way");
        return follow(done);
    }

private:
    std::string query() const {
        std::string text =
            "/v1/replica?op=" + options_.op + "&keyspace=" + percent_encoded(options_.keyspace);
        if (options_.node) text += "&node=" + node_;
        if (options_.from) text += "&from=" + std::to_string(options_.from);
        if (options_.witness) text += "&witness=1";
        return text;
    }
    std::optional<Group> look() {
        const auto answer =
            http_ask(address_, "GET", "/v1/replica?keyspace=" + percent_encoded(options_.keyspace),
                     kAnswerTime);
        if (!answer || answer->code != 200) return std::nullopt;
        seen_ = answer->body;
        auto groups = groups_in(answer->body);
        if (groups.size() != 1) return std::nullopt;
        return groups[0];
    }
    bool reached(const Group& g) const {
        if (options_.op == "transfer")
            return options_.node ? g.leader == node_ : g.leader != before_;
        const Copy* copy = g.on(node_);
        if (options_.op == "remove") return !copy;
        return copy && copy->role == "voter" &&
               (options_.op == "add" || !g.on(std::to_string(options_.from)));
    }
    int follow(bool done) {
        const auto deadline =
            std::chrono::steady_clock::now() + std::chrono::seconds(options_.timeout_s);
        std::string told;
        for (int settled = 0;;) {
            if (const auto g = look()) {
                if (g->settled && reached(*g)) return say("done");
                const std::string line = progress(*g, node_);
                if (!line.empty() && line != told)
                    std::fprintf(stderr, "asterias replica: %s\n", line.c_str());
                told = line;
                // Nothing is under way any more, and it is not as it was ordered.
                settled = g->settled && !done ? settled + 1 : 0;
                if (settled > 10) {
                    std::fprintf(stderr,
                                 "asterias replica: it was not done, because the lead changed "
                                 "meanwhile or nobody took it; ask again\n");
                    return kFailed;
                }
            }
            if (std::chrono::steady_clock::now() > deadline) {
                std::fprintf(stderr,
                             "asterias replica: not done within --timeout; it goes on: asterias "
                             "replica list shows how far it is\n");
                return kFailed;
            }
            std::this_thread::sleep_for(kLook);
        }
    }
    int say(const char* outcome) {
        if (options_.json)
            std::printf("{\"outcome\":\"%s\",\"group\":%s}\n", outcome,
                        seen_.empty() ? "null" : seen_.substr(0, seen_.find('\n')).c_str());
        else
            std::printf("%s\n", outcome);
        return kDone;
    }

    const ReplicaOptions& options_;
    const port::Address address_;
    const std::string node_;
    std::string before_;  // who led
    std::string seen_;    // the last answer
};

}  // namespace

int run_replica(const ReplicaOptions& options) {
    const auto address = door_of(options.address, kName, kFlag);
    if (!address) return kUsage;
    if (options.op != "list") return Change(options, *address).run();
    const auto answer = http_ask(
        *address, "GET", "/v1/replica?keyspace=" + percent_encoded(options.keyspace), kAnswerTime);
    if (!answer) return unreachable(answer.error(), kName, kFlag);
    if (answer->code != 200) return failed(*answer, kName);
    if (options.json)
        std::fputs(answer->body.c_str(), stdout);
    else
        for (const auto& group : groups_in(answer->body))
            print(group);
    return kDone;
}

}  // namespace asterias::app
