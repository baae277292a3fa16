#include "service/node/node.h"

#include <algorithm>

#include "base/mutant.h"
#include "port/engine_owner.h"
#include "service/node/calls.h"
#include "service/node/join.h"

namespace asterias::node {
namespace {

constexpr size_t kCallsMax = 64;  // that this node works on; anybody may ask
constexpr Duration kJoinInterval = milliseconds(100);
constexpr Duration kJoinTimeout = seconds(2);
constexpr Duration kReplaceTimeout = seconds(15);  // the leaders of all groups are asked

uint64_t draw(port::Shard& shard) {
    uint64_t v = 0;
    while (v == 0)
        v = shard.entropy().next();
    return v;
}

// What a node keeps beside its identity must not be taken over by one that is born there.
port::Task<Result<void>> expect_empty(port::Disk& disk, std::string directory) {
    auto names = co_await disk.list(directory);
    if (!names) co_return std::unexpected(names.error());
    for (const auto& name : *names)
        if (name == "engine" || name.starts_with("journal-"))
            co_return fail(Errc::Corrupt, directory + " holds " + name +
                                              " of a node, but its identity file is lost: who it "
                                              "was is not known, and it must not take part again");
    co_return Result<void>{};
}

// Could the other members reach one more of them there?
Result<void> reachable_at(const port::Address& address, const Founding& founding) {
    for (const auto& m : founding.members)
        if (m.peer_address == address)
            return fail(Errc::Conflict, "node " + to_string(m.node) + " of this cluster is at " +
                                            address.describe() +
                                            "; give this one another --host or --peer-port");
    const auto loopback = [](const port::Address& a) {
        return a.host == "localhost" || a.host == "::1" || a.host.starts_with("127.");
    };
    const auto& founder = founding.members.front().peer_address;
    if (loopback(address) && !loopback(founder))
        return fail(Errc::Conflict, "this node says that it is at " + address.describe() +
                                        ", where the founder at " + founder.describe() +
                                        " cannot reach it; name its own address with --host");
    return {};
}

}  // namespace

// While a founder waits for its members it answers Calls and nothing else.
class Node::FoundingReceiver : public rpc::Receiver {
public:
    explicit FoundingReceiver(Node& node) : node_(node) {}
    void on_frame(const rpc::Peer& from, rpc::Frame frame) override {
        if (frame.header.type != rpc::FrameType::Call || !endpoint) return;
        auto call = rpc::read_call(frame.body);
        Result<Bytes> answer = fail(Errc::Unavailable, "this cluster is still being founded");
        if (!call)
            answer = std::unexpected(call.error());
        else if (call->name == kJoin)
            answer = node_.on_join(call->payload);
        const auto header = endpoint->header(rpc::FrameType::CallReply, frame.header.request);
        endpoint->reply(from.link, rpc::FrameType::CallReply, rpc::reply_frame(header, answer));
    }
    // Who has a number got it with the founding record, and that is not there yet.
    Result<void> admit(const rpc::Peer& peer) override {
        return fail(Errc::Conflict,
                    "node " + to_string(peer.node) + " has no place in a cluster being founded");
    }
    void on_peer_up(const rpc::Peer&, bool) override {}
    void on_peer_down(const rpc::Peer&, bool) override {}
    std::unique_ptr<rpc::Endpoint> endpoint;

private:
    Node& node_;
};

port::Task<Result<void>> init(port::Shard& shard, std::string directory, uint32_t expected_nodes,
                              std::vector<std::string> keyspaces, uint32_t shards) {
    if (expected_nodes == 0 || expected_nodes > 7)
        co_return fail(Errc::InvalidArgument, "--nodes takes 1 to 7");
    for (const auto& k : keyspaces) {
        // Orders name a group by its keyspace: no name may mean two.
        if (auto fine = catalogue::check_name(k); !fine) co_return fine;
        if (std::count(keyspaces.begin(), keyspaces.end(), k) != 1)
            co_return fail(Errc::InvalidArgument, "keyspace '" + k + "': each is given once");
    }
    if (auto made = co_await shard.disk().create_directories(directory); !made) co_return made;
    auto present = co_await load_identity(shard.disk(), directory);
    if (present || present.error().code != Errc::NotFound)
        co_return fail(Errc::AlreadyExists, "a node lives in " + directory +
                                                " already; start it with: asterias serve --data " +
                                                directory);
    if (auto empty = co_await expect_empty(shard.disk(), directory); !empty) co_return empty;
    Identity id;
    id.node = NodeId(1);
    id.nonce = draw(shard);
    id.shards = shards;
    id.founding.cluster = ClusterId(draw(shard));
    id.founding.expected = expected_nodes;
    id.founding.keyspaces = std::move(keyspaces);
    co_return co_await store_identity(shard.disk(), directory, std::move(id));
}

std::string nobody_lives_in(const std::string& directory) {
    return "no node lives in " + directory + ". Begin a new cluster:  asterias init --data " +
           directory + "   or join one:  asterias serve --data " + directory + " --join HOST:PORT";
}

Node::Node(std::vector<port::Shard*> shards, Options options, EngineFactory engine,
           Registry& registry, Log log)
    : shards_(std::move(shards)),
      options_(std::move(options)),
      make_engine_(std::move(engine)),
      registry_(registry),
      log_(log.named("node")),
      founding_changed_(std::make_unique<port::Signal>(*shards_[0])),
      steps_changed_(std::make_unique<port::Signal>(*shards_[0])) {
    members_.resize(shards_.size());
    for (auto* shard : shards_)
        scopes_.push_back(std::make_unique<port::Scope>(*shard));
}

Node::~Node() {
    // Members before their scopes and the engine under them.
    scopes_.clear();
    members_.clear();
}

port::Task<Result<void>> Node::start() {
    port::Disk& disk = shards_[0]->disk();
    if (auto made = co_await disk.create_directories(options_.directory); !made) co_return made;
    auto lock = disk.lock(options_.directory + "/lock");
    const bool taken = !lock && lock.error().code == Errc::Conflict;  // which may pass
    if (!lock)
        co_return fail(taken ? Errc::Unavailable : lock.error().code,
                       "cannot take the directory " + options_.directory +
                           " for this process: " + lock.error().context);
    lock_ = std::move(*lock);
    // Before this start takes a place in a cluster, or counts as one: it could never be reached.
    if (auto probe = shards_[0]->net().listen(options_.peer_address, [](const auto&) {}); !probe)
        co_return std::unexpected(probe.error());
    if (auto known = co_await become_someone(); !known) co_return known;

    if (auto fits = check_fit(); !fits) co_return fits;
    if (count_of(identity_.incarnation) == kStartsMax)
        co_return fail(Errc::Limit, "this directory was started too often for one more");
    // Who may have seen the start before this one asks whether this directory knows of it.
    // Of a later life that is first the moment at which it was given out (replace.cc).
    if (identity_.incarnation) identity_.earlier.push_back(identity_.incarnation);
    if (identity_.earlier.size() > kEarlierStarts)
        identity_.earlier.erase(identity_.earlier.begin());
    identity_.incarnation = next_start(identity_.incarnation, draw(*shards_[0]));

    auto engine = make_engine_(options_.directory + "/engine");
    if (!engine) co_return std::unexpected(engine.error());
    engine_ = std::move(*engine);
    auto owned = co_await port::claim(
        *engine_, *shards_[0], {identity_.founding.cluster, identity_.node, identity_.nonce});
    if (!owned)
        co_return fail(owned.error().code,
                       options_.directory + "/engine: " + owned.error().context);
    for (size_t i = 0; i < shards_.size(); ++i)
        members_[i] = std::make_unique<NodeShard>(*shards_[i], identity_, options_, *engine_,
                                                  members_, *this, registry_, log_);
    if (auto opened = co_await on_every_shard(Step::Open); !opened) co_return opened;
    // Here, and not before: a start that fails is seen by nobody, and many of them must not push
    // those that were seen out of `earlier`, or an old copy could pass for one that was long away.
    identity_.born = true;
    if (auto stored = co_await store_identity(disk, options_.directory, identity_); !stored)
        co_return stored;
    if (auto started = co_await on_every_shard(Step::Start); !started) co_return started;
    started_ = true;
    scopes_[0]->spawn("node.mind_keyspaces", mind_keyspaces());
    log_.info("node " + to_string(identity_.node) + " of cluster " +
              to_string(identity_.founding.cluster) + " started, incarnation " +
              std::to_string(count_of(identity_.incarnation)));
    co_return Result<void>{};
}

std::string Node::fenced_text() const {
    const std::string node = to_string(identity_.node);
    return identity_.fenced +
           "\nThis directory must not take part again, and starting it again does not help. Is "
           "there "
           "another that node " +
           node +
           " ran on last, start that one. Else the way out: end every process on a copy of it; "
           "take "
           "the copies of node " +
           node +
           " out of their groups, also out of system (asterias replica remove --keyspace NAME "
           "--node " +
           node + "); then start it on an empty directory with --join HOST:PORT --replace " + node +
           ", and add the copies again (asterias replica add)";
}

Result<void> Node::check_fit() const {
    if (!identity_.fenced.empty()) return fail(Errc::Conflict, fenced_text());
    if (identity_.shards != shards_.size())
        return fail(Errc::Conflict,
                    options_.directory + " was made with --shards " +
                        std::to_string(identity_.shards) +
                        "; changing the number is not possible yet, start with that");
    for (const auto& m : identity_.founding.members)
        if (m.node == identity_.node && m.peer_address != options_.peer_address)
            return fail(Errc::Conflict, "the cluster knows this node at " +
                                            m.peer_address.describe() + ", not at " +
                                            options_.peer_address.describe() +
                                            "; start it there (moving a node is not possible yet)");
    return {};
}

void Node::give_up_orders() {
    closing_ = true;
    end_questions();
}

port::Task<> Node::close() {
    give_up_orders();
    if (!engine_) co_return;
    co_await on_every_shard(Step::Close);
    for (auto& scope : scopes_)
        if (scope == scopes_.front()) co_await scope->close();
}

// ------------------------------------------------------------------------------- steps on shards

port::Task<Result<void>> Node::on_every_shard(Step step) {
    steps_left_ = shards_.size();
    steps_result_ = {};
    for (size_t i = 0; i < shards_.size(); ++i) {
        if (i == 0)
            scopes_[0]->spawn("node.step", run_step(0, step));
        else
            shards_[0]->submit(shards_[i]->id(), [this, i, step] {
                scopes_[i]->spawn("node.step", run_step(i, step));
            });
    }
    while (steps_left_ > 0)
        co_await steps_changed_->wait();
    co_return steps_result_;
}

port::Task<> Node::run_step(size_t i, Step step) {
    Result<void> result;
    switch (step) {
        case Step::Open:
            result = co_await members_[i]->open();
            break;
        case Step::Start:
            result = members_[i]->start();
            break;
        case Step::Close:
            co_await members_[i]->close();
            break;
    }
    if (i == 0)
        step_done(i, std::move(result));
    else
        shards_[i]->submit(shards_[0]->id(), [this, i, r = std::move(result)]() mutable {
            step_done(i, std::move(r));
        });
}

void Node::step_done(size_t, Result<void> result) {
    if (!result && steps_result_) steps_result_ = std::move(result);
    --steps_left_;
    steps_changed_->notify();
}

// ------------------------------------------------------------------------------- other starts

void Node::on_peer_start(NodeId node, Incarnation start) {
    if (closing_) return;
    for (const auto& member : members_)
        shards_[0]->submit(member->shard().id(),
                           [m = member.get(), node, start] { m->note_start(node, start); });
    Incarnation& seen = identity_.seen[node];
    if (start <= seen) return;
    seen = start;
    identity_changed();
}

void Node::on_disowned(NodeId by, std::string why) {
    if (closing_ || !identity_.fenced.empty()) return;
    identity_.fenced = "node " + to_string(by) + " refused this node: " + why;
    log_.error(identity_.fenced);
    identity_changed();
}

// Also while the node closes: a shard waits for it.
void Node::on_held(GroupId group, ReplicaId replica, std::function<void(Result<void>)> noted) {
    ReplicaId& held = identity_.held[group];
    held = std::max(held, replica);
    identity_changed(std::move(noted));
}

// The only place where somebody begins to wait for a write: one is under way or begins here.
void Node::identity_changed(std::function<void(Result<void>)> noted) {
    if (noted) noted_.push_back(std::move(noted));
    identity_changed_ = true;
    if (std::exchange(identity_kept_, false)) scopes_[0]->spawn("node.keep", keep_identity());
}

// One write at a time, the latest. If it fails what was seen is known until this process ends.
port::Task<> Node::keep_identity() {
    while (std::exchange(identity_changed_, false)) {
        Identity kept = identity_;
        const auto waiting = std::exchange(noted_, {});
        if (MUTANT(node_fence_forgotten)) kept.fenced.clear();
        auto stored =
            co_await store_identity(shards_[0]->disk(), options_.directory, std::move(kept));
        if (!stored) log_.error("the identity file: " + stored.error().describe());
        for (const auto& noted : waiting)
            noted(stored);
    }
    identity_kept_ = true;
    if (identity_.fenced.empty() || std::exchange(ended_, true)) co_return;
    const Error why{Errc::Conflict, fenced_text()};
    if (end_)
        end_(why);
    else
        shards_[0]->fatal(why.context.c_str());
}

// ------------------------------------------------------------------------------- birth

port::Task<Result<void>> Node::become_someone() {
    auto identity = co_await load_identity(shards_[0]->disk(), options_.directory);
    if (identity) {
        identity_ = std::move(*identity);
        if (!identity_.node) co_return co_await join();
        if (!identity_.founding.complete()) co_return co_await found();
        founding_stored_ = true;
        co_return Result<void>{};
    }
    if (identity.error().code != Errc::NotFound) co_return std::unexpected(identity.error());
    if (auto empty = co_await expect_empty(shards_[0]->disk(), options_.directory); !empty)
        co_return empty;
    if (options_.join.host.empty())
        co_return fail(Errc::NotFound, nobody_lives_in(options_.directory));
    identity_.nonce = draw(*shards_[0]);
    identity_.shards = static_cast<uint32_t>(shards_.size());
    // The nonce is kept before it is used: a joiner that crashes asks again as the same one.
    if (auto stored = co_await store_identity(shards_[0]->disk(), options_.directory, identity_);
        !stored)
        co_return stored;
    co_return co_await join();
}

port::Task<Result<void>> Node::found() {
    identity_.founding.members = {
        {identity_.node, identity_.nonce, options_.peer_address, options_.door_address}};
    FoundingReceiver receiver(*this);
    if (!identity_.founding.complete()) {
        receiver.endpoint = std::make_unique<rpc::Endpoint>(
            *shards_[0],
            rpc::Identity{identity_.founding.cluster, Incarnation(1), identity_.node, {}},
            options_.rpc, receiver, registry_, log_);
        if (auto listening = receiver.endpoint->listen(options_.peer_address); !listening)
            co_return listening;
        log_.info("founding: waiting for " + std::to_string(identity_.founding.expected - 1) +
                  " more at " + options_.peer_address.describe());
        while (!identity_.founding.complete())
            co_await founding_changed_->wait();
        // None of them has heard a number yet.
        number_members(identity_.founding.members);
    }
    auto stored = co_await store_identity(shards_[0]->disk(), options_.directory, identity_);
    founding_stored_ = stored.has_value();
    if (receiver.endpoint) co_await receiver.endpoint->close();
    co_return stored;
}

port::Task<Result<void>> Node::join() {
    if (options_.join.host.empty())
        co_return fail(Errc::InvalidArgument,
                       "the node in " + options_.directory +
                           " has not joined its cluster yet: start it with --join HOST:PORT");
    log_.info("joining the cluster of " + options_.join.describe());
    const Bytes request = encode(JoinRequest{identity_.nonce, options_.peer_address,
                                             options_.door_address, options_.replace});
    for (std::string told;;) {
        auto answer =
            co_await rpc::call_once(*shards_[0], options_.join, {std::string(kJoin), request},
                                    options_.replace ? kReplaceTimeout : kJoinTimeout);
        if (answer) {
            auto joined = decode_joined(*answer);
            if (!joined) co_return std::unexpected(joined.error());
            Founding& founding = joined->founding;
            const bool named = std::any_of(
                founding.members.begin(), founding.members.end(), [this, &joined](const auto& m) {
                    return m.node == joined->node &&
                           (options_.replace ? m.node == options_.replace
                                             : m.nonce == identity_.nonce);
                });
            if (!founding.complete() || !founding.cluster || !named)
                co_return fail(Errc::Corrupt,
                               "the answer to a join names no whole cluster, or one "
                               "without this node");
            identity_.node = joined->node;
            identity_.incarnation = joined->before;
            identity_.founding = std::move(founding);
            founding_stored_ = true;
            co_return co_await store_identity(shards_[0]->disk(), options_.directory, identity_);
        }
        if (answer.error().code == Errc::Conflict) co_return std::unexpected(answer.error());
        std::string why = answer.error().describe();
        if (answer.error().code == Errc::Corrupt || answer.error().code == Errc::Unsupported)
            why += "; is " + options_.join.describe() + " the --peer-port of a node?";
        // Once, not at every attempt.
        if (std::exchange(told, why) != why) log_.warn("not joined yet, trying on: " + why);
        co_await port::sleep(*shards_[0], kJoinInterval);
    }
}

void Node::on_call(rpc::CallBody call, std::function<void(Result<Bytes>)> answer) {
    const auto request = decode_join(call.payload);
    const bool takes_place = call.name == kJoin && request && request->replace;
    if (call.name == kJoin && !takes_place) return answer(on_join(call.payload));
    if (!started_ || closing_) return answer(fail(Errc::Unavailable, "the node is not up"));
    if (calls_ >= kCallsMax) return answer(fail(Errc::Unavailable, "too many calls at a time"));
    ++calls_;
    scopes_[0]->spawn(
        "node.call",
        answer_call(std::move(call), [this, to = std::move(answer)](Result<Bytes> result) {
            --calls_;
            to(std::move(result));
        }));
}

port::Task<> Node::answer_call(rpc::CallBody call, std::function<void(Result<Bytes>)> answer) {
    if (call.name == kJoin) {
        auto joined = co_await give_place(decode_join(call.payload).value());
        answer(joined ? Result<Bytes>(encode(*joined)) : std::unexpected(joined.error()));
    } else if (call.name == kSeen) {
        answer(co_await on_seen(call.payload));
    } else if (call.name == kPlace) {
        answer(co_await on_place(call.payload));
    } else if (call.name == kWhy) {
        answer(Bytes::copy(co_await findings_json(call.payload.str())));
    } else if (call.name == kReplica) {
        const auto order = decode_order(call.payload);
        if (!order) co_return answer(std::unexpected(order.error()));
        const auto done = co_await order_here(*order);
        answer(done ? Result<Bytes>(Bytes::copy(*done)) : std::unexpected(done.error()));
    } else if (call.name == kSlice) {
        answer(co_await answer_slice(call.payload));
    } else if (call.name == kCatalogue) {
        wire::Reader in(call.payload);
        const bool newer = keyspaces().generation > in.u64();
        answer(newer ? catalogue::encode(keyspaces()) : Bytes());
    } else if (call.name == kCursor) {
        wire::Reader in(call.payload);
        const uint64_t cursor = in.u64();
        if (!in.ok() || !cursors_) co_return answer(fail(Errc::NotFound, "no such cursor"));
        cursors_(cursor, std::move(answer));
    } else if (call.name == kHttp) {
        const bool any = !options_.http_address.host.empty();
        answer(Bytes::copy(any ? options_.http_address.describe() : ""));
    } else {
        answer(fail(Errc::Unsupported, "no call named '" + call.name + "'"));
    }
}

Result<Bytes> Node::on_join(const Bytes& payload) {
    auto request = decode_join(payload);
    if (!request) return std::unexpected(request.error());
    Founding& founding = identity_.founding;
    if (request->replace)
        return fail(Errc::Conflict, "this cluster is being founded: nothing is there to replace");
    for (const auto& m : founding.members) {
        if (m.nonce != request->nonce) continue;
        if (founding.complete() && founding_stored_) return encode(Joined{m.node, {}, founding});
        return fail(Errc::Unavailable, "waiting for the other founding members");
    }
    if (founding.complete())
        return fail(Errc::Conflict,
                    "the cluster has its " + std::to_string(founding.expected) +
                        " founding members; adding nodes is not possible yet. If one of them "
                        "lost its disk, an empty directory can take its place: "
                        "--replace NODE");
    // What is written into the founding record stays.
    if (auto fine = reachable_at(request->peer_address, founding); !fine)
        return std::unexpected(fine.error());
    founding.members.push_back({NodeId(founding.members.size() + 1), request->nonce,
                                request->peer_address, request->door_address});
    founding_changed_->notify();
    return fail(Errc::Unavailable, "waiting for the other founding members");
}

}  // namespace asterias::node
