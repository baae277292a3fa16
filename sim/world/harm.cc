// What may end a node for good: disks that lie, and what people do to data directories. The node is
// expected to refuse by name, and never to serve or send on what is wrong.
#include <algorithm>

#include "base/check.h"
#include "sim/world/cluster.h"

namespace asterias::sim {
namespace {

constexpr std::string_view kDirectory = "data";
constexpr uint64_t kRecentBytes = 4096;
constexpr uint64_t kWritesAfterLie = 8;  // to the same file: the next batch vouches for the last

bool wants_twin(const Profile& profile) {
    const auto* fault = profile.fault<DirectoryFault>();
    if (fault && (fault->mode == "twin" || fault->mode == "copied")) return true;
    return std::ranges::any_of(profile.script.steps, [](const Step& step) {
        return step.verb == "directory" && (step.what == "twin" || step.what == "copied");
    });
}

// What lies in an engine that nobody uses.
engine::MemImage copy_of(engine::MemImage& image) {
    engine::MemImage copy;
    image.set_faults({});
    const auto from = engine::open_mem(image, {}), to = engine::open_mem(copy, {});
    CHECK(from && to, "an engine is copied when its node is down");
    const auto all = (*from)->snapshot()->scan({}, {}, {});
    if (!all) return copy;  // damaged: so is the copy, in its own way
    port::EngineBatch batch;
    for (const auto& kv : *all)
        batch.put(kv.key, kv.value);
    const auto written = (*to)->write(batch);
    CHECK(written.has_value(), "a fresh engine has no faults");
    return copy;
}

}  // namespace

// --- disks that lie ----------------------------------------------------------------------------

void Cluster::rot(const FaultEvent& event) {
    // A cluster is born on good disks.
    if (!all_were_ready_) return;
    for (const uint32_t i : event.victims) {
        Machine& m = *machines_[i];
        Trouble& t = troubles_[i];
        if (t.lying || t.banned) continue;
        if (event.what == "journal" || event.what == "recent") {
            const uint64_t within = event.what == "recent" ? kRecentBytes : UINT64_MAX;
            const std::string place = m.image.rot(std::string(kDirectory), prng_, within);
            if (place.empty()) continue;
            world_.faults().hit("disk.bit_rot");
            say("a bit of " + m.name + "'s " + place + " flips");
            kill_within(i, seconds(5));
        } else if (event.what == "engine") {
            t.damaged_blocks = true;
            apply_disk(i);
        } else if (world_.up(m.index)) {
            m.image.lie_next();
            t.lying = true;
        }
        t.doomed = true;
    }
}

// So that it starts again and sees what it has.
void Cluster::kill_within(uint32_t i, Duration most) {
    const Machine& m = *machines_[i];
    const auto width = static_cast<uint64_t>(most.count());
    world_.call_at(world_.now() + Duration(static_cast<int64_t>(prng_.between(0, width))),
                   [this, &m, boots = m.boots, g = generation_] {
                       if (g == generation_ && m.boots == boots && world_.up(m.index))
                           world_.crash(m.index);
                   });
}

void Cluster::look_at_lie(uint32_t i) {
    Trouble& t = troubles_[i];
    const Machine& m = *machines_[i];
    if (!t.lying || m.image.writes_since_lie() < kWritesAfterLie) return;
    t.lying = false;
    say("the disk of " + m.name + " has lied, and more was written since");
    if (world_.up(m.index)) world_.crash(m.index);
}

// --- data directories --------------------------------------------------------------------------

void Cluster::harm_directory(const FaultEvent& event) {
    if (!all_were_ready_) return;
    for (const uint32_t i : event.victims) {
        Machine& m = *machines_[i];
        Trouble& t = troubles_[i];
        if (event.what == "twin") {
            const Process* p = process(i);
            if (world_.up(m.index) && p && p->ready()) start_twin(i, m.image);
            continue;
        }
        t.doomed = true;
        if (event.what == "lost")
            t.next = Harm::Lost;
        else if (!backup_)
            t.next = Harm::TakeBackup;
        else
            t.next = event.what == "old" ? Harm::Old : Harm::Copied;
        if (world_.up(m.index))
            world_.crash(m.index);
        else
            do_harm(i);
    }
}

// While the node is down.
void Cluster::do_harm(uint32_t i) {
    Machine& m = *machines_[i];
    Trouble& t = troubles_[i];
    switch (std::exchange(t.next, Harm::None)) {
        case Harm::None:
            return;
        case Harm::TakeBackup:
            backup_ = std::make_unique<Backup>();
            backup_->image.assign(m.image);
            backup_->engine = copy_of(m.engine);
            return say("a backup is made of " + m.name);
        case Harm::Lost:
            m.image.assign(DiskImage());
            m.engine = engine::MemImage();
            world_.faults().hit("directory.lost");
            return say("the directory of " + m.name + " is lost");
        case Harm::Old:
            m.image.assign(backup_->image);
            m.engine = copy_of(backup_->engine);
            world_.faults().hit("directory.old");
            return say("the directory of " + m.name + " is as it was in the backup");
        case Harm::Copied:
            twin_->image.assign(backup_->image);
            twin_->engine = copy_of(backup_->engine);
            return start_twin(i, twin_->image);
    }
}

void Cluster::make_twin() {
    if (!wants_twin(profile_)) return;
    twin_ = std::make_unique<Machine>();
    twin_->name = "twin";
    twin_->prng = prng_.split();
    twin_->founded = true;
    NodeOptions options;
    options.shards = profile_.shards();
    options.disk = [this](port::Shard& shard, Prng prng) -> std::unique_ptr<port::Disk> {
        return std::make_unique<SimDisk>(*twin_image_, shard, twin_->disk_faults, prng);
    };
    options.after_crash = [this](CrashKind) {
        twin_->engine.crash(twin_->prng);
        if (twin_image_ == &twin_->image) twin_->image.kill();
    };
    twin_->index = world_.add_node(twin_->name, std::move(options));
}

// On the directory of the machine itself, or on a copy of it at another address.
void Cluster::start_twin(uint32_t of, DiskImage& image) {
    if (world_.up(twin_->index)) return;
    const Machine& m = *machines_[of];
    const bool same = &image == &m.image;
    twin_image_ = &image;
    twin_->peer = {same ? m.name : twin_->name, m.peer.port};
    twin_->door = {same ? m.name : twin_->name, m.door.port};
    twin_->founder = m.founder;
    twin_->last_reason.clear();
    twin_->disk_faults = disk_profile();
    world_.faults().hit(same ? "directory.twin" : "directory.copied");
    say(same ? "a second process is started on " + m.name
             : "a copy of " + m.name + "'s directory is started elsewhere");
    ++twin_->boots;
    world_.boot(twin_->index, [this](const std::vector<port::Shard*>& shards) {
        auto made =
            factory_({world_, *twin_, machines_, founded_, sizes_, shards, world_.faults()});
        twin_process_ = made;
        return made;
    });
}

void Cluster::look_at_twin() {
    if (!twin_ || !twin_image_) return;
    if (const auto twin = twin_process_.lock(); twin && twin->ready()) {
        breaches_.push_back("a second process serves from one data directory, or from a copy");
        world_.crash(twin_->index);
    }
    if (world_.up(twin_->index) || twin_->last_reason.empty()) return;
    world_.faults().hit("twin.refused");
    say("the second process refuses: " + std::exchange(twin_->last_reason, {}));
}

}  // namespace asterias::sim
