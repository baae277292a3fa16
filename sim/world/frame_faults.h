// sim/world/frame_faults.h: loses, doubles and delays messages of the consensus between nodes, by
// seed. Only those: other frames rely on what a stream promises (service/rpc/endpoint.h).
#pragma once

#include "service/rpc/endpoint.h"
#include "sim/world/process.h"

namespace asterias::sim {

class FrameFaults final : public rpc::Interceptor {
public:
    // Both outlive this. Faults are looked up in the machine each time: a run turns them off.
    FrameFaults(World& world, Machine& machine) : world_(world), machine_(machine) {}
    rpc::Verdict on_frame(const rpc::Passage& passage) override;

private:
    World& world_;
    Machine& machine_;
};

Duration draw_between(Prng& prng, const Times& range);

}  // namespace asterias::sim
