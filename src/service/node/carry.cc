// Orders of an operator on their way to the node that leads the group.
#include "service/node/calls.h"
#include "service/node/findings.h"
#include "service/node/json.h"
#include "service/node/keyspaces.h"
#include "service/node/node.h"

namespace asterias::node {
namespace {

// How long a leader is looked for, and how long an order may take to be done before its answer is
// that it goes on. A transfer is done or given up within a few election timeouts.
constexpr Duration kSearch = seconds(12);
constexpr Duration kSearchToLook = seconds(4);
constexpr Duration kPause = milliseconds(100);
constexpr Duration kAnswerSoon = milliseconds(500);
constexpr Duration kTransferTime = seconds(4);
constexpr Duration kCallTime = seconds(6);

// Nothing came of it there; asking elsewhere is right.
bool ask_elsewhere(const Error& error) {
    return error.code == Errc::Unavailable || error.code == Errc::NotFound;
}

}  // namespace

// One order under way on the leader's node; whoever ordered it may not wait for its end.
struct Node::Work {
    explicit Work(port::Shard& shard) : changed(shard) {}
    std::optional<Result<void>> result;
    bool late = false;
    port::Signal changed;
};

port::Task<> Node::work_on(std::shared_ptr<Work> work, GroupId group, Order order) {
    NodeShard& shard = *members_[0];
    Result<void> result;
    if (order.what == Order::What::Transfer)
        result = co_await shard.transfer(group, order.node);
    else
        result = co_await shard.change(group, change_of(order), order.force);
    if (work->late && !result)
        log_.warn("what was ordered for keyspace " + order.keyspace +
                  " came to nothing: " + result.error().describe());
    work->result = std::move(result);
    work->changed.notify();
}

port::Task<Result<std::string>> Node::order_here(Order order) {
    const auto group = group_named(order.keyspace);
    if (!group) co_return std::unexpected(group.error());
    std::optional<replica::Status> here;
    const auto shards = co_await status();
    for (const auto& shard : shards)
        for (const auto& g : shard.groups)
            if (g.group == *group) here = g;
    if (!here || here->stopped || here->raft.role != raft::Role::Leader)
        co_return fail(Errc::Unavailable, "node " + to_string(identity_.node) +
                                              " does not lead keyspace " + order.keyspace);
    if (order.what == Order::What::List)
        co_return members_json(*here, order.keyspace, identity_.node,
                               copies_of(here->raft.membership,
                                         wanted_copies(identity_.founding, keyspaces(), *group)));
    if (order.what == Order::What::Transfer && order.node == identity_.node)
        co_return std::string("{\"done\":true}");

    log_.info("ordered for keyspace " + order.keyspace + ": " + describe(order));
    std::string left;
    if (order.what == Order::What::Remove) {
        const raft::Change change = change_of(order);
        left = left_behind({change, here->raft, identity_.founding,
                            wanted_copies(identity_.founding, keyspaces(), *group), order.keyspace,
                            connected_nodes(shards, identity_.node)});
    }
    const auto work = std::make_shared<Work>(*shards_[0]);
    scopes_[0]->spawn("node.work_on", work_on(work, *group, order));
    const auto timer = shards_[0]->timers().after(
        order.what == Order::What::Transfer ? kTransferTime : kAnswerSoon, [work] {
            work->late = true;
            work->changed.notify();
        });
    while (!work->result && !work->late)
        co_await work->changed.wait();
    shards_[0]->timers().cancel(timer);
    if (!work->result || *work->result)
        co_return std::string("{\"done\":") + (work->result ? "true" : "false") +
            (left.empty() ? "" : ",\"warning\":" + quoted(left)) + "}";
    // The core's word is for good; that it led no more is not.
    const Error& why = work->result->error();
    if (why.code == Errc::InvalidArgument) co_return fail(Errc::Conflict, why.context);
    if (why.code == Errc::Conflict) co_return fail(Errc::Unavailable, why.context);
    co_return std::unexpected(why);
}

port::Task<Result<std::string>> Node::carry(Order order) {
    const auto group = group_named(order.keyspace);
    if (!group) co_return std::unexpected(group.error());
    const bool look = order.what == Order::What::List;
    const Instant deadline = shards_[0]->clock().now() + (look ? kSearchToLook : kSearch);
    std::string told = "no node answered", way;
    for (size_t turn = 0;; ++turn) {
        // Who is thought to lead, then everybody in turn.
        const NodeId leader = members_[0]->router().leader_of(*group);
        const NodeId to = turn == 0 ? leader : NodeId();
        const auto& members = identity_.founding.members;
        const FoundingMember* member = &members[turn % members.size()];
        for (const auto& m : members)
            if (m.node == to) member = &m;
        const Contact contact = contact_with(co_await status(), member->node);
        Result<std::string> answer;
        if (member->node == identity_.node) {
            answer = co_await order_here(order);
        } else if (!contact.connected) {
            if (contact.through && member->node == leader)
                way = ". Node " + to_string(leader) + " leads it, and is cut off from node " +
                      to_string(identity_.node) + "; ask at node " + to_string(contact.through) +
                      ", which reaches it";
            // A machine that is gone would take the time of all others.
            answer =
                fail(Errc::Unavailable, "node " + to_string(member->node) + " is not connected");
        } else {
            auto reply = co_await rpc::call_once(*shards_[0], member->peer_address,
                                                 {std::string(kReplica), encode(order)}, kCallTime);
            if (reply)
                answer = reply->str();
            else
                answer = std::unexpected(reply.error());
        }
        if (answer || (!look && !ask_elsewhere(answer.error()))) co_return answer;
        told = answer.error().context;
        if (closing_ || shards_[0]->clock().now() >= deadline)
            co_return fail(Errc::Unavailable,
                           "nobody was found who leads keyspace " + order.keyspace +
                               (look ? "" : ", so nothing was done") +
                               " (asterias why says more). The last word: " + told + way);
        if (turn % members.size() == 0) co_await port::sleep(*shards_[0], kPause);
    }
}

port::Task<Result<std::string>> Node::order(Order order) {
    if (auto fine = check(order, identity_.founding); !fine)
        co_return std::unexpected(fine.error());
    if (order.what != Order::What::List || !order.keyspace.empty()) co_return co_await carry(order);
    co_return co_await list_all();
}

port::Task<> Node::list_one(Order order, Result<std::string>* out, size_t* left,
                            port::Signal* changed) {
    *out = co_await carry(std::move(order));
    --*left;
    changed->notify();
}

// At once, so that groups without a leader cost the time of one.
port::Task<std::string> Node::list_all() {
    const catalogue::Catalogue catalogue = keyspaces();
    const auto groups = groups_of(catalogue);
    std::vector<Result<std::string>> answers(groups.size());
    port::Signal changed(*shards_[0]);
    size_t left = groups.size();
    for (size_t i = 0; i < groups.size(); ++i) {
        Order order;
        order.keyspace = keyspace_name(catalogue, groups[i]);
        scopes_[0]->spawn("node.list", list_one(order, &answers[i], &left, &changed));
    }
    while (left > 0)
        co_await changed.wait();
    std::string known, unknown;
    for (size_t i = 0; i < groups.size(); ++i) {
        if (answers[i])
            known += (known.empty() ? "" : ",") + *answers[i];
        else
            unknown += (unknown.empty() ? "" : ",") + std::string("{\"of\":") +
                       quoted(keyspace_name(catalogue, groups[i])) +
                       ",\"error\":" + quoted(answers[i].error().context) + "}";
    }
    co_return "{\"groups\":[" + known + "],\"not_asked\":[" + unknown + "]}";
}

}  // namespace asterias::node
