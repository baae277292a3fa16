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

uint32_t ppm(double chance) { return static_cast<uint32_t>(chance * 1e6); }

}  // namespace

LinkProfile Cluster::link_profile() const {
    LinkProfile link;
    const auto* net = profile_.fault<NetFault>();
    if (!net) return link;
    link.delay += net->delay.low;
    link.jitter += net->delay.high - net->delay.low;
    link.break_ppm = ppm(net->loss.low);
    link.loss_ppm = ppm(net->loss.low * 2);
    link.corrupt_ppm = ppm(net->corrupt.low);
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
    }
    return faults;
}

void Cluster::begin_faults(const Schedule& schedule) {
    faults_on_ = true;
    for (auto& m : machines_) {
        m->disk_faults = disk_profile();
        if (const auto* frames = profile_.fault<FrameFault>()) m->frame_faults = *frames;
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
    event = aim(std::move(event), leader(), machines_.size());
    say("fault: " + describe(event));
    const auto at_end = [this, &event](auto fn) {
        world_.call_at(world_.now() + event.length, [this, fn, g = generation_] {
            if (g == generation_) fn();
        });
    };
    switch (event.kind) {
        case FaultKind::Partition:
            ++partitions_;
            for (const sim::Link& cut : event.cuts)
                world_.cut(machines_[cut.from]->index, machines_[cut.to]->index, true);
            return at_end([this, cuts = event.cuts] {
                for (const sim::Link& cut : cuts)
                    world_.heal(machines_[cut.from]->index, machines_[cut.to]->index);
                say("the partition heals");
            });
        case FaultKind::Crash:
            return crash(event);
        case FaultKind::Pause:
            for (const uint32_t i : event.victims)
                world_.pause(machines_[i]->index, event.length);
            return;
        case FaultKind::SlowDisk:
        case FaultKind::FullDisk:
            set_disks(event, true);
            return at_end([this, event] { set_disks(event, false); });
        case FaultKind::ClockJump:
            for (const uint32_t i : event.victims)
                world_.step_wall(machines_[i]->index, event.jump);
            return;
    }
}

// The victims die each at a drawn point of their code, or a moment later wherever they are. A power
// cut rather comes when it hurts, while something is written and not yet synced; it may take all
// its victims at that moment, as one fuse does.
void Cluster::crash(const FaultEvent& event) {
    const CrashKind kind = event.loses_unsynced ? CrashKind::PowerCut : CrashKind::Kill;
    std::vector<uint32_t> victims;
    for (const uint32_t i : event.victims) {
        down_until_[i] = now() + event.length;
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

void Cluster::set_disks(const FaultEvent& event, bool begins) {
    for (const uint32_t i : event.victims) {
        Machine& m = *machines_[i];
        m.disk_faults = disk_profile();
        engine::MemFaults mem = m.engine.faults();
        mem.capacity_bytes = engine::MemFaults{}.capacity_bytes;
        if (begins && event.kind == FaultKind::FullDisk) {
            m.disk_faults.capacity_bytes = m.image.used_bytes();
            mem.capacity_bytes = m.engine.bytes();
        }
        m.engine.set_faults(mem);
        if (!begins || event.kind != FaultKind::SlowDisk) continue;
        const auto factor = static_cast<int64_t>(event.factor);
        for (auto* range : {&m.disk_faults.write_latency, &m.disk_faults.sync_latency,
                            &m.disk_faults.read_latency})
            range->low *= factor, range->high *= factor;
        world_.faults().hit("disk.slow");
    }
}

// A few links stand still now and then; NetFault::clog is meant per frame, of which there are about
// ten in the time between two looks.
void Cluster::clog_some() {
    const auto* net = profile_.fault<NetFault>();
    if (!net || net->clog.low <= 0) return;
    for (auto& x : machines_)
        for (auto& y : machines_)
            if (x != y && prng_.chance(std::min(1.0, net->clog.low * 10)))
                world_.clog(x->index, y->index, draw_between(prng_, net->clog_for));
}

void Cluster::heal(const std::vector<uint32_t>& core) {
    say("everything heals");
    faults_on_ = false;
    ++generation_;
    world_.heal_all();
    for (auto& x : machines_)
        for (auto& y : machines_)
            if (x != y) world_.set_link(x->index, y->index, {});
    for (uint32_t i = 0; i < machines_.size(); ++i) {
        Machine& m = *machines_[i];
        m.disk_faults = disk_profile();
        m.disk_faults.stall = m.disk_faults.write_error = m.disk_faults.sync_error = 0;
        m.frame_faults = {};
        m.engine.set_faults({});
        down_until_[i] = {};
        world_.arm_crash(m.index, 0);
        banned_[i] = std::find(core.begin(), core.end(), i) == core.end();
        if (banned_[i])
            world_.crash(m.index);
        else
            boot(m);
    }
}

}  // namespace asterias::sim
