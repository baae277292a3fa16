// runtime/sim/network.h: all links, listeners, connections and connection attempts of a World.
// Internal to this room; scenarios use the methods of World.
//
// Fault model. A stream keeps its bytes in order and whole while it lives, whatever its link does:
// a lost segment is late, and holds up what follows it. It may lose its tail by breaking, and it
// may change bytes silently (corrupt_ppm). A cut link carries nothing; streams over it stall until
// it heals, or until their sender gives up after 5 to 20 s. Connection attempts repeat their SYN
// after 1, 2, 4 ... s. Nothing here orders one connection against another.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "runtime/sim/node.h"
#include "runtime/sim/stream.h"

namespace asterias::sim {

// Network::connect's state: lives in the frame of the awaiting coroutine, so that its destruction
// abandons the attempt.
class Dialing {
public:
    Dialing(Network& network, SimShard& shard, port::Address to, std::string expected,
            Duration timeout);
    ~Dialing();
    Dialing(const Dialing&) = delete;
    Dialing& operator=(const Dialing&) = delete;

    bool await_ready() const noexcept { return result.has_value(); }
    void await_suspend(std::coroutine_handle<> h) noexcept { waiter = h; }
    Result<std::unique_ptr<port::Connection>> await_resume() { return std::move(*result); }

    Network& network;
    SimShard& shard;
    const port::Address to;
    const std::string expected;
    uint64_t id = 0;
    uint64_t stream = 0;  // 0: none yet
    uint32_t syns = 0;
    port::TimerId timer{};
    std::coroutine_handle<> waiter;
    std::optional<Result<std::unique_ptr<port::Connection>>> result;
};

class Network {
public:
    // `nodes` grows at its end only; its elements stay in place.
    Network(Kernel& kernel, std::deque<Node>& nodes) : kernel_(kernel), nodes_(nodes) {}

    // For shards, within a turn.
    bool flush(SimShard& shard);  // false: the node crashed on the way
    void serve(SimShard& shard, uint64_t key);
    void accept(SimShard& shard, uint64_t stream);
    void finish_dial(uint64_t dial);

    // For World.
    void on_event(const Event& event);
    void node_gone(Node& node, Farewell farewell);
    void node_booted(Node& node);
    void reap();  // frees streams that both ends are done with; no pointer to one may be held
    size_t stream_count() const { return streams_.size(); }

    void set_default_link(const LinkProfile& profile) { default_profile_ = profile; }
    void set_link(NodeIndex from, NodeIndex to, const LinkProfile& profile);
    void cut(NodeIndex from, NodeIndex to);
    void heal(NodeIndex from, NodeIndex to);
    void heal_all();
    bool is_cut(NodeIndex from, NodeIndex to) { return link(from, to).cut; }
    void clog(NodeIndex from, NodeIndex to, Duration duration);
    void break_streams(NodeIndex a, NodeIndex b, Farewell farewell);
    void set_identity_hook(IdentityHook hook) { identity_hook_ = std::move(hook); }

    // For the port objects of this room.
    Result<std::unique_ptr<port::Listener>> listen(SimShard& shard, const port::Address& address,
                                                   port::AcceptHandler accept);
    void unlisten(uint64_t id) { listeners_.erase(id); }
    void dial(Dialing& dialing);
    void abandon(Dialing& dialing);
    void complete(Dialing& dialing, Result<std::unique_ptr<port::Connection>> result);
    void time_out(uint64_t dial);
    void queue_serve(Stream& stream, int side);
    void close(Stream& stream, int side, bool flush_first);

private:
    struct Link {
        bool cut = false;
        bool has_profile = false;
        LinkProfile profile;
        Instant clogged_until{}, free_at{};
    };
    struct Listening {
        port::Address address;
        SimShard* shard;
        std::shared_ptr<port::AcceptHandler> accept;
    };

    Link& link(NodeIndex from, NodeIndex to);
    const LinkProfile& profile(const Link& link) const {
        return link.has_profile ? link.profile : default_profile_;
    }
    Node& node(NodeIndex index) { return nodes_[slot_of(index)]; }
    Node* find_host(SimShard& from, std::string_view host);
    Stream* find(uint64_t id);
    std::optional<port::PeerIdentity> identity(NodeIndex presenter, NodeIndex viewer,
                                               uint64_t dial);

    // Sending (transmit.cc).
    Instant transit(Link& link, size_t bytes);
    void send(Stream& stream, int side, Packet::Kind kind, Bytes data);
    void send_reset(Stream& stream, int side);
    void schedule_packet(Stream& stream, int side);
    void pump(Stream& stream, int side);
    void send_segment(Stream& stream, int side, Bytes data);
    Bytes corrupted(const Bytes& data);
    void check_marks(Stream& stream, int side);
    void stall(Stream& stream, int side);
    void resume_stalled(Stream& stream, int side);
    void break_stream(Stream& stream, Farewell farewell);

    // Receiving.
    void on_packet(Stream& stream, uint64_t side_and_flight);
    void on_window(Stream& stream, int side);
    void on_give_up(Stream& stream, uint64_t side_and_stall);
    void arrive(Stream& stream, int sender, Packet packet);
    void establish(Stream& stream);
    void fail_end(Stream& stream, int side, Error why);
    bool show_data(Stream& stream, int side, SimConnection& connection);
    void window_opened(Stream& stream, int receiver);

    // Connecting (dial.cc).
    void on_syn(uint64_t dial);
    void on_refused(uint64_t dial);
    void refuse(Dialing& dialing, NodeIndex by);
    void retry_syn(Dialing& dialing);
    Stream* new_stream(Dialing& dialing, uint64_t listener, port::PeerIdentity dialer_shown,
                       port::PeerIdentity acceptor_shown);
    uint64_t choose_listener(Node& target, const port::Address& to);

    void close_end(Stream& stream, int side);
    void forget_open_end(Stream& stream, int side);
    void done_with(Stream& stream);

    Kernel& kernel_;
    std::deque<Node>& nodes_;
    LinkProfile default_profile_;
    std::vector<std::vector<Link>> links_;  // by sender, receiver
    std::map<uint64_t, std::unique_ptr<Stream>> streams_;
    std::vector<uint64_t> reapable_;
    std::map<uint64_t, Listening> listeners_;
    std::map<uint64_t, Dialing*> dials_;
    uint64_t next_id_ = 1;
    uint16_t next_port_ = 40'000;
    IdentityHook identity_hook_;
};

std::unique_ptr<port::Net> make_net(Network& network, SimShard& shard);

}  // namespace asterias::sim
