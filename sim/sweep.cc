#include "sim/sweep.h"

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "sim/minimise.h"

namespace asterias::sim {
namespace {

constexpr unsigned kPatienceSeconds = 300;  // of real time, for one seed
constexpr size_t kErrorBytesMax = 4000;
// Below so many seeds a sweep is a sample, in which rare things need not have happened.
constexpr uint64_t kSeedsForRequirements = 50;
constexpr uint64_t kSeedsForSites = 300;

std::string read_all(std::FILE* file) {
    std::string text;
    std::rewind(file);
    char block[65536];
    while (const size_t n = std::fread(block, 1, sizeof block, file))
        text.append(block, n);
    return text;
}

struct Child {
    size_t index;
    std::FILE* output;
    std::FILE* errors;
};

[[noreturn]] void be_the_child(const Child& child, size_t i,
                               const std::function<std::string(size_t)>& work) {
    ::dup2(fileno(child.errors), STDERR_FILENO);
    ::alarm(kPatienceSeconds);
    const std::string out = work(i);
    std::fwrite(out.data(), 1, out.size(), child.output);
    std::fflush(nullptr);
    ::_exit(0);
}

Remains bury(const Child& child, int status) {
    Remains r;
    r.output = read_all(child.output);
    r.errors = read_all(child.errors);
    if (r.errors.size() > kErrorBytesMax) r.errors.erase(0, r.errors.size() - kErrorBytesMax);
    std::fclose(child.output);
    std::fclose(child.errors);
    r.ended_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (WIFSIGNALED(status))
        r.how = WTERMSIG(status) == SIGALRM
                    ? "no end within " + std::to_string(kPatienceSeconds) + " s"
                    : "signal " + std::to_string(WTERMSIG(status));
    else if (!r.ended_well)
        r.how = "exit " + std::to_string(WEXITSTATUS(status));
    return r;
}

double cpu_seconds(int of = RUSAGE_SELF) {
    rusage usage{};
    ::getrusage(of, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

}  // namespace

void in_processes(size_t count, size_t jobs, const std::function<std::string(size_t)>& work,
                  const std::function<bool(size_t, Remains)>& done) {
    std::map<pid_t, Child> running;
    std::map<size_t, Remains> ended;  // before others that began earlier
    size_t next = 0, reported = 0;
    bool go_on = true;
    while ((go_on && reported < count) || !running.empty()) {
        while (go_on && next < count && running.size() < jobs) {
            const Child child{next, std::tmpfile(), std::tmpfile()};
            CHECK(child.output && child.errors, "there is room for temporary files");
            std::fflush(nullptr);
            const pid_t pid = ::fork();
            CHECK(pid >= 0, "the machine has room for one more process");
            if (pid == 0) be_the_child(child, next, work);
            running.emplace(pid, child);
            ++next;
        }
        if (running.empty()) break;
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, 0);
        const auto it = running.find(pid);
        if (it == running.end()) continue;
        ended.emplace(it->second.index, bury(it->second, status));
        running.erase(it);
        for (auto e = ended.find(reported); go_on && e != ended.end(); e = ended.find(reported)) {
            go_on = done(reported++, std::move(e->second));
            ended.erase(e);
        }
        if (!go_on)
            for (const auto& [other, child] : running)
                ::kill(other, SIGKILL);
    }
}

// --- one seed ----------------------------------------------------------------------------------

SeedOutcome run_measured(const Scenario& scenario, uint64_t seed, bool twice, const Story& story) {
    const double before = cpu_seconds();
    RunOptions options;
    options.story = story;
    RunResult result = run_seed(scenario, seed, options);
    SeedOutcome out{std::move(result.stats), result.hash, result.events, std::move(result.profile),
                    std::move(result.explanation)};
    out.stats.cpu_seconds = cpu_seconds() - before;
    if (!twice) return out;
    const RunResult again = run_seed(scenario, seed);
    if (again.hash == out.hash) return out;
    out.stats.verdict = Verdict::Violation;
    out.stats.failure = "determinism: the same seed ran differently the second time";
    out.explanation += out.stats.failure + "\n";
    return out;
}

namespace {

void put(std::string& out, std::string_view name, std::string_view value) {
    out += std::string(name) + " " + std::to_string(value.size()) + " " + std::string(value) + "\n";
}

// "name size bytes\n" again and again.
std::map<std::string, std::string> fields_of(std::string_view text) {
    std::map<std::string, std::string> fields;
    while (true) {
        const size_t space = text.find(' ');
        if (space == std::string_view::npos) return fields;
        size_t size = 0;
        const auto [end, error] =
            std::from_chars(text.data() + space + 1, text.data() + text.size(), size);
        const size_t at = static_cast<size_t>(end - text.data()) + 1;
        if (error != std::errc() || at + size >= text.size()) return fields;
        fields[std::string(text.substr(0, space))] = text.substr(at, size);
        text.remove_prefix(at + size + 1);
    }
}

uint64_t number(const std::string& text) {
    uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

struct Figure {
    const char* name;
    uint64_t SeedStats::* at;
};
constexpr Figure kFigures[] = {
    {"operations", &SeedStats::operations},
    {"unknown", &SeedStats::unknown},
    {"failed", &SeedStats::failed},
    {"leader_changes", &SeedStats::leader_changes},
    {"crashes", &SeedStats::crashes},
    {"crashes_losing_data", &SeedStats::crashes_losing_data},
    {"partitions", &SeedStats::partitions},
    {"snapshots", &SeedStats::snapshots},
    {"members", &SeedStats::members},
    {"fault_hits", &SeedStats::fault_hits},
};

}  // namespace

std::string encode(const SeedOutcome& o) {
    std::string out;
    put(out, "seed", std::to_string(o.stats.seed));
    put(out, "verdict", std::to_string(static_cast<int>(o.stats.verdict)));
    put(out, "failure", o.stats.failure);
    for (const Figure& f : kFigures)
        put(out, f.name, std::to_string(o.stats.*f.at));
    put(out, "simulated_us",
        std::to_string(static_cast<uint64_t>(o.stats.simulated_seconds * 1e6)));
    put(out, "cpu_us", std::to_string(static_cast<uint64_t>(o.stats.cpu_seconds * 1e6)));
    for (const auto& [site, hits] : o.stats.sites)
        put(out, "site:" + site, std::to_string(hits));
    put(out, "hash", std::to_string(o.hash));
    put(out, "events", std::to_string(o.events));
    put(out, "profile", o.profile);
    put(out, "explanation", o.explanation);
    put(out, "end", "");
    return out;
}

SeedOutcome decode(uint64_t seed, const Remains& remains) {
    SeedOutcome o;
    auto fields = fields_of(remains.output);
    if (!remains.ended_well || !fields.contains("end")) {
        o.stats.seed = seed;
        o.stats.verdict = Verdict::Violation;
        std::string last = remains.errors;
        while (!last.empty() && last.back() == '\n')
            last.pop_back();
        last.erase(0, last.find_last_of('\n') + 1);
        o.stats.failure = "process: " + (last.empty() ? remains.how : last);
        o.explanation = "the process of this seed ended: " + remains.how + "\n" + remains.errors;
        return o;
    }
    o.stats.seed = number(fields["seed"]);
    o.stats.verdict = static_cast<Verdict>(number(fields["verdict"]));
    o.stats.failure = fields["failure"];
    for (const Figure& f : kFigures)
        o.stats.*f.at = number(fields[f.name]);
    o.stats.simulated_seconds = static_cast<double>(number(fields["simulated_us"])) / 1e6;
    o.stats.cpu_seconds = static_cast<double>(number(fields["cpu_us"])) / 1e6;
    for (const auto& [name, value] : fields)
        if (name.starts_with("site:")) o.stats.sites[name.substr(5)] = number(value);
    o.hash = number(fields["hash"]);
    o.events = number(fields["events"]);
    o.profile = fields["profile"];
    o.explanation = fields["explanation"];
    return o;
}

// --- many seeds --------------------------------------------------------------------------------

namespace {

// No other process of this one may be running.
void print_smallest(const SweepPlan& plan, const Scenario& scenario, const SeedOutcome& failed) {
    const uint64_t seed = failed.stats.seed;
    const Fails fails = [&](const Scenario& candidate) {
        std::string failure;
        in_processes(
            1, 1, [&](size_t) { return encode(run_measured(candidate, seed, false, {})); },
            [&](size_t, Remains remains) {
                const SeedOutcome o = decode(seed, remains);
                if (o.stats.verdict == Verdict::Violation) failure = o.stats.failure;
                return true;
            });
        return failure;
    };
    const double end = cpu_seconds(RUSAGE_CHILDREN) + plan.shrink_cpu_seconds;
    const Minimal minimal = minimise(spelled_out(scenario, seed), failed.stats.failure, fails,
                                     [end] { return cpu_seconds(RUSAGE_CHILDREN) >= end; });
    if (!minimal.reproduced) {
        std::printf("seed %" PRIu64
                    " could not be made smaller: spelled out as a script it does "
                    "not fail in the same way\n",
                    seed);
        return;
    }
    std::printf("The smallest scenario found that fails so, after %" PRIu64
                " runs; in a FILE: %s --scenario FILE --seed %" PRIu64 " --trace\n%s\n",
                minimal.tries, plan.program.c_str(), seed, print(minimal.scenario).c_str());
}

}  // namespace

bool run_sweep(const SweepPlan& plan, const Scenario& scenario) {
    const bool whole = plan.seeds >= kSeedsForRequirements;
    SweepReport report(whole ? scenario.required : std::vector<Requirement>{});
    if (plan.seeds >= kSeedsForSites)
        for (std::string& site : expected_sites(scenario))
            report.know_site(std::move(site));
    uint64_t failed = 0, operations = 0, crashes = 0, leaders = 0;
    double simulated = 0, cpu = 0;
    std::optional<SeedOutcome> first_failed;
    const auto done = [&](size_t i, Remains remains) {
        const SeedOutcome o = decode(plan.from + i, remains);
        if (plan.hashes)
            std::printf("seed %" PRIu64 " hash %016" PRIx64 " events %" PRIu64 "\n", o.stats.seed,
                        o.hash, o.events);
        if (o.stats.verdict != Verdict::Pass) {
            ++failed;
            if (!first_failed && o.stats.verdict == Verdict::Violation) first_failed = o;
            std::printf("FAILED seed %" PRIu64 ": %s\n  replay: %s --scenario %s --seed %" PRIu64
                        " --trace\n%s%s\n",
                        o.stats.seed, o.stats.failure.c_str(), plan.program.c_str(),
                        plan.scenario.c_str(), o.stats.seed, o.profile.c_str(),
                        o.explanation.c_str());
        }
        operations += o.stats.operations;
        crashes += o.stats.crashes;
        leaders += o.stats.leader_changes;
        simulated += o.stats.simulated_seconds;
        cpu += o.stats.cpu_seconds;
        report.add(o.stats);
        std::fflush(stdout);
        return true;
    };
    in_processes(
        plan.seeds, plan.jobs,
        [&](size_t i) { return encode(run_measured(scenario, plan.from + i, plan.twice, {})); },
        done);
    if (first_failed && plan.shrink_cpu_seconds > 0 && !plan.twice)
        print_smallest(plan, scenario, *first_failed);
    std::printf("%s", report.print().c_str());
    if (plan.seeds < kSeedsForSites)
        std::printf("(a sample: required figures are judged from %" PRIu64
                    " seeds on, silent fault sites from %" PRIu64 " on)\n",
                    kSeedsForRequirements, kSeedsForSites);
    const bool passed = report.passed();
    std::printf("%s: %" PRIu64 " seeds of %s%s, %" PRIu64 " failed; %" PRIu64
                " operations, %" PRIu64 " crashes, %" PRIu64
                " leaders in %.0f simulated s; %.0f simulated s per CPU s\n",
                passed ? "passed" : "FAILED", plan.seeds, plan.scenario.c_str(),
                plan.twice ? ", each twice" : "", failed, operations, crashes, leaders, simulated,
                cpu > 0 ? simulated / cpu : 0.0);
    return passed;
}

}  // namespace asterias::sim
