// The receiving half of Network, and the ends of streams.
#include "runtime/sim/network.h"

#include <algorithm>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mutant.h"

namespace asterias::sim {
namespace {
constexpr Duration kRetransmitMin = milliseconds(20), kRetransmitMax = milliseconds(400);
constexpr Duration kWindowProbe = milliseconds(200);
}  // namespace

// --- SimConnection -----------------------------------------------------------------------------

SimConnection::SimConnection(Network& network, Stream& stream, int side)
    : network_(network), stream_(&stream), side_(side), peer_(stream.ends[side].peer) {
    stream.ends[side].connection = this;
}

SimConnection::~SimConnection() {
    if (stream_) network_.close(*stream_, side_, false);
}

void SimConnection::start(port::ConnectionHandler& handler) {
    CHECK(!handler_, "start() is called once");
    handler_ = &handler;
    if (stream_) network_.queue_serve(*stream_, side_);
}

Chain& SimConnection::out() {
    if (!stream_ || stream_->ends[side_].failure) {
        nowhere_.clear();
        return nowhere_;
    }
    return stream_->ends[side_].out;
}

size_t SimConnection::unsent() const { return stream_ ? stream_->ends[side_].out.size() : 0; }

void SimConnection::pause_reading(bool paused) {
    if (paused_ == paused) return;
    paused_ = paused;
    if (paused || !stream_) return;
    End& end = stream_->ends[side_];
    end.fresh = end.fresh || !end.unread.empty();
    network_.queue_serve(*stream_, side_);
}

void SimConnection::close_after_flush() {
    if (!stream_) return;
    network_.close(*std::exchange(stream_, nullptr), side_, true);
}

// --- ends --------------------------------------------------------------------------------------

Stream* Network::find(uint64_t id) {
    const auto it = streams_.find(id);
    return it == streams_.end() || it->second->reaped ? nullptr : it->second.get();
}

void Network::queue_serve(Stream& stream, int side) {
    End& end = stream.ends[side];
    if (end.serve_queued || end.state != End::State::Open || !end.connection) return;
    end.serve_queued = true;
    end.shard->make_ready(SimShard::Work::Serve, stream.key(side));
}

void Network::forget_open_end(Stream& stream, int side) {
    SimShard* shard = stream.ends[side].shard;
    if (!shard) return;
    std::erase_if(shard->open_ends,
                  [&](const auto& open) { return open.stream == &stream && open.side == side; });
}

void Network::done_with(Stream& stream) {
    if (stream.reaped || stream.ends[0].state != End::State::Closed ||
        stream.ends[1].state != End::State::Closed)
        return;
    stream.reaped = true;
    reapable_.push_back(stream.id);
}

void Network::reap() {
    for (const uint64_t id : std::exchange(reapable_, {}))
        streams_.erase(id);
}

void Network::close_end(Stream& stream, int side) {
    End& end = stream.ends[side];
    forget_open_end(stream, side);
    end.state = End::State::Closed;
    end.shard = nullptr;
    end.connection = nullptr;
    end.out.clear();
    end.arrived.clear();
    end.bytes_arrived = 0;
    end.unread = {};
    done_with(stream);
}

void Network::close(Stream& stream, int side, bool flush_first) {
    End& end = stream.ends[side];
    end.connection = nullptr;
    if (end.shard->crashed()) return;  // node_gone() decides what the peer sees
    if (flush_first && !end.failure) {
        end.linger = true;  // leaves at the turn end
        return;
    }
    // As in any kernel: closing with unread input resets the connection.
    if (end.bytes_arrived > 0 && !end.failure) {
        send_reset(stream, side);
    } else if (!end.failure) {
        end.out.clear();
        send(stream, side, Packet::Kind::End, {});
    }
    close_end(stream, side);
}

void Network::fail_end(Stream& stream, int side, Error why) {
    End& end = stream.ends[side];
    if (end.failure) return;
    end.drop_output();
    end.drained = false;
    if (end.state == End::State::Closed) return;
    end.failure = std::move(why);
    // A reset may overtake what arrived and was not read.
    if (!end.arrived.empty() && kernel_.prng.below(2) == 0) {
        end.arrived.clear();
        end.bytes_arrived = 0;
    }
    if (end.linger) return close_end(stream, side);
    if (side == 0 && end.state == End::State::Pending) {
        if (const auto it = dials_.find(stream.dial); it != dials_.end())
            complete(*it->second, std::unexpected(Error{Errc::Unavailable, "connection reset"}));
        return close_end(stream, side);
    }
    queue_serve(stream, side);
}

void Network::node_gone(Node& gone, Farewell farewell) {
    std::erase_if(listeners_,
                  [&](const auto& entry) { return &entry.second.shard->node() == &gone; });
    std::erase_if(dials_, [&](const auto& entry) { return &entry.second->shard.node() == &gone; });
    for (auto& [id, stream] : streams_) {
        for (int side : {0, 1}) {
            End& end = stream->ends[side];
            if (end.node != gone.index || end.state == End::State::Closed) continue;
            if (end.connection) end.connection->detach();
            const bool failed = end.failure.has_value();
            Farewell how = farewell;
            if (how == Farewell::Drawn) {
                const uint64_t draw = kernel_.prng.below(4);
                how = draw == 0 ? Farewell::Silent : draw == 1 ? Farewell::Reset : Farewell::Close;
            }
            end.out.clear();
            if (how == Farewell::Silent) {
                kernel_.faults.hit(Fault::PeerHalfOpen);
                end.silent = true;
            } else if (how == Farewell::Reset) {
                kernel_.faults.hit(Fault::PeerSawReset);
                send_reset(*stream, side);
            } else if (!failed) {
                kernel_.faults.hit(Fault::PeerSawClose);
                send(*stream, side, Packet::Kind::End, {});
            }
            close_end(*stream, side);
        }
    }
}

void Network::node_booted(Node& booted) {
    for (auto& [id, stream] : streams_)
        for (int side : {0, 1})
            if (stream->ends[side].node == booted.index && stream->ends[side].silent) {
                stream->ends[side].silent = false;
                // What the peer retransmits meets a machine that knows no such connection.
                if (!link(stream->ends[1 - side].node, booted.index).cut)
                    resume_stalled(*stream, 1 - side);
            }
}

// --- arrivals ----------------------------------------------------------------------------------

void Network::on_event(const Event& event) {
    if (event.kind == EventKind::Syn) return on_syn(event.a);
    if (event.kind == EventKind::Refused) return on_refused(event.a);
    Stream* stream = find(event.a);
    if (!stream) return;
    if (event.kind == EventKind::GiveUp) return on_give_up(*stream, event.b);
    if (event.kind == EventKind::Window) return on_window(*stream, static_cast<int>(event.b));
    on_packet(*stream, event.b);
}

void Network::on_packet(Stream& stream, uint64_t side_and_flight) {
    const int side = static_cast<int>(side_and_flight & 1);
    End& sender = stream.ends[side];
    if (sender.flights_dropped != side_and_flight >> 1) return;
    sender.packet_scheduled = false;
    if (sender.in_flight.empty() || sender.stalled) return;
    Packet& front = sender.in_flight.front();
    if (front.at > kernel_.now()) return schedule_packet(stream, side);
    if (link(sender.node, stream.ends[1 - side].node).cut) {
        if (front.kind != Packet::Kind::Reset) return stall(stream, side);
        kernel_.faults.hit(Fault::ResetLost);  // a reset is not retransmitted
        sender.drop_output();
        return;
    }
    if (front.lost) {
        front.lost = false;
        front.at = kernel_.now() + kernel_.between(kRetransmitMin, kRetransmitMax);
        for (Packet& packet : sender.in_flight)
            packet.at = std::max(packet.at, front.at);
        sender.last_arrival = std::max(sender.last_arrival, front.at);
        return schedule_packet(stream, side);
    }
    if (stream.ends[1 - side].silent) return stall(stream, side);
    if (MUTANT(sim_stream_reordered)) std::swap(front.data, sender.in_flight.back().data);
    Packet packet = std::move(front);
    sender.in_flight.pop_front();
    sender.bytes_in_flight -= packet.data.size();
    schedule_packet(stream, side);
    arrive(stream, side, std::move(packet));
}

void Network::arrive(Stream& stream, int sender, Packet packet) {
    const int receiver = 1 - sender;
    End& end = stream.ends[receiver];
    switch (packet.kind) {
        case Packet::Kind::Established:
            return establish(stream);
        case Packet::Kind::Data:
            if (!end.accepts()) {
                // A closed socket answers data with a reset; one that lingers just discards it.
                if (!end.linger) return send_reset(stream, receiver);
                return window_opened(stream, receiver);
            }
            kernel_.trace.add(crc32c(packet.data.view()));
            end.bytes_arrived += packet.data.size();
            end.arrived.push_back(std::move(packet.data));
            return queue_serve(stream, receiver);
        case Packet::Kind::End:
            if (!end.accepts()) return;
            end.end_arrived = true;
            return queue_serve(stream, receiver);
        case Packet::Kind::Reset:
            return fail_end(stream, receiver, {Errc::Closed, "connection reset by peer"});
    }
}

void Network::window_opened(Stream& stream, int receiver) {
    End& sender = stream.ends[1 - receiver];
    if (sender.out.empty() || sender.window_scheduled) return;
    sender.window_scheduled = true;
    kernel_.push(transit(link(stream.ends[receiver].node, sender.node), 64), EventKind::Window,
                 kNoNode, 0, stream.id, static_cast<uint64_t>(1 - receiver));
}

void Network::on_window(Stream& stream, int side) {
    End& sender = stream.ends[side];
    if (link(stream.ends[1 - side].node, sender.node).cut && sender.state != End::State::Closed) {
        kernel_.push(kernel_.now() + kWindowProbe, EventKind::Window, kNoNode, 0, stream.id,
                     static_cast<uint64_t>(side));
        return;
    }
    sender.window_scheduled = false;
    if (sender.state == End::State::Open) pump(stream, side);
}

// --- showing it to the handler -----------------------------------------------------------------

// False: nothing was shown.
bool Network::show_data(Stream& stream, int side, SimConnection& connection) {
    End& end = stream.ends[side];
    if (connection.paused()) return false;
    if (!end.arrived.empty()) {
        end.fresh = true;
        if (end.unread.size() + end.bytes_arrived >= end.wanted) {
            if (end.unread.empty() && end.arrived.size() == 1) {
                end.unread = std::move(end.arrived.front());
            } else {
                BytesBuilder all(end.unread.size() + end.bytes_arrived);
                all.append(end.unread.view());
                for (const Bytes& piece : end.arrived)
                    all.append(piece.view());
                end.unread = all.take();
            }
            end.arrived.clear();
            end.bytes_arrived = 0;
            window_opened(stream, side);
        } else if (end.bytes_arrived >= stream.window_bytes / 2) {
            // More is wanted than the window holds: the runtime reads it out of the kernel.
            BytesBuilder all(end.wanted);
            all.append(end.unread.view());
            for (const Bytes& piece : end.arrived)
                all.append(piece.view());
            end.unread = all.take();
            end.arrived.clear();
            end.bytes_arrived = 0;
            window_opened(stream, side);
        }
    }
    if (!end.fresh || end.unread.empty() || end.unread.size() < end.wanted) return false;
    end.fresh = false;
    const Bytes shown = end.unread;
    const port::Consumed consumed = connection.handler()->on_data(shown);
    CHECK(consumed.bytes <= shown.size(), "a handler consumes what it was shown");
    if (end.connection != &connection) return true;  // it closed the connection
    end.unread = shown.suffix(consumed.bytes);
    end.wanted = consumed.wanted;
    return true;
}

void Network::serve(SimShard& shard, uint64_t key) {
    Stream* stream = find(key / 2);
    if (!stream) return;
    const int side = static_cast<int>(key & 1);
    End& end = stream->ends[side];
    end.serve_queued = false;
    SimConnection* connection = end.connection;
    if (!connection || !connection->handler()) return;
    const auto gone = [&] { return shard.crashed() || end.connection != connection; };
    port::ConnectionHandler& handler = *connection->handler();
    show_data(*stream, side, *connection);
    if (gone()) return;
    if (std::exchange(end.drained, false)) {
        handler.on_drained();
        if (gone()) return;
    }
    if (end.end_arrived && !end.end_told && end.arrived.empty() && !connection->paused()) {
        end.end_told = true;
        handler.on_end_of_stream();
        if (gone()) return;
    }
    if (end.failure && !std::exchange(end.failure_told, true)) handler.on_closed(*end.failure);
}

}  // namespace asterias::sim
