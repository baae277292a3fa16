// service/rpc/frame.h: the frames between nodes (docs/formats/rpc.md). Fixed header of 48 bytes,
// then a body that the frame's type explains:
//   length u32 (of all that follows crc) | length crc u32 (CRC-32C of length) |
//   crc u32 (CRC-32C of all that follows) | format u16 | type u16 | cluster u64 |
//   cluster incarnation u32 | remaining ms u32 (0: none) | request u64 | trace u64
// A frame of another cluster, another format or with a wrong checksum closes the connection and is
// counted: it is never applied, and never crashes (reliability N7).
#pragma once

#include <cstdint>
#include <variant>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "wire/writer.h"

namespace asterias::rpc {

inline constexpr uint16_t kFormat = 5;
inline constexpr size_t kHeaderBytes = 48;
inline constexpr size_t kFrameBytesMax = 64 * 1024 * 1024;
// Where a body of many small things is cut: below it plus the largest thing (one command, one
// entry, one answer) a frame fits.
inline constexpr size_t kBodyBytesGoal = 1024 * 1024;

enum class FrameType : uint16_t {
    Hello = 1,    // first frame of a connection, both ways
    Raft = 2,     // messages of groups
    Forward = 3,  // commands of one gateway to one group's leader
    ForwardReply = 4,
    Call = 5,  // one request, one answer, by name (join, status)
    CallReply = 6,
    Alive = 7,     // nothing but its header: whoever accepted the connection hears the other side
    Snapshot = 8,  // a piece of a group's state, or the question how far it got
    SnapshotReply = 9,
    Pubsub = 10,  // messages of clients, and who wants which
};
inline constexpr uint16_t kLastFrameType = 10;

// Heartbeats never wait behind commands, commands never behind snapshots. Relay: commands to a node
// that is only reached through another one.
enum class Lane : uint8_t { Heartbeat = 0, Normal = 1, Bulk = 2, Relay = 3 };
inline constexpr size_t kLanes = 4;

struct Header {
    FrameType type = FrameType::Hello;
    ClusterId cluster;
    Incarnation cluster_incarnation;
    uint32_t remaining_ms = 0;
    uint64_t request = 0;
    uint64_t trace = 0;
};

// A frame being written: the body first, then the header in front of it, so that nothing is copied.
class FrameBuilder {
public:
    explicit FrameBuilder(size_t body_bytes = 256);
    wire::Writer& body() { return out_; }
    size_t body_bytes() const { return out_.size() - kHeaderBytes; }
    Bytes finish(const Header& header);

private:
    wire::Writer out_;
};

struct Frame {
    Header header;
    Bytes body;
};
struct NeedMore {
    size_t wanted;
};
// The first frame of `data`, or how many bytes it takes; `used` is set with a frame.
Result<std::variant<Frame, NeedMore>> read_frame(const Bytes& data, size_t& used);

}  // namespace asterias::rpc
