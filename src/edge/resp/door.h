// edge/resp/door.h: the Redis door of one shard: listens, speaks RESP2 and RESP3, turns requests
// into commands for the strategy behind it and writes the replies back in the order of the
// requests. Contract: a connection's commands are executed in the order sent, many at a time
// (pipelining); its replies keep that order. A connection that does not read its replies is not
// read from beyond Options::pipeline_max and Options::unsent_bytes_max. Threading: one shard.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "edge/resp/cursors.h"
#include "edge/resp/guard.h"
#include "edge/resp/records.h"
#include "edge/resp/tuning.h"
#include "port/net.h"
#include "port/shard.h"
#include "proto/resp/parser.h"
#include "proto/resp/reply.h"
#include "service/execute/execute.h"
#include "service/pubsub/messages.h"

namespace asterias::edge_resp {

// Whom DEBUG obeys: enable-debug-command.
enum class DebugFor : unsigned char { Nobody, Loopback, Everybody };

struct Options : Live {
    port::Address address;
    size_t connections_max = 10000;                  // maxclients, per shard
    size_t pipeline_max = 10000;                     // unanswered commands of one connection
    size_t unsent_bytes_max = 8 * 1024 * 1024;       // unsent replies of one connection
    size_t replies_bytes_max = 256 * 1024 * 1024;    // of all commands under way, by estimate
    size_t inflight_bytes_max = 256 * 1024 * 1024;   // unanswered commands of all connections
    size_t requests_bytes_max = 256 * 1024 * 1024;   // unfinished requests of all connections
    size_t key_bytes_max = 64 * 1024;                // key-bytes-max
    size_t value_bytes_max = 16 * 1024 * 1024;       // value-bytes-max
    size_t cursors_max = Cursors::kMost;             // scan-cursors-max
    size_t cursors_bytes_max = Cursors::kBytesMost;  // scan-cursors-bytes-max
    uint16_t databases = 16;
    DebugFor debug = DebugFor::Nobody;
    // These outlive the door.
    Guard* guard = nullptr;            // nullptr: it is open
    Parameters* parameters = nullptr;  // nullptr: there is nothing to set
    SharedRecords* records = nullptr;  // of the node; nullptr: this door is all of it
    // How it listens; empty: as its shard's network does. The composition root may know more of
    // listening (TLS) than a door.
    // `Refuse` counts a connection for which there was no room, and returns what it is told.
    using Refuse = std::function<std::string_view()>;
    using Listen = std::function<Result<std::unique_ptr<port::Listener>>(port::Shard&, Refuse,
                                                                         port::AcceptHandler)>;
    Listen listen;
};

// What the process takes of its machine.
struct Process {
    int64_t id = 0;
    std::string system;                                        // as uname says
    uint64_t memory = 0, memory_peak = 0, machine_memory = 0;  // resident bytes; of the machine
    double user = 0, system_time = 0, children_user = 0, children_system = 0;  // seconds of CPU
};

class Door;

// What a door knows and can of the node around it.
struct About {
    std::string version;
    uint64_t node = 0;
    std::string cluster;
    std::function<std::string()> replication;  // lines "name:value\r\n"; on this shard
    std::function<Process()> process;          // empty: nothing is known of it
    const Counter* expired = nullptr;          // keys that the groups led here found expired
    pubsub::Messages* messages = nullptr;      // of this shard; null: none are carried
    // The place of a cursor that another door gave, wherever that is. `found` is called once, on
    // this shard, never inside. Errors: NotFound (it is lost), Unavailable. Empty: nobody knows.
    using Found = std::move_only_function<void(Result<Cursors::Place>)>;
    std::function<void(uint64_t cursor, Found found)> find_cursor;
    // Runs it a moment later with each other door of this node that is open, on that one's shard;
    // in the order of the calls. Empty: there are none.
    std::function<void(std::function<void(Door&)>)> other_doors;
};

class Session;

class Door : private port::TurnHook, private resp::ErrorWitness {
public:
    // Everything passed by reference outlives the door.
    Door(port::Shard& shard, execute::Strategy& strategy, About about, Options options,
         Registry& registry, Log log);
    ~Door() override;  // closes all connections

    Result<void> listen();
    // Where it listens, or has listened.
    const port::Address& address() const { return address_; }
    // Listens and reads no more; each connection ends when what it owes is handed to its
    // socket. Calls `ended`,
    // never inside drain(), when the last has ended or `most` has passed; the door may be destroyed
    // there.
    void drain(Duration most, std::function<void()> ended);
    size_t connections() const { return sessions_.size(); }
    void tune(const Live& live);
    // Of a cursor that this door gave; nullopt: it is lost.
    std::optional<Cursors::Place> place_of(uint64_t cursor) {
        return cursors_.find(cursor, shard_.clock().now());
    }

private:
    friend class Session;
    // What callbacks on their way hold instead of the door: it learns of the door's end. One word,
    // so that a completion needs no allocation. Of one shard, like the door.
    class Ref {
    public:
        explicit Ref(Door& door) : target_(new Target{&door, 1}) {}
        Ref(const Ref& o) : target_(o.target_) { ++target_->refs; }
        Ref(Ref&& o) noexcept : target_(std::exchange(o.target_, nullptr)) {}
        Ref& operator=(const Ref&) = delete;
        ~Ref() {
            if (target_ && --target_->refs == 0) delete target_;
        }
        Door* get() const { return target_->door; }
        void forget() { target_->door = nullptr; }

    private:
        struct Target {
            Door* door;
            size_t refs;
        };
        Target* target_;
    };
    void accept(std::unique_ptr<port::Connection> connection);
    void remove(uint64_t session);
    Session* find(uint64_t session);
    std::vector<uint64_t> session_ids() const;  // ascending
    bool knows_user(const std::string& user) const;
    void drained();
    void everywhere(const std::function<void(Door&)>& what);
    std::string info(const resp::Request& request);
    // info.cc
    std::string info_server() const;
    std::string info_clients() const;
    std::string info_memory(const Process& process) const;
    std::string info_stats(const Records& records) const;

    // records.cc, door_records.cc: what ran here.
    void with_records(const std::function<void(Records&)>& use);
    void ran(const resp::CommandSpec& spec, uint64_t micros, bool failed) {
        CommandFigures& figures = figures_[static_cast<size_t>(spec.id)];
        figures.ran(micros);
        if (failed) figures.failed.add();
    }
    bool logs_slow() const {
        return options_.slowlog_slower_than >= 0 && options_.slowlog_max_len > 0;
    }
    bool is_slow(uint64_t micros) const { return micros >= slow_from_; }
    void note_slow(const resp::CommandSpec& spec, SlowCommand command);
    void on_error(std::string_view text) override;
    void reset_figures();
    void end_idle();
    std::string latency_advice(const Records& records) const;

    port::Shard& shard_;
    execute::Strategy& strategy_;
    const About about_;
    Records own_records_;
    Figures& figures_;
    Options options_;
    uint64_t slow_from_ = 0;  // microseconds from which somebody wants to know
    uint64_t errors_written_ = 0;
    port::TimerId idle_timer_;
    Log log_;
    const Instant started_;
    std::unique_ptr<port::Listener> listener_;
    port::Address address_;
    std::unordered_map<uint64_t, std::unique_ptr<Session>> sessions_;  // its order decides nothing
    uint64_t next_session_ = 1;
    size_t inflight_bytes_ = 0;
    // Replies under way are counted as if each were as large as the largest of late, because nobody
    // knows their size yet; a door begins by expecting much.
    bool replies_full() const;
    void call_when_room(uint64_t session) { waiting_.push_back(session); }
    void completed(size_t command_bytes, size_t reply_bytes);
    size_t replies_owed_ = 0;
    size_t reply_bytes_ = 4 * 1024 * 1024;  // fades with each smaller one
    std::deque<uint64_t> waiting_;          // sessions that rest because of replies_full()
    // One turn of the loop takes so much work, in commands and in what they bring: the loop has
    // others to serve, and a leader who is late is replaced. Longer pipelines go on in later turns,
    // their connections one behind the other.
    static constexpr size_t kWorkOfTurn = 4096;
    static constexpr size_t kShareOfTurn = 256;  // of one connection
    static constexpr size_t kBytesOfWork = 1024;
    size_t share_of_turn(bool kept);
    // What of `left` a command of so many bytes takes.
    size_t spend(size_t left, size_t bytes);
    void call_next_turn(uint64_t session);
    void on_turn_end() override;
    // unfinished.cc
    bool may_hold(uint64_t session, size_t before, size_t bytes);
    void crowd(uint64_t session);
    void let_in();
    void favour(uint64_t session);
    void next_favourite();
    void request_ended(uint64_t session);
    size_t unfinished_bytes_ = 0;
    std::deque<uint64_t> crowded_;  // who rests, in turn
    uint64_t favourite_ = 0;        // who goes on nevertheless; 0: nobody
    port::TimerId favourite_timer_;
    // pause.cc: CLIENT PAUSE. Of several the stricter kind and the later end hold.
    enum class Pause : uint8_t { None, Writes, All };
    void pause(Pause what, Duration rest);
    void unpause();
    void wake_soon();
    void wake_postponed();
    Pause pause_ = Pause::None;
    Instant pause_ends_;
    port::TimerId pause_timer_, wake_timer_;
    std::deque<uint64_t> postponed_;  // who waits for its end, in turn
    size_t to_wake_ = 0;              // of them, after its end
    // monitor.cc: MONITOR.
    bool monitored() const { return !monitors_at_.empty(); }
    void count_monitors();
    void show(std::string_view lines) { shown_ += lines; }  // with the end of the turn
    void hand_out_shown();
    void hear(const Bytes& lines);
    std::vector<uint64_t> monitors_;         // sessions of this door
    std::map<ShardId, size_t> monitors_at_;  // how many, where there are some on this node
    std::string shown_;
    // figures.cc: bytes held for the clients of this shard.
    struct Held {
        size_t commands = 0, requests = 0, replies = 0;  // on their way; unfinished; unsent
    };
    Held held() const;
    // One line a second.
    void tell_wrong_password(const std::string& peer);
    std::optional<Instant> told_wrong_at_;
    uint64_t untold_wrong_ = 0;
    size_t turn_left_ = kWorkOfTurn;
    std::deque<uint64_t> cut_short_;
    Cursors cursors_;
    std::function<void()> drain_ended_;
    port::TimerId drain_timer_;
    Counter &commands_, &accepted_, &refused_, &protocol_errors_, &busy_, &slow_listeners_,
        &wrong_passwords_, &auth_timeouts_, &guests_closed_, &cut_turns_, &crowds_;
    Gauge &connected_, &unfinished_, &blocked_;
    Ref self_{*this};
};

}  // namespace asterias::edge_resp
