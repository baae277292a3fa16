// The faults of a schedule, carried out on the cluster.
#include <algorithm>

#include "base/check.h"
#include "sim/world/cluster.h"
#include "sim/world/frame_faults.h"

namespace asterias::sim {
namespace {

constexpr Duration kCrashPatience = milliseconds(200);  // for a crash to find its moment
constexpr Duration kPowerCutPatience = milliseconds(500);
constexpr double kOneFuse = 0.5;
constexpr uint64_t kCrashPointsMax = 60;
constexpr double kHurtful = 0.7;
constexpr Duration kSlowest = seconds(10);  // operation of a slow disk
constexpr uint64_t kStartPointsMax = 300;   // of a start's crash points
constexpr double kDamagedBlocks = 0.02;     // of reads
constexpr uint64_t kInstallPointsMax = 60;  // of an install's crash points

uint32_t ppm(double chance) { return static_cast<uint32_t>(chance * 1e6); }

}  // namespace

LinkProfile Cluster::link_profile() {
    LinkProfile link;
    const auto* net = profile_.fault<NetFault>();
    if (!net) return link;
    link.delay += net->delay.low;
    link.jitter += net->delay.high - net->delay.low;
    link.break_ppm = ppm(net->loss.low);
    link.loss_ppm = ppm(net->loss.low * 2);
    link.corrupt_ppm = ppm(net->corrupt.low);
    if (net->small.low > 0 && prng_.chance(net->small.low)) {
        link.window_bytes = prng_.between(64, 4096);
        link.bytes_per_second = prng_.between(50'000, 2'000'000);
        world_.faults().hit("net.small_link");
    }
    return link;
}

DiskFaults Cluster::disk_profile() const {
    DiskFaults faults;
    faults.write_latency = {microseconds(10), microseconds(100)};
    faults.sync_latency = {microseconds(100), sizes_.sync_latency_max};
    faults.read_latency = {microseconds(10), microseconds(100)};
    if (const auto* disk = profile_.fault<DiskFault>()) {
        faults.stall = disk->stall.low;
        faults.stall_latency = {disk->stall_for.low, disk->stall_for.high};
        faults.write_error = faults.sync_error = disk->error.low;
        faults.read_error = disk->read_error.low;
    }
    return faults;
}

// What is wrong with a machine's disk and engine, from all that is going on.
void Cluster::apply_disk(uint32_t i) {
    Machine& m = *machines_[i];
    const Trouble& t = troubles_[i];
    DiskFaults& disk = m.disk_faults = disk_profile();
    if (!faults_on_) disk.stall = disk.write_error = disk.sync_error = disk.read_error = 0;
    const auto factor = static_cast<int64_t>(t.slow);
    for (auto* range : {&disk.write_latency, &disk.sync_latency, &disk.read_latency})
        *range = {std::min(range->low * factor, kSlowest),
                  std::min(range->high * factor, kSlowest)};
    if (t.disk_room) disk.capacity_bytes = *t.disk_room;
    disk.no_files = t.no_files;

    engine::MemFaults mem;
    mem.would_block = sizes_.engine_would_block;
    if (t.engine_room) mem.capacity_bytes = *t.engine_room;
    if (t.damaged_blocks) mem.read_corrupt = kDamagedBlocks;
    if (faults_on_ && profile_.fault<DiskFault>()) mem.stall_begins = 0.002;
    if (const auto* engine = profile_.fault<EngineFault>(); engine && faults_on_) {
        mem.stall_begins = std::max(mem.stall_begins, engine->stall.low);
        mem.flush_fails = engine->flush.low;
    }
    m.engine.set_faults(mem);
}

void Cluster::begin_faults(const Schedule& schedule) {
    faults_on_ = true;
    for (const uint32_t i : schedule.doomed)
        troubles_[i].fated = true;
    if (profile_.world.core != "all")
        for (uint32_t i = 0; i < machines_.size(); ++i)
            troubles_[i].fated |= std::ranges::find(schedule.core, i) == schedule.core.end();
    for (uint32_t i = 0; i < machines_.size(); ++i) {
        apply_disk(i);
        if (const auto* frames = profile_.fault<FrameFault>()) machines_[i]->frame_faults = *frames;
    }
    // Between nodes only: what clients send is spoilt by crashes, pauses and their own impatience.
    // RESP has no checksum, so that a flipped bit there is a command that nobody sent.
    for (auto& x : machines_)
        for (auto& y : machines_)
            if (x != y) world_.set_link(x->index, y->index, link_profile());
    for (const FaultEvent& event : schedule.events)
        world_.call_at(world_.now() + event.at, [this, event, g = generation_] {
            if (g == generation_) begin(event);
        });
}

void Cluster::begin(FaultEvent event) {
    event = aim(std::move(event), {leader(), roles_}, machines_.size());
    say("fault: " + describe(event));
    const auto each = [&event](auto fn) {
        for (const uint32_t i : event.victims)
            fn(i);
    };
    const auto at_end = [this, &event](std::string text, auto fn) {
        world_.call_at(world_.now() + event.length, [this, text, fn, g = generation_] {
            if (g != generation_) return;
            say("over: " + text);
            fn();
        });
    };
    const std::string text = describe(event);
    switch (event.kind) {
        case FaultKind::Partition:
            ++partitions_;
            world_.faults().hit("partition." + event.what);
            timeline_.cuts.push_back({now(), now() + event.length, event.cuts});
            cut(event.cuts, true);
            return at_end(text, [this, cuts = event.cuts] { cut(cuts, false); });
        case FaultKind::Crash:
            return crash(event);
        case FaultKind::Pause:
            return each([&](uint32_t i) { world_.pause(machines_[i]->index, event.length); });
        case FaultKind::SlowDisk:
            each([&](uint32_t i) {
                world_.faults().hit("disk.slow");
                troubles_[i].slow = event.factor;
                apply_disk(i);
            });
            return at_end(text, [this, victims = event.victims] {
                for (const uint32_t i : victims)
                    troubles_[i].slow = 1, apply_disk(i);
            });
        case FaultKind::FullDisk:
            each([&](uint32_t i) { set_full(i, true); });
            return at_end(text, [this, victims = event.victims] {
                for (const uint32_t i : victims)
                    set_full(i, false);
            });
        case FaultKind::ClockJump:
            return strobe(event);
        case FaultKind::CrashLoop:
            return each([&](uint32_t i) {
                troubles_[i].loop_until = now() + event.length;
                kill_now_and_then(i);
            });
        case FaultKind::Limits:
            each([&](uint32_t i) { set_out_of_files(i, true); });
            return at_end(text, [this, victims = event.victims] {
                for (const uint32_t i : victims)
                    set_out_of_files(i, false);
            });
        case FaultKind::Strangers:
            return send_stranger(event);
        case FaultKind::Rot:
            return rot(event);
        case FaultKind::Directory:
            return harm_directory(event);
        case FaultKind::Keyspaces:
            return change_keyspaces(event);
        case FaultKind::Members:
            return change_members(event);
        case FaultKind::Roles:
            return give_roles();
    }
}

// A link may be cut by several faults at a time.
void Cluster::cut(const std::vector<sim::Link>& links, bool begins) {
    for (const sim::Link& link : links) {
        uint64_t& faults = cuts_[link];
        const NodeIndex from = machines_[link.from]->index, to = machines_[link.to]->index;
        if (begins && faults++ == 0) world_.cut(from, to, true);
        if (!begins && --faults == 0) world_.heal(from, to, true);
    }
}

void Cluster::set_out_of_files(uint32_t i, bool out) {
    troubles_[i].no_files = out;
    world_.set_out_of_files(machines_[i]->index, out);
    apply_disk(i);
}

void Cluster::set_full(uint32_t i, bool full) {
    Trouble& t = troubles_[i];
    t.disk_room.reset();
    t.engine_room.reset();
    if (full) {
        t.disk_room = machines_[i]->image.used_bytes();
        t.engine_room = machines_[i]->engine.bytes();
    }
    apply_disk(i);
}

// The wall clock jumps, once or to and fro.
void Cluster::strobe(const FaultEvent& event) {
    for (const uint32_t i : event.victims) {
        world_.step_wall(machines_[i]->index, event.jump);
        Duration at{0};
        for (int64_t n = 1; event.length > Duration(0); ++n) {
            at += milliseconds(prng_.between(5, 100));
            if (at >= event.length) break;
            world_.call_at(world_.now() + at, [this, i, by = n % 2 ? -event.jump : event.jump] {
                world_.faults().hit("clock.strobed");
                world_.step_wall(machines_[i]->index, by);
            });
        }
    }
}

void Cluster::send_stranger(const FaultEvent& event) {
    const auto stranger = stranger_.lock();
    if (!stranger) return;
    for (const uint32_t i : event.victims) {
        if (event.many > 0) {
            stranger->storm(machines_[i]->peer, event.many);
            continue;
        }
        const auto visit = Visit(prng_.below(static_cast<uint64_t>(Visit::kCount)));
        stranger->come(machines_[i]->peer, visit);
    }
}

// Not while a lie of its disk has nothing durable yet that would show it.
void Cluster::kill_now_and_then(uint32_t i) {
    if (now() >= troubles_[i].loop_until) return;
    const Machine& m = *machines_[i];
    if (world_.up(m.index) && !troubles_[i].lying) {
        world_.faults().hit("crash.loop");
        world_.crash(m.index);
    }
    world_.call_at(world_.now() + milliseconds(prng_.between(20, 1200)),
                   [this, i, g = generation_] {
                       if (g == generation_) kill_now_and_then(i);
                   });
}

// Soon after: while it is staged, or, if it was the last piece, while it is installed.
void Cluster::snapshot_piece_came(uint32_t i) {
    const auto* restart = profile_.fault<RestartFault>();
    if (!faults_on_ || !restart || restart->install.low <= 0 || troubles_[i].lying ||
        !prng_.chance(restart->install.low))
        return;
    world_.faults().hit("crash.at_snapshot");
    world_.arm_crash(machines_[i]->index, prng_.between(1, kInstallPointsMax),
                     prng_.chance(0.5) ? CrashKind::PowerCut : CrashKind::Kill);
}

// The bad ways to start: a death on the way, a clock that knows nothing yet.
void Cluster::start_badly(uint32_t i) {
    const Machine& m = *machines_[i];
    const auto* restart = profile_.fault<RestartFault>();
    if (restart && restart->again.low > 0 && !troubles_[i].lying &&
        prng_.chance(restart->again.low))
        world_.arm_crash(m.index, prng_.between(1, kStartPointsMax),
                         prng_.chance(0.5) ? CrashKind::PowerCut : CrashKind::Kill);
    const auto* clock = profile_.fault<ClockFault>();
    if (!clock || clock->zero.low <= 0 || !prng_.chance(clock->zero.low)) return;
    world_.faults().hit("clock.at_zero");
    const Duration wall = microseconds(world_.wall(m.index).micros);
    say("the wall clock of " + m.name + " shows 1970");
    world_.step_wall(m.index, -wall);
    world_.call_at(world_.now() + milliseconds(prng_.between(50, 5000)), [this, &m, wall] {
        say("the wall clock of " + m.name + " is set");
        world_.step_wall(m.index, wall);
    });
}

// The victims die each at a drawn point of their code, or a moment later wherever they are. A power
// cut rather comes when it hurts, while something is written and not yet synced; it may take all
// its victims at that moment, as one fuse does.
void Cluster::crash(const FaultEvent& event) {
    const CrashKind kind = event.loses_unsynced ? CrashKind::PowerCut : CrashKind::Kill;
    std::vector<uint32_t> victims;
    for (const uint32_t i : event.victims) {
        if (troubles_[i].lying) continue;  // nothing would show the lie yet
        troubles_[i].down_until = now() + event.length;
        if (world_.up(machines_[i]->index)) victims.push_back(i);
    }
    if (victims.empty()) return;
    if (kind == CrashKind::PowerCut && prng_.chance(kOneFuse))
        return lie_in_wait({victims, boots_of(victims), now() + kPowerCutPatience});
    for (const uint32_t i : victims) {
        const Machine& m = *machines_[i];
        if (kind == CrashKind::PowerCut && prng_.chance(kHurtful)) {
            lie_in_wait({{i}, boots_of({i}), now() + kPowerCutPatience});
            continue;
        }
        world_.arm_crash(m.index, prng_.between(1, kCrashPointsMax), kind);
        world_.call_at(world_.now() + kCrashPatience,
                       [this, &m, kind, boots = m.boots, g = generation_] {
                           if (g != generation_ || m.boots != boots) return;
                           if (world_.up(m.index)) world_.crash(m.index, kind);
                       });
    }
}

uint64_t Cluster::boots_of(const std::vector<uint32_t>& machines) const {
    uint64_t boots = 0;
    for (const uint32_t i : machines)
        boots += machines_[i]->boots;
    return boots;
}

// Over when one of the victims has meanwhile started anew: then it is another life's business.
void Cluster::lie_in_wait(const Ambush& ambush) {
    if (boots_of(ambush.victims) != ambush.boots) return;
    const bool hurts = std::ranges::any_of(ambush.victims, [this](uint32_t i) {
        return world_.up(machines_[i]->index) && machines_[i]->image.unsynced_writes() > 0;
    });
    if (hurts || now() >= ambush.until) {
        for (const uint32_t i : ambush.victims)
            if (world_.up(machines_[i]->index))
                world_.crash(machines_[i]->index, CrashKind::PowerCut);
        return;
    }
    world_.call_at(world_.now() + microseconds(prng_.between(20, 400)),
                   [this, ambush, g = generation_] {
                       if (g == generation_) lie_in_wait(ambush);
                   });
}

// A few links stand still now and then; NetFault::clog is meant per frame, of which there are about
// ten in the time between two looks.
void Cluster::clog_some() {
    const auto* net = profile_.fault<NetFault>();
    if (!net) return;
    for (auto& x : machines_)
        for (auto& y : machines_) {
            if (x == y) continue;
            if (net->clog.low > 0 && prng_.chance(std::min(1.0, net->clog.low * 10)))
                world_.clog(x->index, y->index, draw_between(prng_, net->clog_for));
            if (net->half_open.low > 0 && prng_.chance(net->half_open.low / 2)) {
                world_.faults().hit("net.half_open");
                world_.break_connections(x->index, y->index, Farewell::Silent);
            }
        }
}

void Cluster::heal(const std::vector<uint32_t>& core) {
    say("everything heals");
    faults_on_ = false;
    ++generation_;
    cuts_.clear();
    world_.heal_all();
    for (auto& x : machines_)
        for (auto& y : machines_)
            if (x != y) world_.set_link(x->index, y->index, {});
    if (twin_) world_.crash(twin_->index);
    for (uint32_t i = 0; i < machines_.size(); ++i) {
        Machine& m = *machines_[i];
        m.frame_faults = {};
        Trouble& t = troubles_[i];
        t = {.banned = t.banned || std::ranges::find(core, i) == core.end(),
             .doomed = t.doomed,
             .damaged_blocks = t.damaged_blocks};
        world_.set_out_of_files(m.index, false);
        apply_disk(i);
        world_.arm_crash(m.index, 0);
        if (t.banned)
            world_.crash(m.index);
        else
            boot(m);
    }
}

}  // namespace asterias::sim
