// sim/world/raft_process.h: one node as `asterias serve` runs it (src/app/serve.cc): node::Node and
// a RESP door on each shard, over the simulated ports and engine/mem.
#pragma once

#include "base/metrics.h"
#include "edge/resp/door.h"
#include "port/scope.h"
#include "service/node/node.h"
#include "sim/world/frame_faults.h"
#include "sim/world/process.h"

namespace asterias::sim {

class RaftProcess final : public Process {
public:
    explicit RaftProcess(Birth birth);
    ~RaftProcess() override;

    bool ready() const override { return open_doors_ == doors_.size(); }
    std::vector<ReplicaView> replicas() const override;
    std::vector<ContentView> contents() const override;
    std::vector<GroupId> leftovers() const override;
    NodeId node() const override { return ready() ? node_->identity().node : NodeId(); }
    CatalogueView catalogue() const override;
    void operate(const Operation& operation, std::function<void(std::string)> done) override;
    void change_keyspace(bool create, bool force, std::string name, uint32_t copies,
                         std::function<void(std::string)> done) override;
    std::map<std::string, uint64_t> counted() const override;
    std::string describe() const override;

    // For ProcessFactory.
    static std::shared_ptr<Process> make(Birth birth);

private:
    port::Task<> start_task();
    port::Task<Result<void>> found();
    void open_door(size_t shard);
    void give_up(const Error& error);
    port::Task<> operate_task(Operation operation, std::function<void(std::string)> done);
    port::Task<> keyspace_task(node::KeyspaceOrder order, std::function<void(std::string)> done);
    ReplicaView view_of(const replica::Status& status) const;
    ContentView content_of(port::EngineSnapshot& snapshot, GroupId group) const;
    node::Options options() const;

    Birth birth_;
    Log log_;
    mutable Registry registry_;  // asked by name
    FrameFaults frame_faults_;
    port::Engine* engine_ = nullptr;  // the node's
    std::unique_ptr<node::Node> node_;
    std::vector<std::unique_ptr<edge_resp::Door>> doors_;
    size_t open_doors_ = 0;
    std::unique_ptr<port::Scope> scope_;
};

}  // namespace asterias::sim
