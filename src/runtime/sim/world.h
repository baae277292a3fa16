// runtime/sim/world.h: a whole cluster, its clients and its network in one thread and in virtual
// time. Read this first.
//
// Contract:
//   1. A run is a function of (build's source, seed, calls): the same seed gives the same
//      trace_hash() in every build. Nothing depends on addresses, on hash order, on real time.
//   2. Inhabitants see the world through port::Shard only; they cannot tell it from runtime/epoll,
//      except that Shard::fatal() returns (shard.h).
//   3. A crash destroys a node's callbacks, then its inhabitant, then its shards and disks, with
//      Shard::crashed() true; nothing that this code does on the way has an effect outside.
//   4. Methods are called from outside any node's code (between steps, or from call_at callbacks),
//      except trace(), hit(), crash(), arm_crash() and pause(), which node code may call as well.
//
// After FoundationDB's simulator (Zhou et al., SIGMOD 2021, section 4).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/prng.h"
#include "runtime/sim/options.h"
#include "runtime/sim/trace.h"

namespace asterias::sim {

struct Event;
struct Node;
class Kernel;
class Network;

class World {
public:
    explicit World(uint64_t seed);
    ~World();  // crashes what is still up; after_crash hooks are not called
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // --- nodes ---------------------------------------------------------------------------------
    // The machine exists from here on, without a process. `name` is its host name. Clients are
    // nodes, too: without a disk, and with `authenticated = false`.
    NodeIndex add_node(std::string name, NodeOptions options);
    size_t node_count() const;
    const std::string& name(NodeIndex node) const;

    // Starts the process: `start` builds it out of its shards, and whatever it returns is the
    // inhabitant, destroyed at the crash or by shut_down(). `start` runs at once, outside a turn; a
    // turn of every shard follows. The node must be down.
    using Start = std::function<std::shared_ptr<void>(const std::vector<port::Shard*>& shards)>;
    void boot(NodeIndex node, const Start& start);
    bool up(NodeIndex node) const;
    // Shard `index` of the present process.
    port::Shard& shard(NodeIndex node, size_t index = 0);

    // As by kill -9 or a power cut. Called from outside it is done on return; called from node code
    // it is done before the next event. A node that is down stays so (PowerCut: its machine, too).
    void crash(NodeIndex node, CrashKind kind = CrashKind::Kill,
               Farewell farewell = Farewell::Drawn);
    // Crashes the node after `points` more crash points (>= 1) of its code: before a ready event,
    // before and within each phase of a turn end, after a turn. Every await that suspends lies
    // between two of them. 0 disarms.
    void arm_crash(NodeIndex node, uint64_t points, CrashKind kind = CrashKind::Kill);
    // The orderly end of a process whose inhabitant has finished its work: destroys it with
    // crashed() false, so that Scopes check that they are empty.
    void shut_down(NodeIndex node);
    // Called after each crash when the node is down; may not boot it at once, but call_at() can.
    // `reason` is what Shard::fatal said, else empty.
    using CrashListener = std::function<void(NodeIndex node, std::string_view reason)>;
    void set_crash_listener(CrashListener listener);

    // SIGSTOP for `duration` from now: no code of the node runs, its sockets buffer, its timers are
    // late, its clocks go on.
    void pause(NodeIndex node, Duration duration);
    void step_wall(NodeIndex node, Duration by);
    WallTime wall(NodeIndex node) const;
    void set_drift(NodeIndex node, int64_t ppm);
    // While it lasts its processes can neither connect nor accept. (Its disk has a switch of its
    // own: DiskFaults::no_files.)
    void set_out_of_files(NodeIndex node, bool out);

    // --- network -------------------------------------------------------------------------------
    void set_default_link(const LinkProfile& profile);
    void set_link(NodeIndex from, NodeIndex to, const LinkProfile& profile);
    // Nothing passes from `from` to `to` (and back, unless one_way) until healed.
    void cut(NodeIndex from, NodeIndex to, bool one_way = false);
    // Cuts every link between `side` and the other nodes.
    void partition(const std::vector<NodeIndex>& side);
    void heal(NodeIndex from, NodeIndex to, bool one_way = false);
    // Ends all cuts and clogs. Profiles stay.
    void heal_all();
    // What is sent from now on leaves after `duration`.
    void clog(NodeIndex from, NodeIndex to, Duration duration);
    // Breaks all connections between two nodes. Silent: one end does not notice until it sends.
    void break_connections(NodeIndex a, NodeIndex b, Farewell farewell = Farewell::Reset);
    void set_identity_hook(IdentityHook hook);

    // --- time ----------------------------------------------------------------------------------
    Instant now() const;
    // Executes the next event; false if there is none.
    bool step();
    // All events up to and including `until`; now() is `until` afterwards.
    void run_until(Instant until);
    void run_for(Duration duration) { run_until(now() + duration); }
    // Until `done()`, asked after each event, or until `limit` has passed: then false.
    bool run_until(const std::function<bool()>& done, Duration limit);
    // Runs a scenario's callback at `at`, outside any node.
    void call_at(Instant at, std::function<void()> fn);

    // --- evidence ------------------------------------------------------------------------------
    uint64_t trace_hash() const;
    // Feeds the trace: what happened (a literal) and a number that must be the same in every run.
    void trace(std::string_view what, uint64_t value = 0);
    // Readable lines, one per event; does not change the hash.
    void set_text_trace(Trace::TextSink sink);
    // The node's log: Info and above enter the hash; all of it goes to the text trace.
    LogSink& log(NodeIndex node);
    FaultCounters& faults();
    const FaultCounters& faults() const;
    uint64_t events_executed() const { return executed_; }
    // Connections that exist in any state: a leak shows here.
    size_t connection_count() const;

    // A generator for the scenario's own draws, independent of those of the world.
    Prng split_prng();

private:
    class NodeLog;

    Node& at(NodeIndex node);
    const Node& at(NodeIndex node) const;
    bool execute_next(Instant limit);
    void dispatch(const Event& event);
    void tear_down(Node& node);
    void bury_the_dying();
    void end_process(Node& node);
    void text(const Event& event) const;

    std::unique_ptr<Kernel> kernel_;
    std::unique_ptr<std::deque<Node>> nodes_;
    std::unique_ptr<Network> network_;
    std::vector<std::unique_ptr<NodeLog>> logs_;
    std::map<uint64_t, std::function<void()>> calls_;
    uint64_t next_call_ = 1;
    uint64_t executed_ = 0;
    Prng scenario_prng_;
    CrashListener crash_listener_;
};

}  // namespace asterias::sim
