#include "sim/scenario/schedule.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>

#include "sim/scenario/params.h"
#include "sim/scenario/text.h"

namespace asterias::sim {

namespace {

using Nodes = std::vector<uint32_t>;

Duration draw_time(const Times& range, Prng& prng) {
    const auto width = static_cast<uint64_t>((range.high - range.low).count());
    return range.low + Duration(static_cast<int64_t>(prng.between(0, width)));
}

// `count` different nodes, sorted.
Nodes pick(uint64_t nodes, uint64_t count, Prng& prng) {
    Nodes all(nodes);
    std::iota(all.begin(), all.end(), 0u);
    prng.shuffle(all);
    all.resize(std::min(count, nodes));
    std::sort(all.begin(), all.end());
    return all;
}

uint64_t minority(uint64_t nodes) { return std::max<uint64_t>((nodes - 1) / 2, 1); }

Nodes pick_by_mode(const std::string& mode, uint64_t nodes, Prng& prng) {
    if (mode == "minority") return pick(nodes, prng.between(1, minority(nodes)), prng);
    if (mode == "all") return pick(nodes, nodes, prng);
    if (mode == "random") return pick(nodes, prng.between(1, nodes), prng);
    return pick(nodes, 1, prng);
}

bool contains(const Nodes& nodes, uint32_t node) {
    return std::binary_search(nodes.begin(), nodes.end(), node);
}

// Every link between a node of `side` and one outside, both ways, but none of `spared`.
std::vector<Link> between(const Nodes& side, uint64_t nodes, std::optional<uint32_t> spared = {}) {
    std::vector<Link> cuts;
    for (uint32_t from = 0; from < nodes; ++from)
        for (uint32_t to = 0; to < nodes; ++to)
            if (contains(side, from) != contains(side, to) && from != spared && to != spared)
                cuts.push_back({from, to});
    return cuts;
}

std::vector<Link> one_way(uint32_t node, bool deaf, uint64_t nodes) {
    std::vector<Link> cuts;
    for (uint32_t other = 0; other < nodes; ++other)
        if (other != node) cuts.push_back(deaf ? Link{other, node} : Link{node, other});
    return cuts;
}

FaultKind kind_of(std::string_view verb) {
    static constexpr std::pair<std::string_view, FaultKind> kKinds[] = {
        {"roles", FaultKind::Roles},      {"crash", FaultKind::Crash},
        {"pause", FaultKind::Pause},      {"full", FaultKind::FullDisk},
        {"slow", FaultKind::SlowDisk},    {"loop", FaultKind::CrashLoop},
        {"limits", FaultKind::Limits},    {"jump", FaultKind::ClockJump},
        {"strobe", FaultKind::ClockJump}, {"strangers", FaultKind::Strangers},
        {"rot", FaultKind::Rot},          {"directory", FaultKind::Directory},
        {"members", FaultKind::Members},  {"keyspaces", FaultKind::Keyspaces},
    };
    for (const auto& [name, kind] : kKinds)
        if (name == verb) return kind;
    return FaultKind::Partition;
}

// Of the first choices of a list, which ends in `any`.
std::string any_of(Words words, const std::string& mode, Prng& prng) {
    if (mode != "any") return mode;
    return std::string(words[prng.below(words.size() - 1)]);
}

std::string keyspace_word(const std::string& mode, Prng& prng) {
    if (mode != "any") return mode;
    return prng.below(2) ? "create" : "drop";
}

class Maker {
public:
    Maker(const Profile& profile, Schedule& schedule)
        : nodes_(profile.nodes()), until_(profile.world.duration), schedule_(schedule) {}

    void make(const PartitionFault& f, Prng prng) {
        if (nodes_ < 2) return;
        repeat(f.every, f.length, prng, [&](FaultEvent event) {
            event.kind = FaultKind::Partition;
            partition(any_of(kPartitionWords, f.mode, prng), std::move(event), prng);
        });
    }
    void make(const CrashFault& f, Prng prng) {
        repeat(f.every, f.down, prng, [&](FaultEvent event) {
            event.kind = FaultKind::Crash;
            if (f.mode == "leader")
                event.who = f.mode;
            else
                event.victims = pick_by_mode(f.mode, nodes_, prng);
            event.loses_unsynced = prng.chance(f.lose.low);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const PauseFault& f, Prng prng) {
        repeat(f.every, f.length, prng, [&](FaultEvent event) {
            event.kind = FaultKind::Pause;
            if (f.mode == "leader")
                event.who = f.mode;
            else
                event.victims = pick_by_mode(f.mode, nodes_, prng);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const SlowDiskFault& f, Prng prng) {
        repeat(f.every, f.length, prng, [&](FaultEvent event) {
            event.kind = FaultKind::SlowDisk;
            event.victims = pick(nodes_, 1, prng);
            event.factor = prng.between(f.factor.low, f.factor.high);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const FullDiskFault& f, Prng prng) {
        repeat(f.every, f.length, prng, [&](FaultEvent event) {
            event.kind = FaultKind::FullDisk;
            event.victims = pick(nodes_, 1, prng);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const ClockFault& f, Prng prng) {
        repeat(f.every, {Duration(0), Duration(0)}, prng, [&](FaultEvent event) {
            event.kind = FaultKind::ClockJump;
            event.victims = pick(nodes_, 1, prng);
            event.jump = draw_time(f.jump, prng) / kGap * kGap;
            if (f.strobe.low > 0 && prng.chance(f.strobe.low))
                event.length =
                    std::min<Duration>(milliseconds(prng.between(100, 2000)), until_ - event.at);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const RestartFault& f, Prng prng) {
        repeat(f.every, f.length, prng, [&](FaultEvent event) {
            event.kind = FaultKind::CrashLoop;
            event.victims = pick(nodes_, 1, prng);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const LimitFault& f, Prng prng) {
        repeat(f.every, f.length, prng, [&](FaultEvent event) {
            event.kind = FaultKind::Limits;
            event.victims = pick(nodes_, 1, prng);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const StrangerFault& f, Prng prng) {
        repeat(f.every, {Duration(0), Duration(0)}, prng, [&](FaultEvent event) {
            event.kind = FaultKind::Strangers;
            event.victims = pick(nodes_, 1, prng);
            if (prng.chance(0.1)) event.many = prng.between(f.storm.low, f.storm.high);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const RotFault& f, Prng prng) {
        if (schedule_.doomed.empty()) return;
        repeat(f.every, {Duration(0), Duration(0)}, prng, [&](FaultEvent event) {
            event.kind = FaultKind::Rot;
            event.victims = schedule_.doomed;
            event.what = any_of(kRotWords, f.mode, prng);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const DirectoryFault& f, Prng prng) {
        if (f.mode != "twin" && schedule_.doomed.empty()) return;
        repeat(f.every, {Duration(0), Duration(0)}, prng, [&](FaultEvent event) {
            event.kind = FaultKind::Directory;
            event.what = f.mode;
            event.victims = f.mode == "twin" ? pick(nodes_, 1, prng) : schedule_.doomed;
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const MemberFault& f, Prng prng) {
        repeat(f.every, {Duration(0), Duration(0)}, prng, [&](FaultEvent event) {
            event.kind = FaultKind::Members;
            event.what = any_of(kMemberWords, f.mode, prng);
            event.victims = pick(nodes_, nodes_, prng);
            schedule_.events.push_back(std::move(event));
        });
    }
    void make(const KeyspaceFault& f, Prng prng) {
        repeat(f.every, {Duration(0), Duration(0)}, prng, [&](FaultEvent event) {
            event.kind = FaultKind::Keyspaces;
            event.what = keyspace_word(f.mode, prng);
            if (event.what == "drop" && prng.chance(f.force.low)) event.what = "force";
            event.victims = pick(nodes_, 1, prng);
            schedule_.events.push_back(std::move(event));
        });
    }
    // A round of the script after another.
    void make(const Script& script, Prng prng) {
        for (Duration begin{0}; begin < until_; begin += script.every) {
            for (const Step& step : script.steps) {
                FaultEvent event = event_of(step, prng);
                event.at += begin;
                event.length = std::min(event.length, until_ - event.at);
                if (event.at < until_) schedule_.events.push_back(std::move(event));
            }
            if (script.every <= Duration(0)) return;
        }
    }
    void make(const DiskFault&, Prng) {}  // at every moment, not at set times
    void make(const NetFault&, Prng) {}
    void make(const FrameFault&, Prng) {}
    void make(const EngineFault&, Prng) {}
    void make(const ReplyFault&, Prng) {}

private:
    // One event after another, each begun `every` after the end of the one before.
    template <typename Add>
    void repeat(const Times& every, const Times& length, Prng& prng, Add add) {
        if (every.high <= Duration(0) || nodes_ == 0) return;
        Duration at{0};
        while (true) {
            at += std::max(whole(draw_time(every, prng)), kGap);
            if (at >= until_) return;
            FaultEvent event;
            event.at = at;
            event.length = std::min(whole(draw_time(length, prng)), until_ - at);
            at = event.end();
            add(std::move(event));
        }
    }

    // Whole milliseconds, for those who read it.
    static Duration whole(Duration time) {
        return std::max(time / kGap, time > Duration(0) ? 1l : 0l) * kGap;
    }

    static FaultEvent event_of(const Step& step, Prng& prng) {
        FaultEvent event;
        event.at = draw_time(step.at, prng);
        const Verb& verb = *find_verb(step.verb);
        if (verb.length) event.length = draw_time(step.length, prng);
        event.kind = kind_of(step.verb);
        event.what = event.kind == FaultKind::Partition ? step.verb : step.what;
        if (event.kind == FaultKind::Members) event.what = any_of(kMemberWords, step.what, prng);
        if (event.kind == FaultKind::Keyspaces) event.what = keyspace_word(step.what, prng);
        event.who = step.who;
        event.other = step.other;
        event.loses_unsynced = verb.lose && prng.chance(step.lose);
        if (verb.factor) event.factor = prng.between(step.factor.low, step.factor.high);
        if (verb.many) event.many = prng.between(step.many.low, step.many.high);
        if (verb.by) event.jump = step.by;
        return event;
    }

    void partition(const std::string& mode, FaultEvent event, Prng& prng) {
        event.what = mode;
        if (mode == "flap") return flap(std::move(event), prng);
        if (mode == "swizzle") return swizzle(std::move(event), prng);
        if (mode == "leader") {
            event.who = mode;
        } else if (mode == "oneway") {
            event.victims = pick(nodes_, 1, prng);
            event.cuts = one_way(event.victims[0], prng.chance(0.5), nodes_);
        } else if (mode == "isolate") {
            event.victims = pick(nodes_, 1, prng);
            event.cuts = between(event.victims, nodes_);
        } else if (mode == "bridge" && nodes_ >= 3) {
            const auto middle = static_cast<uint32_t>(prng.below(nodes_));
            Nodes side;
            do {
                side = pick(nodes_, prng.between(1, nodes_ - 2), prng);
            } while (contains(side, middle));
            event.cuts = between(side, nodes_, middle);
        } else {
            const uint64_t most = mode == "majority" ? minority(nodes_) : nodes_ - 1;
            event.cuts = between(pick(nodes_, prng.between(1, most), prng), nodes_);
        }
        schedule_.events.push_back(std::move(event));
    }

    // One link, cut and healed some times within the event.
    void flap(FaultEvent event, Prng& prng) {
        const Nodes ends = pick(nodes_, 2, prng);
        const uint64_t times = prng.between(2, 8);
        const Duration step = whole(event.length / static_cast<int64_t>(2 * times));
        event.cuts = {{ends[0], ends[1]}, {ends[1], ends[0]}};
        event.length = step;
        for (uint64_t n = 0; n < times; ++n) {
            schedule_.events.push_back(event);
            event.at += step * 2;
        }
    }

    // All links of a node, cut one by one in the first half and healed in another order in the
    // second.
    void swizzle(FaultEvent event, Prng& prng) {
        const auto node = static_cast<uint32_t>(prng.below(nodes_));
        Nodes others;
        for (uint32_t other = 0; other < nodes_; ++other)
            if (other != node) others.push_back(other);
        Nodes healed(others.size());
        std::iota(healed.begin(), healed.end(), 0u);
        prng.shuffle(others);
        prng.shuffle(healed);
        const Duration begin = event.at, half = whole(event.length / 2),
                       step = whole(half / static_cast<int64_t>(others.size()));
        for (size_t i = 0; i < others.size(); ++i) {
            event.at = begin + step * static_cast<int64_t>(i);
            event.length =
                std::min(begin + half + step * static_cast<int64_t>(healed[i]), until_) - event.at;
            event.cuts = {{std::min(node, others[i]), std::max(node, others[i])},
                          {std::max(node, others[i]), std::min(node, others[i])}};
            if (event.at < until_ && event.length > Duration(0)) schedule_.events.push_back(event);
        }
    }

    static constexpr Duration kGap = milliseconds(1);
    const uint64_t nodes_;
    const Duration until_;
    Schedule& schedule_;
};

std::string names(const Nodes& nodes) {
    std::string out;
    for (const uint32_t node : nodes)
        out += (out.empty() ? "n" : ",n") + std::to_string(node + 1);
    return out;
}

std::string names(const std::vector<Link>& links) {
    std::string out;
    for (const Link& link : links)
        out += (out.empty() ? "n" : ",n") + std::to_string(link.from + 1) + ">n" +
               std::to_string(link.to + 1);
    return out;
}

// Whom a name means; a role that was not given out is a node's number.
void add_named(Nodes& out, const std::string& name, const Cast& cast, uint64_t nodes) {
    const auto add = [&](uint32_t node) {
        if (node < nodes) out.push_back(node);
    };
    if (const auto node = read_node(name)) return add(*node);
    if (const auto role = read_role(name))
        return add(*role < cast.roles.size() ? cast.roles[*role] : *role);
    if (name == "leader") return add(cast.leader.value_or(0));
    for (uint32_t node = 0; node < nodes; ++node)
        add(node);
}

Nodes named(const std::string& who, const Cast& cast, uint64_t nodes) {
    Nodes out;
    for (const std::string& name : names_of(who))
        add_named(out, name, cast, nodes);
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

std::vector<Link> links_between(const Nodes& from, const Nodes& to, bool both_ways) {
    std::vector<Link> cuts;
    for (const uint32_t x : from)
        for (const uint32_t y : to) {
            if (x == y) continue;
            cuts.push_back({x, y});
            if (both_ways) cuts.push_back({y, x});
        }
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    return cuts;
}

// Nodes of whom a step says that they may never come back.
Nodes named_doomed(const Script& script, uint64_t nodes) {
    Nodes out;
    for (const Step& step : script.steps)
        if ((step.verb == "rot" || step.verb == "directory") && step.what != "twin")
            add_named(out, step.who, {}, nodes);
    return out;
}

bool dooms(const Profile& profile) {
    if (profile.nodes() < 3) return false;
    const auto* directory = profile.fault<DirectoryFault>();
    return profile.fault<RotFault>() || (directory && directory->mode != "twin");
}

// One node only: a group has three members, so that of two it could lose its majority.
void draw_fates(const Profile& profile, Prng core, Schedule& schedule) {
    const uint64_t alive = profile.world.core == "all" ? profile.nodes() : profile.nodes() / 2 + 1;
    schedule.core = pick(profile.nodes(), alive, core);
    schedule.doomed = named_doomed(profile.script, profile.nodes());
    if (dooms(profile) && schedule.doomed.empty()) {
        Nodes candidates;
        for (uint32_t node = 0; node < profile.nodes(); ++node)
            if (alive == profile.nodes() || !contains(schedule.core, node))
                candidates.push_back(node);
        schedule.doomed = {candidates[core.below(candidates.size())]};
    }
    std::sort(schedule.doomed.begin(), schedule.doomed.end());
    schedule.doomed.erase(std::unique(schedule.doomed.begin(), schedule.doomed.end()),
                          schedule.doomed.end());
}

// Whom no event harms after all is as good as any other.
void settle_fates(Schedule& schedule) {
    std::erase_if(schedule.doomed, [&](uint32_t node) {
        return std::ranges::none_of(schedule.events, [node](const FaultEvent& event) {
            const bool harms = event.kind == FaultKind::Rot || event.kind == FaultKind::Directory;
            const bool named = !event.who.empty() || contains(event.victims, node);
            return harms && event.what != "twin" && named;
        });
    });
    std::erase_if(schedule.core, [&](uint32_t node) { return contains(schedule.doomed, node); });
}

}  // namespace

std::string_view to_string(FaultKind kind) {
    static constexpr std::array<std::string_view, 14> kNames = {
        "partition", "crash",     "pause", "slow",      "full",  "jump",    "loop",
        "limits",    "strangers", "rot",   "directory", "roles", "members", "keyspaces"};
    return kNames[static_cast<size_t>(kind)];
}

Schedule make_schedule(const Profile& profile, Prng prng) {
    Schedule schedule;
    schedule.safety_end = profile.world.duration;
    schedule.end = profile.world.duration + profile.world.liveness;
    draw_fates(profile, prng.split(), schedule);
    // A stream for every kind, on or off, so that one fault does not shift the others.
    std::array<uint64_t, std::variant_size_v<FaultSpec>> seeds;
    for (uint64_t& seed : seeds)
        seed = prng.next();
    Maker maker(profile, schedule);
    for (const DrawnFault& drawn : profile.faults)
        if (drawn.level != FaultLevel::Off)
            std::visit([&](const auto& f) { maker.make(f, Prng(seeds[drawn.fault.index()])); },
                       drawn.fault);
    maker.make(profile.script, prng.split());
    settle_fates(schedule);
    // By time, and in the order in which they were made.
    std::multimap<Duration, FaultEvent> sorted;
    for (FaultEvent& event : schedule.events)
        sorted.emplace(event.at, std::move(event));
    schedule.events.clear();
    for (auto& [at, event] : sorted)
        schedule.events.push_back(std::move(event));
    return schedule;
}

FaultEvent aim(FaultEvent event, const Cast& cast, uint64_t nodes) {
    if (event.who.empty()) return event;
    const std::string who = std::exchange(event.who, {}), other = std::exchange(event.other, {});
    if (event.what == "cut") {
        for (const std::string& name : names_of(who)) {
            const auto link = *read_link(name);
            if (link.first < nodes && link.second < nodes)
                event.cuts.push_back({link.first, link.second});
        }
        std::sort(event.cuts.begin(), event.cuts.end());
        return event;
    }
    event.victims = named(who, cast, nodes);
    if (event.kind != FaultKind::Partition) return event;
    if (event.what == "split" || event.what == "oneway")
        event.cuts = links_between(event.victims, named(other, cast, nodes), event.what == "split");
    else
        event.cuts = between(event.victims, nodes);
    return event;
}

Step step_of(const FaultEvent& event) {
    Step step;
    step.at = {event.at, event.at};
    step.length = {event.length, event.length};
    step.verb = to_string(event.kind);
    step.who = event.who.empty() ? names(event.victims) : event.who;
    step.other = event.other;
    if (event.kind == FaultKind::Partition) {
        const bool shaped = find_verb(event.what) && !event.who.empty();
        step.verb = shaped ? event.what : event.who.empty() ? "cut" : "isolate";
        if (event.who.empty()) step.who = names(event.cuts);
    }
    if (event.kind == FaultKind::ClockJump && event.length > Duration(0)) step.verb = "strobe";
    if (!find_verb(step.verb)->what.empty()) step.what = event.what;
    step.lose = event.loses_unsynced ? 1 : 0;
    step.factor = {event.factor, event.factor};
    step.by = event.jump;
    step.many = {event.many, event.many};
    return step;
}

std::string describe(const FaultEvent& event) {
    const auto lasting = [&](std::string text) {
        return text + " for " + text::text_of(event.length);
    };
    const std::string who = event.who.empty() ? names(event.victims) : event.who;
    switch (event.kind) {
        case FaultKind::Partition:
            return lasting(event.what + " cut" + (event.victims.empty() ? "" : " of " + who) +
                           ": " + names(event.cuts));
        case FaultKind::Crash:
            return lasting((event.loses_unsynced ? "power cut of " : "kill of ") + who);
        case FaultKind::Pause:
            return lasting(who + " stands still");
        case FaultKind::SlowDisk:
            return lasting("the disk of " + who + " is " + std::to_string(event.factor) +
                           " times slower");
        case FaultKind::FullDisk:
            return lasting("the disk of " + who + " is full");
        case FaultKind::ClockJump:
            if (event.length > Duration(0))
                return lasting("the wall clock of " + who + " goes to and fro by " +
                               text::text_of(event.jump));
            return "the wall clock of " + who + " jumps by " + text::text_of(event.jump);
        case FaultKind::CrashLoop:
            return lasting(who + " is killed again and again");
        case FaultKind::Limits:
            return lasting(who + " is out of file descriptors");
        case FaultKind::Strangers:
            return event.many
                       ? "a storm of " + std::to_string(event.many) + " connections to " + who
                       : "a stranger comes to " + who;
        case FaultKind::Rot:
            return "the disk of " + who + " lies: " + event.what;
        case FaultKind::Directory:
            return "the data directory of " + who + ": " + event.what;
        case FaultKind::Roles:
            return "roles are given out";
        case FaultKind::Members:
            return "an operator changes members (" + event.what + ") among " + who;
        case FaultKind::Keyspaces:
            return "an operator asks " + who + " to " +
                   (event.what == "force" ? "drop a keyspace with its keys"
                                          : event.what + " a keyspace");
    }
    return {};
}

}  // namespace asterias::sim
