// sim/world/client.h: a client of the cluster on a machine of its own: speaks RESP to the nodes'
// doors, keeps several commands in flight, goes elsewhere when a node does not answer, and records
// what it was told. A named request (ASTERIAS.REQUEST) it repeats until it has an answer.
#pragma once

#include <deque>
#include <functional>
#include <optional>

#include "port/net.h"
#include "port/scope.h"
#include "port/shard.h"
#include "sim/world/workload.h"

namespace asterias::sim {

// What became of one command, for expectations.
enum class Fate : uint8_t { Ok, Refused, Unknown, Silent };  // Silent: no reply came
struct Question {
    uint32_t node;
    Duration asked, ended;
    Fate fate;
};

struct Door {
    uint32_t node;
    port::Address address;
};

// What the clients of a run share.
struct Observations {
    Recorder recorder;
    std::function<Duration()> now;
    std::function<void(std::string_view)> say;  // empty: nobody reads
    bool stopping = false;                      // no new operations; finish those begun
    std::vector<std::string> strange;           // replies that no honest server gives
    std::vector<Question> asked;                // by its end
    uint64_t next_connection = 1;
    uint64_t reconnects = 0, timeouts = 0, replies_lost = 0;
    double lose_reply = 0;  // chance, in force
};

class Client final : public port::ConnectionHandler {
public:
    struct Plan {
        uint64_t id = 0;
        std::vector<Door> doors;           // one is drawn for each connection
        uint64_t pipeline = 1;             // commands in flight at most
        Duration gap = milliseconds(100);  // mean time from one command to the next
        Times timeout;                     // for a reply
        double reconnect = 0;              // chance, per command
        std::optional<OpSource> source;    // else `script` alone
        std::deque<Op> script;             // each is repeated until it is answered
    };
    // `seen` outlives this.
    Client(port::Shard& shard, Plan plan, Observations& seen, Prng prng);
    ~Client() override;

    // Everything begun has ended, and there is nothing more to do.
    bool idle() const;
    // When an operation that was begun at or after `since` was answered with Ok, at the earliest.
    bool answered_since(Duration since) const { return last_ok_invoked_ >= since; }
    // From now on counts what it asks within [since, until).
    void count_within(Duration since, Duration until) { counted_ = {since, until}; }
    // At least half of what was counted was answered with Ok. No question is no answer, unless it
    // asks so rarely that none was to be expected.
    bool half_answered() const;
    std::string describe() const;

private:
    struct Flight {
        Recorder::Id id;
        Op op;
        Duration invoked;
        Instant deadline;
        size_t replies_before;  // as Encoded has it
    };

    struct Count {
        Duration since{0}, until{0};
        uint64_t asked = 0, ok = 0;

        bool covers(Duration invoked) const { return invoked >= since && invoked < until; }
    };

    port::Task<> run();
    port::Task<> connect();
    void send_some();
    std::optional<Op> next_op();
    void send(Op op);
    void drop(std::string_view why);
    void not_answered(Op op);
    void tell(Recorder::Id id) const;
    void on_reply(const resp::Value& reply);
    uint64_t order_of(const Op& op);

    port::Consumed on_data(const Bytes& available) override;
    void on_end_of_stream() override { broken_ = true; }
    void on_closed(const Error&) override { broken_ = true; }

    port::Shard& shard_;
    Plan plan_;
    Observations& seen_;
    Prng prng_;
    std::unique_ptr<port::Connection> connection_;
    bool broken_ = false;
    uint32_t node_ = 0;                        // at the other end of the connection
    std::optional<resp::ReplyParser> parser_;  // of this connection
    std::deque<Flight> flights_;
    std::deque<Op> again_;  // named requests without an answer
    bool named_open_ = false;
    uint64_t next_request_ = 1;
    std::map<std::string, uint64_t, std::less<>> orders_;  // of this connection, by keyspace
    Duration last_ok_invoked_{-1};
    Count counted_;
    port::Scope scope_;
};

}  // namespace asterias::sim
