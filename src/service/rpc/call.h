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
Bytes call_frame(const Header& header, const CallBody& body);
Result<CallBody> read_call(const Bytes& body);
Bytes reply_frame(const Header& header, const Result<Bytes>& answer);
Result<Bytes> read_reply(const Bytes& body);

// Connects, asks, answers, closes. Errors: Unavailable, Timeout, or what the node said (Conflict).
port::Task<Result<Bytes>> call_once(port::Shard& shard, port::Address address, CallBody body,
                                    Duration timeout);

}  // namespace asterias::rpc
