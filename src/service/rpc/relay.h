// service/rpc/relay.h: the far half of a connection that this node passes on (N4). Between two
// nodes that do not reach each other stands one that both reach: it dials the second for the first
// and hands bytes through, both ways, as they are. It does not look into them: who the two are, how
// long they may be silent and what a frame is worth is between them, as if they were connected.
//
// So the contract of a connection (endpoint.h) holds from end to end: bytes arrive in order, and
// once either half is gone so is the other: nothing arrives behind a gap. Bounded: while one side
// has more than port::kHighOutputMark unsent the other is not read. Threading: one shard.
#pragma once

#include <functional>
#include <memory>

#include "base/metrics.h"
#include "port/net.h"

namespace asterias::rpc {

class Onward : public port::ConnectionHandler {
public:
    // `near` outlives this and is not read before begin(). `ended` is called at most once, from a
    // callback of the far connection: nothing follows what is in near.out() then. The last bytes
    // may be missing, if the far side was paused when it broke; there is no gap before them.
    Onward(port::Connection& near, std::function<void(const Error&)> ended, Counter& bytes);

    // The far connection is there; `first` is what the near side has said already.
    void begin(std::unique_ptr<port::Connection> far, const Bytes& first);
    // What `near` received, and that its output drained.
    port::Consumed carry(const Bytes& available);
    void near_drained();
    // The near connection is gone: nothing more is handed through.
    void stop() { stopped_ = true; }

    // The far side.
    port::Consumed on_data(const Bytes& available) override;
    void on_end_of_stream() override;
    void on_closed(const Error& why) override;
    void on_drained() override;

private:
    void end(const Error& why);

    bool stopped_ = false;
    port::Connection& near_;
    std::unique_ptr<port::Connection> far_;
    std::function<void(const Error&)> ended_;
    Counter& bytes_;
};

}  // namespace asterias::rpc
