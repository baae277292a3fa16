// The sending half of Network: links, segments, stalls.
#include <algorithm>
#include <array>

#include "base/check.h"
#include "runtime/sim/network.h"

namespace asterias::sim {
namespace {
constexpr size_t kHighMark = 256 * 1024;
constexpr size_t kLowMark = 64 * 1024;
constexpr Duration kGiveUpMin = seconds(5), kGiveUpMax = seconds(20);
constexpr Duration kSpreadAfterHeal = milliseconds(800);  // of retransmissions
}  // namespace

LinkProfile draw_link_profile(Prng& prng) {
    LinkProfile p;
    const auto one_in = [&prng](uint64_t n) { return prng.below(n) == 0; };
    const auto ppm = [&prng](uint64_t most) { return static_cast<uint32_t>(prng.below(most + 1)); };
    p.delay = microseconds(prng.between(20, 2'000));
    p.jitter = microseconds(prng.between(0, 1'000));
    p.split_ppm = ppm(500'000);
    if (one_in(8)) p.delay = milliseconds(prng.between(2, 150));
    if (one_in(8)) p.jitter = milliseconds(prng.between(1, 100));
    if (one_in(8)) p.bytes_per_second = prng.between(50'000, 10'000'000);
    if (one_in(4)) p.loss_ppm = ppm(50'000);
    if (one_in(4)) p.spike_ppm = ppm(50'000);
    if (one_in(8)) p.spike = milliseconds(prng.between(1, 2'000));
    if (one_in(4)) p.break_ppm = ppm(2'000);
    if (one_in(8)) p.corrupt_ppm = ppm(2'000);
    if (one_in(8)) p.window_bytes = prng.between(256, 8 * 1024);
    return p;
}

Network::Link& Network::link(NodeIndex from, NodeIndex to) {
    if (links_.size() < nodes_.size()) {
        links_.resize(nodes_.size());
        for (auto& row : links_)
            row.resize(nodes_.size());
    }
    return links_[slot_of(from)][slot_of(to)];
}

void Network::set_link(NodeIndex from, NodeIndex to, const LinkProfile& profile) {
    link(from, to).profile = profile;
    link(from, to).has_profile = true;
}

void Network::cut(NodeIndex from, NodeIndex to) {
    if (from == to || link(from, to).cut) return;
    kernel_.faults.hit(Fault::LinkCut);
    link(from, to).cut = true;
}

void Network::heal(NodeIndex from, NodeIndex to) {
    Link& l = link(from, to);
    l.clogged_until = {};
    if (!l.cut) return;
    l.cut = false;
    kernel_.faults.hit(Fault::LinkHealed);
    for (auto& [id, stream] : streams_)
        for (int side : {0, 1})
            if (stream->ends[side].node == from && stream->ends[1 - side].node == to)
                resume_stalled(*stream, side);
}

void Network::heal_all() {
    for (const Node& from : nodes_)
        for (const Node& to : nodes_)
            heal(from.index, to.index);
}

void Network::clog(NodeIndex from, NodeIndex to, Duration duration) {
    kernel_.faults.hit(Fault::LinkClogged);
    Link& l = link(from, to);
    l.clogged_until = std::max(l.clogged_until, kernel_.now() + duration);
}

// When `bytes` sent now arrive, if nothing is ahead of them. Draws.
Instant Network::transit(Link& l, size_t bytes) {
    const LinkProfile& p = profile(l);
    Instant at = std::max(kernel_.now(), l.clogged_until);
    if (p.bytes_per_second > 0) {
        const auto cost =
            static_cast<unsigned __int128>(bytes) * 1'000'000'000 / p.bytes_per_second;
        at = std::max(at, l.free_at) + Duration(static_cast<int64_t>(cost));
        l.free_at = at;
    }
    at += p.delay + kernel_.between({}, p.jitter);
    if (kernel_.chance_ppm(p.loss_ppm)) {
        kernel_.faults.hit(Fault::PacketLost);
        at += p.retransmit * (1 << kernel_.prng.below(4));
    }
    if (kernel_.chance_ppm(p.spike_ppm)) {
        kernel_.faults.hit(Fault::PacketSpike);
        at += kernel_.between({}, p.spike);
    }
    return at;
}

void Network::schedule_packet(Stream& stream, int side) {
    End& end = stream.ends[side];
    if (end.packet_scheduled || end.stalled || end.in_flight.empty()) return;
    end.packet_scheduled = true;
    kernel_.push(end.in_flight.front().at, EventKind::Packet, kNoNode, 0, stream.id,
                 end.flights_dropped << 1 | static_cast<uint64_t>(side));
}

void Network::send(Stream& stream, int side, Packet::Kind kind, Bytes data) {
    End& end = stream.ends[side];
    Link& l = link(end.node, stream.ends[1 - side].node);
    const Instant at = std::max(transit(l, data.size() + 64), end.last_arrival);
    end.last_arrival = at;
    end.bytes_in_flight += data.size();
    end.in_flight.push_back({kind, l.cut, at, std::move(data)});
    schedule_packet(stream, side);
}

// Overtakes and destroys what is in flight from `side`.
void Network::send_reset(Stream& stream, int side) {
    End& end = stream.ends[side];
    end.drop_output();
    if (stream.ends[1 - side].state != End::State::Closed && !stream.ends[1 - side].failure)
        send(stream, side, Packet::Kind::Reset, {});
}

Bytes Network::corrupted(const Bytes& data) {
    kernel_.faults.hit(Fault::Corrupted);
    BytesBuilder copy(data.size());
    copy.append(data.view());
    for (uint64_t flips = kernel_.prng.between(1, 4); flips > 0; --flips)
        copy.data()[kernel_.prng.below(copy.size())] ^=
            static_cast<uint8_t>(1u << kernel_.prng.below(8));
    return copy.take();
}

void Network::send_segment(Stream& stream, int side, Bytes data) {
    const LinkProfile& p = profile(link(stream.ends[side].node, stream.ends[1 - side].node));
    if (kernel_.chance_ppm(p.break_ppm)) return break_stream(stream, Farewell::Drawn);
    if (kernel_.chance_ppm(p.corrupt_ppm)) data = corrupted(data);
    send(stream, side, Packet::Kind::Data, std::move(data));
}

// Takes as much of `out` as the other end has room for.
void Network::pump(Stream& stream, int side) {
    End& end = stream.ends[side];
    const End& other = stream.ends[1 - side];
    const uint32_t split_ppm = profile(link(end.node, other.node)).split_ppm;
    while (!end.out.empty() && !end.failure) {
        const size_t used = end.bytes_in_flight + other.bytes_arrived;
        if (used >= stream.window_bytes) {
            kernel_.faults.hit(Fault::WindowFull);
            break;
        }
        size_t count = std::min(end.out.size(), stream.window_bytes - used);
        if (count > 1 && kernel_.chance_ppm(split_ppm)) {
            kernel_.faults.hit(Fault::SegmentSplit);
            count = kernel_.prng.between(1, count - 1);
        }
        BytesBuilder segment(count);
        while (segment.size() < count) {
            std::array<std::string_view, 8> pieces;
            const size_t n = end.out.front(pieces);
            size_t taken = 0;
            for (size_t i = 0; i < n && segment.size() < count; ++i) {
                const auto piece = pieces[i].substr(0, count - segment.size());
                segment.append(piece);
                taken += piece.size();
            }
            end.out.consume(taken);
        }
        send_segment(stream, side, segment.take());
    }
    if (end.linger && end.out.empty() && end.state == End::State::Open && !end.failure) {
        send(stream, side, Packet::Kind::End, {});
        close_end(stream, side);
    }
    check_marks(stream, side);
}

void Network::check_marks(Stream& stream, int side) {
    End& end = stream.ends[side];
    if (end.out.size() > kHighMark) {
        end.above_high_mark = true;
    } else if (end.above_high_mark && end.out.size() < kLowMark) {
        end.above_high_mark = false;
        end.drained = true;
        queue_serve(stream, side);
    }
}

bool Network::flush(SimShard& shard) {
    bool first = true;
    // By position: pump() may take the entry at hand away.
    for (size_t i = 0; i < shard.open_ends.size();) {
        const auto [stream, side] = shard.open_ends[i];
        if (!stream->ends[side].out.empty() || stream->ends[side].linger) {
            if (!first && crash_point(kernel_, shard.node(), Fault::CrashMidFlush)) return false;
            first = false;
            pump(*stream, side);
        }
        if (i < shard.open_ends.size() && shard.open_ends[i].stream == stream &&
            shard.open_ends[i].side == side)
            ++i;
    }
    return true;
}

// --- stalls and breaks -------------------------------------------------------------------------

void Network::stall(Stream& stream, int side) {
    End& end = stream.ends[side];
    kernel_.faults.hit(Fault::PacketStalled);
    end.stalled = true;
    ++end.stall_count;
    kernel_.push(kernel_.now() + kernel_.between(kGiveUpMin, kGiveUpMax), EventKind::GiveUp,
                 kNoNode, 0, stream.id, end.stall_count << 1 | static_cast<uint64_t>(side));
}

void Network::resume_stalled(Stream& stream, int side) {
    End& end = stream.ends[side];
    if (!end.stalled || stream.ends[1 - side].silent) return;
    end.stalled = false;
    const Instant from = kernel_.now() + kernel_.between({}, kSpreadAfterHeal);
    for (Packet& packet : end.in_flight) {
        packet.at = std::max(packet.at, from);
        packet.lost = false;
    }
    end.last_arrival = std::max(end.last_arrival, from);
    schedule_packet(stream, side);
}

void Network::on_give_up(Stream& stream, uint64_t side_and_stall) {
    const int side = static_cast<int>(side_and_stall & 1);
    End& end = stream.ends[side];
    if (!end.stalled || end.stall_count != side_and_stall >> 1) return;
    kernel_.faults.hit(Fault::ConnectionGaveUp);
    fail_end(stream, side, {Errc::Timeout, "connection timed out"});
}

void Network::break_stream(Stream& stream, Farewell farewell) {
    kernel_.faults.hit(Fault::ConnectionBroken);
    // At least one end notices; with Silent the other learns when it sends.
    const bool half_open =
        farewell == Farewell::Silent || (farewell == Farewell::Drawn && kernel_.prng.below(4) == 0);
    const int first = static_cast<int>(kernel_.prng.below(2));
    for (int side : {first, 1 - first}) {
        End& end = stream.ends[side];
        if (end.state == End::State::Closed || end.failure) continue;
        if (side != first && half_open) {
            kernel_.faults.hit(Fault::PeerHalfOpen);
            continue;
        }
        fail_end(stream, side, {Errc::Closed, "connection reset"});
    }
}

void Network::break_streams(NodeIndex a, NodeIndex b, Farewell farewell) {
    for (auto& [id, stream] : streams_) {
        const NodeIndex x = stream->ends[0].node, y = stream->ends[1].node;
        if ((x == a && y == b) || (x == b && y == a)) break_stream(*stream, farewell);
    }
}

}  // namespace asterias::sim
