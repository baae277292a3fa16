#include "service/node/keyspace_orders.h"

#include <algorithm>
#include <charconv>

#include "port/sync.h"
#include "service/node/findings.h"
#include "service/node/json.h"
#include "service/node/node.h"

namespace asterias::node {
namespace {

using catalogue::Catalogue;
using catalogue::State;

constexpr uint32_t kUsualCopies = 3;
constexpr Duration kTakeTime = seconds(12);   // until the catalogue has it
constexpr Duration kAnswerSoon = seconds(3);  // behind that the answer is that it goes on
constexpr Duration kPause = milliseconds(50);

std::string list(const std::vector<std::string>& items) {
    std::string out;
    for (const auto& item : items)
        out += (out.empty() ? "" : ",") + item;
    return "[" + out + "]";
}

std::optional<uint64_t> whole_number(const std::string& text) {
    uint64_t number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

}  // namespace

std::string keyspaces_json(const Catalogue& c, const std::string& name) {
    std::vector<std::string> keyspaces, refusals;
    for (const auto& k : c.keyspaces) {
        if (!name.empty() && k.name != name) continue;
        std::vector<std::string> members, words;
        for (const auto& m : k.members)
            members.push_back(number(m.node.value));
        for (const auto& sentence : catalogue::promise(k))
            words.push_back(quoted(sentence));
        keyspaces.push_back("{\"name\":" + quoted(k.name) + ",\"id\":" + number(k.id.value) +
                            ",\"group\":" + number(k.group().value) +
                            ",\"state\":" + quoted(word_of(k.state)) +
                            ",\"settled\":" + (k.state == State::Serving ? "true" : "false") +
                            ",\"copies\":" + number(k.copies) + ",\"founded_on\":" + list(members) +
                            ",\"promise\":" + list(words) + "}");
    }
    for (const auto& r : c.refusals)
        if (name.empty() || r.name == name)
            refusals.push_back("{\"id\":" + number(r.id.value) + ",\"name\":" + quoted(r.name) +
                               ",\"why\":" + quoted(r.why) + "}");
    return "{\"generation\":" + number(c.generation) + ",\"keyspaces\":" + list(keyspaces) +
           ",\"refusals\":" + list(refusals) + "}";
}

Result<KeyspaceOrder> keyspace_order_of(std::map<std::string, std::string> query, bool change) {
    const auto refuse = [](std::string why) { return fail(Errc::InvalidArgument, std::move(why)); };
    KeyspaceOrder order;
    order.name = query["name"];
    order.move = query["move"] == "1";
    order.force = query["force"] == "1";
    if (!change) {
        order.what = order.name.empty() ? KeyspaceOrder::What::List : KeyspaceOrder::What::Describe;
        return order;
    }
    const std::string& op = query["op"];
    if (op != "create" && op != "drop") return refuse("op is create or drop, not '" + op + "'");
    order.what = op == "create" ? KeyspaceOrder::What::Create : KeyspaceOrder::What::Drop;
    if (order.name.empty()) return refuse("name is missing");
    const std::string numbers = query["on"];
    for (size_t at = 0; at < numbers.size();) {
        const size_t comma = std::min(numbers.find(',', at), numbers.size());
        const auto node = whole_number(numbers.substr(at, comma - at));
        if (!node || !*node)
            return refuse("on: '" + numbers + "' is no list of nodes, as in 1,2,3");
        order.on.emplace_back(*node);
        at = comma + 1;
    }
    if (const std::string& text = query["copies"]; !text.empty()) {
        const auto copies = whole_number(text);
        if (!copies || *copies < 1 || *copies > catalogue::kCopiesMax)
            return refuse("copies: '" + text + "' is no number from 1 to " +
                          std::to_string(catalogue::kCopiesMax));
        order.copies = static_cast<uint32_t>(*copies);
    }
    return order;
}

// The catalogue that the order asks for.
port::Task<Result<Catalogue>> Node::wished(KeyspaceOrder order, Catalogue now) {
    if (order.what == KeyspaceOrder::What::Drop)
        co_return catalogue::without(now, order.name, order.force);
    const auto reached = connected_nodes(co_await status(), identity_.node);
    std::vector<catalogue::Birth> nodes;
    for (const auto& member : identity_.founding.members) {
        const NodeId node = member.node;
        const bool named = std::ranges::find(order.on, node) != order.on.end();
        if (!order.on.empty() && !named) continue;
        if (!std::ranges::binary_search(reached, node)) {
            if (!named) continue;
            co_return fail(Errc::Conflict, "node " + to_string(node) +
                                               " is not connected; start it, or name another one");
        }
        const auto seen = identity_.seen.find(node);
        const Incarnation start = node == identity_.node         ? identity_.incarnation
                                  : seen == identity_.seen.end() ? Incarnation()
                                                                 : seen->second;
        nodes.push_back({node, static_cast<uint32_t>(life_of(start))});
    }
    if (!order.on.empty() && nodes.size() != order.on.size())
        co_return fail(Errc::InvalidArgument,
                       "--on names nodes of this cluster, each once: it has 1 to " +
                           std::to_string(identity_.founding.members.size()));
    catalogue::Wish wish;
    wish.name = order.name;
    wish.move = order.move;
    wish.copies = order.copies        ? order.copies
                  : !order.on.empty() ? static_cast<uint32_t>(order.on.size())
                                      : static_cast<uint32_t>(std::min<size_t>(
                                            kUsualCopies, identity_.founding.members.size()));
    wish.members = catalogue::choose(now, std::move(nodes), wish.copies);
    co_return catalogue::with(now, wish);
}

port::Task<Result<std::string>> Node::change_keyspaces(KeyspaceOrder order) {
    const Instant deadline = shards_[0]->clock().now() + kTakeTime;
    std::string told;
    while (!closing_ && shards_[0]->clock().now() < deadline) {
        const auto recorded = co_await read_record();
        if (!recorded) {
            told = recorded.error().context;
            co_await port::sleep(*shards_[0], kPause);
            continue;
        }
        const auto next = co_await wished(order, recorded->catalogue);
        if (!next) co_return std::unexpected(next.error());
        const auto* made = next->find(order.name);
        CHECK(made, "an order leaves its keyspace in the catalogue");
        const KeyspaceId id = made->id;
        const auto stored = co_await store_record(recorded->version, *next);
        if (!stored)
            co_return fail(Errc::Unavailable,
                           "it is not known whether the order was taken; asterias keyspace list "
                           "shows it. " +
                               stored.error().context);
        if (!*stored) continue;  // another order was faster
        log_.info("ordered: keyspace " + order.name + ": " + std::string(word_of(made->state)));
        co_return co_await await_keyspace(order, id, next->generation);
    }
    if (closing_) co_return fail(Errc::Closed, "this node stops");
    co_return fail(Errc::Unavailable,
                   "the system group has no leader that could be asked, so nothing was done "
                   "(asterias why says more): " +
                       told);
}

port::Task<Result<std::string>> Node::await_keyspace(KeyspaceOrder order, KeyspaceId id,
                                                     uint64_t generation) {
    const Instant deadline = shards_[0]->clock().now() + kAnswerSoon;
    const bool drop = order.what == KeyspaceOrder::What::Drop;
    while (!closing_ && shards_[0]->clock().now() < deadline) {
        co_await port::sleep(*shards_[0], kPause);
        const Catalogue& now = keyspaces();
        if (now.generation < generation) continue;
        const auto* k = now.find(id);
        const bool settled = !k || k->state == State::Serving;
        if (!settled) continue;
        if (drop != (k == nullptr)) {
            std::string why = "it was called off";
            for (const auto& refusal : now.refusals)
                if (refusal.id == id) why = refusal.why;
            co_return fail(Errc::Conflict, why);
        }
        co_return "{\"id\":" + number(id.value) + ",\"done\":true}";
    }
    co_return "{\"id\":" + number(id.value) + ",\"done\":false}";
}

port::Task<Result<std::string>> Node::order_keyspace(KeyspaceOrder order) {
    using What = KeyspaceOrder::What;
    if (!started_ || closing_) co_return fail(Errc::Unavailable, "the node is not up");
    if (order.what == What::Create || order.what == What::Drop)
        co_return co_await change_keyspaces(std::move(order));
    const auto recorded = co_await read_record();
    if (!recorded) co_return std::unexpected(recorded.error());
    if (!order.name.empty() && !recorded->catalogue.find(order.name)) {
        std::string names;
        for (const auto& k : recorded->catalogue.keyspaces)
            names += (names.empty() ? "" : ", ") + k.name;
        for (const auto& refusal : recorded->catalogue.refusals)
            if (refusal.name == order.name) names += ". Refused lately: " + refusal.why;
        co_return fail(Errc::NotFound, "there is no keyspace '" + order.name + "', but " + names);
    }
    co_return keyspaces_json(recorded->catalogue, order.name);
}

}  // namespace asterias::node
