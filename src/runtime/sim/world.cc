#include "runtime/sim/world.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "base/check.h"
#include "runtime/sim/network.h"
#include "runtime/sim/node.h"

namespace asterias::sim {
namespace {
// Far apart from each other, so that Instants of two nodes have nothing in common.
Instant draw_origin(Prng& prng) {
    return Instant(seconds(static_cast<int64_t>(prng.between(3'600, 3'600'000))));
}
std::string stamp(Instant at) {
    char text[32];
    const int64_t ns = at.time_since_epoch().count();
    std::snprintf(text, sizeof text, "%" PRId64 ".%09" PRId64 " ", ns / 1'000'000'000,
                  ns % 1'000'000'000);
    return text;
}
}  // namespace

class World::NodeLog final : public LogSink {
public:
    NodeLog(World& world, NodeIndex node) : world_(world), node_(node) {}
    void write(LogLevel level, std::string_view room, std::string text) override {
        Trace& trace = world_.kernel_->trace;
        if (level >= LogLevel::Info) {
            trace.add(static_cast<uint64_t>(node_));
            trace.add(room);
            trace.add(text);
        }
        if (trace.has_text_sink())
            trace.line(stamp(world_.now()) + world_.name(node_) + " log " +
                       std::string(to_string(level)) + " " + std::string(room) + ": " + text);
    }
    bool enabled(LogLevel level) const override {
        return level >= LogLevel::Info || world_.kernel_->trace.has_text_sink();
    }

private:
    World& world_;
    const NodeIndex node_;
};

World::World(uint64_t seed)
    : kernel_(std::make_unique<Kernel>(seed)),
      nodes_(std::make_unique<std::deque<Node>>()),
      network_(std::make_unique<Network>(*kernel_, *nodes_)),
      scenario_prng_(seed ^ 0x5CE4'A210'0000'0001ull) {
    kernel_->trace.add(seed);
}

World::~World() {
    for (Node& node : *nodes_) {
        if (!node.up) continue;
        doom(*kernel_, node, CrashKind::Kill, Farewell::Reset);
        end_process(node);
    }
}

// --- nodes -------------------------------------------------------------------------------------

Node& World::at(NodeIndex node) {
    CHECK(slot_of(node) < nodes_->size(), "a node is added before it is named");
    return (*nodes_)[slot_of(node)];
}
const Node& World::at(NodeIndex node) const { return const_cast<World*>(this)->at(node); }

NodeIndex World::add_node(std::string name, NodeOptions options) {
    CHECK(options.shards > 0, "a node has a shard");
    for (const Node& node : *nodes_)
        CHECK(node.name != name, "host names are unique");
    const NodeIndex index{static_cast<uint32_t>(nodes_->size())};
    const NodeClock clock(draw_origin(kernel_->prng), options.wall_offset, options.drift_ppm);
    nodes_->push_back(Node{.index = index,
                           .name = std::move(name),
                           .options = std::move(options),
                           .clock = clock,
                           .prng = kernel_->prng.split()});
    logs_.push_back(std::make_unique<NodeLog>(*this, index));
    return index;
}

size_t World::node_count() const { return nodes_->size(); }
const std::string& World::name(NodeIndex node) const { return at(node).name; }
bool World::up(NodeIndex node) const { return at(node).up; }

port::Shard& World::shard(NodeIndex node, size_t index) {
    CHECK(at(node).up, "only a running process has shards");
    return *at(node).shards.at(index);
}

void World::boot(NodeIndex index, const Start& start) {
    Node& node = at(index);
    CHECK(!node.up, "one process per node");
    CHECK(!kernel_->in_node_code, "a scenario boots nodes, not a node");
    trace("boot", slot_of(index));
    node.up = node.powered = true;
    node.crashed = false;
    node.fatal_reason.clear();
    node.crash_countdown = 0;
    node.paused_until = {};
    for (size_t i = 0; i < node.options.shards; ++i)
        node.shards.push_back(std::make_unique<SimShard>(*kernel_, *network_, node, i));
    network_->node_booted(node);
    {
        const InNodeCode in_node_code(*kernel_);
        std::vector<port::Shard*> shards;
        for (auto& shard : node.shards) {
            shard->make_disk();
            shards.push_back(shard.get());
        }
        node.inhabitant = start(shards);
    }
    for (auto& shard : node.shards)
        shard->schedule_turn();
    bury_the_dying();
}

void World::crash(NodeIndex index, CrashKind kind, Farewell farewell) {
    Node& node = at(index);
    if (!node.up) {
        if (kind == CrashKind::PowerCut) node.powered = false;
        return;
    }
    kernel_->faults.hit(Fault::CrashFromOutside);
    doom(*kernel_, node, kind, farewell);
    bury_the_dying();
}

void World::arm_crash(NodeIndex index, uint64_t points, CrashKind kind) {
    Node& node = at(index);
    node.crash_countdown = points;
    node.armed_kind = kind;
}

void World::bury_the_dying() {
    while (!kernel_->in_node_code && !kernel_->dying.empty()) {
        const NodeIndex index = kernel_->dying.front();
        kernel_->dying.erase(kernel_->dying.begin());
        tear_down(at(index));
    }
    if (!kernel_->in_node_code) network_->reap();
}

// Everything of the process goes: callbacks first, for they may refer to the inhabitant.
void World::end_process(Node& node) {
    const InNodeCode in_node_code(*kernel_);
    for (auto& shard : node.shards)
        shard->drop_callbacks();
    node.inhabitant.reset();
    for (auto& shard : node.shards)
        shard->drop_callbacks();
    node.shards.clear();
    node.up = false;
    ++node.epoch;
}

void World::tear_down(Node& node) {
    trace("crash", slot_of(node.index));
    const bool power_cut = node.crash_kind == CrashKind::PowerCut;
    node.powered = !power_cut;
    network_->node_gone(node, power_cut ? Farewell::Silent : node.farewell);
    end_process(node);
    if (node.options.after_crash) node.options.after_crash(node.crash_kind);
    if (crash_listener_) crash_listener_(node.index, node.fatal_reason);
}

void World::shut_down(NodeIndex index) {
    Node& node = at(index);
    CHECK(node.up && !kernel_->in_node_code, "a scenario shuts down a running node");
    trace("shut_down", slot_of(index));
    {
        const InNodeCode in_node_code(*kernel_);
        node.inhabitant.reset();
    }
    node.crashed = true;  // for what is left: callbacks of nobody
    network_->node_gone(node, Farewell::Close);
    end_process(node);
    bury_the_dying();
}

void World::set_crash_listener(CrashListener listener) { crash_listener_ = std::move(listener); }

void World::pause(NodeIndex index, Duration duration) {
    Node& node = at(index);
    if (!node.up) return;
    kernel_->faults.hit(Fault::Paused);
    trace("pause", slot_of(index));
    node.paused_until = std::max(node.paused_until, now() + duration);
    kernel_->push(node.paused_until, EventKind::Resume, index, node.epoch, 0);
}

void World::step_wall(NodeIndex node, Duration by) {
    kernel_->faults.hit(Fault::WallStepped);
    at(node).clock.step_wall(by);
}

WallTime World::wall(NodeIndex node) const {
    return at(node).clock.wall(at(node).clock.local(now()));
}

void World::set_out_of_files(NodeIndex node, bool out) { at(node).no_files = out; }

void World::set_drift(NodeIndex node, int64_t ppm) {
    kernel_->faults.hit(Fault::DriftChanged);
    at(node).clock.set_drift(now(), ppm);
}

// --- network -----------------------------------------------------------------------------------

void World::set_default_link(const LinkProfile& profile) { network_->set_default_link(profile); }
void World::set_link(NodeIndex from, NodeIndex to, const LinkProfile& profile) {
    network_->set_link(from, to, profile);
}
void World::cut(NodeIndex from, NodeIndex to, bool one_way) {
    trace("cut", slot_of(from) << 32 | slot_of(to));
    network_->cut(from, to);
    if (!one_way) network_->cut(to, from);
}
void World::partition(const std::vector<NodeIndex>& side) {
    const auto inside = [&](NodeIndex n) {
        return std::find(side.begin(), side.end(), n) != side.end();
    };
    for (const Node& x : *nodes_)
        for (const Node& y : *nodes_)
            if (inside(x.index) && !inside(y.index)) cut(x.index, y.index);
}
void World::heal(NodeIndex from, NodeIndex to, bool one_way) {
    trace("heal", slot_of(from) << 32 | slot_of(to));
    network_->heal(from, to);
    if (!one_way) network_->heal(to, from);
}
void World::heal_all() {
    trace("heal_all");
    network_->heal_all();
}
void World::clog(NodeIndex from, NodeIndex to, Duration duration) {
    network_->clog(from, to, duration);
}
void World::break_connections(NodeIndex a, NodeIndex b, Farewell farewell) {
    network_->break_streams(a, b, farewell);
    bury_the_dying();
}
void World::set_identity_hook(IdentityHook hook) { network_->set_identity_hook(std::move(hook)); }
size_t World::connection_count() const { return network_->stream_count(); }

// --- time --------------------------------------------------------------------------------------

Instant World::now() const { return kernel_->now(); }

bool World::step() { return execute_next(Instant::max()); }

void World::run_until(Instant until) {
    while (execute_next(until)) {
    }
    kernel_->advance_to(until);
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
    const Instant until = now() + limit;
    while (!done()) {
        if (execute_next(until)) continue;
        kernel_->advance_to(until);
        return done();
    }
    return true;
}

void World::call_at(Instant when, std::function<void()> fn) {
    const uint64_t id = next_call_++;
    calls_.emplace(id, std::move(fn));
    kernel_->push(when, EventKind::Call, kNoNode, 0, id);
}

bool World::execute_next(Instant limit) {
    CHECK(!kernel_->in_node_code, "node code does not run the world");
    Event event;
    do {
        if (!kernel_->pop(limit, event)) return false;
    } while (event.node != kNoNode && at(event.node).epoch != event.epoch);
    ++executed_;
    Trace& trace = kernel_->trace;
    trace.add(static_cast<uint64_t>(event.at.time_since_epoch().count()));
    trace.add(static_cast<uint64_t>(event.node) << 8 | static_cast<uint64_t>(event.kind));
    trace.add(event.a);
    trace.add(event.b);
    if (trace.has_text_sink()) text(event);
    dispatch(event);
    bury_the_dying();
    return true;
}

void World::dispatch(const Event& event) {
    switch (event.kind) {
        case EventKind::Call: {
            const auto call = calls_.extract(event.a);
            return call.mapped()();
        }
        case EventKind::Resume:
            for (auto& shard : at(event.node).shards)
                shard->schedule_turn();
            return;
        case EventKind::Turn:
            return at(event.node).shards[event.a]->run_turn();
        case EventKind::Timer:
            return at(event.node).shards[event.a]->fire_timer(event.b);
        case EventKind::Submit:
            return at(event.node).shards[event.a]->receive_submit(event.b);
        default:
            return network_->on_event(event);
    }
}

// --- evidence ----------------------------------------------------------------------------------

void World::text(const Event& event) const {
    std::string line = stamp(event.at);
    line += event.node == kNoNode ? "-" : name(event.node);
    line += " " + std::string(to_string(event.kind));
    line += " " + std::to_string(event.a) + " " + std::to_string(event.b);
    kernel_->trace.line(line);
}

uint64_t World::trace_hash() const { return kernel_->trace.hash(); }

void World::trace(std::string_view what, uint64_t value) {
    kernel_->trace.add(what);
    kernel_->trace.add(value);
    if (kernel_->trace.has_text_sink())
        kernel_->trace.line(stamp(now()) + "= " + std::string(what) + " " + std::to_string(value));
}

void World::set_text_trace(Trace::TextSink sink) { kernel_->trace.set_text_sink(std::move(sink)); }
LogSink& World::log(NodeIndex node) { return *logs_.at(slot_of(node)); }
FaultCounters& World::faults() { return kernel_->faults; }
const FaultCounters& World::faults() const { return kernel_->faults; }
Prng World::split_prng() { return scenario_prng_.split(); }

}  // namespace asterias::sim
