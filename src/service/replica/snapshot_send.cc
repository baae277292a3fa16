#include "service/replica/snapshot_send.h"

#include "base/crc32c.h"
#include "service/replica/state.h"

namespace asterias::replica {
namespace {
constexpr Duration kNoWay = milliseconds(50);  // until the next look for a connection
}

SnapshotSender::SnapshotSender(port::Shard& shard, port::Engine& engine, SnapshotPace pace,
                               NodeId node, SnapshotMessage blank, SnapshotHead head,
                               std::vector<port::Span> spans,
                               std::shared_ptr<port::EngineSnapshot> view, Send send)
    : shard_(shard),
      engine_(engine),
      pace_(pace),
      node_(node),
      blank_(std::move(blank)),
      head_(std::move(head)),
      spans_(std::move(spans)),
      view_(std::move(view)),
      send_(std::move(send)),
      changed_(shard),
      heard_(shard.clock().now()),
      next_ask_(heard_),
      progress_(heard_) {}

port::Task<bool> SnapshotSender::run() {
    tick();
    while (!ended_) {
        const Place& at = unanswered_.empty() ? answered_ : unanswered_.back();
        if (!asking_ && !at.end && unanswered_.size() < pace_.unanswered_max)
            co_await send_piece();
        else
            co_await changed_.wait();
    }
    view_.reset();
    co_return delivered_;
}

void SnapshotSender::stop(std::string why) {
    if (std::exchange(ended_, true)) return;
    why_ = std::move(why);
    changed_.notify();
}

bool SnapshotSender::send(std::variant<SnapshotBegin, SnapshotPiece> body) {
    SnapshotMessage message = blank_;
    message.body = std::move(body);
    return send_(message);
}

// From here on until the peer says where it is nothing else is sent. The places of what is on its
// way are kept: the peer may have got it.
void SnapshotSender::ask(Duration after) {
    asking_ = true;
    ++rewound_;
    next_ask_ = shard_.clock().now() + after;
}

void SnapshotSender::tick() {
    if (ended_) return;
    const Instant now = shard_.clock().now();
    if (now - progress_ >= pace_.give_up_after) return stop("no progress");
    if (!asking_ && now - heard_ >= pace_.ask_after) ask({});
    if (!asking_ || now < next_ask_) return;
    const bool sent = send(SnapshotBegin{head_});
    next_ask_ = now + (sent ? pace_.ask_after / 2 : kNoWay);
}

void SnapshotSender::on_peer_down() {
    if (!ended_) ask({});
}

void SnapshotSender::on_reply(const SnapshotReply& reply) {
    if (ended_ || reply.id != blank_.id || reply.from != blank_.to) return;
    const Instant now = shard_.clock().now();
    heard_ = now;
    switch (reply.kind) {
        case SnapshotReply::Kind::Installed:
            delivered_ = true;
            return stop("installed");
        case SnapshotReply::Kind::Refused:
            return stop("node " + to_string(node_) + " refuses it: " + reply.why);
        case SnapshotReply::Kind::Busy:
            return ask(pace_.ask_after / 2);
        case SnapshotReply::Kind::Going:
            break;
    }
    if (answered(reply.next)) progress_ = now;
    if (asking_) {
        // The peer lost what it had, as by a restart: once more, of the same view.
        if (reply.next == 0) answered_ = {};
        // Else a late word of before.
        if (reply.next < answered_.next) return;
        // What it has beyond what is known here it gets, and answers, once more.
        resumed_ += answered_.next > 0;
        unanswered_.clear();
        asking_ = false;
    }
    changed_.notify();
}

// True: more than before.
bool SnapshotSender::answered(uint64_t next) {
    if (next <= answered_.next) return false;
    while (!unanswered_.empty() && answered_.next < next) {
        answered_ = std::move(unanswered_.front());
        unanswered_.pop_front();
    }
    bytes_ = answered_.bytes;
    return true;
}

port::Task<> SnapshotSender::send_piece() {
    const uint64_t rewound = rewound_;
    Place at = unanswered_.empty() ? answered_ : unanswered_.back();
    const port::ScanLimit limit{.bytes = pace_.piece_bytes};
    SnapshotPiece piece;
    piece.number = at.next++;
    std::vector<port::KeyValue> pairs;
    while (pairs.empty() && at.span < spans_.size()) {
        const port::Span& span = spans_[at.span];
        auto found = co_await engine_.scan_view(
            shard_, view_, at.from.empty() ? span.from : at.from, span.to, limit);
        if (ended_ || rewound != rewound_) co_return;
        if (!found) {
            stop("it cannot be read: " + found.error().describe());
            co_return;
        }
        pairs = std::move(*found);
        if (limit.reached_by(pairs)) {
            at.from = key_behind(pairs.back().key);
        } else {
            ++at.span;
            at.from = {};
        }
    }
    piece.content = encode_pairs(pairs);
    piece.crc = crc32c(piece.content.view());
    at.pairs += pairs.size();
    at.bytes += piece.content.size();
    at.crc = crc32c(piece.content.view(), at.crc);
    at.end = piece.last = at.span == spans_.size();
    piece.pairs = at.pairs;
    piece.crc_of_all = at.crc;
    if (send(std::move(piece)))
        unanswered_.push_back(std::move(at));
    else
        ask(pace_.ask_after / 2);
}

}  // namespace asterias::replica
