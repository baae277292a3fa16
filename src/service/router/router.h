// service/router/router.h: the gateway's half of replication by Raft: carries commands of this
// shard's connections to their groups' leaders, wherever they are, and brings the answers back.
//
// Invariants: (R1) requests of a group leave in the order of execute(), and after any doubt
// (refusal, lost connection, lost leader) again from the first unanswered one, under a higher
// epoch; a member that is only guessed to lead gets the first one, and the rest once it took that;
// (R2) a write keeps its session number for life, so however often it is sent it takes effect once;
// (R3) a read is sent again only if no later write of its connection can have taken effect
// meanwhile (it could see it): else it answers TRYAGAIN; and a read is answered by its newest epoch
// only, since an older one could answer it behind a later state that an earlier read has shown;
// (R4) what expires was never sent, or refused by all it was sent to (CLUSTERDOWN), or is a write
// that may have happened (UNKNOWN); a refusal says that nothing was done only if it speaks for the
// only copy that is not refused yet; (R5) keys that change their keyspace wait at a gateway until
// all that it sent for them to the former group is answered, and until its catalogue says where
// they are; then they go in the order of execute(). What a group refused for a catalogue that this
// router had outlived goes to another group, or is answered TRYAGAIN; (R6) a command on all keys
// waits while any keys change their keyspace, and goes behind all that waited before it.
// Threading: one shard.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "port/shard.h"
#include "service/execute/execute.h"
#include "service/replica/codec.h"
#include "service/router/catalogue.h"

namespace asterias::router {

// A larger command is refused: it must fit into one frame, behind what fills that up to its goal.
inline constexpr size_t kCommandBytesMax = 60 * 1024 * 1024;  // command-bytes-max

struct Options {
    // Per group, from the oldest that has no answer to the newest (router-inflight-max).
    size_t inflight_max = 20000;
    Duration retry_interval = milliseconds(20);
    Duration silence_max = seconds(2);  // commands out and no answer at all: ask another member
};

// One command on its way out; the command is the router's and holds until forward() returns.
struct Departure {
    uint64_t ticket;
    uint64_t sequence;
    uint32_t remaining_ms;
    const kv::Command* command;
};

// The way to a replica, here or elsewhere. Between two calls that return true for one node the way
// there is the same, or Router::on_peer_down was called: an epoch goes one way (R1).
class Outlet {
public:
    virtual ~Outlet() = default;
    // False: no way there now; nothing was sent.
    virtual bool forward(NodeId to, const replica::ForwardHead& head,
                         const std::vector<Departure>& commands) = 0;
    // Asks for run() at the end of this turn.
    virtual void wake_router() = 0;
};

class Router : public execute::Strategy {
public:
    // `members`: the nodes that are asked first, for each group.
    Router(port::Shard& shard, NodeId self, Catalogue catalogue,
           std::map<GroupId, std::vector<NodeId>> members, Outlet& outlet, Options options,
           Registry& registry, Log log);
    ~Router() override;

    void execute(execute::Request request, execute::Completion done) override;
    // To that group, whichever keys it names; `request.command.keyspace` is filled in already. No
    // client's. A group that is gone, or not known here, is CLUSTERDOWN.
    void execute_in(GroupId group, execute::Request request, execute::Completion done);

    // Replaces an older one. `members` as above, of every group that there is.
    void set_catalogue(Catalogue catalogue, const std::map<GroupId, std::vector<NodeId>>& members);
    // Commands wait for a newer catalogue.
    bool wants_catalogue() const { return !parked_.empty(); }

    void on_answer(GroupId group, NodeId from, replica::Answered answered);
    // What a local replica believes; 0: nobody leads.
    void on_leader(GroupId group, NodeId leader);
    void on_peer_down(NodeId peer);
    // May hold any group: asked, behind those that are known to, when nobody knows who leads.
    void add_node(NodeId node);
    // At the turn end: sends what is waiting, one frame per group.
    void run();
    void tick();

    size_t in_flight() const;
    NodeId leader_of(GroupId group) const;
    bool waits_for(NodeId node) const;  // something was sent there, and is not answered
    const Catalogue& catalogue() const { return catalogue_; }
    std::string describe() const;  // where keyspaces are, and what waits; for people

private:
    struct Flight {
        uint64_t sequence = 0;
        Instant deadline;
        execute::StreamId stream;
        kv::Command command;
        execute::Completion done;
        uint64_t epoch = 0;  // in which it was sent last; 0: never
        bool write = false;
        bool refused = false;   // the newest copy, by one who does not lead: it is gone for good
        bool doubtful = false;  // an earlier copy may be on its way, or have been done
        bool resolved = false;
        bool internal = false;
        uint64_t serial = 0;                              // of execute()
        uint64_t generation = 0;                          // of the catalogue that it was sent by
        std::shared_ptr<const execute::Listing> listing;  // of that catalogue, if it is on all keys
        bool maybe_done() const { return doubtful || (epoch && !refused); }
    };
    struct Group {
        GroupId id;
        std::vector<NodeId> members;
        NodeId target;           // 0: unknown
        bool suspended = false;  // wait for retry_at, or for news of a leader
        bool guessed = false;    // target is nobody's word, and has taken nothing yet
        Instant retry_at;
        size_t next_member = 0;
        Instant heard;    // from target, or when this epoch's first command left
        NodeId silent;    // not to be asked next
        size_t hops = 0;  // hints followed since the last pause or answer
        uint64_t epoch = 1;
        uint64_t next_sequence = 1;
        uint64_t first_ticket = 1;  // of flights.front(); tickets are contiguous
        size_t unsent = 0;          // index of the first flight not yet sent in this epoch
        std::deque<Flight> flights;
    };

    // One that waits to be sent, for its keys are between two groups.
    struct Parked {
        Instant deadline;
        execute::StreamId stream;
        kv::Command command;
        execute::Completion done;
        GroupId refused_by;  // 0: it was not sent yet
        uint64_t above = 0;  // the catalogue has to be newer
    };
    struct Unsettled {
        uint64_t above = 0;  // the catalogue has to be newer
    };
    struct Wanted {                          // where a command's keys live
        const Keyspace* keyspace = nullptr;  // none: it is gone, and all its keys
        bool crosses = false, waits = false;
    };

    Wanted look_at(const kv::Command& command) const;
    void depart(Group& group, uint64_t serial, Parked what, bool internal);
    // keyspaces.cc
    void list_keyspaces();
    bool must_wait(const Wanted& wanted, const Parked& what, bool behind) const;
    void park(uint64_t serial, Parked what);
    void park_moved(Group& group, size_t index);
    void leave(Group& group);
    void forget_settled();
    void settle();
    void release(uint64_t serial, Parked what, const Wanted& wanted);
    void expire_parked(Instant now);
    void send_again(Group& group, NodeId hint);
    void give_up_overtaken_reads(Group& group);
    void accepted(Group& group);
    void refused(Group& group, size_t index, const replica::Answered& answered);
    void resolve(Group& group, size_t index, execute::Outcome outcome);
    void drop_resolved(Group& group);
    void fail_later(execute::Completion done, std::string_view error);
    void send_waiting(Group& group);
    void wake();
    uint64_t low_water(const Group& group) const;

    port::Shard& shard_;
    const NodeId self_;
    Catalogue catalogue_;
    std::shared_ptr<const execute::Listing> listing_;  // of it
    std::vector<NodeId> nodes_;                        // that may hold any group
    Outlet& outlet_;
    const Options options_;
    Log log_;
    std::map<GroupId, Group> groups_;
    std::vector<Departure> batch_;  // reused
    bool awake_ = false;
    uint64_t next_serial_ = 1;
    std::map<uint64_t, Parked> parked_;                        // by serial
    std::map<std::string, Unsettled, std::less<>> unsettled_;  // names whose keys are parked
    Counter &commands_, &resent_, &unknown_, &unavailable_, &moved_;
};

}  // namespace asterias::router
