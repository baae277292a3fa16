#include "service/node/checks.h"

#include "service/node/keyspaces.h"
#include "service/node/node.h"

namespace asterias::node {
namespace {

// Both, one after the other, within the second that Kubernetes gives a probe.
constexpr Duration kTurnTime = milliseconds(400);
constexpr Duration kLeaderTime = milliseconds(500);
constexpr size_t kNamesMost = 8;
// Of no connection, so that no write of it overtakes a question.
constexpr execute::StreamId kChecksStream{~uint64_t{0}};

std::string millis(Duration d) { return std::to_string(d / milliseconds(1)) + " ms"; }

void append(std::string& list, const std::string& more) {
    list += (list.empty() ? "" : "; ") + more;
}

// Which loops have turned since they were asked; those that hang may do so later.
struct Turns {
    Turns(port::Shard& asker, size_t shards) : turned(shards), left(shards), changed(asker) {}
    std::vector<bool> turned;
    size_t left;
    bool late = false;
    port::Signal changed;
};

}  // namespace

Check loops_check(const std::vector<size_t>& silent, Duration waited) {
    Check check{"loops", ""};
    for (const size_t shard : silent)
        append(check.trouble, "the event loop of shard " + std::to_string(shard) +
                                  " took no turn in " + millis(waited));
    return check;
}

Check disk_check(const std::vector<ShardStatus>& shards) {
    for (const auto& shard : shards)
        if (shard.journal.no_space)
            return {"disk", "the disk is full: what grows is refused, reads and deletions go on"};
    return {"disk", ""};
}

Check copies_check(const std::vector<ShardStatus>& shards, const catalogue::Catalogue& catalogue) {
    Check check{"copies", ""};
    for (const auto& shard : shards)
        for (const auto& g : shard.groups)
            if (g.stopped)
                append(check.trouble, "the copy of " + keyspace_name(catalogue, g.group) +
                                          " on this node is stopped: " + g.stopped_why);
    return check;
}

Check keyspaces_check(const Scene& scene, const std::vector<GroupId>& silent, Duration waited) {
    Check check{"keyspaces", ""};
    const auto findings = findings_of(scene);
    for (size_t i = 0; i < silent.size() && i < kNamesMost; ++i) {
        std::string why = "no leader answered this node in " + millis(waited);
        for (const auto& f : findings)
            if (f.group == silent[i] && f.severity == Severity::Critical) why = f.what;
        append(check.trouble, keyspace_name(scene.catalogue, silent[i]) + ": " + why);
    }
    if (silent.size() > kNamesMost)
        append(check.trouble, "and " + std::to_string(silent.size() - kNamesMost) + " more");
    return check;
}

port::Task<std::vector<Check>> Node::live() {
    const auto turns = std::make_shared<Turns>(*shards_[0], shards_.size());
    for (size_t i = 0; i < shards_.size(); ++i)
        shards_[0]->submit(shards_[i]->id(), [this, i, turns] {
            shards_[i]->submit(shards_[0]->id(), [i, turns] {
                turns->turned[i] = true;
                --turns->left;
                turns->changed.notify();
            });
        });
    const auto timer = shards_[0]->timers().after(kTurnTime, [turns] {
        turns->late = true;
        turns->changed.notify();
    });
    while (turns->left > 0 && !turns->late)
        co_await turns->changed.wait();
    if (!turns->late) shards_[0]->timers().cancel(timer);
    std::vector<size_t> silent;
    for (size_t i = 0; i < shards_.size(); ++i)
        if (!turns->turned[i]) silent.push_back(i);
    co_return std::vector<Check>{loops_check(silent, kTurnTime)};
}

port::Task<> Node::ask_leader(GroupId group, bool* answered, size_t* left, port::Signal* changed) {
    kv::Command question;
    question.op = kv::Op::Exists;
    question.keys.push_back(Bytes());
    const auto outcome = co_await ask(group, std::move(question), kLeaderTime, kChecksStream);
    // Whatever the leader says: it led, and a majority agreed to that. A refusal for want of room
    // is no want of a leader.
    *answered = outcome && outcome->reply != kv::Reply::error(execute::kClusterDown);
    --*left;
    changed->notify();
}

port::Task<std::vector<Check>> Node::ready() {
    std::vector<Check> checks = co_await live();
    // One that does not turn answers nothing else either.
    if (!checks[0].trouble.empty()) co_return checks;
    std::vector<GroupId> groups;
    for (const auto& k : routes_of(keyspaces()).keyspaces)
        if (k.group) groups.push_back(k.group);  // else its keys wait for a moment
    const auto answered = std::make_unique<bool[]>(groups.size());
    port::Signal changed(*shards_[0]);
    size_t left = groups.size();
    for (size_t i = 0; i < groups.size(); ++i)
        scopes_[0]->spawn("node.check", ask_leader(groups[i], &answered[i], &left, &changed));
    while (left > 0)
        co_await changed.wait();
    std::vector<GroupId> silent;
    for (size_t i = 0; i < groups.size(); ++i)
        if (!answered[i]) silent.push_back(groups[i]);
    const auto shards = co_await status();
    checks.push_back({"running", closing_ ? "this node is being stopped" : ""});
    checks.push_back(disk_check(shards));
    checks.push_back(copies_check(shards, keyspaces()));
    checks.push_back(
        keyspaces_check({identity_, shards, keyspaces(), port::Space{}, shards_[0]->clock().wall()},
                        silent, kLeaderTime));
    co_return checks;
}

}  // namespace asterias::node
