#include "sim/world/raft_process.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/mutant.h"
#include "core/catalogue/boundary.h"
#include "core/kv/record.h"
#include "service/replica/state.h"

namespace asterias::sim {
namespace {

constexpr std::string_view kDirectory = "data";
constexpr const char* kSnapshotsSent = "asterias_group_snapshots_sent_total";

// Everything that belongs to a group: its state, its keyspace's newest versions, and the results of
// named requests there.
std::vector<Bytes> prefixes_of(GroupId group) {
    const KeyspaceId keyspace = catalogue::keyspace_of(group);
    return {kv::meta_key(group, ""), kv::data_prefix(keyspace), kv::request_key(keyspace, "")};
}

}  // namespace

RaftProcess::RaftProcess(Birth birth)
    : birth_(std::move(birth)),
      log_(birth_.world.log(birth_.machine.index), "sim"),
      frame_faults_(birth_.world, birth_.machine) {
    auto engine = [this](std::string) {
        engine::MemOptions mem;
        mem.prng = birth_.machine.prng.split();
        mem.flush_begins = birth_.sizes.engine_flush_begins;
        auto opened = engine::open_mem(birth_.machine.engine, mem);
        if (opened) engine_ = opened->get();
        return opened;
    };
    node_ = std::make_unique<node::Node>(birth_.shards, options(), engine, registry_, log_);
    doors_.resize(birth_.shards.size());
    scope_ = std::make_unique<port::Scope>(*birth_.shards[0]);
    scope_->spawn("sim.start", start_task());
}

// Whatever ended it, what it counted stays.
RaftProcess::~RaftProcess() {
    for (const auto& [site, hits] : counted())
        birth_.machine.counted[site] += hits;
    if (!ready() || !birth_.shards[0]->crashed()) return;
    static constexpr const char* kSites[] = {"crash.snapshot_staging", "crash.snapshot_beginning",
                                             "crash.snapshot_replacing", "crash.snapshot_loading"};
    for (size_t i = 0; i < doors_.size(); ++i)
        for (const auto& group : node_->member(ShardId(i)).status().groups)
            for (const auto& s : group.snapshots)
                if (s.incoming) ++birth_.machine.counted[kSites[static_cast<size_t>(s.step)]];
}

std::shared_ptr<Process> RaftProcess::make(Birth birth) {
    return std::make_shared<RaftProcess>(std::move(birth));
}

node::Options RaftProcess::options() const {
    const Sizes& sizes = birth_.sizes;
    node::Options o;
    o.directory = kDirectory;
    o.peer_address = birth_.machine.peer;
    o.door_address = birth_.machine.door;
    if (!birth_.machine.founder) o.join = birth_.machines.front()->peer;
    o.journal_segment_bytes = sizes.segment_bytes;
    o.journal_slice_bytes = sizes.slice_bytes;
    o.journal_flush_bytes = sizes.flush_bytes;
    o.compact_entries = sizes.compact_entries;
    o.log_retained_bytes_max = sizes.log_retained_bytes;
    o.snapshot_pace = sizes.snapshot_pace;
    o.change_timeout = sizes.change_timeout;
    return o;
}

port::Task<Result<void>> RaftProcess::found() {
    auto made = co_await node::init(*birth_.shards[0], std::string(kDirectory),
                                    static_cast<uint32_t>(birth_.machines.size()), birth_.keyspaces,
                                    static_cast<uint32_t>(birth_.shards.size()));
    if (!made && made.error().code == Errc::AlreadyExists) made = Result<void>{};
    if (made) birth_.machine.founded = true;
    co_return made;
}

port::Task<> RaftProcess::start_task() {
    if (birth_.machine.founder && !birth_.machine.founded) {
        auto made = co_await found();
        if (!made) co_return give_up(made.error());
    }
    auto started = co_await node_->start();
    if (!started) co_return give_up(started.error());
    for (size_t i = 0; i < doors_.size(); ++i) {
        if (i == 0)
            open_door(0);
        else
            birth_.shards[0]->submit(ShardId(i), [this, i] { open_door(i); });
    }
}

void RaftProcess::open_door(size_t i) {
    auto& member = node_->member(ShardId(i));
    member.endpoint().add_interceptor(frame_faults_);
    edge_resp::Options options;
    options.address = birth_.machine.door;
    options.command_timeout = birth_.sizes.command_timeout;
    // One node of the cluster gives up on nearly every command, and says so.
    if (MUTANT(sim_door_impatient) && !birth_.machine.founder)
        options.command_timeout = milliseconds(1);
    edge_resp::About about;
    about.version = "sim";
    about.node = node_->identity().node.value;
    about.messages = &member.messages();
    doors_[i] = std::make_unique<edge_resp::Door>(member.shard(), node_->strategy(ShardId(i)),
                                                  std::move(about), options, registry_, log_);
    if (auto listening = doors_[i]->listen(); !listening) return give_up(listening.error());
    if (++open_doors_ == doors_.size()) birth_.machine.ready_boot = birth_.machine.boots;
}

// A node that cannot start says why and ends; whoever looks after it starts it again.
void RaftProcess::give_up(const Error& error) {
    birth_.machine.last_reason = error.describe();
    log_.error("cannot start: " + error.describe());
    birth_.shards[0]->fatal("the node could not start");
}

ReplicaView RaftProcess::view_of(const replica::Status& s) const {
    ReplicaView view{.group = s.group,
                     .leads = s.raft.role == raft::Role::Leader,
                     .term = s.raft.term,
                     .applied = s.raft.applied,
                     .commit = s.raft.commit,
                     .last = s.raft.last,
                     .durable = s.raft.durable,
                     .in_engine = s.in_engine,
                     .stopped = s.stopped && !s.removed,
                     .stopped_why = s.stopped_why,
                     .refused_messages = s.raft.malformed_messages,
                     .self = s.self,
                     .membership = s.raft.membership,
                     .membership_index = s.raft.membership_index,
                     .membership_committed = s.raft.membership_committed,
                     .snapshots_installed = s.raft.snapshots_installed,
                     .log_begins = s.raft.first};
    for (const auto& snapshot : s.snapshots)
        if (snapshot.incoming) {
            view.snapshot_from = snapshot.peer;
            view.snapshot_index = snapshot.index;
        }
    if (!view.witness()) return view;
    const std::string label = "group=\"" + to_string(s.group) + "\"";
    view.evaluated = registry_.counter("asterias_group_commands_total", "", label).value();
    view.snapshots_sent = registry_.counter(kSnapshotsSent, "", label).value();
    return view;
}

std::vector<ReplicaView> RaftProcess::replicas() const {
    std::vector<ReplicaView> views;
    if (!ready()) return views;
    for (size_t i = 0; i < doors_.size(); ++i)
        for (const auto& s : node_->member(ShardId(i)).status().groups)
            views.push_back(view_of(s));
    return views;
}

std::string RaftProcess::describe() const {
    std::string out;
    if (!ready()) return "  not started\n";
    for (size_t i = 0; i < doors_.size(); ++i) {
        auto& member = node_->member(ShardId(i));
        const node::ShardStatus status = member.status();
        out += "  node " + to_string(node_->identity().node) + " shard " + std::to_string(i) +
               ": " + std::to_string(status.in_flight) + " in flight; catalogue " +
               std::to_string(member.known_catalogue()->generation) + ", routes " +
               member.router().describe() + "; leaders";
        for (const auto& [group, leader] : status.leaders)
            out += " " + to_string(group) + ":" + to_string(leader);
        out += "; connected to";
        for (const auto& other : node_->identity().founding.members)
            for (const auto lane : {rpc::Lane::Heartbeat, rpc::Lane::Normal})
                if (member.endpoint().connected(other.node, lane))
                    out += " " + to_string(other.node) + (lane == rpc::Lane::Normal ? "n" : "h");
        out += "\n";
        for (const auto& g : status.groups) {
            out += "    group " + to_string(g.group) +
                   (g.raft.role == raft::Role::Leader ? " leads" : " follows") + " term " +
                   to_string(g.raft.term) + " commit " + to_string(g.raft.commit) + " applied " +
                   to_string(g.raft.applied) + " last " + to_string(g.raft.last) + " queued " +
                   std::to_string(g.queued) + " proposed " + std::to_string(g.proposed) + "\n";
            for (const auto& peer : g.raft.peers)
                out += "      node " + to_string(peer.member.node) + " match " +
                       to_string(peer.match) + " next " + to_string(peer.next) + " in flight " +
                       std::to_string(peer.inflight_messages) + "\n";
        }
    }
    return out;
}

// Its keys, but for the word of who was removed here.
ContentView RaftProcess::content_of(port::EngineSnapshot& snapshot, GroupId group) const {
    ContentView view{group, {}};
    const auto catalogue = node_->member(ShardId(0)).known_catalogue();
    const KeyspaceId keyspace = catalogue::keyspace_of(group);
    const auto owner = [&](const Bytes& key) {
        const auto name = catalogue::prefix_of(key.view().substr(kv::kDataPrefixBytes));
        const auto* named = name ? catalogue->find(*name) : nullptr;
        return named ? named->id : catalogue::kDefault;
    };
    for (const Bytes& prefix : prefixes_of(group)) {
        const bool data = prefix == kv::data_prefix(keyspace) && group != kSystemGroup;
        auto found = snapshot.scan(prefix.view(), kv::after_prefix(prefix).view(), {});
        CHECK(found.has_value(), "a run turns damage off before it compares");
        for (const auto& kv : *found) {
            if (kv.key == replica::removed_key(group)) continue;
            ++view.keys;
            if (data && owner(kv.key) != keyspace)
                view.misplaced = kv.key.view().substr(kv::kDataPrefixBytes);
            view.digest = view.digest * 0x9E37'79B9'7F4A'7C15ull + crc32c(kv.key.view());
            view.digest = view.digest * 0x9E37'79B9'7F4A'7C15ull + crc32c(kv.value.view());
        }
    }
    return view;
}

std::vector<ContentView> RaftProcess::contents() const {
    std::vector<ContentView> views;
    const auto snapshot = engine_->snapshot();
    for (const ReplicaView& replica : replicas()) {
        views.push_back(content_of(*snapshot, replica.group));
        views.back().applied = replica.applied;
        views.back().self = replica.self;
        views.back().witness = replica.witness();
    }
    return views;
}

std::vector<GroupId> RaftProcess::leftovers() const {
    // Those of keyspaces that were dropped, too.
    std::vector<GroupId> groups{kSystemGroup};
    const auto known = node_->member(ShardId(0)).known_catalogue();
    for (KeyspaceId id = catalogue::kDefault; id < known->next; id = KeyspaceId(id.value + 1))
        groups.push_back(GroupId(id.value + 1));
    for (const ReplicaView& replica : replicas())
        std::erase(groups, replica.group);
    const auto snapshot = engine_->snapshot();
    std::erase_if(groups, [&](GroupId group) { return content_of(*snapshot, group).keys == 0; });
    return groups;
}

// -------------------------------------------------------------------------------- operating

void RaftProcess::operate(const Operation& operation, std::function<void(std::string)> done) {
    birth_.shards[0]->post([this, operation, done = std::move(done)]() mutable {
        scope_->spawn("sim.operate", operate_task(operation, std::move(done)));
    });
}

port::Task<> RaftProcess::operate_task(Operation op, std::function<void(std::string)> done) {
    using What = Operation::What;
    node::Order order;
    order.keyspace = node::keyspace_name(*node_->member(ShardId(0)).known_catalogue(), op.group);
    order.node = op.node;
    order.from = op.from;
    // Whoever would be refused by a wise operator is the one that is looked for here.
    order.force = op.what != What::Transfer;
    order.witness = op.witness;
    order.what = op.what == What::Add       ? node::Order::What::Add
                 : op.what == What::Remove  ? node::Order::What::Remove
                 : op.what == What::Replace ? node::Order::What::Replace
                                            : node::Order::What::Transfer;
    Result<void> result;
    bool under_way = false;  // taken on; its end is not waited for
    if (!op.direct) {
        auto answer = co_await node_->order(order);
        if (!answer)
            result = std::unexpected(answer.error());
        else
            under_way = answer->starts_with("{\"done\":false");
    } else if (op.what == What::Transfer) {
        result = co_await node_->member(ShardId(0)).transfer(op.group, op.node);
    } else {
        result = co_await node_->member(ShardId(0)).change(op.group, node::change_of(order), true);
    }
    done(under_way ? "under way"
         : result  ? "done"
                   : std::string(to_string(result.error().code)) + ": " + result.error().context);
}

CatalogueView RaftProcess::catalogue() const {
    const auto known = node_->member(ShardId(0)).known_catalogue();
    const uint32_t digest = crc32c(catalogue::encode(*known).view());
    return {known->generation, digest, known->unsettled(), node::groups_of(*known)};
}

void RaftProcess::change_keyspace(bool create, bool force, std::string name, uint32_t copies,
                                  std::function<void(std::string)> done) {
    node::KeyspaceOrder order;
    order.what = create ? node::KeyspaceOrder::What::Create : node::KeyspaceOrder::What::Drop;
    order.name = std::move(name);
    order.copies = copies;
    order.move = create;
    order.force = force;
    birth_.shards[0]->post([this, order = std::move(order), done = std::move(done)]() mutable {
        scope_->spawn("sim.keyspace", keyspace_task(std::move(order), std::move(done)));
    });
}

port::Task<> RaftProcess::keyspace_task(node::KeyspaceOrder order,
                                        std::function<void(std::string)> done) {
    auto answer = co_await node_->order_keyspace(std::move(order));
    done(answer ? *answer
                : std::string(to_string(answer.error().code)) + ": " + answer.error().context);
}

// The labels are those of service/replica.
std::map<std::string, uint64_t> RaftProcess::counted() const {
    static constexpr std::pair<const char*, const char*> kCounters[] = {
        {"snapshot.sent", kSnapshotsSent},
        {"snapshot.given_up", "asterias_group_snapshots_given_up_total"},
        {"snapshot.resumed", "asterias_group_snapshots_resumed_total"},
        {"snapshot.installed", "asterias_group_snapshots_installed_total"},
        {"snapshot.refused", "asterias_group_snapshots_refused_total"},
    };
    std::map<std::string, uint64_t> out;
    if (!ready()) return out;
    for (const GroupId group : node::groups_of(*node_->member(ShardId(0)).known_catalogue()))
        for (const auto& [site, name] : kCounters)
            if (const uint64_t n =
                    registry_.counter(name, "", "group=\"" + to_string(group) + "\"").value())
                out[site] += n;
    return out;
}

}  // namespace asterias::sim
