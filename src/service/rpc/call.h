// service/rpc/call.h: one question to a node by name, from whoever is no member (yet): joining,
// tools.
#pragma once

#include "port/net.h"
#include "port/shard.h"
#include "port/task.h"
#include "service/rpc/frame.h"

namespace asterias::rpc {

// Body of a Call frame: name and payload; of a CallReply: a status and payload (the error text when
// the status is not 0).
struct CallBody {
    std::string name;
    Bytes payload;
};
// Whole frames, ready to be sent, of type Call or CallReply as `header` says; `header.request` of a
// reply is that of its call. Reading takes a frame's body; errors: Corrupt, and read_reply() the
// error that the other side answered with, its text included.
Bytes call_frame(const Header& header, const CallBody& body);
Result<CallBody> read_call(const Bytes& body);
Bytes reply_frame(const Header& header, const Result<Bytes>& answer);
Result<Bytes> read_reply(const Bytes& body);

// Connects without being a member (a Hello without a node, cluster 0), asks, waits for the answer,
// closes. `timeout` is for connecting and then again for the answer. Asked at most once. Timeout,
// Closed: it may have been heard, and be done. Unavailable: nobody was reached, or the node's word
// that nothing came of it. Errors: those, Corrupt or
// Unsupported (what came back is no frame of this format), or what the node said (Conflict: do not
// ask again). `shard` outlives the task.
port::Task<Result<Bytes>> call_once(port::Shard& shard, port::Address address, CallBody body,
                                    Duration timeout);

}  // namespace asterias::rpc
