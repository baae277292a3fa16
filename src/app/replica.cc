// asterias replica: who holds a keyspace, and changes of that, followed until they are done.
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
// That no node answers, until the waiting ends.
constexpr std::chrono::seconds kSilence{20};
constexpr int kOutcomeUnknown = 504;
constexpr int kLooksMost = 10;  // that find nothing under way, and not what was ordered

struct Copy {
    std::string node, role, match, snapshot_bytes;
    bool witness = false, heard = false, needs_snapshot = false;
};
struct Group {
    std::string keyspace, leader, last, held, wanted;
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
                json_field(json, "copies", at),
                json_field(json, "wanted", at),
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
    std::printf("%s: led by node %s, %s of %s copies%s\n", g.keyspace.c_str(), g.leader.c_str(),
                g.held.c_str(), g.wanted.c_str(), g.settled ? "" : ", being changed");
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
        return "node " + node + " catches up: " + how +
               (copy->heard ? ""
                            : "; it is not heard, and asterias replica remove --keyspace " +
                                  g.keyspace + " --node " + node + " takes the order back");
    }
    return g.settled ? "" : "the old members and the new agree on the change";
}

class Change {
public:
    Change(const ReplicaOptions& options, const Caller& caller, port::Address address)
        : options_(options),
          caller_(caller),
          doors_(std::move(address), caller),
          node_(std::to_string(options.node)) {}

    // The exit code.
    int run() {
        if (auto there = doors_.learn(); !there) return unreachable(there.error(), caller_);
        if (options_.op == "transfer" && !options_.node)
            if (auto before = look()) before_ = before->leader;
        const auto answer = doors_.ask("POST", query());
        if (!answer || answer->code == kOutcomeUnknown) {
            fate_ = "It is not known whether the order was taken";
            if (answer) caller_.tell(error_in(*answer) + "; the order may go on, so it is watched");
            return follow(false);
        }
        if (answer->code != 200) return failed(*answer, caller_);
        warning_ = json_field(answer->body, "warning");
        if (!warning_.empty()) caller_.tell(warning_);
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
        if (options_.force) text += "&force=1";
        return text;
    }
    std::optional<Group> look() {
        const auto answer =
            doors_.ask("GET", "/v1/replica?keyspace=" + percent_encoded(options_.keyspace));
        silent_ = !answer;
        if (!answer) return std::nullopt;
        if (answer->code != 200) {
            doors_.pass_on(error_in(*answer));
            return std::nullopt;
        }
        seen_ = answer->body;
        auto groups = groups_in(answer->body);
        if (groups.size() != 1) return std::nullopt;
        doors_.answered_well();
        return groups[0];
    }
    bool reached(const Group& g) const {
        if (options_.op == "transfer")
            return options_.node ? g.leader == node_ : !before_.empty() && g.leader != before_;
        const Copy* copy = g.on(node_);
        if (options_.op == "remove") return !copy;
        return copy && copy->role == "voter" &&
               (options_.op == "add" || !g.on(std::to_string(options_.from)));
    }
    int follow(bool done) {
        using Clock = std::chrono::steady_clock;
        const auto deadline = Clock::now() + std::chrono::seconds(options_.timeout_s);
        auto heard = Clock::now();
        std::string told;
        for (int settled = 0;;) {
            const auto g = look();
            if (!silent_) heard = Clock::now();
            if (g) {
                if (g->settled && reached(*g)) return say("done");
                const std::string line = progress(*g, node_);
                if (!line.empty() && line != told) caller_.tell(line);
                told = line;
                settled = g->settled && !done ? settled + 1 : 0;
                if (settled > kLooksMost)
                    return caller_.fail(kFailed,
                                        "it was not done, because the lead changed meanwhile or "
                                        "nobody took it, or it was taken back; ask again");
            }
            if (Clock::now() - heard > kSilence)
                return caller_.fail(kUnreachable, "no node answers. " + fate_ + look_with());
            if (Clock::now() > deadline)
                return caller_.fail(kFailed, "not done within --timeout. " + fate_ + look_with());
            std::this_thread::sleep_for(kLook);
        }
    }
    std::string look_with() const {
        return ". How far it is shows: asterias replica list --keyspace " + options_.keyspace +
               " --node-address " + doors_.present().describe();
    }
    int say(const char* outcome) {
        if (options_.json)
            std::printf("{\"outcome\":\"%s\",\"warning\":%s,\"group\":%s}\n", outcome,
                        node::quoted(warning_).c_str(),
                        seen_.empty() ? "null" : seen_.substr(0, seen_.find('\n')).c_str());
        else
            std::printf("%s\n", outcome);
        return kDone;
    }

    const ReplicaOptions& options_;
    const Caller& caller_;
    Doors doors_;
    const std::string node_;
    std::string fate_ = "The order was taken, and goes on by itself";
    bool silent_ = false;  // the last one that was asked did not answer
    std::string before_;   // who led
    std::string seen_;     // the last answer
    std::string warning_;  // of the node that took the order
};

// Groups that could not be asked make the answer partial: kCheckFailed; all of them: kFailed.
int print_list(const std::string& json, const Caller& caller) {
    const auto groups = groups_in(json);
    constexpr std::string_view kUnknown = "{\"of\":";
    const size_t unknown = json.find(kUnknown);
    if (caller.json)
        std::fputs(json.c_str(), stdout);
    else
        for (const auto& group : groups)
            print(group);
    for (size_t at = unknown; at != std::string::npos; at = json.find(kUnknown, at + 1)) {
        if (!caller.json)
            std::printf("%s: could not be asked: %s\n", json_field(json, "of", at).c_str(),
                        json_field(json, "error", at).c_str());
    }
    if (unknown == std::string::npos) return kDone;
    return groups.empty() ? kFailed : kCheckFailed;
}

}  // namespace

int run_replica(const ReplicaOptions& options) {
    const Caller caller{"replica", "--node-address", options.json};
    const auto address = door_of(options.address, caller);
    if (!address) return kUsage;
    if (options.op != "list") return Change(options, caller, *address).run();
    const auto answer = http_ask(
        *address, "GET", "/v1/replica?keyspace=" + percent_encoded(options.keyspace), seconds(20));
    if (!answer) return unreachable(answer.error(), caller);
    if (answer->code != 200) return failed(*answer, caller);
    return print_list(answer->body, caller);
}

}  // namespace asterias::app
