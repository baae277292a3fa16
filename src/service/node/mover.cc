// Keyspaces on their way in or out, carried on by the node that leads the system group: it looks at
// each that does not just serve, and takes the next step. Every step can be taken twice, by two
// nodes, or by one that was thought dead: orders to groups carry the generation that they follow
// from, and groups refuse those of an earlier one (core/catalogue/boundary.h); the catalogue itself
// is changed by a transaction that watches its version (docs/adr/0017).
#include "base/mutant.h"
#include "port/sync.h"
#include "service/node/calls.h"
#include "service/node/findings.h"
#include "service/node/node.h"

namespace asterias::node {
namespace {

using What = catalogue::Order::What;
using catalogue::State;

constexpr Duration kPause = milliseconds(100);
constexpr Duration kSliceTime = seconds(3);  // until some replica is far enough
constexpr Duration kSlicePause = milliseconds(50);
constexpr Duration kHearInterval = seconds(1);
constexpr GroupId kDefaultGroup{2};

kv::Command on_record(kv::Op op, int64_t number = 0) {
    kv::Command c;
    c.op = op;
    c.number = number;
    c.keys.push_back(Bytes::literal(catalogue::kRecordKey));
    return c;
}

std::string holds(std::string_view who, uint64_t keys) {
    return std::string(who) + " holds " + std::to_string(keys) + (keys == 1 ? " key" : " keys");
}

}  // namespace

// One question to a group, whose asker may be gone before the answer comes.
struct Node::Asked {
    explicit Asked(port::Shard& shard) : changed(shard) {}
    std::optional<execute::Outcome> outcome;
    port::Signal changed;
};

// nullopt: this node stops.
port::Task<std::optional<execute::Outcome>> Node::ask(GroupId group, kv::Command command,
                                                      Duration within, execute::StreamId stream) {
    command.keyspace = catalogue::keyspace_of(group);
    const auto asked = std::make_shared<Asked>(*shards_[0]);
    const uint64_t question = next_question_++;
    asking_[question] = asked;
    members_[0]->router().execute_in(
        group, {std::move(command), execute::Bound::Linearizable, within, stream},
        [asked](execute::Outcome outcome) {
            asked->outcome = std::move(outcome);
            asked->changed.notify();
        });
    while (!asked->outcome && !closing_)
        co_await asked->changed.wait();
    asking_.erase(question);
    co_return std::move(asked->outcome);
}

void Node::end_questions() {
    for (const auto& [question, asked] : asking_)
        asked->changed.notify();
}

// The index of its entry, or of a later one; nullopt: not done, or nobody knows.
port::Task<std::optional<LogIndex>> Node::tell(GroupId group, catalogue::Order order) {
    const auto outcome =
        co_await ask(group, catalogue::command_of(order, catalogue::keyspace_of(group)));
    if (!outcome || outcome->reply != kv::Reply::ok()) co_return std::nullopt;
    co_return outcome->evidence.index;
}

port::Task<Result<Node::Recorded>> Node::read_record() {
    kv::Command both;
    both.op = kv::Op::Batch;
    both.batch = {on_record(kv::Op::Version), on_record(kv::Op::Get)};
    const auto outcome = co_await ask(kSystemGroup, std::move(both));
    if (!outcome) co_return fail(Errc::Closed, "this node stops");
    const kv::Reply& reply = outcome->reply;
    if (reply.kind != kv::Reply::Kind::Array || reply.items.size() != 2)
        co_return fail(Errc::Unavailable,
                       "the catalogue of keyspaces cannot be read: " + reply.text.str());
    Recorded recorded;
    recorded.version = reply.items[0].items.at(0).integer;
    if (reply.items[1].kind == kv::Reply::Kind::Nil) {
        recorded.catalogue = catalogue_at_birth(identity_.founding);
    } else {
        auto read = catalogue::decode_catalogue(reply.items[1].text);
        if (!read) co_return std::unexpected(read.error());
        recorded.catalogue = std::move(*read);
    }
    co_return recorded;
}

// True: it is the catalogue. False: certainly not, another one is. Error: it is not known.
port::Task<Result<bool>> Node::store_record(int64_t version, catalogue::Catalogue next) {
    kv::Command set = on_record(kv::Op::Set);
    set.values.push_back(catalogue::encode(next));
    kv::Command both;
    both.op = kv::Op::Batch;
    both.batch = {on_record(kv::Op::IfVersion, version), std::move(set)};
    const auto outcome = co_await ask(kSystemGroup, std::move(both));
    if (!outcome) co_return fail(Errc::Closed, "this node stops");
    if (outcome->reply.kind == kv::Reply::Kind::Array) co_return true;
    if (outcome->reply.kind == kv::Reply::Kind::Nil) co_return false;
    co_return fail(Errc::Unavailable,
                   "the catalogue cannot be changed: " + outcome->reply.text.str());
}

// ------------------------------------------------------------------------------- slices

Bytes encode_slice_of(const NodeShard::SliceOf& what) {
    wire::Writer out(64);
    out.varint(what.group.value).varint(what.index.value).bytes(what.name);
    out.u8(what.requests).bytes(what.from);
    return out.take();
}

port::Task<Result<Bytes>> Node::answer_slice(Bytes payload) {
    wire::Reader in(payload);
    NodeShard::SliceOf what;
    what.group = GroupId(in.varint());
    what.index = LogIndex(in.varint());
    what.name = in.bytes().str();
    what.requests = in.u8() != 0;
    what.from = in.bytes();
    if (!in.ok() || !in.at_end()) co_return fail(Errc::Corrupt, "slice");
    auto slice = co_await members_[0]->slice(std::move(what));
    if (!slice) co_return std::unexpected(slice.error());
    wire::Writer out(1024);
    out.bytes(replica::encode_pairs(slice->pairs)).bytes(slice->next);
    co_return out.take();
}

// From any node that has it. nullopt: none has, or this node stops.
port::Task<std::optional<NodeShard::Slice>> Node::read_slice(NodeShard::SliceOf what) {
    const Instant deadline = shards_[0]->clock().now() + kSliceTime;
    while (!closing_ && shards_[0]->clock().now() < deadline) {
        if (auto here = co_await members_[0]->slice(what)) co_return std::move(*here);
        const auto shards = co_await status();
        for (const auto& member : identity_.founding.members) {
            if (closing_) co_return std::nullopt;
            if (!contact_with(shards, member.node).connected) continue;
            const auto answer =
                co_await rpc::call_once(*shards_[0], member.peer_address,
                                        {std::string(kSlice), encode_slice_of(what)}, kAsk);
            if (!answer) continue;
            wire::Reader in(*answer);
            auto pairs = replica::decode_pairs(in.bytes());
            NodeShard::Slice slice{{}, in.bytes()};
            if (!pairs || !in.ok()) continue;
            slice.pairs = std::move(*pairs);
            co_return slice;
        }
        co_await port::sleep(*shards_[0], kSlicePause);
    }
    co_return std::nullopt;
}

// All that are stored. One that is past its deadline counts until its leader has deleted it: only
// that one's clock decides when, and a clock that is wrong here must not take it for gone.
port::Task<std::optional<uint64_t>> Node::count_keys(GroupId group, std::string name,
                                                     LogIndex index) {
    uint64_t keys = 0;
    NodeShard::SliceOf what{group, index, std::move(name), false, {}};
    do {
        const auto slice = co_await read_slice(what);
        if (!slice) co_return std::nullopt;
        keys += slice->pairs.size();
        what.from = slice->next;
    } while (!what.from.empty());
    co_return keys;
}

// What `default` has of it, and the results of clients' requests, into its group.
port::Task<bool> Node::copy_all(catalogue::Keyspace keyspace, uint64_t generation, LogIndex index) {
    for (const bool requests : {false, true}) {
        if (requests && MUTANT(node_move_leaves_requests)) continue;
        NodeShard::SliceOf what{kDefaultGroup, index, keyspace.name, requests, {}};
        do {
            auto slice = co_await read_slice(what);
            if (!slice) co_return false;
            catalogue::Order import{What::Import, generation, keyspace.name, {}};
            for (auto& pair : slice->pairs)
                import.items.push_back({std::move(pair.key), std::move(pair.value)});
            if (MUTANT(node_move_leaves_a_key) && import.items.size() > 1) import.items.pop_back();
            if (!import.items.empty() && !co_await tell(keyspace.group(), std::move(import)))
                co_return false;
            what.from = slice->next;
        } while (!what.from.empty());
    }
    co_return true;
}

port::Task<bool> Node::clear_all(catalogue::Keyspace keyspace, uint64_t generation,
                                 LogIndex index) {
    NodeShard::SliceOf what{kDefaultGroup, index, keyspace.name, false, {}};
    do {
        auto slice = co_await read_slice(what);
        if (!slice) co_return false;
        catalogue::Order clear{What::Clear, generation, keyspace.name, {}};
        for (auto& pair : slice->pairs)
            clear.items.push_back({std::move(pair.key), {}});
        if (!clear.items.empty() && !co_await tell(kDefaultGroup, std::move(clear)))
            co_return false;
        what.from = slice->next;
    } while (!what.from.empty());
    co_return true;
}

// ------------------------------------------------------------------------------- steps

// The catalogue behind the next step of this keyspace; nullopt: not yet.
port::Task<std::optional<catalogue::Catalogue>> Node::step(catalogue::Catalogue now,
                                                           catalogue::Keyspace k) {
    const uint64_t generation = now.generation;
    const catalogue::Order fence{What::Fence, generation, k.name, {}};
    switch (k.state) {
        case State::Serving:
            break;
        case State::Founding: {
            kv::Command hello;
            hello.op = kv::Op::Exists;
            hello.keys.push_back(Bytes::literal("-"));
            const auto led = co_await ask(k.group(), std::move(hello));
            if (!led || led->reply.kind != kv::Reply::Kind::Integer) break;
            co_return catalogue::advanced(now, k.id);
        }
        case State::Fencing: {
            const auto fenced = co_await tell(kDefaultGroup, fence);
            if (!fenced) break;
            const auto keys = co_await count_keys(kDefaultGroup, k.name, *fenced);
            if (!keys) break;
            if (*keys && !k.move)
                co_return catalogue::refused(now, k.id,
                                             holds("default", *keys) +
                                                 " that would belong to keyspace " + k.name +
                                                 ": move them along (asterias keyspace create " +
                                                 k.name + " --move), or delete them first");
            co_return catalogue::advanced(now, k.id);
        }
        case State::Copying: {
            const auto fenced = co_await tell(kDefaultGroup, fence);
            if (!fenced || !co_await copy_all(k, generation, *fenced)) break;
            co_return catalogue::advanced(now, k.id);
        }
        case State::Opening:
            if (!co_await tell(k.group(), {What::Open, generation, k.name, {}})) break;
            co_return catalogue::advanced(now, k.id);
        case State::Clearing: {
            if (is_founding_group(identity_.founding, k.group()))
                co_return catalogue::advanced(now, k.id);  // `default` never had any
            const auto fenced = co_await tell(kDefaultGroup, fence);
            if (!fenced) break;
            if (!MUTANT(node_clear_forgotten) && !co_await clear_all(k, generation, *fenced)) break;
            co_return catalogue::advanced(now, k.id);
        }
        case State::Closing: {
            const auto closed = co_await tell(k.group(), {What::Close, generation, k.name, {}});
            if (!closed) break;
            const bool blind = k.force || MUTANT(node_drop_uncounted);
            const auto keys = blind ? 0 : co_await count_keys(k.group(), {}, *closed);
            if (!keys) break;
            if (*keys)
                co_return catalogue::refused(now, k.id,
                                             holds("keyspace " + k.name, *keys) +
                                                 ": delete them first, or say --force, and they "
                                                 "are gone with it");
            co_return catalogue::advanced(now, k.id);
        }
        case State::Lifting:
            if (!co_await tell(kDefaultGroup, {What::Lift, generation, k.name, {}})) break;
            co_return catalogue::gone(now, k.id);
    }
    co_return std::nullopt;
}

port::Task<> Node::carry_keyspaces_on() {
    const auto recorded = co_await read_record();
    if (!recorded) co_return;
    const catalogue::Catalogue& now = recorded->catalogue;
    // Its groups are known to the router then.
    if (now.generation != keyspaces().generation) co_return;
    for (const auto& k : now.keyspaces) {
        if (k.state == State::Serving || closing_) continue;
        auto next = co_await step(now, k);
        if (!next) continue;
        const auto* after = next->find(k.id);
        const std::string word(after ? word_of(after->state) : "gone");
        const auto stored = co_await store_step(*recorded, k, std::move(*next));
        if (stored && *stored) log_.info("keyspace " + k.name + ": " + word);
        co_return;  // it is another catalogue now
    }
}

// A copy takes its time: what others order meanwhile must not send it back to its beginning. No
// keyspace is in that state twice, so one that still is has been there all the while, and what is
// copied is copied.
port::Task<Result<bool>> Node::store_step(Recorded recorded, catalogue::Keyspace k,
                                          catalogue::Catalogue next) {
    auto stored = co_await store_record(recorded.version, std::move(next));
    while (stored && !*stored && k.state == State::Copying && !closing_ &&
           !MUTANT(node_copy_starts_over)) {
        const auto newer = co_await read_record();
        if (!newer) co_return std::unexpected(newer.error());
        const auto* now = newer->catalogue.find(k.id);
        if (!now || now->state != State::Copying) break;
        stored = co_await store_record(newer->version, advanced(newer->catalogue, k.id));
    }
    co_return stored;
}

// A node without state of the system group (no replica, or a witness) hears nothing by itself, and
// one whose replica is cut off or stopped hears it late: so each asks another one now and then.
port::Task<> Node::ask_for_catalogue() {
    const auto& members = identity_.founding.members;
    const auto shards = co_await status();
    for (size_t tries = 0; tries < members.size(); ++tries) {
        const FoundingMember member = members[next_peer_++ % members.size()];
        if (!contact_with(shards, member.node).connected) continue;
        wire::Writer known(8);
        known.u64(keyspaces().generation);
        const auto answer = co_await rpc::call_once(*shards_[0], member.peer_address,
                                                    {std::string(kCatalogue), known.take()}, kAsk);
        if (!answer || answer->empty()) co_return;
        auto told = catalogue::decode_catalogue(*answer);
        if (told && !closing_) members_[0]->tell_catalogue(std::move(*told));
        co_return;
    }
}

port::Task<> Node::mind_keyspaces() {
    Instant next_question = shards_[0]->clock().now();
    while (!closing_) {
        co_await port::sleep(*shards_[0], kPause);
        if (closing_) break;
        if (const Instant now = shards_[0]->clock().now(); now >= next_question) {
            next_question = now + kHearInterval;
            co_await ask_for_catalogue();
        }
        const bool leads = members_[0]->router().leader_of(kSystemGroup) == identity_.node;
        if (leads && !closing_ && keyspaces().unsettled()) co_await carry_keyspaces_on();
    }
}

}  // namespace asterias::node
