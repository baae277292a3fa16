// sim/scenario/scenario.h: what a simulated run is made of, as text:
//
//   # A comment.
//   world nodes=3..5 shards=1 duration=60s liveness=30s core=majority
//   workload kv clients=8 keys=40 pipeline=1..8 rate=50
//   fault partition mode=random every=5s..20s for=1s..8s
//   fault net loss=0..0.05 delay=0s..20ms
//   swarm off=0.3 extreme=0.15
//   check linearizable order atomic
//   require leader_changes>=3 operations>=2000
//
// `a..b` is a range, `a` the same as `a..a`. Every parameter has a default (the member
// initialisers below) and bounds; anything unknown, twice or out of bounds is an error that names
// file, line and word. sim/scenario/params.h is the whole list of parameters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "sim/check/report.h"

namespace asterias::sim {

template <typename T>
struct Range {
    T low{}, high{};

    bool operator==(const Range&) const = default;
};
using Counts = Range<uint64_t>;
using Times = Range<Duration>;
using Chances = Range<double>;  // probabilities

// "Per seed": one value is drawn for the whole run. "Per event": drawn anew each time.

struct WorldSpec {
    Counts nodes{3, 3};               // per seed
    Counts shards{1, 1};              // event loops of each node; per seed
    Duration duration = seconds(60);  // of the safety phase, in which faults happen
    Duration liveness = seconds(30);  // then everything heals, and within this time all clients
                                      // must complete
    std::string core = "all";  // who heals: all, or a majority drawn by seed while the rest stays
                               // down

    bool operator==(const WorldSpec&) const = default;
};

struct Workload {
    std::string kind = "kv";  // kv: get, set, del, setnx, set px; counter: incr, get; pairs: mset,
                              // mget of fixed pairs; order: rising numbers over several keys
    Counts clients{8, 8};     // per seed
    Counts keys{40, 40};      // per seed
    Counts pipeline{1, 1};    // commands in flight of one connection; per client
    Counts rate{50, 50};      // commands a second, of all clients together; per seed
    Counts value_bytes{16, 16};             // per command
    Chances reads{0.5, 0.5};                // share of reads; per seed
    Chances request{0, 0};                  // share of writes in ASTERIAS.REQUEST; per seed
    Chances reconnect{0.01, 0.01};          // that a client takes a new connection after a command
    Times timeout{seconds(5), seconds(5)};  // until a client gives up on a reply; per command
    Chances expire{0, 0};  // kv: share of the writes of some of the keys that set a deadline; with
                           // it, others of these writes are incr; per seed
    Times ttl{milliseconds(5), seconds(3)};  // to that deadline; per command

    bool operator==(const Workload&) const = default;
};

// Links are cut, both ways unless the mode says otherwise.
struct PartitionFault {
    std::string mode =
        "random";  // random: any two sides; majority: the smaller side is a minority;
                   // isolate: one node; leader: the leader; oneway: one node sends but
                   // does not hear, or hears but does not send; bridge: two sides, one
                   // node sees both; flap: one link, again and again
    Times every{seconds(5), seconds(20)}, length{seconds(1), seconds(8)};
    bool operator==(const PartitionFault&) const = default;
};

// Nodes stop as if by kill -9 and start again.
struct CrashFault {
    std::string mode = "random";  // one; minority; all; leader; random: any of the nodes
    Times every{seconds(5), seconds(20)}, down{milliseconds(100), seconds(5)};
    Chances lose{0.5, 0.5};  // that it is a power cut: of what is not synced each write is kept,
                             // lost or torn, in any order; per event
    bool operator==(const CrashFault&) const = default;
};

// Nodes stand still (SIGSTOP), then go on.
struct PauseFault {
    std::string mode = "one";  // one, minority, leader
    Times every{seconds(5), seconds(20)}, length{milliseconds(100), seconds(5)};
    bool operator==(const PauseFault&) const = default;
};

// Per operation on a disk, at every moment of the safety phase.
struct DiskFault {
    Chances stall{0, 0};
    Times stall_for{milliseconds(10), seconds(1)};
    Chances error{0, 0};  // that a write or sync fails (EIO): the node has to end, and to start
                          // again on what is there
    bool operator==(const DiskFault&) const = default;
};

// A disk is `factor` times slower for a while.
struct SlowDiskFault {
    Times every{seconds(10), seconds(30)}, length{seconds(1), seconds(10)};
    Counts factor{10, 100};
    bool operator==(const SlowDiskFault&) const = default;
};

// A disk has no space for a while.
struct FullDiskFault {
    Times every{seconds(10), seconds(30)}, length{seconds(1), seconds(5)};
    bool operator==(const FullDiskFault&) const = default;
};

struct ClockFault {
    Times offset{Duration(0), Duration(0)};  // of each node's wall clock from the start
    Range<int64_t> drift{0, 0};              // of each node's monotonic clock, parts per million
    Times every{Duration(0), Duration(0)};   // 0: never; else the wall clock of a node jumps
    Times jump{seconds(-1), seconds(1)};     // by so much
    bool operator==(const ClockFault&) const = default;
};

// Per frame between nodes, and between clients and nodes.
struct NetFault {
    Chances loss{0, 0};  // that the connection dies with what is in flight
    Chances corrupt{0, 0};
    Times delay{Duration(0), milliseconds(5)};  // added to each, per event
    Chances clog{0, 0};                         // that a link stands still for a while
    Times clog_for{milliseconds(100), seconds(2)};
    bool operator==(const NetFault&) const = default;
};

// Per message of the consensus between nodes: what no stream does, but what Raft must bear.
struct FrameFault {
    Chances drop{0, 0};
    Chances duplicate{0, 0};
    Chances late{0, 0};  // that it is overtaken by others
    Times late_for{milliseconds(1), milliseconds(500)};
    bool operator==(const FrameFault&) const = default;
};

using FaultSpec = std::variant<PartitionFault, CrashFault, PauseFault, DiskFault, SlowDiskFault,
                               FullDiskFault, ClockFault, NetFault, FrameFault>;
// The word after `fault`.
std::string_view fault_name(const FaultSpec& fault);

// Each fault is off, as written, or extreme (intervals shorter, lengths longer, chances higher), by
// seed.
struct Swarm {
    double off = 0.3, extreme = 0.15;  // chances; their sum is at most 1
    std::string always = "none";       // the fault that is never off
    bool operator==(const Swarm&) const = default;
};

struct Scenario {
    WorldSpec world;
    std::vector<Workload> workloads;
    std::vector<FaultSpec> faults;  // each kind at most once
    std::optional<Swarm> swarm;
    std::vector<std::string> checks;  // of check_names()
    std::vector<Requirement> required;

    bool operator==(const Scenario&) const = default;
};

// `name` is the file's, for errors ("swarm.txt:3: unknown ..."). Errors: InvalidArgument.
Result<Scenario> parse_scenario(std::string_view name, std::string_view text);
// Every parameter, defaults too; parse_scenario(print(s)) == s.
std::string print(const Scenario& scenario);
std::string print(const FaultSpec& fault);  // one line

}  // namespace asterias::sim
