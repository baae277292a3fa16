// service/pubsub/hub.h: the messages of one shard: who listens here, which other shards and nodes
// want to hear what, and the numbers by which each message arrives once and in order.
//
// Every shard of every node is a *source*: it tells the other shards of its node, by submit, and
// every node that it is connected to, over its own connection, what its listeners want: the whole
// state when a connection is up, changes behind it, each with the next version. Each shard holds
// that of all sources, so publish() decides without asking. A receiver that misses a version says
// so and is told the whole state. A subscription counts as known when all shards here and all
// connected nodes have acknowledged its version.
//
// A message goes to the listeners here at once, to each other shard and node that wants it at the
// end of the turn, with the source's number; a shard takes of a source only numbers above the last,
// whatever way they came. Threading: one shard; hubs of a node talk by Shard::submit.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/glob.h"
#include "base/metrics.h"
#include "service/pubsub/codec.h"
#include "service/pubsub/messages.h"
#include "service/rpc/endpoint.h"

namespace asterias::pubsub {

struct Options {
    NodeId self;
    Incarnation incarnation;  // of this start
    // pubsub-names-bytes-max: names of all subscriptions of a shard. What a shard wants fits one
    // frame.
    size_t names_bytes_max = 16 * 1024 * 1024;
    size_t between_bytes_max = 64 * 1024 * 1024;  // messages on their way to another shard
};

class Hub;

// The node around it.
class Outlet {
public:
    virtual ~Outlet() = default;
    // False: no connection, or no room.
    virtual bool send_pubsub(NodeId to, rpc::FrameBuilder frame) = 0;
    virtual void reply_pubsub(rpc::LinkId link, rpc::FrameBuilder frame) = 0;
    // To be used on that shard only.
    virtual Hub& hub(ShardId shard) = 0;
};

class Hub : public Messages {
public:
    Hub(port::Shard& shard, Options options, Outlet& outlet, Registry& registry);

    Taken subscribe(uint64_t id, Listener& listener, Kind kind,
                    const std::vector<std::string>& names, port::Callback known) override;
    void unsubscribe(uint64_t id, Kind kind, std::string_view name) override;
    uint64_t publish(Message message) override;
    std::vector<std::string> names(Kind kind) const override;
    size_t name_count(Kind kind) const override { return table(kind).size(); }
    uint64_t listeners(Kind kind, std::string_view name) const override;

    // What the node's shard hears of others. Error: Corrupt; nothing of the body was done.
    Result<void> receive(const rpc::Peer& from, const Bytes& body);
    void node_up(NodeId node);                // its connection for messages, dialed from here
    void node_down(NodeId node);              // and the end of it
    void source_down(const rpc::Peer& from);  // the one that it dialed
    // At the end of each turn, and now and then.
    void flush();
    void tick();

private:
    struct Source {
        NodeId node;
        ShardId shard;
        auto operator<=>(const Source&) const = default;
    };
    // The connection by which a source was heard last.
    struct Via {
        ShardId shard;
        rpc::LinkId link;
        auto operator<=>(const Via&) const = default;
    };
    struct Heard {
        Incarnation incarnation;
        uint64_t version = 0;  // 0: nothing
        Via via;
        uint64_t number = 0;  // of the last message taken
    };
    struct Name {
        std::map<uint64_t, Listener*> here;
        std::map<Source, uint64_t> elsewhere;
        std::optional<Glob> glob;  // of a pattern, since the first message
    };
    using Names = std::map<std::string, Name, std::less<>>;
    struct Carried {
        Source source;
        Incarnation incarnation;
        Numbered message;
    };
    struct Waiter {
        uint64_t version;
        Instant deadline;
        port::Callback known;
    };
    // A connected node: which versions it has, by its own word, and which whole state was sent
    // last.
    struct Node {
        uint64_t has = 0;
        uint64_t whole = 0;
        Instant again{};  // when it is told the whole, if it lacks something then
    };
    struct Acknowledging {
        size_t left;
        bool lost = false;
    };

    Names& table(Kind kind) { return tables_[static_cast<size_t>(kind) - 1]; }
    const Names& table(Kind kind) const { return tables_[static_cast<size_t>(kind) - 1]; }
    Source self() const { return {options_.self, shard_.id()}; }
    template <typename Visit>
    void for_each_match(const Message& message, Visit visit);
    void changed(Kind kind, std::string_view name);
    void settle();
    uint64_t known() const;  // the version that everybody has
    void tell(NodeId node, Node& state, const Interest& interest);
    void tell_whole(NodeId node, Node& state);
    void tell_changes();
    // False: it lacks what came before.
    bool apply(Source source, Incarnation incarnation, Via via, const Interest& interest);
    void erase_source(Source source);
    void forget(Source source, Via via);
    void spread(const rpc::Peer& from, std::shared_ptr<const Interest> interest);
    void on_known(NodeId node, const InterestKnown& known);
    void hear(const Carried& carried);
    void hear_all(std::vector<Carried> carried);
    uint64_t give_here(const Message& message);
    void pass(ShardId to, Carried carried);
    void flush_passed();

    port::Shard& shard_;
    const Options options_;
    Outlet& outlet_;
    std::array<Names, kLastKind> tables_;
    std::map<Source, Heard> heard_;
    size_t names_bytes_ = 0;  // of the subscriptions here

    uint64_t version_ = 0;
    std::set<std::pair<Kind, std::string>> changed_;  // since that version
    size_t changed_bytes_ = 0;
    std::map<ShardId, uint64_t> shards_;  // and the version that each has
    std::map<NodeId, Node> nodes_;        // connected
    std::deque<Waiter> waiters_;          // by version

    uint64_t number_ = 0;
    std::map<NodeId, std::pair<rpc::FrameBuilder, size_t>> out_;  // and how many messages
    std::map<ShardId, std::vector<Carried>> passed_;
    std::map<ShardId, size_t> between_;  // bytes on their way there
    Counter &published_, &delivered_, &sent_, &dropped_, &stale_;
};

}  // namespace asterias::pubsub
