// service/rpc/endpoint.h: the traffic of one shard with the other nodes. One outgoing connection
// per (peer, lane), kept up for as long as the endpoint lives; any number of incoming ones. Frames
// of a turn leave with one writev per connection. Contract: frames of one connection arrive in
// order, or the connection is reported down and nothing later arrives on it. A frame may be lost
// with its connection; nobody is told which. Nothing is retried here. Threading: one shard.
//
// Liveness (N6). A transport may take minutes to give a connection up whose other end is gone. So
// who accepted a connection and hears something on it says so at least every `alive_interval` (what
// it sends anyway is as good), and who dialed it and sent something drops it when no byte comes
// back for `silence_max`, and with it those to the same node on which nothing is owed. While
// nothing is sent nothing is owed: an idle connection is silent. A connection that its dialer left
// without a word is dropped when the next one of the same node, shard and lane comes. After a cut a
// transport waits for seconds before it tries again; so the lane of heartbeats is dropped sooner,
// and once it is up again it takes down the others that are silent still.
//
// Ways around (N4). A node that is not reached may be reached through another one: asked by
// relay(), the endpoint dials each that it has a connection to in turn, and says in its Hello whom
// it looks for; who has a connection there passes the bytes on (relay.h). What comes of it is a
// connection to the node itself, of lane Relay: the two judge each other's Hello and say Alive over
// it as over any, and it ends with either half. One hop: a relay dials the node itself. When it
// comes up and the Normal lane is there and silent, that one is dropped; it is dropped itself when
// the Normal lane is not, or comes back.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "port/net.h"
#include "port/scope.h"
#include "port/shard.h"
#include "service/rpc/frame.h"

namespace asterias::rpc {

struct Identity {
    ClusterId cluster;
    Incarnation cluster_incarnation;
    NodeId node;  // 0: not a member (a joining node, a tool); such a peer may only Call
    Incarnation incarnation;
    std::vector<Incarnation> earlier{};  // starts of this node before this one, as it tells others
};

// One connection, named for replies; never reused.
using LinkId = TaggedId<struct LinkIdTag>;

struct Peer {
    NodeId node;
    Incarnation incarnation;
    ShardId shard;
    Lane lane = Lane::Normal;
    LinkId link;
};

// The interceptor chain: every frame that a caller sent passes through all of them, in both
// directions.
struct Passage {
    bool outgoing;
    Peer peer;
    FrameType type;
    size_t bytes;
};
struct Verdict {
    enum class Kind : uint8_t { Pass, Drop, Duplicate, Delay } kind = Kind::Pass;
    Duration delay{};
};
class Interceptor {
public:
    virtual ~Interceptor() = default;
    virtual Verdict on_frame(const Passage& passage) = 0;
};

class Receiver {
public:
    virtual ~Receiver() = default;
    // May a node of this number take part? Asked once for each connection that names one. The
    // error's text is told to the peer.
    virtual Result<void> admit(const Peer& peer) = 0;
    // Is this a start of that node which may take part? Asked once for each connection of a member,
    // in both directions, and for one that is only passed on; `earlier` is what it says of itself
    // (Identity). The error means never, and is told to a peer that dialed.
    virtual Result<void> recognise(const Peer&, const std::vector<Incarnation>& /*earlier*/) {
        return {};
    }
    // Node `by` says that this start may never take part, and why.
    virtual void on_disowned(NodeId /*by*/, std::string /*why*/) {}
    virtual void on_frame(const Peer& from, Frame frame) = 0;
    // A connection from or to this peer is up or was lost; until then no frame of it was, or after
    // that none will be, seen. `outgoing` tells which of the two directions.
    virtual void on_peer_up(const Peer& peer, bool outgoing) = 0;
    virtual void on_peer_down(const Peer& peer, bool outgoing) = 0;
};

struct Options {
    // A transport whose first packet is lost says it again after a second: a new attempt is sooner.
    Duration dial_timeout = milliseconds(300);
    Duration connect_timeout = milliseconds(1000);  // from then on, for the peer's Hello
    Duration reconnect_min = milliseconds(20);
    Duration reconnect_max = milliseconds(150);
    Duration alive_interval = milliseconds(500);  // rpc-alive-interval
    Duration silence_max = milliseconds(5000);    // rpc-silence-max; several alive_intervals
    Duration heartbeat_silence_max = milliseconds(1500);  // of that lane: its frames are short
    size_t unsent_bytes_max = 128 * 1024 * 1024;  // per connection; above it frames are refused
    size_t peers_max = 64;                        // nodes that connect to this one
    // Incoming connections of whoever is no member, or has not said so yet. The next one takes the
    // place of the oldest: those that stay silent keep no member out.
    size_t strangers_max = 64;
    size_t relays_max = 64;  // connections that are passed on for others
};

class Endpoint {
public:
    // Everything passed by reference outlives the endpoint.
    Endpoint(port::Shard& shard, Identity self, Options options, Receiver& receiver,
             Registry& registry, Log log);
    ~Endpoint();

    Result<void> listen(const port::Address& address);
    port::Address listen_address() const;
    // Keeps connections to this peer up from now on; the one for bulk, from the first send on.
    void add_peer(NodeId node, port::Address address);
    void add_interceptor(Interceptor& interceptor);
    // Looks for a way around to a peer whose Normal lane is not connected, or silent: one attempt,
    // behind those asked for before. A connection of lane Relay comes of it, or nothing.
    void relay(NodeId to);
    // Its Normal lane is connected and has owed a word for heartbeat_silence_max.
    bool silent(NodeId to) const;
    NodeId relayed_through(NodeId to) const;  // 0: there is none

    // False: no connection now, or its output is full; the frame is gone.
    bool send(NodeId to, Lane lane, FrameType type, Bytes frame);
    // All of them or none: no frame of a later send gets between or ahead of them.
    bool send(NodeId to, Lane lane, FrameType type, std::vector<Bytes> frames);
    // For an answer on the connection that a frame came in on. One that finds no room ends the
    // connection, so that whoever waits for it learns that it will not come.
    bool reply(LinkId link, FrameType type, Bytes frame);
    // Whoever answers what comes in on this connection asks first: half of the room is kept for
    // the answers to what was accepted before.
    bool has_room(LinkId link) const;  // true also when it is gone: an answer goes nowhere then
    bool connected(NodeId to, Lane lane) const;
    Header header(FrameType type, uint64_t request = 0, uint32_t remaining_ms = 0) const;

    port::Task<> close();

private:
    class Link;
    struct Outgoing;

    void keep_lane(NodeId node, Lane lane);
    port::Task<> keep_connected(NodeId node, Lane lane);
    void accept(std::unique_ptr<port::Connection> connection);
    void make_room_for_stranger();
    // relaying for others, and being relayed
    void pass_on(Link& link, NodeId to, const Frame& hello);
    port::Task<> dial_onward(LinkId near, NodeId to, Bytes hello);
    void keep_one_way(NodeId node);
    NodeId next_relay(NodeId to, NodeId after) const;
    bool reaches(NodeId node) const;
    void deliver(Link& link, Frame frame);
    void link_up(Link& link);
    void link_down(Link& link, const Error& why);
    void drop_older(const Link& link);
    // The other connections to a silent node vouch for nothing.
    void give_up_idle(const Link& silent);
    void give_up_stale(const Link& fresh);
    void say_alive(Link& link);
    void note_refused(const Link& link, const Error& why);
    bool takes_output(const Link& link) const;
    bool write(Link& link, FrameType type, Bytes frame);
    void put(Link& link, FrameType type, Bytes frame);
    Verdict judge(const Passage& passage);

    port::Shard& shard_;
    const Identity self_;
    const Options options_;
    Receiver& receiver_;
    Log log_;
    port::Scope scope_;
    std::unique_ptr<port::Listener> listener_;
    std::map<NodeId, port::Address> addresses_;
    std::map<std::pair<NodeId, Lane>, std::unique_ptr<Outgoing>> outgoing_;
    std::map<LinkId, std::unique_ptr<Link>> links_;
    std::vector<Interceptor*> interceptors_;
    uint64_t next_link_ = 1;
    Instant next_refusal_note_;  // whoever is refused comes again and again
    // Callbacks on their way hold it weakly: none runs once this is gone.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>();
    Counter &frames_in_, &frames_out_, &bytes_in_, &bytes_out_, &bad_frames_, &refused_frames_,
        &silent_links_, &refused_peers_, &relays_, &relayed_bytes_;
};

}  // namespace asterias::rpc
