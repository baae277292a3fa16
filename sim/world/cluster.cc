#include "sim/world/cluster.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/check.h"
#include "sim/world/frame_faults.h"

namespace asterias::sim {
namespace {

constexpr Duration kWatch = milliseconds(50);
constexpr uint16_t kPeerPort = 7100, kDoorPort = 6379;
constexpr size_t kBreachesMax = 8;
constexpr int64_t kFastPpm = 100'000;

std::string seconds_text(Duration d) {
    const int64_t ms = d.count() / 1'000'000;
    std::string digits = std::to_string(ms % 1000);
    digits.insert(0, 3 - digits.size(), '0');
    return std::to_string(ms / 1000) + "." + digits;
}

bool has_step(const Script& script, std::string_view verb) {
    return std::ranges::any_of(script.steps, [&](const Step& s) { return s.verb == verb; });
}

std::string describe(const ReplicaView& r) {
    return std::string(r.leads ? "leads" : "follows") + " in term " + to_string(r.term) +
           ", log to " + to_string(r.last) + ", durable " + to_string(r.durable) + ", commit " +
           to_string(r.commit) + ", applied " + to_string(r.applied) + ", in the engine " +
           to_string(r.in_engine);
}

// Small enough that everything rare happens within a minute.
Sizes draw_sizes(Prng& prng) {
    Sizes s;
    s.segment_bytes = uint64_t{64 * 1024} << prng.below(3);
    s.slice_bytes = s.segment_bytes >> prng.between(2, 4);
    s.flush_bytes = s.segment_bytes * prng.between(1, 3);
    s.compact_entries = prng.between(10, 200);
    // A node that was away for some seconds needs a snapshot, of several pieces.
    if (prng.chance(0.85)) s.log_retained_bytes = uint64_t{512} << prng.below(6);
    s.snapshot_pace.piece_bytes = uint64_t{64} << prng.below(6);
    s.snapshot_pace.unanswered_max = prng.between(1, 4);
    s.snapshot_pace.ask_after = milliseconds(prng.between(200, 1000));
    s.snapshot_pace.give_up_after = milliseconds(prng.between(1000, 8000));
    s.change_timeout = milliseconds(prng.between(1000, 10'000));
    s.engine_flush_begins = 1.0 / static_cast<double>(prng.between(4, 256));
    s.engine_would_block = prng.chance(0.5) ? 0.0 : prng.unit() * 0.2;
    s.command_timeout = milliseconds(prng.between(800, 3000));
    s.sync_latency_max = microseconds(prng.chance(0.5) ? 1500 : prng.between(1500, 30'000));
    s.faults_from_birth = prng.chance(0.2);
    return s;
}

}  // namespace

Cluster::Cluster(const Profile& profile, ProcessFactory factory, Story story)
    : profile_(profile),
      factory_(std::move(factory)),
      story_(std::move(story)),
      world_(profile.seed),
      prng_(world_.split_prng()) {
    sizes_ = draw_sizes(prng_);
    const auto name_of = [](uint64_t i) {
        return std::string(1, static_cast<char>('a' + i % 26)) +
               (i < 26 ? "" : std::to_string(i / 26));
    };
    const uint64_t drawn = prng_.between(0, 2) + (profile.shards() > 1 ? 1 : 0);
    for (uint64_t i = profile.world.keyspaces.low ? profile.world.keyspaces.low : drawn; i > 0; --i)
        keyspaces_.push_back(name_of(i - 1));
    if (!profile.fault<KeyspaceFault>() && !has_step(profile.script, "keyspaces"))
        founded_ = keyspaces_;
    else if (keyspaces_.empty())
        keyspaces_.push_back(name_of(0));
    const auto* clock = profile.fault<ClockFault>();
    for (uint64_t i = 0; i < profile.nodes(); ++i) {
        auto machine = std::make_unique<Machine>();
        Machine& m = *machine;
        m.name = "n" + std::to_string(i + 1);
        m.peer = {m.name, kPeerPort};
        m.door = {m.name, kDoorPort};
        m.founder = i == 0;
        m.prng = prng_.split();
        NodeOptions options;
        options.shards = profile.shards();
        if (clock) {
            options.wall_offset = draw_between(prng_, clock->offset);
            const auto width = static_cast<uint64_t>(clock->drift.high - clock->drift.low);
            options.drift_ppm = clock->drift.low + static_cast<int64_t>(prng_.between(0, width));
            if (clock->fast.low > 0 && prng_.chance(clock->fast.low)) {
                options.drift_ppm = kFastPpm;
                world_.faults().hit("clock.fast");
            }
        }
        options.disk = [&m](port::Shard& shard, Prng prng) -> std::unique_ptr<port::Disk> {
            return std::make_unique<SimDisk>(m.image, shard, m.disk_faults, prng, &m.disk_counts);
        };
        options.after_crash = [this, &m](CrashKind kind) { power_lost(m, kind); };
        m.on_snapshot_piece = [this, i = static_cast<uint32_t>(i)] { snapshot_piece_came(i); };
        m.index = world_.add_node(m.name, std::move(options));
        machines_.push_back(std::move(machine));
    }
    processes_.resize(machines_.size());
    troubles_.resize(machines_.size());
    node_ids_.resize(machines_.size());
    // Of the World's own lines the story takes what nodes log; the rest is one line per event.
    if (story_)
        world_.set_text_trace([this](std::string_view line) {
            if (const size_t at = line.find(" log "); at != std::string_view::npos)
                tell(line.substr(line.find(' ') + 1));
        });
    world_.set_default_link({});
    world_.set_crash_listener(
        [this](NodeIndex node, std::string_view reason) { on_crash(node, reason); });
    for (uint32_t i = 0; i < machines_.size(); ++i)
        apply_disk(i);
    make_twin();
    make_stranger();
}

// Machines that only some scenarios need come last, so that the others are the same without.
void Cluster::make_stranger() {
    if (!profile_.fault<StrangerFault>() && !has_step(profile_.script, "strangers")) return;
    NodeOptions options;
    options.authenticated = false;
    const NodeIndex node = world_.add_node("stranger", std::move(options));
    Prng prng = prng_.split();
    world_.boot(node, [&](const std::vector<port::Shard*>& shards) {
        auto stranger = std::make_shared<Stranger>(*shards[0], world_.faults(), prng);
        stranger_ = stranger;
        return stranger;
    });
}

void Cluster::say(std::string_view line) {
    world_.trace(line);
    tell(line);
}

void Cluster::tell(std::string_view line) const {
    if (story_) story_(seconds_text(now()) + " " + std::string(line));
}

// ------------------------------------------------------------------------------- processes

void Cluster::boot_all() {
    for (auto& m : machines_)
        boot(*m);
    watch();
}

Process* Cluster::process(size_t machine) const { return processes_[machine].lock().get(); }

std::optional<uint32_t> Cluster::index_of(NodeIndex node) const {
    for (uint32_t i = 0; i < machines_.size(); ++i)
        if (machines_[i]->index == node) return i;
    return {};
}

void Cluster::boot(Machine& m) {
    const auto i = *index_of(m.index);
    const Trouble& t = troubles_[i];
    if (world_.up(m.index) || t.banned) return;
    if (now() < t.down_until) return boot_later(m, t.down_until - now());
    ++m.boots;
    say(m.name + " starts");
    apply_disk(i);
    world_.boot(m.index, [this, &m, i](const std::vector<port::Shard*>& shards) {
        auto made = factory_({world_, m, machines_, founded_, sizes_, shards, world_.faults()});
        processes_[i] = made;
        return made;
    });
    if (faults_on_) start_badly(i);
}

void Cluster::boot_later(Machine& m, Duration delay) {
    world_.call_at(world_.now() + delay, [this, &m] { boot(m); });
}

void Cluster::power_lost(Machine& m, CrashKind kind) {
    m.engine.crash(m.prng);
    if (kind == CrashKind::Kill) return m.image.kill();
    const CrashLoss loss = m.image.crash(m.prng);
    if (loss.bytes == 0 && loss.directory_operations == 0) return;
    ++m.crashes_losing_data;
    world_.faults().hit("disk.unsynced_lost");
    if (loss.torn > 0) world_.faults().hit("disk.torn_write");
    if (loss.holes > 0) world_.faults().hit("disk.earlier_lost_later_kept");
    say(m.name + " lost " + std::to_string(loss.bytes) + " unsynced bytes and " +
        std::to_string(loss.directory_operations) + " names");
}

void Cluster::on_crash(NodeIndex node, std::string_view reason) {
    const auto i = index_of(node);
    if (!i) return;
    Machine& m = *machines_[*i];
    ++m.crashes;
    say(m.name + " is down" + (reason.empty() ? "" : ": " + std::string(reason)));
    if (!reason.empty() && m.last_reason.empty()) m.last_reason = reason;
    const bool starting = m.ready_boot != m.boots;
    if (reason.empty() && starting && m.boots > 1) world_.faults().hit("crash.in_recovery");
    Trouble& t = troubles_[*i];
    if (t.doomed && starting && !reason.empty()) world_.faults().hit("node.refused");
    // What its disk lied about may have been the newest that it had, which nothing shows.
    if (t.lying && m.image.lie_told()) {
        t.banned = true;
        say(m.name + " is given up: its disk lied about the last that it wrote");
    }
    // A second process on one machine, or what people do to a directory nobody uses.
    if (twin_ && twin_image_ == &m.image) world_.crash(twin_->index);
    do_harm(*i);
    boot_later(m, t.doomed ? milliseconds(prng_.between(500, 2000))
                           : milliseconds(prng_.between(20, 500)));
}

bool Cluster::ready(const std::vector<uint32_t>& nodes) const {
    return std::all_of(nodes.begin(), nodes.end(), [this](uint32_t i) {
        const Process* p = process(i);
        return world_.up(machines_[i]->index) && p && p->ready();
    });
}

// ------------------------------------------------------------------------------- watching

void Cluster::watch() {
    for (size_t i = 0; i < machines_.size(); ++i)
        if (const Process* p = process(i)) {
            if (!node_ids_[i]) node_ids_[i] = p->node();
            for (const ReplicaView& replica : p->replicas()) {
                look(*machines_[i], replica);
                look_at_members(static_cast<uint32_t>(i), replica);
                look_at_snapshots(static_cast<uint32_t>(i), replica);
                look_at_removed(static_cast<uint32_t>(i), replica);
                look_at_witness(static_cast<uint32_t>(i), replica);
            }
            if (p->ready()) look_at_catalogue(static_cast<uint32_t>(i), p->catalogue());
        }
    if (!all_were_ready_) {
        std::vector<uint32_t> all(machines_.size());
        std::iota(all.begin(), all.end(), 0u);
        all_were_ready_ = ready(all);
    }
    if (faults_on_) clog_some();
    for (uint32_t i = 0; i < machines_.size(); ++i)
        look_at_lie(i);
    look_at_twin();
    world_.call_at(world_.now() + kWatch, [this] { watch(); });
}

void Cluster::breach(std::string text) {
    if (breaches_.size() < kBreachesMax) breaches_.push_back(text);
    say("BREACH " + text);
}

void Cluster::look(const Machine& m, const ReplicaView& r) {
    const std::string group = "group " + to_string(r.group);
    // Frames have checksums and all peers are of this build: nobody can have a reason to.
    if (r.refused_messages && breaches_.size() < kBreachesMax)
        breach(group + " on " + m.name + " refused messages that no correct peer can send");
    const bool doomed = troubles_[*index_of(m.index)].doomed;
    if (r.stopped && !doomed && breaches_.size() < kBreachesMax)
        breach(group + " stopped on " + m.name + ": " + r.stopped_why);
    note_lead(m, r);
    if (!r.leads) return;
    const auto [it, fresh] = leaders_.try_emplace({r.group, r.term}, m.index);
    if (fresh) say(m.name + " leads " + group + " in term " + to_string(r.term));
    if (it->second != m.index)
        breach("two leaders of " + group + " in term " + to_string(r.term) + ": " +
               world_.name(it->second) + " and " + m.name);
}

void Cluster::note_lead(const Machine& m, const ReplicaView& r) {
    if (const auto [it, fresh] = highest_.try_emplace(r.group, r.term);
        fresh || it->second < r.term) {
        it->second = r.term;
        timeline_.terms.push_back({r.group, r.term, now()});
    }
    if (!r.leads) return;
    const uint32_t node = *index_of(m.index);
    for (Lead& lead : timeline_.leads)
        if (lead.group == r.group && lead.term == r.term && lead.node == node) {
            lead.last = now();
            return;
        }
    timeline_.leads.push_back({r.group, node, r.term, now(), now()});
}

// Of the group that clients use most, as last seen.
std::optional<uint32_t> Cluster::leader() const {
    constexpr GroupId kDefault{2}, kNext{3};
    const auto next = leaders_.lower_bound({kNext, Term(0)});
    if (next == leaders_.begin() || std::prev(next)->first.first != kDefault) return {};
    return index_of(std::prev(next)->second);
}

std::string Cluster::settled(const std::vector<uint32_t>& nodes) const {
    struct Seen {
        size_t leaders = 0;
        std::vector<std::pair<uint32_t, ReplicaView>> replicas;
    };
    std::map<GroupId, Seen> groups;
    for (const auto& [group, known] : groups_)
        groups[group];
    for (const uint32_t i : nodes) {
        const Process* p = process(i);
        if (!p || !p->ready())
            return machines_[i]->name + " is not up: " + machines_[i]->last_reason;
        for (const ReplicaView& r : p->replicas()) {
            Seen& seen = groups[r.group];
            seen.leaders += r.leads;
            seen.replicas.emplace_back(i, r);
        }
    }
    std::vector<GroupId> there;
    if (std::string missing = keyspaces_settled(nodes, there); !missing.empty()) return missing;
    for (const auto& [group, seen] : groups) {
        const std::string name = "group " + to_string(group);
        if (!there.empty() && std::ranges::find(there, group) == there.end()) {
            if (seen.replicas.empty()) continue;
            return name + " was dropped, and " + machines_[seen.replicas.front().first]->name +
                   " has a replica of it";
        }
        if (seen.leaders != 1) return name + " has " + std::to_string(seen.leaders) + " leaders";
        if (std::string missing = members_settled(nodes, group); !missing.empty()) return missing;
        const auto& [i1, first] = *std::ranges::find_if(
            seen.replicas, [](const auto& replica) { return replica.second.leads; });
        for (const auto& [i, r] : seen.replicas)
            if (is_member(r) && (r.in_engine != r.last || r.applied != first.applied))
                return name + ": " + machines_[i]->name + " " + describe(r) + "; " +
                       machines_[i1]->name + " " + describe(first);
    }
    return {};
}

std::string Cluster::describe_nodes() const {
    std::string out;
    for (size_t i = 0; i < machines_.size(); ++i)
        if (const Process* p = process(i)) out += machines_[i]->name + ":\n" + p->describe();
    return out;
}

void Cluster::compare_contents(const std::vector<uint32_t>& nodes) {
    std::map<GroupId, std::pair<uint32_t, ContentView>> first;
    for (const uint32_t i : nodes) {
        const Process* p = process(i);
        if (!p) continue;
        for (const GroupId group : p->leftovers())
            breaches_.push_back("group " + to_string(group) + ": " + machines_[i]->name +
                                " holds content of it and no replica");
        for (const ContentView& view : p->contents()) {
            if (!is_member({.group = view.group, .self = view.self})) continue;
            if (view.witness) {
                // Of the state it has only how far it is.
                if (view.keys > 1)
                    breaches_.push_back("group " + to_string(view.group) + ": the witness " +
                                        machines_[i]->name + " holds state, " +
                                        std::to_string(view.keys) + " keys");
                continue;
            }
            if (!view.misplaced.empty())
                breaches_.push_back("group " + to_string(view.group) + ": " + machines_[i]->name +
                                    " holds " + view.misplaced + ", which is another group's");
            const auto [it, fresh] = first.try_emplace(view.group, i, view);
            const auto& [other, expected] = it->second;
            if (fresh || (expected.applied == view.applied && expected.digest == view.digest &&
                          expected.keys == view.keys))
                continue;
            breaches_.push_back(
                "group " + to_string(view.group) + ": " + machines_[i]->name +
                " holds other content than " + machines_[other]->name + " (applied " +
                to_string(view.applied) + ", " + std::to_string(view.keys) + " keys; applied " +
                to_string(expected.applied) + ", " + std::to_string(expected.keys) + " keys)");
        }
    }
}

// ------------------------------------------------------------------------------- figures

void Cluster::add_stats(SeedStats& stats) const {
    stats.leader_changes = leaders_.size();
    stats.partitions = partitions_;
    stats.members = member_changes_;
    for (size_t i = 0; i < machines_.size(); ++i)
        if (const Process* p = process(i))
            for (const auto& [site, hits] : p->counted())
                stats.sites[site] += hits;
    SimDisk::Counts disks;
    engine::MemCounts engines;
    for (const auto& m : machines_) {
        stats.crashes += m->crashes;
        stats.crashes_losing_data += m->crashes_losing_data;
        disks.add(m->disk_counts);
        for (const auto& [site, hits] : m->counted)
            stats.sites[site] += hits;
        const engine::MemCounts& e = m->engine.counts();
        engines.stalls += e.stalls, engines.flush_failures += e.flush_failures;
        engines.damaged_reads += e.damaged_reads, engines.would_block += e.would_block;
        engines.full += e.full;
    }
    for (const auto& [site, hits] : world_.faults().report())
        if (hits > 0) stats.sites[site] += hits;
    const std::pair<const char*, uint64_t> more[] = {
        {"disk.stall", disks.stalls},
        {"disk.write_error", disks.write_errors},
        {"disk.sync_error", disks.sync_errors},
        {"disk.no_space", disks.no_space},
        {"disk.read_error", disks.read_errors},
        {"disk.misdirected", disks.misdirected},
        {"disk.lost_write", disks.lost},
        {"disk.no_files", disks.no_files},
        {"engine.stall", engines.stalls},
        {"engine.flush_failed", engines.flush_failures},
        {"engine.full", engines.full},
        {"engine.would_block", engines.would_block},
        {"engine.damaged", engines.damaged_reads},
    };
    if (const auto it = stats.sites.find("snapshot.installed"); it != stats.sites.end())
        stats.snapshots = it->second;
    for (const auto& [site, hits] : more)
        if (hits > 0) stats.sites[site] += hits;
    for (const auto& [site, hits] : stats.sites)
        stats.fault_hits += hits;
    stats.simulated_seconds = static_cast<double>(now().count()) / 1e9;
}

}  // namespace asterias::sim
