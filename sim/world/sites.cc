// What a scenario is able to do to a cluster: the sites that a sweep has to have hit.
#include <algorithm>

#include "sim/scenario/params.h"
#include "sim/world/run.h"
#include "sim/world/stranger.h"

namespace asterias::sim {
namespace {

void add_sites(std::vector<std::string>& out, std::initializer_list<const char*> names) {
    out.insert(out.end(), names.begin(), names.end());
}
void add_faults(std::vector<std::string>& out, std::initializer_list<sim::Fault> faults) {
    for (const sim::Fault fault : faults)
        out.emplace_back(to_string(fault));
}

struct SitesOf {
    std::vector<std::string>& out;

    void operator()(const PartitionFault& f) const {
        add_faults(out, {Fault::LinkCut, Fault::LinkHealed});
        for (const std::string_view mode : Words(kPartitionWords))
            if (mode != "any" && (f.mode == mode || f.mode == "any"))
                out.push_back("partition." + std::string(mode));
    }
    void operator()(const CrashFault& f) const {
        add_faults(out, {Fault::CrashBeforeTurn, Fault::CrashMidTurn, Fault::CrashBeforeWork,
                         Fault::CrashBeforeFlush, Fault::CrashMidFlush, Fault::CrashBeforeSync,
                         Fault::CrashAfterTurn, Fault::PeerSawClose, Fault::PeerSawReset,
                         Fault::PeerHalfOpen, Fault::ConnectRefused});
        if (f.lose.low > 0) add_faults(out, {Fault::CrashPowerCut});
        if (f.lose.low > 0) add_sites(out, {"disk.unsynced_lost", "disk.torn_write"});
    }
    void operator()(const PauseFault&) const { add_faults(out, {Fault::Paused}); }
    void operator()(const DiskFault& f) const {
        if (f.stall.high > 0) add_sites(out, {"disk.stall"});
        if (f.error.high > 0) add_sites(out, {"disk.write_error", "disk.sync_error"});
        if (f.read_error.high > 0) add_sites(out, {"disk.read_error"});
    }
    void operator()(const SlowDiskFault&) const { add_sites(out, {"disk.slow"}); }
    void operator()(const FullDiskFault&) const { add_sites(out, {"disk.no_space"}); }
    void operator()(const ClockFault& f) const {
        if (f.every.high > Duration(0)) add_faults(out, {Fault::WallStepped});
        if (f.strobe.high > 0) add_sites(out, {"clock.strobed"});
        if (f.fast.high > 0) add_sites(out, {"clock.fast"});
        if (f.zero.high > 0) add_sites(out, {"clock.at_zero"});
    }
    void operator()(const NetFault& f) const {
        if (f.loss.high > 0) add_faults(out, {Fault::ConnectionBroken, Fault::PacketLost});
        if (f.corrupt.high > 0) add_faults(out, {Fault::Corrupted});
        if (f.clog.high > 0) add_faults(out, {Fault::LinkClogged});
        if (f.small.high > 0) add_sites(out, {"net.small_link"});
        if (f.small.high > 0) add_faults(out, {Fault::WindowFull});
        if (f.half_open.high > 0) add_sites(out, {"net.half_open"});
    }
    void operator()(const FrameFault& f) const {
        if (f.drop.high > 0) add_sites(out, {"frame.dropped"});
        if (f.duplicate.high > 0) add_sites(out, {"frame.duplicated"});
        if (f.late.high > 0) add_sites(out, {"frame.late"});
    }
    void operator()(const RestartFault& f) const {
        if (f.again.high > 0) add_sites(out, {"crash.in_recovery"});
        if (f.install.high > 0)
            add_sites(out,
                      {"crash.at_snapshot", "crash.snapshot_staging", "crash.snapshot_beginning",
                       "crash.snapshot_replacing", "crash.snapshot_loading", "snapshot.installed",
                       "snapshot.resumed", "snapshot.given_up", "snapshot.refused"});
        if (f.every.high > Duration(0)) add_sites(out, {"crash.loop"});
    }
    void operator()(const LimitFault&) const {
        add_sites(out, {"disk.no_files"});
        add_faults(out, {Fault::OutOfFiles});
    }
    void operator()(const EngineFault& f) const {
        if (f.stall.high > 0) add_sites(out, {"engine.stall"});
        if (f.flush.high > 0) add_sites(out, {"engine.flush_failed"});
    }
    void operator()(const StrangerFault&) const {
        for (uint8_t visit = 0; visit < static_cast<uint8_t>(Visit::kCount); ++visit)
            out.emplace_back(site_of(Visit(visit)));
        out.emplace_back(kTurnedAway);
        out.emplace_back(kStorm);
    }
    void operator()(const ReplyFault&) const { add_sites(out, {"client.reply_lost"}); }
    void operator()(const RotFault& f) const {
        const auto may = [&f](std::string_view mode) { return f.mode == mode || f.mode == "any"; };
        if (may("journal") || may("recent")) add_sites(out, {"disk.bit_rot"});
        if (may("engine")) add_sites(out, {"engine.damaged"});
        if (may("write")) add_sites(out, {"disk.lost_write", "disk.misdirected"});
        if (f.mode != "engine") add_sites(out, {"node.refused"});
    }
    void operator()(const DirectoryFault& f) const {
        out.push_back("directory." + f.mode);
        if (f.mode == "twin" || f.mode == "copied") add_sites(out, {"twin.refused"});
    }
    void operator()(const MemberFault& f) const {
        add_sites(out, {"members.done", "members.refused", "members.unknown"});
        if (f.mode == "any")
            add_sites(out, {"members.add", "members.remove", "members.replace", "members.transfer",
                            "members.add_witness", "members.remove_witness"});
    }
    void operator()(const KeyspaceFault& f) const {
        if (f.mode == "any" || f.mode == "create") add_sites(out, {"keyspaces.created"});
        if (f.mode == "any" || f.mode == "drop") add_sites(out, {"keyspaces.kept"});
        if (f.mode == "force" || f.force.high > 0) add_sites(out, {"keyspaces.forced"});
    }
};

// Empty: it counts nothing by itself.
std::string site_of_step(const Step& step) {
    static constexpr std::pair<std::string_view, std::string_view> kSites[] = {
        {"pause", "node.paused"},         {"slow", "disk.slow"},
        {"loop", "crash.loop"},           {"limits", "node.out_of_files"},
        {"jump", "clock.wall_stepped"},   {"strobe", "clock.strobed"},
        {"isolate", "partition.isolate"}, {"split", "partition.split"},
        {"oneway", "partition.oneway"},   {"cut", "partition.cut"},
        {"members", "members.done"},
    };
    for (const auto& [verb, site] : kSites)
        if (step.verb == verb) return std::string(site);
    if (step.verb == "rot" && (step.what == "journal" || step.what == "recent"))
        return "disk.bit_rot";
    if (step.verb == "members" && step.what == "witness") return "witness.led";
    if (step.verb == "directory") return "directory." + step.what;
    return {};
}

}  // namespace

std::vector<std::string> expected_sites(const Scenario& scenario) {
    std::vector<std::string> sites;
    for (const Workload& workload : scenario.workloads)
        if (workload.expire.high > 0) sites.emplace_back("key.expired");
    for (const FaultSpec& fault : scenario.faults)
        std::visit(SitesOf{sites}, fault);
    for (const Step& step : scenario.script.steps)
        if (const std::string site = site_of_step(step); !site.empty()) sites.push_back(site);
    std::sort(sites.begin(), sites.end());
    sites.erase(std::unique(sites.begin(), sites.end()), sites.end());
    return sites;
}

}  // namespace asterias::sim
