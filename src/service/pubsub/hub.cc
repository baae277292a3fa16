#include "service/pubsub/hub.h"

#include <algorithm>
#include <limits>

#include "base/mutant.h"

namespace asterias::pubsub {
namespace {
constexpr size_t kNameBytes = 64;  // of a name beside its letters; more than it takes in a frame
// A connection delivers or ends; this is for an answer that found no room on its way back.
constexpr Duration kAnswerMost = seconds(5);
constexpr Duration kRetry = milliseconds(250);
Message compact(const Message& m) { return {m.kind, m.channel.compact(), m.payload.compact()}; }
size_t bytes_of(const Message& m) { return m.channel.size() + m.payload.size() + kNameBytes; }
}  // namespace

Hub::Hub(port::Shard& shard, Options options, Outlet& outlet, Registry& registry)
    : shard_(shard),
      options_(options),
      outlet_(outlet),
      published_(registry.counter("asterias_pubsub_published_total", "Messages published here.")),
      delivered_(registry.counter("asterias_pubsub_delivered_total",
                                  "Messages handed to subscriptions here.")),
      sent_(registry.counter("asterias_pubsub_sent_total", "Messages sent to other nodes.")),
      dropped_(registry.counter("asterias_pubsub_dropped_total",
                                "Messages for other nodes or shards that found no connection or no "
                                "room.")),
      stale_(registry.counter("asterias_pubsub_stale_total",
                              "Messages that came again, or behind a later one; not delivered.")) {
    CHECK(options_.names_bytes_max <= rpc::kFrameBytesMax / 2, "the whole state is one frame");
    for (size_t i = 0; i < shard.shard_count(); ++i)
        if (ShardId(i) != shard.id()) shards_[ShardId(i)] = 0;
}

// ------------------------------------------------------------------------------- who listens here

Messages::Taken Hub::subscribe(uint64_t id, Listener& listener, Kind kind,
                               const std::vector<std::string>& names, port::Callback known) {
    const std::set<std::string_view> once(names.begin(), names.end());
    size_t bytes = names_bytes_;
    for (const auto name : once) {
        const auto it = table(kind).find(name);
        if (it == table(kind).end() || !it->second.here.contains(id))
            bytes += name.size() + kNameBytes;
    }
    if (bytes > options_.names_bytes_max && bytes > names_bytes_) return Taken::Full;
    names_bytes_ = bytes;
    for (const auto& name : names)
        if (table(kind)[name].here.emplace(id, &listener).second) changed(kind, name);
    const uint64_t version = version_ + !changed_.empty();
    if (this->known() >= version) return Taken::Known;
    waiters_.push_back({version, shard_.clock().now() + kKnownMost, std::move(known)});
    return Taken::Later;
}

void Hub::unsubscribe(uint64_t id, Kind kind, std::string_view name) {
    auto& names = table(kind);
    const auto it = names.find(name);
    if (it == names.end() || it->second.here.erase(id) == 0) return;
    names_bytes_ -= name.size() + kNameBytes;
    changed(kind, name);
    if (it->second.here.empty() && it->second.elsewhere.empty()) names.erase(it);
}

// The end of the turn tells them; so a thousand listeners who come at once are one change. Names
// that come and go within a turn are bounded by nothing but this.
void Hub::changed(Kind kind, std::string_view name) {
    if (!changed_.emplace(kind, name).second) return;
    changed_bytes_ += name.size() + kNameBytes;
    if (changed_bytes_ >= rpc::kBodyBytesGoal && !MUTANT(pubsub_change_unbounded)) tell_changes();
}

std::vector<std::string> Hub::names(Kind kind) const {
    std::vector<std::string> out;
    for (const auto& [name, entry] : table(kind))
        out.push_back(name);
    return out;
}

uint64_t Hub::listeners(Kind kind, std::string_view name) const {
    const auto it = table(kind).find(name);
    if (it == table(kind).end()) return 0;
    uint64_t sum = it->second.here.size();
    for (const auto& [source, count] : it->second.elsewhere)
        sum += count;
    return sum;
}

// ------------------------------------------------------------------------------- messages

// The channel first, then patterns by name, as a listener to both hears it.
template <typename Visit>
void Hub::for_each_match(const Message& message, Visit visit) {
    const auto it = table(message.kind).find(message.channel.view());
    if (it != table(message.kind).end()) visit(it->second, nullptr);
    if (message.kind != Kind::Channel) return;
    for (auto& [pattern, entry] : table(Kind::Pattern)) {
        if (!entry.glob) entry.glob.emplace(pattern);
        if (entry.glob->matches(message.channel.view())) visit(entry, &pattern);
    }
}

uint64_t Hub::give_here(const Message& message) {
    uint64_t count = 0;
    for_each_match(message, [&](Name& entry, const std::string* pattern) {
        for (const auto& [id, listener] : entry.here)
            listener->on_message(message, pattern);
        count += entry.here.size();
    });
    delivered_.add(count);
    return count;
}

uint64_t Hub::publish(Message message) {
    published_.add();
    ++number_;
    std::set<NodeId> nodes;
    std::set<ShardId> shards;
    uint64_t elsewhere = 0;
    for_each_match(message, [&](Name& entry, const std::string*) {
        for (const auto& [source, count] : entry.elsewhere) {
            const bool mine = source.node == options_.self;
            if (mine)
                shards.insert(source.shard);
            else if (nodes_.contains(source.node))
                nodes.insert(source.node);
            else
                continue;
            elsewhere += count;
        }
    });
    for (const NodeId node : nodes) {
        auto [it, fresh] = out_.try_emplace(node);
        auto& [frame, count] = it->second;
        if (fresh) begin_delivery(frame.body());
        write_message(frame.body(), number_, message);
        ++count;
        if (frame.body_bytes() < rpc::kBodyBytesGoal) continue;
        (outlet_.send_pubsub(node, std::move(frame)) ? sent_ : dropped_).add(count);
        out_.erase(it);
    }
    if (!shards.empty()) message = compact(message);
    for (const ShardId to : shards)
        pass(to, {self(), options_.incarnation, {number_, message}});
    return elsewhere + give_here(message);
}

void Hub::pass(ShardId to, Carried carried) {
    const size_t bytes = bytes_of(carried.message.message);
    if (between_[to] + bytes > options_.between_bytes_max) return dropped_.add();
    between_[to] += bytes;
    passed_[to].push_back(std::move(carried));
}

void Hub::flush_passed() {
    for (auto& [to, carried] : std::exchange(passed_, {})) {
        shard_.submit(to, [this, to, hub = &outlet_.hub(to), c = std::move(carried)]() mutable {
            size_t bytes = 0;
            for (const auto& one : c)
                bytes += bytes_of(one.message.message);
            hub->hear_all(std::move(c));
            hub->shard_.submit(shard_.id(), [this, to, bytes] { between_[to] -= bytes; });
        });
    }
}

void Hub::hear_all(std::vector<Carried> carried) {
    for (const auto& one : carried)
        hear(one);
}

void Hub::hear(const Carried& carried) {
    Heard& heard = heard_[carried.source];
    const uint64_t number = carried.message.number;
    if (carried.incarnation > heard.incarnation) {
        erase_source(carried.source);
        heard = {carried.incarnation, 0, {}, 0};
    }
    const bool again = number == heard.number && !MUTANT(pubsub_doubled);
    const bool late = number < heard.number && !MUTANT(pubsub_disordered);
    if (carried.incarnation < heard.incarnation || again || late) return stale_.add();
    heard.number = number;
    give_here(carried.message.message);
}

// ------------------------------------------------------------------------------- who wants what

// What finds no room is made up for by a later tick: nobody else would tell.
void Hub::tell(NodeId node, Node& state, const Interest& interest) {
    rpc::FrameBuilder frame;
    write_interest(frame.body(), interest);
    const bool sent = outlet_.send_pubsub(node, std::move(frame));
    state.again = shard_.clock().now() + (sent ? kAnswerMost : kRetry);
    if (sent && interest.whole) state.whole = interest.version;
}

void Hub::tell_whole(NodeId node, Node& state) {
    Interest interest{true, version_, {}};
    for (const Kind kind : {Kind::Channel, Kind::Pattern, Kind::Shard})
        for (const auto& [name, entry] : table(kind))
            if (!entry.here.empty())
                interest.wanted.push_back({kind, Bytes::copy(name), entry.here.size()});
    tell(node, state, interest);
}

void Hub::tell_changes() {
    auto change = std::make_shared<Interest>();
    change->version = ++version_;
    changed_bytes_ = 0;
    for (const auto& [kind, name] : std::exchange(changed_, {})) {
        const auto it = table(kind).find(name);
        const uint64_t count = it == table(kind).end() ? 0 : it->second.here.size();
        change->wanted.push_back({kind, Bytes::copy(name), count});
    }
    for (auto& [node, state] : nodes_)
        tell(node, state, *change);
    for (const auto& [to, has] : shards_) {
        shard_.submit(to, [this, hub = &outlet_.hub(to), source = self(), to, change] {
            hub->apply(source, options_.incarnation, {}, *change);
            hub->shard_.submit(source.shard, [this, to, version = change->version] {
                shards_[to] = version;
                settle();
            });
        });
    }
}

void Hub::flush() {
    if (!changed_.empty()) tell_changes();
    for (auto& [node, batch] : std::exchange(out_, {}))
        (outlet_.send_pubsub(node, std::move(batch.first)) ? sent_ : dropped_).add(batch.second);
    if (!passed_.empty()) flush_passed();
}

void Hub::tick() {
    const Instant now = shard_.clock().now();
    for (auto& [node, state] : nodes_)
        if (state.has < version_ && state.again <= now && !MUTANT(pubsub_refused_forgotten))
            tell_whole(node, state);
    if (!waiters_.empty()) settle();
}

uint64_t Hub::known() const {
    uint64_t known = std::numeric_limits<uint64_t>::max();
    for (const auto& [shard, has] : shards_)
        known = std::min(known, has);
    for (const auto& [node, state] : nodes_)
        known = std::min(known, state.has);
    return known;
}

void Hub::settle() {
    const uint64_t all_have = known();
    const Instant now = shard_.clock().now();
    while (!waiters_.empty() &&
           (waiters_.front().version <= all_have || waiters_.front().deadline <= now)) {
        auto call = std::move(waiters_.front().known);
        waiters_.pop_front();
        call();
    }
}

void Hub::node_up(NodeId node) {
    auto& state = nodes_[node] = {};
    if (version_ > 0) tell_whole(node, state);
}

void Hub::node_down(NodeId node) {
    nodes_.erase(node);
    settle();
}

void Hub::on_known(NodeId node, const InterestKnown& known) {
    const auto it = nodes_.find(node);
    if (it == nodes_.end()) return;
    auto& [has, whole, again] = it->second;
    // Each change behind a lost one is answered so; the whole that makes up for all is on its way.
    if (known.lost && known.version <= whole) return;
    if (known.lost) return tell_whole(node, it->second);
    has = std::max(has, known.version);
    settle();
}

// ------------------------------------------------------------------------------- from other nodes

Result<void> Hub::receive(const rpc::Peer& from, const Bytes& body) {
    auto read = read_body(body);
    if (!read) return std::unexpected(read.error());
    if (auto* known = std::get_if<InterestKnown>(&*read)) {
        on_known(from.node, *known);
    } else if (auto* interest = std::get_if<Interest>(&*read)) {
        spread(from, std::make_shared<const Interest>(std::move(*interest)));
    } else {
        for (auto& one : std::get<Delivery>(*read).messages) {
            std::set<ShardId> shards;
            for_each_match(one.message, [&](Name& entry, const std::string*) {
                for (const auto& [source, count] : entry.elsewhere)
                    if (source.node == options_.self) shards.insert(source.shard);
            });
            // Whoever reads slowly must not hold the whole frame.
            one.message = compact(one.message);
            const Carried carried{{from.node, from.shard}, from.incarnation, std::move(one)};
            for (const ShardId to : shards)
                pass(to, carried);
            hear(carried);
        }
    }
    return {};
}

// To all shards of this node; the source hears when all of them have it.
void Hub::spread(const rpc::Peer& from, std::shared_ptr<const Interest> interest) {
    const Source source{from.node, from.shard};
    const Via via{shard_.id(), from.link};
    auto asked = std::make_shared<Acknowledging>(shard_.shard_count());
    const auto one_has = [this, asked, link = from.link, version = interest->version](bool lost) {
        asked->lost |= lost;
        if (--asked->left > 0) return;
        rpc::FrameBuilder frame;
        write_known(frame.body(), {version, asked->lost});
        outlet_.reply_pubsub(link, std::move(frame));
    };
    for (const auto& [to, has] : shards_)
        shard_.submit(
            to, [source, via, interest, one_has, hub = &outlet_.hub(to), start = from.incarnation] {
                const bool lost = !hub->apply(source, start, via, *interest);
                hub->shard_.submit(via.shard, [one_has, lost] { one_has(lost); });
            });
    one_has(!apply(source, from.incarnation, via, *interest));
}

bool Hub::apply(Source source, Incarnation incarnation, Via via, const Interest& interest) {
    Heard& heard = heard_[source];
    if (incarnation < heard.incarnation) return true;
    if (incarnation > heard.incarnation) {
        erase_source(source);
        heard = {incarnation, 0, via, 0};
    }
    // It may have come by a connection that ended meanwhile.
    if (interest.version < heard.version) return true;
    const bool mine = source.node == options_.self;  // told from the beginning, in order
    if (!interest.whole && !mine) {
        if (interest.version == heard.version) return true;
        if (interest.version != heard.version + 1) return false;
    }
    if (interest.whole) erase_source(source);
    heard.version = interest.version;
    heard.via = via;
    for (const Wanted& w : interest.wanted) {
        auto& names = table(w.kind);
        if (w.count > 0) {
            names[w.name.str()].elsewhere[source] = w.count;
            continue;
        }
        const auto it = names.find(w.name.view());
        if (it == names.end()) continue;
        it->second.elsewhere.erase(source);
        if (it->second.elsewhere.empty() && it->second.here.empty()) names.erase(it);
    }
    return true;
}

void Hub::erase_source(Source source) {
    for (auto& names : tables_)
        for (auto it = names.begin(); it != names.end();) {
            it->second.elsewhere.erase(source);
            it = it->second.elsewhere.empty() && it->second.here.empty() ? names.erase(it)
                                                                         : std::next(it);
        }
}

// Its next connection may have been heard before the end of this one.
void Hub::forget(Source source, Via via) {
    const auto it = heard_.find(source);
    if (it == heard_.end() || it->second.via != via) return;
    erase_source(source);
    it->second.version = 0;
}

void Hub::source_down(const rpc::Peer& from) {
    const Source source{from.node, from.shard};
    const Via via{shard_.id(), from.link};
    for (const auto& [to, has] : shards_)
        shard_.submit(to, [hub = &outlet_.hub(to), source, via] { hub->forget(source, via); });
    forget(source, via);
}

}  // namespace asterias::pubsub
