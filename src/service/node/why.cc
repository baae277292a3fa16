// The node's answer to `asterias why`: its own findings and those of every node that answers.
#include "service/node/calls.h"
#include "service/node/findings.h"
#include "service/node/keyspaces.h"
#include "service/node/node.h"

namespace asterias::node {
namespace {
constexpr Duration kAnswerTime = seconds(1);

void append(std::string& list, const std::string& more) {
    if (!more.empty()) list += (list.empty() ? "" : ",") + more;
}
}  // namespace

port::Task<std::string> Node::findings_json(std::string keyspace) {
    const auto shards = co_await status();
    const auto space = co_await shards_[0]->disk().space(options_.directory);
    std::string out;
    for (const auto& f : findings_of({identity_, shards, keyspaces(), space.value_or(port::Space{}),
                                      shards_[0]->clock().wall()}))
        if (keyspace.empty() || !f.group || f.keyspace == keyspace) append(out, to_json(f));
    co_return out;
}

port::Task<> Node::ask_why(FoundingMember member, std::string keyspace, std::string* out,
                           size_t* left, port::Signal* changed) {
    const auto answer = co_await rpc::call_once(
        *shards_[0], member.peer_address, {std::string(kWhy), Bytes::copy(keyspace)}, kAnswerTime);
    if (answer) {
        *out = answer->str();
    } else {
        const auto shards = co_await status();
        std::string refused;
        for (const auto& shard : shards)
            if (const auto no = shard.refused.find(member.node); no != shard.refused.end())
                refused = no->second;
        *out = to_json(finding_of_silent(member, answer.error(), contact_with(shards, member.node),
                                         refused, shards_[0]->clock().wall()));
    }
    --*left;
    changed->notify();
}

Result<GroupId> Node::group_named(const std::string& keyspace) const {
    std::string names;
    const auto& catalogue = keyspaces();
    for (GroupId group : groups_of(catalogue)) {
        const std::string name = keyspace_name(catalogue, group);
        if (name == keyspace) return group;
        names += (names.empty() ? "" : ", ") + name;
    }
    return fail(Errc::NotFound, "there is no keyspace '" + keyspace + "' here, but " + names);
}

port::Task<Result<std::string>> Node::why_json(std::string keyspace) {
    if (!keyspace.empty())
        if (auto known = group_named(keyspace); !known) co_return std::unexpected(known.error());
    const auto& members = identity_.founding.members;
    std::vector<std::string> answers(members.size());
    port::Signal changed(*shards_[0]);
    size_t left = members.size() - 1;
    // At once, so that several nodes that are gone cost the time of one.
    for (size_t i = 0; i < members.size(); ++i)
        if (members[i].node != identity_.node)
            scopes_[0]->spawn("node.why",
                              ask_why(members[i], keyspace, &answers[i], &left, &changed));
    std::string all = co_await findings_json(keyspace);
    while (left > 0)
        co_await changed.wait();
    for (const auto& answer : answers)
        append(all, answer);
    co_return "{\"node\":" + std::to_string(identity_.node.value) +
        ",\"nodes\":" + std::to_string(members.size()) +
        ",\"groups\":" + std::to_string(groups_of(keyspaces()).size()) + ",\"findings\":[" + all +
        "]}";
}

}  // namespace asterias::node
