// An endpoint and what it heard, for tests of this room. Included by tests only.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "service/rpc/endpoint.h"

namespace asterias::rpc {

inline constexpr ClusterId kCluster{5};

// An endpoint and what it heard.
struct Station : Receiver {
    Station(port::Shard& s, Identity self, LogSink& sink, Options options = {})
        : shard(s),
          endpoint(std::make_unique<Endpoint>(s, self, options, *this, registry, Log(sink, "t"))) {}

    port::Shard& shard;
    Registry registry;
    std::unique_ptr<Endpoint> endpoint;
    std::vector<std::pair<FrameType, std::string>> heard;
    std::vector<Peer> from;
    std::string disowned;  // why another one refuses this for good
    Incarnation refused;   // this start of anybody is an old copy here
    int ups = 0, downs = 0, outgoing_ups = 0, outgoing_downs = 0;
    uint64_t highest_member = 10;

    void on_frame(const Peer& peer, Frame frame) override {
        heard.emplace_back(frame.header.type, frame.body.str());
        from.push_back(peer);
    }
    Result<void> admit(const Peer& peer) override {
        if (peer.node.value <= highest_member) return {};
        return fail(Errc::Conflict, "node " + to_string(peer.node) + " is unknown here");
    }
    Result<void> recognise(const Peer& peer, const std::vector<Incarnation>&) override {
        if (peer.incarnation != refused) return {};
        return fail(Errc::Conflict, "an old copy");
    }
    void on_disowned(NodeId, std::string why) override { disowned = std::move(why); }
    void on_peer_up(const Peer&, bool outgoing) override { ++(outgoing ? outgoing_ups : ups); }
    void on_peer_down(const Peer&, bool outgoing) override {
        ++(outgoing ? outgoing_downs : downs);
    }
    bool send(NodeId to, Lane lane, std::string_view body) {
        FrameBuilder b;
        b.body().raw(body);
        return endpoint->send(to, lane, FrameType::Raft,
                              b.finish(endpoint->header(FrameType::Raft)));
    }
    uint64_t bad_frames() {
        return registry
            .counter("asterias_rpc_bad_frames_total",
                     "Frames of other clusters or formats, or with a wrong checksum.")
            .value();
    }
};

inline Identity member(uint64_t node, ClusterId cluster = kCluster) {
    return {cluster, Incarnation(1), NodeId(node), Incarnation(3)};
}

}  // namespace asterias::rpc
