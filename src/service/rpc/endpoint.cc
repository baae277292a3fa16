#include "service/rpc/endpoint.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "service/rpc/relay.h"
#include "wire/fields.h"

namespace asterias::rpc {
namespace {
// Fields of a Hello body (docs/formats/rpc.md).
enum HelloField : uint32_t {
    kNode = 1,
    kNodeIncarnation = 2,
    kShard = 3,
    kLane = 4,
    kExpected = 5,
    kRefusal = 6,
    kEarlier = 7,
    kDisowned = 8,
    kThrough = 9
};
struct HelloBody {
    Peer peer;
    NodeId meant, through;
    Bytes refusal;
    bool disowned = false;
    std::vector<Incarnation> earlier;
};

bool read_hello(const Bytes& body, HelloBody& out) {
    wire::Fields fields(body);
    while (fields.next()) {
        switch (fields.id()) {
            case kNode:
                out.peer.node = NodeId(fields.number());
                break;
            case kNodeIncarnation:
                out.peer.incarnation = Incarnation(fields.number());
                break;
            case kShard:
                out.peer.shard = ShardId(fields.number());
                break;
            case kLane: {
                const uint64_t number = fields.number();
                if (number >= kLanes) fields.set_failed();
                out.peer.lane = static_cast<Lane>(number);
                break;
            }
            case kExpected:
                out.meant = NodeId(fields.number());
                break;
            case kRefusal:
                out.refusal = fields.body();
                break;
            case kEarlier: {
                wire::Reader starts(fields.body());
                while (starts.ok() && !starts.at_end())
                    out.earlier.push_back(Incarnation(starts.u64()));
                if (!starts.ok()) fields.set_failed();
                break;
            }
            case kDisowned:
                out.disowned = fields.number() != 0;
                break;
            case kThrough:
                out.through = NodeId(fields.number());
                break;
            default:
                break;  // a newer peer says more
        }
    }
    return fields.ok();
}

// Hello and Calls are short: who is not known to be a member is not lent more memory.
constexpr size_t kStrangerFrameBytesMax = 64 * 1024;
constexpr size_t kStrangerUnsentMax = 1024 * 1024;  // answers that it does not read
// Of a long frame more is asked for before it is whole, because its bytes are signs of life.
constexpr size_t kProgressBytes = 64 * 1024;
constexpr size_t kRefusalBytesMax = 500;  // of what a peer says, that much goes to the log
constexpr Duration kRefusalNotesInterval = seconds(10);
}  // namespace

// One connection in either direction, from its handshake to its end.
class Endpoint::Link : public port::ConnectionHandler {
public:
    Link(Endpoint& owner, LinkId id, bool outgoing, std::unique_ptr<port::Connection> connection)
        : owner_(owner), outgoing_(outgoing), connection_(std::move(connection)) {
        peer_.link = id;
    }
    ~Link() override {
        owner_.shard_.timers().cancel(handshake_);
        owner_.shard_.timers().cancel(watch_);
    }

    void start() {
        connection_->start(*this);
        // Whoever waits for a Hello sends nothing, so that no transport would ever tell it that the
        // other side is gone.
        if (MUTANT(rpc_handshake_without_end)) return;
        handshake_ = owner_.shard_.timers().after(owner_.options_.connect_timeout, [this] {
            if (!ready_) die({Errc::Timeout, "no Hello in time"});
        });
    }
    void say_hello(NodeId expected, Lane lane, std::string_view refusal = {}, bool disowned = false,
                   NodeId through = {}) {
        FrameBuilder b;
        wire::field(b.body(), kNode, owner_.self_.node.value);
        wire::field(b.body(), kNodeIncarnation, owner_.self_.incarnation.value);
        wire::field(b.body(), kShard, owner_.shard_.id().value);
        wire::field(b.body(), kLane, static_cast<uint64_t>(lane));
        wire::field(b.body(), kExpected, expected.value);
        if (!refusal.empty()) wire::field(b.body(), kRefusal, refusal);
        if (disowned) wire::field(b.body(), kDisowned, uint64_t{1});
        if (through) wire::field(b.body(), kThrough, through.value);
        wire::Writer earlier;
        for (Incarnation start : owner_.self_.earlier)
            earlier.u64(start.value);
        if (earlier.size() > 0) wire::field(b.body(), kEarlier, earlier.view());
        connection_->out().append(b.finish(owner_.header(FrameType::Hello)));
        peer_.lane = lane;
        expected_ = expected;
    }

    port::Consumed on_data(const Bytes& available) override {
        if (onward_) return onward_->carry(available);
        size_t at = 0;
        heard();
        while (!dead_ && !onward_) {
            size_t used = 0;
            auto frame = read_frame(available.suffix(at), used);
            if (!frame) {
                owner_.bad_frames_.add();
                die(frame.error());
                break;
            }
            if (auto* more = std::get_if<NeedMore>(&*frame)) {
                const size_t soon = std::max(2 * (available.size() - at), kProgressBytes);
                if (peer_.node || more->wanted <= kStrangerFrameBytesMax)
                    return {at, std::min(more->wanted, soon)};
                owner_.bad_frames_.add();
                die({Errc::Limit, "a long frame of a peer that is no member"});
                break;
            }
            at += used;
            on_frame(std::move(std::get<Frame>(*frame)));
        }
        return {dead_ ? available.size() : at, 0};
    }
    void on_end_of_stream() override { die({Errc::Closed, "peer closed the connection"}); }
    void on_closed(const Error& why) override { die(why); }
    void on_drained() override {
        if (onward_) onward_->near_drained();
    }
    void turn_down(Error why, bool disowned) {
        say_hello(peer_.node, peer_.lane, why.context, disowned);
        connection_->close_after_flush();
        die(std::move(why));
    }
    // From here on this is one half of a connection to `to`.
    void pass_on(NodeId to) {
        owner_.shard_.timers().cancel(handshake_);
        relayed_to_ = to;
        onward_ = std::make_unique<Onward>(
            *connection_,
            [this](const Error& why) {
                connection_->close_after_flush();
                die(why);
            },
            owner_.relayed_bytes_);
    }

    void die(Error why) {
        if (std::exchange(dead_, true)) return;
        if (onward_) onward_->stop();
        // Not inside a callback of the connection: the owner destroys this link.
        owner_.shard_.post([&owner = owner_, alive = std::weak_ptr(owner_.alive_), id = peer_.link,
                            why = std::move(why)] {
            if (alive.expired()) return;
            const auto it = owner.links_.find(id);
            if (it != owner.links_.end()) owner.link_down(*it->second, why);
        });
    }

    bool idle() const { return !owed_; }
    // Nothing came for as long as would end the lane of heartbeats.
    bool stale() const {
        return owed_ &&
               owner_.shard_.clock().now() - owed_since_ >= owner_.options_.heartbeat_silence_max;
    }
    void sent() {
        if (outgoing_)
            owes();
        else
            owed_ = false;
    }

    Endpoint& owner_;
    const bool outgoing_;
    std::unique_ptr<port::Connection> connection_;
    Peer peer_;
    NodeId expected_;
    bool ready_ = false;
    bool dead_ = false;
    port::TimerId handshake_;
    NodeId relayed_to_;
    std::unique_ptr<Onward> onward_;  // dies before connection_

private:
    // What is heard over a relay says nothing of the way between the two nodes, or its silence.
    bool direct() const { return peer_.lane != Lane::Relay; }
    Duration silence_max() const {
        const Options& options = owner_.options_;
        return peer_.lane == Lane::Heartbeat || !direct()
                   ? std::min(options.heartbeat_silence_max, options.silence_max)
                   : options.silence_max;
    }
    // A sign of life is owed from now on: by the peer of a connection dialed, by this side of one
    // accepted. One timer watches over it, set when the first is owed and left to run out.
    void owes() {
        if (std::exchange(owed_, true)) return;
        owed_since_ = owner_.shard_.clock().now();
        if (!watching_) watch();
    }
    void heard() {
        if (outgoing_)
            owed_ = false;
        else if (ready_ && peer_.node)
            owes();
    }
    void watch() {
        const Duration patience = outgoing_ ? silence_max() : owner_.options_.alive_interval;
        watching_ = true;
        due_ = owed_since_ + patience;
        watch_ = owner_.shard_.timers().after(due_ - owner_.shard_.clock().now(),
                                              [this, patience] { look(patience); });
    }
    void look(Duration patience) {
        watching_ = false;
        const Instant now = owner_.shard_.clock().now();
        if (!owed_ || dead_) return;
        if (!outgoing_) return owner_.say_alive(*this);
        // A process that was stopped finds what came meanwhile only behind its timers.
        if (now - due_ >= owner_.options_.alive_interval) owed_since_ = now;
        if (now - owed_since_ < patience) return watch();
        if (MUTANT(rpc_silence_without_end)) return;
        owner_.silent_links_.add();
        die({Errc::Timeout, "no word within rpc-silence-max"});
        if (direct() && !MUTANT(rpc_idle_lane_outlives_peer)) owner_.give_up_idle(*this);
    }

    bool owed_ = false, watching_ = false;
    Instant owed_since_, due_;
    port::TimerId watch_;

    void on_frame(Frame frame) {
        const Identity& self = owner_.self_;
        const bool stranger = frame.header.cluster.value == 0;
        if (!stranger && (frame.header.cluster != self.cluster ||
                          frame.header.cluster_incarnation != self.cluster_incarnation)) {
            owner_.bad_frames_.add();
            return die({Errc::Conflict, "frame of another cluster"});
        }
        if (!ready_) return on_hello(frame);
        if (stranger && peer_.node) {
            owner_.bad_frames_.add();
            return die({Errc::Conflict, "a member's frame without its cluster"});
        }
        if (peer_.node.value == 0 && frame.header.type != FrameType::Call) {
            owner_.bad_frames_.add();
            return die({Errc::Conflict, "a peer that is no member may only call"});
        }
        if (frame.header.type == FrameType::Alive) return;  // that it came is what it says
        owner_.deliver(*this, std::move(frame));
    }

    void on_hello(const Frame& frame) {
        if (frame.header.type != FrameType::Hello)
            return die({Errc::Corrupt, "a connection begins with Hello"});
        HelloBody said;
        if (!read_hello(frame.body, said)) return die({Errc::Corrupt, "Hello body"});
        const Lane lane = said.peer.lane;
        peer_.node = said.peer.node;
        peer_.incarnation = said.peer.incarnation;
        peer_.shard = said.peer.shard;
        if (peer_.node && frame.header.cluster.value == 0) {
            owner_.bad_frames_.add();
            return die({Errc::Conflict, "a member's name without its cluster"});
        }
        if (!said.refusal.empty()) {
            const std::string why = told(said.refusal);
            if (said.disowned && outgoing_ && peer_.node && peer_.node == expected_)
                owner_.receiver_.on_disowned(peer_.node, why);
            return die({Errc::Conflict, "refused by it: " + why});
        }
        if (outgoing_ && lane != peer_.lane)
            return die({Errc::Conflict, "the peer answers for another lane"});
        peer_.lane = lane;
        if (outgoing_ && peer_.node != expected_)
            return die({Errc::Conflict, "node " + to_string(peer_.node) + " answers where node " +
                                            to_string(expected_) + " was expected"});
        const bool for_another = !outgoing_ && said.meant && said.meant != owner_.self_.node;
        const bool asked_to_relay =
            for_another && lane == Lane::Relay && peer_.node && said.through == owner_.self_.node;
        if (for_another && !asked_to_relay)
            return die({Errc::Conflict, "the peer looks for node " + to_string(said.meant)});
        if (!outgoing_ && peer_.node) {
            auto admitted = owner_.receiver_.admit(peer_);
            if (!admitted) return refuse(std::move(admitted.error()), false);
        }
        if (peer_.node) {
            auto recognised = owner_.receiver_.recognise(peer_, said.earlier);
            // Whoever was dialed hears it when it dials in turn.
            if (!recognised && outgoing_) return die(std::move(recognised.error()));
            if (!recognised) return refuse(std::move(recognised.error()), true);
        }
        if (asked_to_relay) return owner_.pass_on(*this, said.meant, frame);
        if (!outgoing_) say_hello(peer_.node, peer_.lane);
        ready_ = true;
        owner_.shard_.timers().cancel(handshake_);
        owner_.link_up(*this);
    }

    void refuse(Error why, bool disowned) {
        owner_.note_refused(*this, why);
        turn_down(std::move(why), disowned);
    }
    // What a peer says about a refusal, fit for a log.
    static std::string told(const Bytes& text) {
        std::string out(text.view().substr(0, kRefusalBytesMax));
        for (char& c : out)
            if (c < 0x20 || c > 0x7e) c = '?';
        return out;
    }
};

struct Endpoint::Outgoing {
    explicit Outgoing(port::Shard& shard) : ended(shard), retry(shard), asked(shard) {}
    Link* link = nullptr;  // while ready
    std::string refusal;   // the last that the log was told
    port::Signal ended, retry;
    bool backing_off = false;
    // Of lane Relay: nobody looks for a way around unasked.
    port::Signal asked;
    bool wanted = false;
    NodeId through;
    void try_now() {
        if (std::exchange(backing_off, false)) retry.notify();
    }
};

Endpoint::Endpoint(port::Shard& shard, Identity self, Options options, Receiver& receiver,
                   Registry& registry, Log log)
    : shard_(shard),
      self_(self),
      options_(options),
      receiver_(receiver),
      log_(log.named("rpc")),
      scope_(shard),
      frames_in_(registry.counter("asterias_rpc_frames_received_total", "Frames from nodes.")),
      frames_out_(registry.counter("asterias_rpc_frames_sent_total", "Frames to nodes.")),
      bytes_in_(registry.counter("asterias_rpc_received_bytes_total", "Bytes of frames received.")),
      bytes_out_(registry.counter("asterias_rpc_sent_bytes_total", "Bytes of frames sent.")),
      bad_frames_(
          registry.counter("asterias_rpc_bad_frames_total",
                           "Frames of other clusters or formats, or with a wrong checksum.")),
      refused_frames_(registry.counter("asterias_rpc_unsent_frames_total",
                                       "Frames dropped because no connection could take them.")),
      silent_links_(registry.counter("asterias_rpc_silent_connections_total",
                                     "Connections dropped after rpc-silence-max without a word.")),
      refused_peers_(registry.counter("asterias_rpc_refused_peers_total",
                                      "Connections of nodes that this one knows nothing of.")),
      relays_(registry.counter("asterias_rpc_relays_total",
                               "Connections passed on between two other nodes.")),
      relayed_bytes_(registry.counter("asterias_rpc_relayed_bytes_total",
                                      "Bytes passed on between two other nodes.")) {}

Endpoint::~Endpoint() = default;

Header Endpoint::header(FrameType type, uint64_t request, uint32_t remaining_ms) const {
    return {type, self_.cluster, self_.cluster_incarnation, remaining_ms, request, 0};
}

Result<void> Endpoint::listen(const port::Address& address) {
    auto listener = shard_.net().listen(
        address, [this](std::unique_ptr<port::Connection> c) { accept(std::move(c)); });
    if (!listener) return std::unexpected(listener.error());
    listener_ = std::move(*listener);
    return {};
}

port::Address Endpoint::listen_address() const { return listener_->address(); }

void Endpoint::accept(std::unique_ptr<port::Connection> connection) {
    make_room_for_stranger();
    if (links_.size() >= options_.peers_max * kLanes * 2 + options_.strangers_max) {
        log_.warn("refusing a connection: rpc peers_max reached");
        return;
    }
    const LinkId id(next_link_++);
    auto link = std::make_unique<Link>(*this, id, false, std::move(connection));
    links_.emplace(id, std::move(link)).first->second->start();
}

void Endpoint::make_room_for_stranger() {
    size_t strangers = 0;
    Link* oldest = nullptr;
    for (auto& [id, link] : links_) {
        if (link->outgoing_ || link->dead_ || link->onward_ || (link->ready_ && link->peer_.node))
            continue;
        if (strangers++ == 0) oldest = link.get();
    }
    if (strangers > 0 && strangers >= options_.strangers_max)
        oldest->die({Errc::Limit, "newer connections take the place of silent ones"});
}

void Endpoint::add_peer(NodeId node, port::Address address) {
    addresses_[node] = std::move(address);
    for (Lane lane : {Lane::Heartbeat, Lane::Normal})
        keep_lane(node, lane);
}

void Endpoint::keep_lane(NodeId node, Lane lane) {
    auto& slot = outgoing_[{node, lane}];
    if (slot) return;
    slot = std::make_unique<Outgoing>(shard_);
    scope_.spawn("rpc.keep_connected", keep_connected(node, lane));
}

void Endpoint::add_interceptor(Interceptor& interceptor) { interceptors_.push_back(&interceptor); }

port::Task<> Endpoint::keep_connected(NodeId node, Lane lane) {
    Outgoing& slot = *outgoing_[{node, lane}];
    Duration backoff = options_.reconnect_min;
    while (!scope_.stop_requested()) {
        NodeId dialed = node;
        if (lane == Lane::Relay) {
            while (!std::exchange(slot.wanted, false) && !scope_.stop_requested())
                co_await slot.asked.wait();
            dialed = slot.through = next_relay(node, slot.through);
        }
        Result<std::unique_ptr<port::Connection>> connection =
            fail(Errc::Unavailable, "no node to relay");
        if (dialed && !scope_.stop_requested())
            connection =
                co_await shard_.net().connect(addresses_[dialed], "", options_.dial_timeout);
        if (scope_.stop_requested()) co_return;
        if (connection) {
            const LinkId id(next_link_++);
            Link* link =
                links_.emplace(id, std::make_unique<Link>(*this, id, true, std::move(*connection)))
                    .first->second.get();
            link->start();
            link->say_hello(node, lane, {}, false, lane == Lane::Relay ? dialed : NodeId{});
            slot.link = nullptr;
            const Instant began = shard_.clock().now();
            co_await slot.ended.wait();
            if (scope_.stop_requested()) co_return;
            // One that ended at once is as good as none: who is refused does not come back at the
            // pace of the network.
            if (shard_.clock().now() - began > options_.reconnect_max)
                backoff = options_.reconnect_min;
        }
        // Jitter, so that peers of a restarted node do not come back in one wave.
        const auto jitter = Duration(
            static_cast<int64_t>(shard_.entropy().next() % static_cast<uint64_t>(backoff.count())));
        slot.backing_off = true;
        const port::TimerId timer =
            shard_.timers().after(backoff / 2 + jitter, [&slot] { slot.try_now(); });
        co_await slot.retry.wait();
        shard_.timers().cancel(timer);
        backoff = std::min(backoff * 2, options_.reconnect_max);
    }
}

void Endpoint::link_up(Link& link) {
    if (link.outgoing_) {
        Outgoing& slot = *outgoing_[{link.peer_.node, link.peer_.lane}];
        slot.link = &link;
        slot.refusal.clear();
        slot.wanted = false;
        if (link.peer_.lane == Lane::Heartbeat) give_up_stale(link);
    } else if (link.peer_.node) {
        drop_older(link);
        // There is a way from there; so there is one to there.
        for (auto& [key, slot] : outgoing_)
            if (key.first == link.peer_.node && link.peer_.lane != Lane::Relay &&
                !MUTANT(rpc_waits_out_its_pause))
                slot->try_now();
    }
    if (link.peer_.node) receiver_.on_peer_up(link.peer_, link.outgoing_);
    if (link.outgoing_) keep_one_way(link.peer_.node);
}

// Of the direct way and the one around.
void Endpoint::keep_one_way(NodeId node) {
    const auto direct = outgoing_.find({node, Lane::Normal});
    const auto around = outgoing_.find({node, Lane::Relay});
    if (around == outgoing_.end() || !around->second->link || !direct->second->link) return;
    if (reaches(node))
        around->second->link->die({Errc::Closed, "there is a direct way again"});
    else
        direct->second->link->die({Errc::Timeout, "silent, while a way around is not"});
}

void Endpoint::drop_older(const Link& link) {
    for (auto& [id, other] : links_)
        if (&*other != &link && !other->outgoing_ && other->ready_ &&
            other->peer_.node == link.peer_.node && other->peer_.shard == link.peer_.shard &&
            other->peer_.lane == link.peer_.lane)
            other->die({Errc::Closed, "its node connected again"});
}

void Endpoint::give_up_idle(const Link& silent) {
    for (auto& [id, other] : links_)
        if (other->outgoing_ && other->ready_ && other->expected_ == silent.expected_ &&
            other->peer_.lane != Lane::Relay && other->idle())
            other->die({Errc::Timeout, "its other lane had no word within rpc-silence-max"});
}

void Endpoint::give_up_stale(const Link& fresh) {
    for (auto& [id, other] : links_)
        if (other->outgoing_ && other->ready_ && other->expected_ == fresh.expected_ &&
            other->peer_.lane != Lane::Relay && other->stale() && !MUTANT(rpc_stale_lane_waits))
            other->die({Errc::Timeout, "silent, while a new connection is not"});
}

void Endpoint::say_alive(Link& link) {
    FrameBuilder b(0);
    link.connection_->out().append(b.finish(header(FrameType::Alive)));
    link.sent();
}

void Endpoint::note_refused(const Link& link, const Error& why) {
    refused_peers_.add();
    const Instant now = shard_.clock().now();
    if (now < next_refusal_note_) return;
    next_refusal_note_ = now + kRefusalNotesInterval;
    log_.warn("refusing a connection from " + link.connection_->peer().name + ": " + why.context);
}

void Endpoint::link_down(Link& link, const Error& why) {
    const Peer peer = link.peer_;
    const bool outgoing = link.outgoing_, was_ready = link.ready_;
    const NodeId slot_node = outgoing ? link.expected_ : NodeId{};
    // Why two do not come together is said once, not at every attempt; relays are only tried.
    const bool apart =
        outgoing && !was_ready && why.code == Errc::Conflict && peer.lane != Lane::Relay;
    if (apart &&
        std::exchange(outgoing_[{slot_node, peer.lane}]->refusal, why.context) != why.context)
        log_.warn("no connection to node " + to_string(slot_node) + ": " + why.context);
    else if (const bool news = was_ready && (outgoing || peer.node); news || log_.debug_enabled()) {
        // Who has no number asks one thing and goes.
        std::string text = "connection " + std::string(outgoing ? "to" : "from") + " node " +
                           to_string(outgoing ? slot_node : peer.node) +
                           " ended: " + why.describe();
        news ? log_.info(std::move(text)) : log_.debug(std::move(text));
    }
    links_.erase(peer.link);
    if (outgoing) {
        auto& slot = *outgoing_[{slot_node, peer.lane}];
        slot.link = nullptr;
        slot.ended.notify();
    }
    if (was_ready && peer.node) receiver_.on_peer_down(peer, outgoing);
}

Verdict Endpoint::judge(const Passage& passage) {
    for (Interceptor* i : interceptors_)
        if (Verdict v = i->on_frame(passage); v.kind != Verdict::Kind::Pass) return v;
    return {};
}

void Endpoint::deliver(Link& link, Frame frame) {
    frames_in_.add();
    bytes_in_.add(kHeaderBytes + frame.body.size());
    const Verdict v =
        judge({false, link.peer_, frame.header.type, kHeaderBytes + frame.body.size()});
    switch (v.kind) {
        case Verdict::Kind::Pass:
            break;
        case Verdict::Kind::Drop:
            return;
        case Verdict::Kind::Duplicate:
            receiver_.on_frame(link.peer_, frame);
            break;
        case Verdict::Kind::Delay:
            shard_.timers().after(v.delay, [this, alive = std::weak_ptr(alive_), peer = link.peer_,
                                            f = std::move(frame)]() mutable {
                if (alive.expired()) return;
                receiver_.on_frame(peer, std::move(f));
            });
            return;
    }
    receiver_.on_frame(link.peer_, std::move(frame));
}

bool Endpoint::takes_output(const Link& link) const {
    const size_t most = link.peer_.node ? options_.unsent_bytes_max
                                        : std::min(options_.unsent_bytes_max, kStrangerUnsentMax);
    return !link.dead_ && link.connection_->unsent() <= most;
}

bool Endpoint::write(Link& link, FrameType type, Bytes frame) {
    if (!takes_output(link)) {
        refused_frames_.add();
        return false;
    }
    put(link, type, std::move(frame));
    return true;
}

void Endpoint::put(Link& link, FrameType type, Bytes frame) {
    CHECK(frame.size() <= kFrameBytesMax, "whoever makes a frame keeps it below the limit");
    const Verdict v = judge({true, link.peer_, type, frame.size()});
    if (v.kind == Verdict::Kind::Drop) return;  // lost on the way, as far as the sender knows
    frames_out_.add();
    bytes_out_.add(frame.size());
    link.connection_->out().append(frame);
    link.sent();
}

bool Endpoint::send(NodeId to, Lane lane, FrameType type, Bytes frame) {
    const auto it = outgoing_.find({to, lane});
    if (it == outgoing_.end() || !it->second->link) {
        if (lane == Lane::Bulk && addresses_.contains(to)) keep_lane(to, lane);
        refused_frames_.add();
        return false;
    }
    return write(*it->second->link, type, std::move(frame));
}

bool Endpoint::send(NodeId to, Lane lane, FrameType type, std::vector<Bytes> frames) {
    const auto it = outgoing_.find({to, lane});
    if (it == outgoing_.end() || !it->second->link || !takes_output(*it->second->link)) {
        refused_frames_.add(frames.size());
        return false;
    }
    for (auto& frame : frames)
        put(*it->second->link, type, std::move(frame));
    return true;
}

bool Endpoint::reply(LinkId link, FrameType type, Bytes frame) {
    const auto it = links_.find(link);
    if (it == links_.end()) return false;
    if (write(*it->second, type, std::move(frame))) return true;
    it->second->die({Errc::Limit, "answers are not read (rpc-unsent-bytes-max)"});
    return false;
}

bool Endpoint::has_room(LinkId link) const {
    const auto it = links_.find(link);
    return it == links_.end() || it->second->dead_ ||
           it->second->connection_->unsent() <= options_.unsent_bytes_max / 2;
}

bool Endpoint::connected(NodeId to, Lane lane) const {
    const auto it = outgoing_.find({to, lane});
    return it != outgoing_.end() && it->second->link;
}

// ------------------------------------------------------------------------------- ways around

void Endpoint::relay(NodeId to) {
    if (reaches(to) || !addresses_.contains(to)) return;
    keep_lane(to, Lane::Relay);
    Outgoing& slot = *outgoing_[{to, Lane::Relay}];
    if (!slot.link && !std::exchange(slot.wanted, true)) slot.asked.notify();
}

NodeId Endpoint::relayed_through(NodeId to) const {
    const auto it = outgoing_.find({to, Lane::Relay});
    return it != outgoing_.end() && it->second->link ? it->second->through : NodeId{};
}

bool Endpoint::silent(NodeId to) const {
    const auto it = outgoing_.find({to, Lane::Normal});
    return it != outgoing_.end() && it->second->link && it->second->link->stale();
}

bool Endpoint::reaches(NodeId node) const {
    const auto it = outgoing_.find({node, Lane::Normal});
    return it != outgoing_.end() && it->second->link && !it->second->link->dead_ &&
           !it->second->link->stale();
}

// The next one behind `after` that is reached, around the circle.
NodeId Endpoint::next_relay(NodeId to, NodeId after) const {
    NodeId first;
    for (const auto& [node, address] : addresses_) {
        if (node == to || !reaches(node)) continue;
        if (node > after) return node;
        if (!first) first = node;
    }
    return first;
}

void Endpoint::pass_on(Link& link, NodeId to, const Frame& hello) {
    size_t others = 0;
    for (auto& [id, other] : links_) {
        if (!other->onward_ || other->dead_) continue;
        if (other->relayed_to_ == to && other->peer_.node == link.peer_.node &&
            other->peer_.shard == link.peer_.shard)
            other->die({Errc::Closed, "its node asked again"});
        else
            ++others;
    }
    if (!reaches(to) || others >= options_.relays_max)
        return link.turn_down({Errc::Unavailable, "node " + to_string(self_.node) +
                                                      " cannot pass on to node " + to_string(to)},
                              false);
    link.pass_on(to);
    FrameBuilder said;  // as it came
    said.body().raw(hello.body.view());
    scope_.spawn("rpc.dial_onward", dial_onward(link.peer_.link, to, said.finish(hello.header)));
}

port::Task<> Endpoint::dial_onward(LinkId near, NodeId to, Bytes hello) {
    auto far = co_await shard_.net().connect(addresses_[to], "", options_.dial_timeout);
    const auto it = links_.find(near);
    if (it == links_.end() || it->second->dead_) co_return;
    if (!far) {
        it->second->die(far.error());
        co_return;
    }
    relays_.add();
    it->second->onward_->begin(std::move(*far), hello);
}

port::Task<> Endpoint::close() {
    listener_.reset();
    scope_.request_stop();
    links_.clear();
    for (auto& [key, slot] : outgoing_) {
        slot->link = nullptr;
        slot->ended.notify();
        slot->asked.notify();
        slot->try_now();
    }
    co_await scope_.close();
}

}  // namespace asterias::rpc
