#include "sim/world/frame_faults.h"

namespace asterias::sim {

Duration draw_between(Prng& prng, const Times& range) {
    const auto width = static_cast<uint64_t>((range.high - range.low).count());
    return range.low + Duration(static_cast<int64_t>(prng.between(0, width)));
}

// A verdict for incoming frames: on that side each kind of verdict is carried out (endpoint.cc).
rpc::Verdict FrameFaults::on_frame(const rpc::Passage& passage) {
    using Kind = rpc::Verdict::Kind;
    if (!passage.outgoing && passage.type == rpc::FrameType::Snapshot && machine_.on_snapshot_piece)
        machine_.on_snapshot_piece();
    const bool raft = passage.type == rpc::FrameType::Raft;
    if (passage.outgoing || (!raft && passage.type != rpc::FrameType::Pubsub)) return {};
    const FrameFault& f = machine_.frame_faults;
    Prng& prng = machine_.prng;
    if (f.drop.low > 0 && prng.chance(f.drop.low)) {
        world_.faults().hit("frame.dropped");
        return {Kind::Drop, {}};
    }
    if (f.duplicate.low > 0 && prng.chance(f.duplicate.low)) {
        world_.faults().hit("frame.duplicated");
        return {Kind::Duplicate, {}};
    }
    if (f.late.low > 0 && prng.chance(f.late.low)) {
        world_.faults().hit("frame.late");
        return {Kind::Delay, draw_between(prng, f.late_for)};
    }
    return {};
}

}  // namespace asterias::sim
