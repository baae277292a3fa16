// Messages between clients of whole nodes, while nodes crash and frames are lost, doubled and late:
// the order of each publisher, nothing twice, and what was written before a message was published
// can be read by whoever receives it.
#include <deque>
#include <map>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "port/sync.h"
#include "proto/resp/reply_parser.h"
#include "runtime/sim/test_support.h"
#include "sim/scenario/params.h"
#include "sim/world/cluster.h"
#include "sim/world/raft_process.h"

namespace asterias::sim {
namespace {

const char* const kFaults =
    "world nodes=3 shards=2 duration=10s liveness=20s\n"
    "workload kv clients=1 keys=1 rate=1\n"
    "fault crash mode=one every=2s..4s down=100ms..1s lose=0.5\n"
    "fault frames drop=0.02 duplicate=0.1 late=0.05\n"
    "fault net delay=0s..5ms\n"
    "check linearizable\n";

struct Seen {
    std::set<std::string> written;          // messages whose SET was answered with OK
    std::multimap<std::string, bool> read;  // and whether a receiver found what it wrote
    std::vector<std::string> breaches;
    uint64_t published = 0, received = 0, received_late = 0;
    bool late = false;  // the faults are over
};

// Talks to one node at a time, as a client that comes back does.
class Talker : public port::ConnectionHandler {
public:
    Talker(port::Shard& shard, std::vector<port::Address> doors, Seen& seen, Prng prng)
        : shard_(shard), doors_(std::move(doors)), seen_(seen), prng_(prng), scope_(shard) {
        scope_.spawn("talker", run());
    }

protected:
    virtual void begin() = 0;  // a connection
    virtual void step() {}
    virtual void take(const resp::Value& value) = 0;
    void say(const std::string& text) {
        shard_.post([this, text] {
            if (connection_) connection_->out().append(text);
        });
    }

    port::Shard& shard_;
    std::vector<port::Address> doors_;
    Seen& seen_;
    Prng prng_;
    uint64_t connections_ = 0;

private:
    port::Task<> run() {
        while (true) {
            co_await port::sleep(shard_, milliseconds(static_cast<int64_t>(prng_.between(5, 40))));
            // A node that crashed says no word of it.
            const bool silent = heard_ + seconds(2) < shard_.clock().now();
            if (broken_ || (connection_ && silent)) connection_.reset();
            if (connection_) {
                step();
                continue;
            }
            const auto& door = doors_[prng_.below(doors_.size())];
            auto made = co_await shard_.net().connect(door, "", milliseconds(500));
            if (!made) continue;
            connection_ = std::move(*made);
            parser_ = resp::ReplyParser();
            broken_ = false;
            heard_ = shard_.clock().now();
            ++connections_;
            connection_->start(*this);
            begin();
        }
    }
    port::Consumed on_data(const Bytes& available) override {
        size_t at = 0;
        heard_ = shard_.clock().now();
        while (true) {
            auto outcome = parser_.next(available, at);
            if (const auto* value = std::get_if<resp::Value>(&outcome)) {
                take(*value);
                continue;
            }
            if (std::holds_alternative<resp::ProtocolError>(outcome))
                seen_.breaches.emplace_back("bytes that are no RESP");
            return {at, 0};
        }
    }
    void on_end_of_stream() override { broken_ = true; }
    void on_closed(const Error&) override { broken_ = true; }

    std::unique_ptr<port::Connection> connection_;
    resp::ReplyParser parser_;
    bool broken_ = false;
    Instant heard_;
    port::Scope scope_;
};

// Writes a key and tells of it in one go. A message is "publisher:connection:number".
class Publisher : public Talker {
public:
    Publisher(port::Shard& shard, std::vector<port::Address> doors, Seen& seen, Prng prng,
              std::string name)
        : Talker(shard, std::move(doors), seen, prng), name_(std::move(name)) {}

private:
    void begin() override { asked_.clear(); }
    void step() override {
        if (asked_.size() > 20) return;
        const std::string m =
            name_ + ":" + std::to_string(connections_) + ":" + std::to_string(++number_);
        asked_.push_back(m);
        asked_.emplace_back();
        say("SET m:" + m + " 1\r\nPUBLISH news " + m + "\r\n");
        ++seen_.published;
    }
    void take(const resp::Value& value) override {
        if (asked_.empty()) return;
        if (!asked_.front().empty() && !value.is_error()) seen_.written.insert(asked_.front());
        asked_.pop_front();
    }
    std::string name_;
    uint64_t number_ = 0;
    std::deque<std::string> asked_;
};

class Subscriber : public Talker {
public:
    using Talker::Talker;
    uint64_t late() const { return late_; }

private:
    void begin() override {
        asked_.clear();
        last_.clear();
        say(prng_.chance(0.5) ? "HELLO 3\r\nSUBSCRIBE news\r\n" : "HELLO 3\r\nPSUBSCRIBE n*s\r\n");
    }
    void step() override { say("PING\r\n"); }
    void take(const resp::Value& value) override {
        if (value.kind == resp::ValueKind::Simple) return;
        if (value.kind == resp::ValueKind::Push) {
            if (value.items[0].text.view().ends_with("message"))
                hear(value.items.back().text.str());
            return;
        }
        if (value.kind == resp::ValueKind::Map || asked_.empty()) return;
        if (!value.is_error()) seen_.read.emplace(asked_.front(), !value.is_null());
        asked_.pop_front();
    }
    void hear(const std::string& message) {
        ++seen_.received;
        late_ += seen_.late;
        const size_t at = message.rfind(':');
        const std::string publisher = message.substr(0, at);
        const uint64_t number = std::stoull(message.substr(at + 1));
        uint64_t& last = last_[publisher];
        if (number == last) seen_.breaches.push_back(message + " came twice");
        if (number < last)
            seen_.breaches.push_back(message + " came behind " + std::to_string(last));
        last = std::max(last, number);
        asked_.push_back(message);
        say("GET m:" + message + "\r\n");
    }
    std::map<std::string, uint64_t> last_;  // of this connection
    std::deque<std::string> asked_;
    uint64_t late_ = 0;
};

TEST(Messages, ComeOnceInOrderAndBehindWhatWasWrittenBeforeThem) {
    uint64_t received = 0;
    const auto scenario = parse_scenario("test.txt", kFaults);
    ASSERT_TRUE(scenario.has_value()) << scenario.error().describe();
    for (uint64_t seed = 0; seed < 6; ++seed) {
        const Profile profile = draw(*scenario, seed);
        Seen seen;
        Cluster cluster(profile, RaftProcess::make, {});
        const Schedule schedule = make_schedule(profile, cluster.world().split_prng());
        std::vector<uint32_t> all(cluster.machines().size());
        std::iota(all.begin(), all.end(), 0u);
        cluster.boot_all();
        ASSERT_TRUE(cluster.world().run_until([&] { return cluster.ready(all); }, seconds(60)));
        std::vector<port::Address> doors;
        for (const auto& machine : cluster.machines())
            doors.push_back(machine->door);
        std::vector<Subscriber*> subscribers;
        for (int i = 0; i < 4; ++i) {
            const std::string name = "talker" + std::to_string(i);
            Host* host = boot_host(cluster.world(), cluster.world().add_node(name, {}));
            subscribers.push_back(
                &host->own<Subscriber>(host->shard(), doors, seen, cluster.prng().split()));
            if (i < 3)
                host->own<Publisher>(host->shard(), doors, seen, cluster.prng().split(), name);
        }
        cluster.begin_faults(schedule);
        cluster.world().run_for(schedule.safety_end);
        cluster.heal(all);
        cluster.world().run_for(seconds(5));
        seen.late = true;
        cluster.world().run_for(seconds(3));
        EXPECT_TRUE(seen.breaches.empty()) << "seed " << seed << ": " << seen.breaches[0];
        uint64_t read = 0;
        for (const auto& [message, found] : seen.read) {
            if (!seen.written.contains(message)) continue;
            ++read;
            EXPECT_TRUE(found) << "seed " << seed << ": " << message << " was told too early";
        }
        EXPECT_GT(read, 200u);
        for (const auto* subscriber : subscribers)
            EXPECT_GT(subscriber->late(), 50u) << "messages come again when all is well";
        received += seen.received;
    }
    EXPECT_GT(received, 6 * 500u);
}

}  // namespace
}  // namespace asterias::sim
