// sim/scenario/scenario.h: what a simulated run is made of, as text:
//
//   # A comment.
//   world nodes=3..5 shards=1 duration=60s liveness=30s core=majority
//   workload kv clients=8 keys=40 pipeline=1..8 rate=50
//   fault partition mode=random every=5s..20s for=1s..8s
//   fault net loss=0..0.05 delay=0s..20ms
//   swarm off=0.3 extreme=0.15
//   script every=8s
//   at 1s roles
//   at 2s..3s crash a for=2s lose=1
//   check linearizable order atomic
//   expect rate share=0.5
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
    Counts keyspaces{0, 0};    // beside `default`; per seed; 0: few, drawn with the cluster

    bool operator==(const WorldSpec&) const = default;
};

struct Workload {
    std::string kind = "kv";  // kv: get, set, del, setnx, set px; counter: incr, get; pairs: mset,
                              // mget of fixed pairs; order: rising numbers over several keys;
                              // spans: keys, scan, flushdb, alone in its scenario
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
    Counts doors{1, 64};                     // the nodes that are asked, by number; per connection

    bool operator==(const Workload&) const = default;
};

// Links are cut, both ways unless the mode says otherwise.
struct PartitionFault {
    std::string mode = "random";  // random: any two sides; majority: the smaller side is a
                                  // minority; isolate: one node; leader: the leader; oneway: one
                                  // node sends but does not hear, or hears but does not send;
                                  // bridge: two sides, one node sees both; flap: one link, again
                                  // and again; swizzle: links of one node are cut one by one and
                                  // healed in another order; any: one of all these, per event
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
    Chances read_error{0, 0};  // that a read fails (EIO): found at start-up, which is tried again
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
    Chances strobe{0, 0};  // that instead it jumps to and fro for up to 2 s; per event
    Chances fast{0, 0};    // of each node: that its clocks run 10 % fast; per seed
    Chances zero{0, 0};    // that the wall clock shows 1970 until a while after a start
    bool operator==(const ClockFault&) const = default;
};

// Per frame between nodes, and between clients and nodes.
struct NetFault {
    Chances loss{0, 0};  // that the connection dies with what is in flight
    Chances corrupt{0, 0};
    Times delay{Duration(0), milliseconds(5)};  // added to each, per event
    Chances clog{0, 0};                         // that a link stands still for a while
    Times clog_for{milliseconds(100), seconds(2)};
    Chances small{0, 0};      // of each link: socket buffers of some hundred bytes, low bandwidth
    Chances half_open{0, 0};  // per link and 50 ms: its connections are gone, and one end does not
                              // notice
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

// Starts that do not come to their end.
struct RestartFault {
    Chances again{0, 0};    // that a start dies somewhere on its way
    Chances install{0, 0};  // per piece of a snapshot that comes: that the node dies soon after
    Times every{Duration(0), Duration(0)};  // 0: never; else one node is in a crash loop: soon
    Times length{seconds(1), seconds(6)};   // after each start it is killed again
    bool operator==(const RestartFault&) const = default;
};

// A node is out of file descriptors for a while: nothing is opened, connected or accepted.
struct LimitFault {
    Times every{seconds(10), seconds(30)}, length{seconds(1), seconds(5)};
    bool operator==(const LimitFault&) const = default;
};

// Of the storage engine, at every moment of the safety phase.
struct EngineFault {
    Chances stall{0, 0};  // per write: it and some after it are refused
    Chances flush{0, 0};  // per flush: it fails, and with it every later write of this process
    bool operator==(const EngineFault&) const = default;
};

// Somebody who is no member comes to the nodes' port for nodes: with the bytes of another cluster
// or format, a frame that is cut off, too long or damaged, a name that is a member's, without a
// word, byte by byte, or in a storm of connections.
struct StrangerFault {
    Times every{seconds(1), seconds(4)};
    Counts storm{20, 100};  // connections of one storm; per event
    bool operator==(const StrangerFault&) const = default;
};

// A reply does not reach its client: the connection breaks when it was about to. Per reply.
struct ReplyFault {
    Chances lost{0.01, 0.01};
    bool operator==(const ReplyFault&) const = default;
};

// The disk of one node, the same in the whole run, lies. What was durable long enough ago for
// something later to vouch for it is damaged; the node is expected to refuse by name, and so it may
// be dead from then on: the liveness phase is about the others.
struct RotFault {
    std::string mode = "any";  // journal: a bit of a file flips; recent: one of
                               // those before the last few batches; engine: blocks read back
                               // damaged; write: a write is lost or lands elsewhere, and the node
                               // dies when others have followed; any: one of these, per event
    Times every{seconds(10), seconds(30)};
    Chances share{1, 1};  // of the seeds in which it would be on: such a node is missed
    bool operator==(const RotFault&) const = default;
};

// What people do to the data directory of one node, the same in the whole run.
struct DirectoryFault {
    std::string mode = "twin";  // twin: a second process is started on it; lost: it is empty after
                                // a crash; old: after a crash it is as it was some time ago;
                                // copied: a copy of it is started on another machine
    Times every{seconds(10), seconds(30)};
    bool operator==(const DirectoryFault&) const = default;
};

// What an operator does to the members of a group, faults or none: refusals are answers, too. Never
// so that what the liveness phase leaves up could not be enough.
struct MemberFault {
    std::string mode = "any";  // add: a node; remove: one; replace: one by another; transfer: the
                               // lead; again: removed, and soon added on the same node; undo:
                               // added, and removed while it comes; leader: the one that leads is
                               // removed; witness: a node's copy becomes a witness if the group
                               // has none, the next time it goes; any: one of all these, per event
    Times every{seconds(5), seconds(20)};
    bool operator==(const MemberFault&) const = default;
};

// Keyspaces of the workloads' prefixes come and go: none is there at birth, each is made with the
// keys that `default` holds of it, and dropped without force, which is refused while it holds any.
struct KeyspaceFault {
    // create, drop, force: a drop that takes the keys along, for one workload `spans` alone; any:
    // one of the first two, per event
    std::string mode = "any";
    Chances force{0, 0};  // that a drop is one
    Times every{seconds(3), seconds(10)};
    bool operator==(const KeyspaceFault&) const = default;
};

using FaultSpec =
    std::variant<PartitionFault, CrashFault, PauseFault, DiskFault, SlowDiskFault, FullDiskFault,
                 ClockFault, NetFault, FrameFault, RestartFault, LimitFault, EngineFault,
                 StrangerFault, ReplyFault, RotFault, DirectoryFault, MemberFault, KeyspaceFault>;
// The word after `fault`.
std::string_view fault_name(const FaultSpec& fault);

// Each fault is off, as written, or extreme (intervals shorter, lengths longer, chances higher), by
// seed.
struct Swarm {
    double off = 0.3, extreme = 0.15;  // chances; their sum is at most 1
    std::string always = "none";       // the fault that is never off
    bool operator==(const Swarm&) const = default;
};

// One line of a script, `at TIME VERB [WHO [OTHER]] [for=..] ...`: a fault at a set time. WHO is
// names with commas between: `n1`, `n2` ...; `leader` (of the group that clients use most);
// `a`, `b` ..., which the last `roles` gave out; `all`. With `script every=T` all lines happen
// again every T, their times counted from there.
//   roles                      a is who leads now, b, c ... are the others, rising: first those
//                              that hold a copy of the group that clients use most
//   crash WHO for= lose=       down for so long; lose=1: a power cut
//   pause WHO for=             full WHO for=        slow WHO for= factor=
//   loop WHO for=              killed again after each start
//   limits WHO for=            out of file descriptors
//   jump WHO by=               the wall clock; with for= it goes to and fro
//   isolate WHO for=           from everybody else
//   split WHO OTHER for=       no bytes between any of the two
//   oneway WHO OTHER for=      none from WHO to OTHER
//   cut LINKS for=             n1>n2,n2>n1: of these links
//   strangers WHO many=        somebody who is no member comes, as a storm of so many if not 0
//   rot WHO what=              as in RotFault: journal, recent, engine, write; WHO is one node's
//   name directory WHO what=        as in DirectoryFault: twin, lost, old, copied; likewise members
//   WHO what=          as in MemberFault; WHO are those that may be added, removed, led by,
//                              of the group that clients use most; all: of any group. A witness
//                              of nodes that are named stays
struct Step {
    Times at;  // drawn for each round
    std::string verb, who, other;
    Times length{seconds(1), seconds(1)};
    double lose = 0;  // chance
    Counts factor{100, 100};
    Duration by = seconds(1);
    Counts many{0, 0};
    std::string what;

    bool operator==(const Step&) const = default;
};

struct Script {
    Duration every{0};  // 0: once
    std::vector<Step> steps;

    bool operator==(const Script&) const = default;
};

// What one run has to show beside safety, judged over the safety phase by what clients were
// answered and who led (sim/world/expect.h). A cut is an event that cuts links; who can reach, both
// ways and over others, more than half of the nodes is on its large side.
//   rate share=          as many answers as this share of what the same seed gives with nothing but
//                        the delay of its network
//   serves within=       from so long after a cut on, all that the large side is asked is done
//   refuses within=      from so long after a cut on, nothing that another node is asked is done;
//                        it answers all that it is asked, at the latest at the deadline of a door
//   steps_down within=   so long after a cut, no node leads to which no other can send
//   expiry within=       the checkers judge when keys expire: in time, but for what the clocks of
//   two
//                        nodes may be apart
//   leaders per_minute=  new leaders of a group while a cut lasts; one at least is allowed
//   terms per_minute=    the same of terms that begin
struct Expectation {
    std::string what;
    double share = 1;
    Duration within{0};
    Counts per_minute{0, 0};

    bool operator==(const Expectation&) const = default;
};

struct Scenario {
    WorldSpec world;
    std::vector<Workload> workloads;
    std::vector<FaultSpec> faults;  // each kind at most once
    Script script;
    std::optional<Swarm> swarm;
    std::vector<std::string> checks;  // of check_names()
    std::vector<Expectation> expected;
    std::vector<Requirement> required;

    bool operator==(const Scenario&) const = default;
};

// `name` is the file's, for errors ("swarm.txt:3: unknown ..."). Errors: InvalidArgument.
Result<Scenario> parse_scenario(std::string_view name, std::string_view text);
// Every parameter, defaults too; parse_scenario(print(s)) == s.
std::string print(const Scenario& scenario);
std::string print(const FaultSpec& fault);          // one line
std::string print(const Step& step);                // one line
std::string print(const Expectation& expectation);  // one line

}  // namespace asterias::sim
