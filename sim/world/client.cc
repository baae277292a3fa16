#include "sim/world/client.h"

#include "base/check.h"
#include "port/sync.h"

namespace asterias::sim {
namespace {
constexpr Duration kConnectTimeout = milliseconds(500);
constexpr Duration kConnectPause = milliseconds(30);
constexpr size_t kStrangeMax = 8;

Duration draw_between(Prng& prng, Duration low, Duration high) {
    return low + Duration(static_cast<int64_t>(
                     prng.between(0, static_cast<uint64_t>((high - low).count()))));
}
}  // namespace

Client::Client(port::Shard& shard, Plan plan, Observations& seen, Prng prng)
    : shard_(shard), plan_(std::move(plan)), seen_(seen), prng_(prng), scope_(shard) {
    scope_.spawn("client.run", run());
}

Client::~Client() = default;

bool Client::idle() const {
    return flights_.empty() && again_.empty() && plan_.script.empty() &&
           (seen_.stopping || !plan_.source);
}

bool Client::half_answered() const {
    if (counted_.asked == 0) return plan_.gap * 4 > counted_.until - counted_.since;
    return 2 * counted_.ok >= counted_.asked;
}

std::string Client::describe() const {
    return "client " + std::to_string(plan_.id) + " has " + std::to_string(flights_.size()) +
           " in flight, " + std::to_string(again_.size() + plan_.script.size()) + " to repeat, " +
           (connection_ ? "connected" : "not connected") + "; of the last " +
           std::to_string(counted_.asked) + " counted, " + std::to_string(counted_.ok) +
           " were answered";
}

// One step per gap. A gap is short against every timeout, so the same loop notices those.
port::Task<> Client::run() {
    while (true) {
        const auto burst = static_cast<int64_t>(prng_.between(1, plan_.pipeline));
        co_await port::sleep(shard_, draw_between(prng_, Duration(1), plan_.gap * (2 * burst)));
        if (idle()) {
            connection_.reset();
            continue;
        }
        if (connection_ && !flights_.empty() && flights_.front().deadline <= shard_.clock().now()) {
            ++seen_.timeouts;
            drop("no reply in time");
        }
        if (connection_ && broken_) drop("connection lost");
        if (connection_ && flights_.empty() && prng_.chance(plan_.reconnect)) drop("changes");
        if (!connection_) co_await connect();
        for (int64_t i = 0; connection_ && !broken_ && i < burst; ++i)
            send_some();
    }
}

port::Task<> Client::connect() {
    const Door& door = plan_.doors[prng_.below(plan_.doors.size())];
    auto made = co_await shard_.net().connect(door.address, "", kConnectTimeout);
    if (!made) {
        co_await port::sleep(shard_, kConnectPause);
        co_return;
    }
    ++seen_.reconnects;
    connection_ = std::move(*made);
    node_ = door.node;
    broken_ = false;
    parser_.emplace();
    orders_.clear();
    connection_->start(*this);
}

void Client::drop(std::string_view why) {
    connection_.reset();
    broken_ = false;
    if (seen_.say && !flights_.empty())
        seen_.say("c" + std::to_string(plan_.id) + " " + std::string(why));
    auto flights = std::move(flights_);
    flights_.clear();
    for (Flight& f : flights) {
        seen_.recorder.unknown(f.id, seen_.now());
        seen_.asked.push_back({node_, f.invoked, seen_.now(), Fate::Silent});
        tell(f.id);
        not_answered(std::move(f.op));
    }
}

void Client::tell(Recorder::Id id) const {
    if (seen_.say) seen_.say(print(seen_.recorder.history()[id]));
}

// A named request goes again as the same one, so does what a script asks for.
void Client::not_answered(Op op) {
    if (op.request) return again_.push_back(std::move(op));
    if (!plan_.source) plan_.script.push_back(std::move(op));
}

std::optional<Op> Client::next_op() {
    if (!again_.empty()) {
        Op op = std::move(again_.front());
        again_.pop_front();
        return op;
    }
    if (!plan_.script.empty()) {
        Op op = std::move(plan_.script.front());
        plan_.script.pop_front();
        return op;
    }
    if (!plan_.source || seen_.stopping) return {};
    bool named = false;
    Op op = plan_.source->next(named);
    // The table of named requests keeps one answer per client: the next waits for the last.
    if (named && !named_open_) {
        named_open_ = true;
        op.request = next_request_++;
    }
    return op;
}

void Client::send_some() {
    if (flights_.size() >= plan_.pipeline) return;
    if (auto op = next_op()) send(std::move(*op));
}

// Order is promised to the commands of one connection to one keyspace.
uint64_t Client::order_of(const Op& op) {
    const auto [it, fresh] = orders_.try_emplace(std::string(keyspace_of(op.keys[0])), 0);
    if (fresh) it->second = seen_.next_connection++;
    return it->second;
}

void Client::send(Op op) {
    op.client = plan_.id;
    op.connection = order_of(op);
    const Duration now = seen_.now();
    const Encoded asked = encode_command(op);
    connection_->out().append(asked.bytes);
    const auto id = seen_.recorder.invoked(now, op);
    counted_.asked += counted_.covers(now);
    const Duration patience = draw_between(prng_, plan_.timeout.low, plan_.timeout.high);
    flights_.push_back(
        {id, std::move(op), now, shard_.clock().now() + patience, asked.replies_before});
}

port::Consumed Client::on_data(const Bytes& available) {
    if (seen_.lose_reply > 0 && !flights_.empty() && prng_.chance(seen_.lose_reply)) {
        ++seen_.replies_lost;
        broken_ = true;
    }
    if (broken_) return {available.size(), 0};
    size_t at = 0;
    while (!broken_) {
        auto outcome = parser_->next(available, at);
        if (std::holds_alternative<resp::NeedMore>(outcome)) return {at, 0};
        if (const auto* reply = std::get_if<resp::Value>(&outcome)) {
            on_reply(*reply);
            continue;
        }
        seen_.strange.emplace_back("bytes that are no RESP");
        broken_ = true;
    }
    return {available.size(), 0};
}

void Client::on_reply(const resp::Value& reply) {
    if (flights_.empty()) {
        seen_.strange.push_back("a reply to nothing: " + reply.describe());
        broken_ = true;
        return;
    }
    // What is queued may be refused there; EXEC tells.
    if (flights_.front().replies_before > 0) {
        --flights_.front().replies_before;
        return;
    }
    Flight f = std::move(flights_.front());
    flights_.pop_front();
    const Duration now = seen_.now();
    if (seen_.say && reply.is_error())
        seen_.say("c" + std::to_string(plan_.id) + " hears " + reply.describe());
    Meaning meaning = meaning_of(f.op, reply);
    if (auto* answered = std::get_if<Answered>(&meaning)) {
        seen_.recorder.ok(f.id, now, std::move(answered->results));
        seen_.asked.push_back({node_, f.invoked, now, Fate::Ok});
        last_ok_invoked_ = std::max(last_ok_invoked_, f.invoked);
        counted_.ok += counted_.covers(f.invoked);
        if (f.op.request) named_open_ = false;
        return tell(f.id);
    }
    if (std::holds_alternative<CertainlyNot>(meaning)) {
        seen_.recorder.failed(f.id, now);
        seen_.asked.push_back({node_, f.invoked, now, Fate::Refused});
    } else {
        seen_.recorder.unknown(f.id, now);
        seen_.asked.push_back({node_, f.invoked, now, Fate::Unknown});
        if (const auto* strange = std::get_if<Strange>(&meaning))
            if (seen_.strange.size() < kStrangeMax)
                seen_.strange.push_back(print(f.op) + " was answered " + strange->what);
    }
    tell(f.id);
    not_answered(std::move(f.op));
}

}  // namespace asterias::sim
