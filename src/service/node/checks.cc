#include "service/node/checks.h"

#include <algorithm>

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

Check keyspaces_check(const Scene& scene, const std::vector<Question>& asked, Duration waited) {
    Check check{"keyspaces", ""};
    if (std::ranges::all_of(asked,
                            [](const Question& a) { return a.answered == Answered::Leader; }))
        return check;
    const auto findings = findings_of(scene);
    size_t silent = 0;
    for (const auto& [group, answered] : asked) {
        std::string why;
        if (answered == Answered::Nobody) why = "no leader answered this node in " + millis(waited);
        if (answered != Answered::Leader)
            for (const auto& f : findings)
                if (f.group == group && f.severity == Severity::Critical) why = f.what;
        if (!why.empty() && ++silent <= kNamesMost)
            append(check.trouble, keyspace_name(scene.catalogue, group) + ": " + why);
    }
    if (silent > kNamesMost)
        append(check.trouble, "and " + std::to_string(silent - kNamesMost) + " more");
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

port::Task<> Node::ask_leader(Question* asked, size_t* left, port::Signal* changed) {
    kv::Command question;
    question.op = kv::Op::Exists;
    question.keys.push_back(Bytes());
    const auto outcome =
        co_await ask(asked->group, std::move(question), kLeaderTime, kChecksStream);
    if (outcome && outcome->evidence.leader)
        asked->answered = Answered::Leader;  // a majority agreed to that
    else if (outcome && outcome->reply.text.view().starts_with("TRYAGAIN"))
        asked->answered = Answered::NoRoom;
    --*left;
    changed->notify();
}

port::Task<std::vector<Check>> Node::ready() {
    std::vector<Check> checks = co_await live();
    // One that does not turn answers nothing else either.
    if (!checks[0].trouble.empty()) co_return checks;
    std::vector<Question> groups;
    for (const auto& k : routes_of(keyspaces()).keyspaces)
        if (k.group) groups.push_back({k.group});  // else its keys wait for a moment
    port::Signal changed(*shards_[0]);
    size_t left = groups.size();
    for (auto& asked : groups)
        scopes_[0]->spawn("node.check", ask_leader(&asked, &left, &changed));
    while (left > 0)
        co_await changed.wait();
    const auto shards = co_await status();
    checks.push_back({"running", closing_ ? "this node is being stopped" : ""});
    if (closing_) co_return checks;  // and asks nobody any more
    checks.push_back(disk_check(shards));
    checks.push_back(copies_check(shards, keyspaces()));
    checks.push_back(
        keyspaces_check({identity_, shards, keyspaces(), port::Space{}, shards_[0]->clock().wall()},
                        groups, kLeaderTime));
    co_return checks;
}

}  // namespace asterias::node
