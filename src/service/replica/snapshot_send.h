// service/replica/snapshot_send.h: one snapshot on its way to one peer: reads a frozen view in
// pieces, off the shard, and keeps a bounded number of them unanswered, which bounds the rate, too.
// Memory: one piece being read, and the places of those unanswered. Threading: one shard.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "port/shard.h"
#include "port/sync.h"
#include "service/replica/snapshot.h"

namespace asterias::replica {

struct SnapshotPace {
    size_t piece_bytes = 256 * 1024;               // and the pair that passes it
    size_t unanswered_max = 8;                     // pieces
    Duration ask_after = milliseconds(1000);       // no answer for so long: ask where the peer is
    Duration give_up_after = milliseconds(30000);  // no progress for so long
};

class SnapshotSender {
public:
    // The way to the peer. False: there is none now, nothing was sent.
    using Send = std::function<bool(const SnapshotMessage&)>;

    // `node` is where the peer lives. `blank`: of each message, but for its body. `view` is of
    // head.meta.index. The references outlive run().
    SnapshotSender(port::Shard& shard, port::Engine& engine, SnapshotPace pace, NodeId node,
                   SnapshotMessage blank, SnapshotHead head, std::vector<port::Span> spans,
                   std::shared_ptr<port::EngineSnapshot> view, Send send);

    // Ends when the peer says that it is installed (true), or when it is given up: the peer
    // refuses, makes no progress, the view cannot be read, stop(). Once.
    port::Task<bool> run();
    void on_reply(const SnapshotReply& reply);
    void on_peer_down();
    void tick();  // at least every 20 ms
    void stop(std::string why);

    NodeId node() const { return node_; }
    const SnapshotHead& head() const { return head_; }
    uint64_t bytes() const { return bytes_; }  // sent and answered
    uint64_t resumed() const {
        return resumed_;
    }  // went on where the peer was, not at its beginning
    const std::string& why() const { return why_; }

private:
    // Between two pieces.
    struct Place {
        uint64_t next = 0;  // the number of the piece that begins here
        size_t span = 0;
        Bytes from;  // in the span; empty: at its beginning
        uint64_t pairs = 0, bytes = 0;
        uint32_t crc = 0;  // of all before
        bool end = false;  // the last piece is before
    };
    void ask(Duration after);
    bool answered(uint64_t next);
    port::Task<> send_piece();
    bool send(std::variant<SnapshotBegin, SnapshotPiece> body);

    port::Shard& shard_;
    port::Engine& engine_;
    const SnapshotPace pace_;
    const NodeId node_;
    const SnapshotMessage blank_;
    const SnapshotHead head_;
    const std::vector<port::Span> spans_;
    std::shared_ptr<port::EngineSnapshot> view_;
    const Send send_;
    port::Signal changed_;

    Place answered_;                // all before is answered
    std::deque<Place> unanswered_;  // behind each piece that is on its way
    uint64_t rewound_ = 0;          // how often: a piece read before that is not sent
    bool asking_ = true;
    bool ended_ = false, delivered_ = false;
    std::string why_;
    uint64_t bytes_ = 0, resumed_ = 0;
    Instant heard_, next_ask_, progress_;
};

}  // namespace asterias::replica
