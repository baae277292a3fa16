// Listening and connecting.
#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"
#include "runtime/sim/network.h"

namespace asterias::sim {
namespace {

bool is_any(std::string_view host) { return host.empty() || host == "0.0.0.0" || host == "::"; }
bool is_own(std::string_view host) {
    return host == "localhost" || host == "127.0.0.1" || host == "::1";
}

class SimListener final : public port::Listener {
public:
    SimListener(Network& network, uint64_t id, port::Address address)
        : network_(network), id_(id), address_(std::move(address)) {}
    ~SimListener() override { network_.unlisten(id_); }
    port::Address address() const override { return address_; }

private:
    Network& network_;
    const uint64_t id_;
    const port::Address address_;
};

class SimNet final : public port::Net {
public:
    SimNet(Network& network, SimShard& shard) : network_(network), shard_(shard) {}
    Result<std::unique_ptr<port::Listener>> listen(const port::Address& address,
                                                   port::AcceptHandler accept) override {
        return network_.listen(shard_, address, std::move(accept));
    }
    port::Task<Result<std::unique_ptr<port::Connection>>> connect(port::Address address,
                                                                  std::string expected,
                                                                  Duration timeout) override {
        Dialing dialing(network_, shard_, std::move(address), std::move(expected), timeout);
        co_return co_await dialing;
    }

private:
    Network& network_;
    SimShard& shard_;
};

}  // namespace

std::unique_ptr<port::Net> make_net(Network& network, SimShard& shard) {
    return std::make_unique<SimNet>(network, shard);
}

Node* Network::find_host(SimShard& from, std::string_view host) {
    if (is_own(host) || is_any(host)) return &from.node();
    for (Node& n : nodes_)
        if (n.name == host) return &n;
    return nullptr;
}

// --- listening ---------------------------------------------------------------------------------

Result<std::unique_ptr<port::Listener>> Network::listen(SimShard& shard,
                                                        const port::Address& address,
                                                        port::AcceptHandler accept) {
    if (find_host(shard, address.host) != &shard.node())
        return fail(Errc::InvalidArgument, address.describe() + " is not an address of this node");
    port::Address bound = address;
    if (bound.port == 0) bound.port = next_port_++;
    for (const auto& [id, other] : listeners_)
        if (other.shard == &shard && other.address.port == bound.port)
            return fail(Errc::Conflict, bound.describe() + " is in use");
    const uint64_t id = next_id_++;
    if (!shard.crashed())
        listeners_.emplace(
            id, Listening{bound, &shard, std::make_shared<port::AcceptHandler>(std::move(accept))});
    return std::make_unique<SimListener>(*this, id, bound);
}

uint64_t Network::choose_listener(Node& target, const port::Address& to) {
    std::vector<uint64_t> candidates;
    for (const auto& [id, l] : listeners_)
        if (&l.shard->node() == &target && l.address.port == to.port) candidates.push_back(id);
    return candidates.empty() ? 0 : candidates[kernel_.prng.below(candidates.size())];
}

void Network::accept(SimShard& shard, uint64_t stream_id) {
    Stream* stream = find(stream_id);
    if (!stream) return;
    const auto it = listeners_.find(stream->listener);
    if (it == listeners_.end()) {
        send_reset(*stream, 1);
        close_end(*stream, 1);
        return;
    }
    // The handler may destroy its listener.
    const auto handler = it->second.accept;
    End& end = stream->ends[1];
    end.state = End::State::Open;
    shard.open_ends.push_back({stream, 1});
    if (!end.failure) send(*stream, 1, Packet::Kind::Established, {});
    auto connection = std::make_unique<SimConnection>(*this, *stream, 1);
    (*handler)(std::move(connection));
}

// --- connecting --------------------------------------------------------------------------------

Dialing::Dialing(Network& net, SimShard& sh, port::Address address, std::string expect,
                 Duration timeout)
    : network(net), shard(sh), to(std::move(address)), expected(std::move(expect)) {
    network.dial(*this);
    timer = shard.timers().after(timeout, [n = &network, dial = id] { n->time_out(dial); });
}

Dialing::~Dialing() {
    shard.timers().cancel(timer);
    network.abandon(*this);
}

void Network::dial(Dialing& dialing) {
    dialing.id = next_id_++;
    dials_.emplace(dialing.id, &dialing);
    if (dialing.shard.crashed()) return;
    if (dialing.shard.node().no_files) {
        kernel_.faults.hit(Fault::OutOfFiles);
        dialing.result = fail(Errc::Limit, "no file descriptor left");
        return;
    }
    Node* target = find_host(dialing.shard, dialing.to.host);
    if (!target) {
        dialing.result = fail(Errc::Unavailable, "no host " + dialing.to.host);
        return;
    }
    Link& l = link(dialing.shard.node().index, target->index);
    kernel_.push(transit(l, 64), EventKind::Syn, kNoNode, 0, dialing.id);
}

void Network::abandon(Dialing& dialing) {
    dials_.erase(dialing.id);
    if (dialing.shard.crashed()) return;
    Stream* stream = find(dialing.stream);
    if (stream && stream->ends[0].state == End::State::Pending) {
        send_reset(*stream, 0);
        close_end(*stream, 0);
    }
}

void Network::complete(Dialing& dialing, Result<std::unique_ptr<port::Connection>> result) {
    if (dialing.result) return;
    dialing.result = std::move(result);
    dialing.shard.make_ready(SimShard::Work::Dial, dialing.id);
}

void Network::time_out(uint64_t dial) {
    const auto it = dials_.find(dial);
    if (it == dials_.end() || it->second->result) return;
    kernel_.faults.hit(Fault::ConnectTimedOut);
    complete(*it->second, fail(Errc::Timeout, "connect to " + it->second->to.describe()));
}

void Network::finish_dial(uint64_t dial) {
    const auto it = dials_.find(dial);
    if (it == dials_.end()) return;
    if (auto waiter = std::exchange(it->second->waiter, {})) waiter.resume();
}

void Network::retry_syn(Dialing& dialing) {
    kernel_.faults.hit(Fault::SynLost);
    const Duration backoff = seconds(1ll << std::min<uint32_t>(dialing.syns++, 5));
    kernel_.push(kernel_.now() + backoff, EventKind::Syn, kNoNode, 0, dialing.id);
}

void Network::refuse(Dialing& dialing, NodeIndex by) {
    Link& back = link(by, dialing.shard.node().index);
    kernel_.push(transit(back, 64), EventKind::Refused, kNoNode, 0, dialing.id);
}

void Network::on_refused(uint64_t dial) {
    const auto it = dials_.find(dial);
    if (it == dials_.end()) return;
    Dialing& dialing = *it->second;
    Node* target = find_host(dialing.shard, dialing.to.host);
    if (link(target->index, dialing.shard.node().index).cut) return retry_syn(dialing);
    kernel_.faults.hit(Fault::ConnectRefused);
    complete(dialing, fail(Errc::Unavailable, dialing.to.describe() + " refused"));
}

void Network::on_syn(uint64_t dial) {
    const auto it = dials_.find(dial);
    if (it == dials_.end() || it->second->result) return;
    Dialing& dialing = *it->second;
    Node& origin = dialing.shard.node();
    Node& target = *find_host(dialing.shard, dialing.to.host);
    if (link(origin.index, target.index).cut || !target.powered) return retry_syn(dialing);
    if (target.no_files) {  // it cannot accept: the kernel lets it wait, and then drops it
        kernel_.faults.hit(Fault::OutOfFiles);
        return retry_syn(dialing);
    }
    const uint64_t listener = target.up ? choose_listener(target, dialing.to) : 0;
    if (listener == 0) return refuse(dialing, target.index);
    auto origin_shown = identity(origin.index, target.index, dial);
    auto target_shown = identity(target.index, origin.index, dial);
    if (!origin_shown || !target_shown) {
        kernel_.faults.hit(Fault::HandshakeFailed);
        return refuse(dialing, target.index);
    }
    Stream* stream =
        new_stream(dialing, listener, std::move(*origin_shown), std::move(*target_shown));
    stream->ends[1].shard->make_ready(SimShard::Work::Accept, stream->id);
}

std::optional<port::PeerIdentity> Network::identity(NodeIndex presenter, NodeIndex viewer,
                                                    uint64_t dial) {
    const Node& who = node(presenter);
    port::PeerIdentity honest{who.options.identity.empty() ? who.name : who.options.identity,
                              who.options.authenticated};
    if (!honest.authenticated)
        honest.name = who.name + ":" + std::to_string(32'768 + dial % 28'000);
    if (!identity_hook_) return honest;
    auto shown = identity_hook_(presenter, viewer, honest);
    if (shown && (shown->name != honest.name || shown->authenticated != honest.authenticated))
        kernel_.faults.hit(Fault::IdentityForged);
    return shown;
}

Stream* Network::new_stream(Dialing& dialing, uint64_t listener, port::PeerIdentity dialer_shown,
                            port::PeerIdentity acceptor_shown) {
    auto stream = std::make_unique<Stream>();
    stream->id = next_id_++;
    stream->listener = listener;
    stream->dial = dialing.id;
    End &dialer = stream->ends[0], &acceptor = stream->ends[1];
    dialer.shard = &dialing.shard;
    dialer.node = dialing.shard.node().index;
    dialer.peer = std::move(acceptor_shown);
    acceptor.shard = listeners_.at(listener).shard;
    acceptor.node = acceptor.shard->node().index;
    acceptor.peer = std::move(dialer_shown);
    stream->window_bytes =
        std::max<size_t>(1, profile(link(dialer.node, acceptor.node)).window_bytes);
    dialing.stream = stream->id;
    return streams_.emplace(stream->id, std::move(stream)).first->second.get();
}

// The answer of the acceptor has reached the dialer.
void Network::establish(Stream& stream) {
    const auto it = dials_.find(stream.dial);
    End& end = stream.ends[0];
    if (it == dials_.end() || it->second->result || end.state != End::State::Pending) {
        if (end.state != End::State::Pending) return;
        send_reset(stream, 0);
        return close_end(stream, 0);
    }
    Dialing& dialing = *it->second;
    if (!dialing.expected.empty() && dialing.expected != end.peer.name &&
        !MUTANT(sim_identity_unchecked)) {
        kernel_.faults.hit(Fault::IdentityConflict);
        complete(dialing, fail(Errc::Conflict, dialing.to.describe() + " is " + end.peer.name +
                                                   ", not " + dialing.expected));
        send_reset(stream, 0);
        return close_end(stream, 0);
    }
    end.state = End::State::Open;
    end.shard->open_ends.push_back({&stream, 0});
    complete(dialing, std::make_unique<SimConnection>(*this, stream, 0));
}

}  // namespace asterias::sim
