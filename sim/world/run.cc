#include "sim/world/run.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "sim/check/checks.h"
#include "sim/scenario/params.h"
#include "sim/world/client.h"
#include "sim/world/raft_process.h"

namespace asterias::sim {
namespace {

constexpr Duration kBirth = seconds(60);
constexpr Duration kAfterHealing = seconds(2);  // clients go on for so long
// What is asked within kCounted must mostly be answered within kTail after it.
constexpr Duration kCounted = seconds(2), kTail = milliseconds(500);
constexpr uint64_t kReaderIds = 1'000'000;
constexpr uint64_t kOperatorId = 2'000'000;

// The second of a World's streams; the first is the Cluster's.
Schedule draw_schedule(const Profile& profile, World& world) {
    return make_schedule(profile, world.split_prng());
}

// Of a fault what happens per operation or from the start; empty: nothing.
struct NotScheduled {
    template <typename F>
    std::optional<FaultSpec> operator()(const F& fault) const {
        constexpr bool kAlways = std::is_same_v<F, DiskFault> || std::is_same_v<F, NetFault> ||
                                 std::is_same_v<F, FrameFault> || std::is_same_v<F, EngineFault> ||
                                 std::is_same_v<F, ReplyFault>;
        constexpr bool kPartly = std::is_same_v<F, ClockFault> || std::is_same_v<F, RestartFault>;
        // These have machines of their own, which draw.
        constexpr bool kMachines =
            std::is_same_v<F, StrangerFault> || std::is_same_v<F, DirectoryFault>;
        if constexpr (kAlways) return fault;
        if constexpr (kPartly || kMachines) {
            F rest = fault;
            rest.every.low = rest.every.high = kMachines ? kLongest : Duration(0);
            return rest;
        }
        return {};
    }
};

class Run {
public:
    Run(const Scenario& scenario, uint64_t seed, const RunOptions& options)
        : scenario_(scenario),
          profile_(draw(scenario, seed)),
          factory_(options.factory ? options.factory : RaftProcess::make),
          cluster_(profile_, factory_, options.story) {
        seen_.now = [this] { return cluster_.now(); };
        if (options.story) seen_.say = [this](std::string_view line) { cluster_.tell(line); };
    }

    RunResult go() {
        const bool ended = live();
        if (ended) expect();
        cluster_.world().trace("end");
        judge();
        return std::move(result_);
    }

    // The safety phase alone.
    Timeline quiet() {
        (void)safety();
        return timeline();
    }

private:
    // False: it did not come to its end, and failed() said why.
    bool live() {
        const auto schedule = safety();
        return schedule && liveness(*schedule);
    }

    std::optional<Schedule> safety() {
        std::vector<uint32_t> all(cluster_.machines().size());
        std::iota(all.begin(), all.end(), 0u);
        const Schedule schedule = draw_schedule(profile_, cluster_.world());
        cluster_.boot_all();
        // Faults may strike the founding, too; else it has to succeed first.
        if (!cluster_.sizes().faults_from_birth &&
            !within(kBirth, [&] { return cluster_.ready(all); }))
            return failed("birth: the cluster did not come up: " + cluster_.settled(all)),
                   std::nullopt;
        start_clients();
        cluster_.say("faults begin");
        begin_ = cluster_.now();
        cluster_.begin_faults(schedule);
        if (const auto* replies = profile_.fault<ReplyFault>())
            seen_.lose_reply = replies->lost.low;
        cluster_.world().run_for(schedule.safety_end);
        return schedule;
    }

    bool liveness(Schedule schedule) {
        for (const uint32_t node : schedule.doomed)
            if (profile_.world.core == "all" && !cluster_.harmed(node))
                schedule.core.insert(std::ranges::lower_bound(schedule.core, node), node);
        schedule.core = cluster_.fair_core(std::move(schedule.core));
        const Duration bound = profile_.world.liveness;
        seen_.lose_reply = 0;
        cluster_.heal(schedule.core);
        const Duration healed = cluster_.now();
        cluster_.world().run_for(kAfterHealing);
        const auto served = [&] {
            return std::all_of(clients_.begin(), clients_.end(), [&](const auto& client) {
                return client.lock()->answered_since(healed);
            });
        };
        if (!within(bound, served)) return failed("" + first_unserved(healed));
        if (!serves_most(bound)) return failed("" + first_refused());
        seen_.stopping = true;
        const auto idle = [&] {
            return std::all_of(clients_.begin(), clients_.end(),
                               [](const auto& client) { return client.lock()->idle(); });
        };
        if (!within(bound, idle)) return failed("" + first_busy());
        start_readers(schedule);
        if (!within(bound, idle)) return failed("final reads: " + first_busy());
        std::string missing;
        const auto settled = [&] { return (missing = cluster_.settled(schedule.core)).empty(); };
        if (!within(bound, settled)) return failed("" + missing);
        cluster_.compare_contents(schedule.core);
        return true;
    }

    // One answer may be luck: there has to be a time in which every client gets most of what it
    // asks for, whichever nodes it asks. Late elections may still spoil the first of these times.
    bool serves_most(Duration bound) {
        const auto most = [&] { return first_refused().empty(); };
        for (const Duration end = cluster_.now() + bound; cluster_.now() < end;) {
            const Duration from = cluster_.now();
            for (const auto& client : clients_)
                client.lock()->count_within(from, from + kCounted);
            cluster_.world().run_for(kCounted + kTail);
            if (most()) return true;
        }
        return false;
    }

    Timeline timeline() const {
        Timeline out = cluster_.timeline();
        out.nodes = static_cast<uint32_t>(cluster_.machines().size());
        out.begin = begin_;
        out.end = begin_ + profile_.world.duration;
        out.command_timeout = cluster_.sizes().command_timeout;
        out.asked = seen_.asked;
        return out;
    }

    void expect() {
        const Timeline timeline = this->timeline();
        Timeline quiet;
        const auto rate = [](const Expectation& e) { return e.what == "rate"; };
        if (std::ranges::any_of(scenario_.expected, rate))
            quiet = Run(quiet_of(scenario_), profile_.seed, {{}, factory_}).quiet();
        for (const Expectation& e : scenario_.expected)
            if (const std::string text = unmet(e, timeline, quiet); !text.empty())
                add_finding("expect " + e.what, text);
    }

    // As run_checks() takes it.
    std::optional<Duration> expiry() const {
        for (const Expectation& e : scenario_.expected)
            if (e.what == "expiry") return e.within;
        return {};
    }

    bool within(Duration bound, const std::function<bool()>& done) {
        // Asked now and then: it costs more than an event.
        for (const Duration end = cluster_.now() + bound; cluster_.now() < end;) {
            if (done()) return true;
            cluster_.world().run_for(milliseconds(20));
        }
        return done();
    }
    bool failed(std::string text) {
        add_finding("liveness", std::move(text));
        report_.findings.back().text += cluster_.describe_nodes();
        return false;
    }
    void add_finding(std::string check, std::string text) {
        cluster_.say(text);
        report_.findings.push_back({Verdict::Violation, std::move(check), text + "\n", {}});
    }
    std::string first_unserved(Duration since) const {
        for (const auto& client : clients_)
            if (!client.lock()->answered_since(since))
                return client.lock()->describe() + " and was not answered since everything healed";
        return {};
    }
    std::string first_refused() const {
        for (const auto& client : clients_)
            if (!client.lock()->half_answered())
                return client.lock()->describe() + ", though everything has healed";
        return {};
    }
    std::string first_busy() const {
        for (const auto& client : clients_)
            if (!client.lock()->idle()) return client.lock()->describe();
        return {};
    }

    // --- clients -------------------------------------------------------------------------------

    void add_client(const std::string& name, Client::Plan plan) {
        NodeOptions options;
        options.authenticated = false;
        World& world = cluster_.world();
        const NodeIndex node = world.add_node(name, std::move(options));
        Prng prng = cluster_.prng().split();
        world.boot(node, [&](const std::vector<port::Shard*>& shards) {
            auto client = std::make_shared<Client>(*shards[0], std::move(plan), seen_, prng);
            clients_.push_back(client);
            return client;
        });
    }

    std::vector<Door> doors(const std::vector<uint32_t>& nodes) const {
        std::vector<Door> doors;
        for (const uint32_t i : nodes)
            doors.push_back({i, cluster_.machines()[i]->door});
        return doors;
    }

    // A keyspace that is dropped with its keys: once, some time from now on, or never.
    std::function<void(bool)> note_drop(const std::string& keyspace) {
        if (keyspace != cluster_.keyspaces().front()) return [](bool) {};  // that of the workload
        const OpSource source(profile_.workloads[0], 0, kOperatorId, cluster_.keyspaces(), true,
                              Prng(0));
        Op op;
        op.client = kOperatorId;
        op.kind = OpKind::Wipe;
        op.keys = source.all_keys();
        const auto id = seen_.recorder.invoked(seen_.now(), std::move(op));
        return [this, id](bool refused) {
            refused ? seen_.recorder.failed(id, seen_.now())
                    : seen_.recorder.unknown(id, seen_.now());
        };
    }

    void start_clients() {
        cluster_.on_forced_drop([this](const std::string& name) { return note_drop(name); });
        uint64_t id = 0;
        for (size_t w = 0; w < profile_.workloads.size(); ++w) {
            const Workload& workload = profile_.workloads[w];
            std::vector<uint32_t> nodes;
            for (uint64_t i = std::min(workload.doors.low, profile_.nodes()) - 1;
                 i < profile_.nodes(); ++i)
                if (nodes.empty() || i < workload.doors.high)
                    nodes.push_back(static_cast<uint32_t>(i));
            for (uint64_t i = 0; i < workload.clients.low; ++i) {
                Client::Plan plan;
                plan.id = ++id;
                plan.doors = doors(nodes);
                Prng& prng = cluster_.prng();
                plan.pipeline = prng.between(workload.pipeline.low, workload.pipeline.high);
                plan.gap = Duration(seconds(1)) * static_cast<int64_t>(workload.clients.low) /
                           static_cast<int64_t>(workload.rate.low);
                plan.timeout = workload.timeout;
                plan.reconnect = workload.reconnect.low;
                plan.source.emplace(workload, w, plan.id, cluster_.keyspaces(),
                                    cluster_.keyspaces_come_and_go(), prng.split());
                add_client("c" + std::to_string(id), std::move(plan));
            }
        }
    }

    // Every key that may have been written, once more, through every node.
    void start_readers(const Schedule& schedule) {
        const auto keys = written_keys(seen_.recorder.history());
        for (const uint32_t node : schedule.core) {
            Client::Plan plan;
            plan.id = kReaderIds + node;
            plan.doors = doors({node});
            plan.pipeline = 8;
            plan.gap = milliseconds(1);
            plan.timeout = {seconds(5), seconds(5)};
            for (const std::string& key : keys) {
                Op op;
                op.kind = OpKind::Get;
                op.keys = {key};
                plan.script.push_back(std::move(op));
            }
            add_client("r" + std::to_string(node + 1), std::move(plan));
        }
    }

    // --- verdict -------------------------------------------------------------------------------

    // The findings in the order of their weight: what clients were told, what the replicas did, and
    // only then that something did not come to its end, which may be a consequence.
    void judge() {
        CheckReport unfinished = std::exchange(report_, {});
        seen_.stopping = true;
        History history = seen_.recorder.take();
        CheckReport checked = run_checks(history, scenario_.checks, {}, expiry());
        // Without an end there are no final reads; that alone is not what is wrong.
        if (!unfinished.findings.empty())
            std::erase_if(checked.findings,
                          [](const Finding& f) { return f.verdict == Verdict::Undecided; });
        report_.add(std::move(checked));
        for (const std::string& strange : seen_.strange)
            add_finding("replies", strange);
        for (const std::string& breach : cluster_.breaches())
            add_finding("replicas", breach);
        report_.add(std::move(unfinished));

        SeedStats& stats = result_.stats;
        stats.seed = profile_.seed;
        stats.verdict = report_.verdict();
        count_operations(history, stats);
        cluster_.add_stats(stats);
        if (seen_.timeouts > 0) stats.sites["client.timeout"] += seen_.timeouts;
        if (seen_.replies_lost > 0) stats.sites["client.reply_lost"] += seen_.replies_lost;
        if (const uint64_t seen = expirations_seen(history)) stats.sites["key.expired"] += seen;
        if (stats.verdict != Verdict::Pass) {
            const Finding* worst = &report_.findings.front();
            for (const Finding& f : report_.findings)
                if (f.verdict == stats.verdict) {
                    worst = &f;
                    break;
                }
            stats.failure = worst->check + ": " + worst->text.substr(0, worst->text.find('\n'));
        }
        Trace trace;
        trace.add(cluster_.world().trace_hash());
        trace.add(print(history));
        result_.hash = trace.hash();
        result_.events = cluster_.world().events_executed();
        result_.profile = print(profile_);
        result_.explanation = report_.print();
        result_.history = std::move(history);
    }

    const Scenario& scenario_;
    const Profile profile_;
    const ProcessFactory factory_;
    Observations seen_;
    Duration begin_{0};  // of the safety phase
    RunResult result_;
    CheckReport report_;
    Cluster cluster_;
    std::vector<std::weak_ptr<Client>> clients_;
};

}  // namespace

Scenario spelled_out(const Scenario& scenario, uint64_t seed) {
    const Profile profile = draw(scenario, seed);
    World world(seed);
    (void)world.split_prng();
    Scenario out;
    out.world = profile.world;
    out.workloads = profile.workloads;
    out.checks = scenario.checks;
    out.expected = scenario.expected;
    for (const DrawnFault& drawn : profile.faults)
        if (drawn.level != FaultLevel::Off)
            if (auto rest = std::visit(NotScheduled{}, drawn.fault))
                out.faults.push_back(std::move(*rest));
    for (const FaultEvent& event : draw_schedule(profile, world).events)
        out.script.steps.push_back(step_of(event));
    return out;
}

RunResult run_seed(const Scenario& scenario, uint64_t seed, const RunOptions& options) {
    return Run(scenario, seed, options).go();
}

}  // namespace asterias::sim
