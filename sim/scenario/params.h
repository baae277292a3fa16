// sim/scenario/params.h: every parameter of every line of a scenario: name, place, bounds and how a
// seed draws it. Parsing, printing and drawing are visitors of these lists. A visitor has
//   choice(name, std::string&, allowed)         a word
//   fixed(name, Duration&, low, high)           one time, not drawn
//   share(name, double&, high)                  one probability, not drawn
//   count(name, Counts&, low, high)             per seed
//   count_each(name, Counts&, low, high)        per event
//   number(name, Range<int64_t>&, low, high)    per event; extreme: wider
//   chance(name, Chances&, high)                per seed; extreme: higher
//   interval(name, Times&, low, high)           per event; extreme: shorter
//   length(name, Times&, low, high)             per event; extreme: longer
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "sim/scenario/scenario.h"

namespace asterias::sim {

using Words = std::span<const std::string_view>;

inline constexpr std::string_view kCores[] = {"all", "majority"};
// `none`, and the words after `fault`, in the order of FaultSpec.
inline constexpr std::string_view kFaultWords[] = {
    "none",    "partition", "crash",     "pause",   "disk",     "slow",   "full",
    "clock",   "net",       "frames",    "restart", "limits",   "engine", "strangers",
    "replies", "rot",       "directory", "members", "keyspaces"};
inline constexpr std::string_view kPartitionWords[] = {
    "random", "majority", "isolate", "leader", "oneway", "bridge", "flap", "swizzle", "any"};
inline constexpr std::string_view kCrashWords[] = {"one", "minority", "all", "leader", "random"};
inline constexpr std::string_view kPauseWords[] = {"one", "minority", "leader"};
inline constexpr std::string_view kRotWords[] = {"journal", "recent", "engine", "write", "any"};
inline constexpr std::string_view kDirectoryWords[] = {"twin", "lost", "old", "copied"};
inline constexpr std::string_view kMemberWords[] = {
    "add", "remove", "replace", "transfer", "again", "undo", "leader", "witness", "any"};

inline constexpr std::string_view kKeyspaceWords[] = {"create", "drop", "force", "any"};

inline constexpr Duration kLongest = std::chrono::hours(24);
inline constexpr Duration kShortest = milliseconds(1);

template <typename Visitor>
void visit_params(WorldSpec& w, Visitor& v) {
    v.count("nodes", w.nodes, 1, 64);
    v.count("shards", w.shards, 1, 64);
    v.fixed("duration", w.duration, kShortest, kLongest);
    v.fixed("liveness", w.liveness, kShortest, kLongest);
    v.choice("core", w.core, kCores);
    v.count("keyspaces", w.keyspaces, 0, 64);
}

template <typename Visitor>
void visit_params(Workload& w, Visitor& v) {
    v.count("clients", w.clients, 1, 1000);
    v.count("keys", w.keys, 1, 1'000'000);
    v.count_each("pipeline", w.pipeline, 1, 1024);
    v.count("rate", w.rate, 1, 1'000'000);
    v.count_each("value_bytes", w.value_bytes, 1, 1 << 24);
    v.chance("reads", w.reads, 1);
    v.chance("request", w.request, 1);
    v.chance("reconnect", w.reconnect, 1);
    v.length("timeout", w.timeout, kShortest, kLongest);
    v.chance("expire", w.expire, 1);
    v.length("ttl", w.ttl, kShortest, kLongest);
    v.count_each("doors", w.doors, 1, 64);
}

template <typename Visitor>
void visit_params(Swarm& s, Visitor& v) {
    v.share("off", s.off, 1);
    v.share("extreme", s.extreme, 1);
    v.choice("always", s.always, kFaultWords);
}

template <typename Visitor>
void visit_params(PartitionFault& f, Visitor& v) {
    v.choice("mode", f.mode, kPartitionWords);
    v.interval("every", f.every, kShortest, kLongest);
    v.length("for", f.length, kShortest, kLongest);
}

template <typename Visitor>
void visit_params(CrashFault& f, Visitor& v) {
    v.choice("mode", f.mode, kCrashWords);
    v.interval("every", f.every, kShortest, kLongest);
    v.length("down", f.down, kShortest, kLongest);
    v.chance("lose", f.lose, 1);
}

template <typename Visitor>
void visit_params(PauseFault& f, Visitor& v) {
    v.choice("mode", f.mode, kPauseWords);
    v.interval("every", f.every, kShortest, kLongest);
    v.length("for", f.length, kShortest, kLongest);
}

template <typename Visitor>
void visit_params(DiskFault& f, Visitor& v) {
    v.chance("stall", f.stall, 1);
    v.length("stall_for", f.stall_for, Duration(0), kLongest);
    v.chance("error", f.error, 0.1);
    v.chance("read_error", f.read_error, 0.1);
}

template <typename Visitor>
void visit_params(SlowDiskFault& f, Visitor& v) {
    v.interval("every", f.every, kShortest, kLongest);
    v.length("for", f.length, kShortest, kLongest);
    v.count_each("factor", f.factor, 2, 100'000);
}

template <typename Visitor>
void visit_params(FullDiskFault& f, Visitor& v) {
    v.interval("every", f.every, kShortest, kLongest);
    v.length("for", f.length, kShortest, kLongest);
}

template <typename Visitor>
void visit_params(ClockFault& f, Visitor& v) {
    v.length("offset", f.offset, -kLongest, kLongest);
    v.number("drift", f.drift, -100'000, 100'000);
    v.interval("every", f.every, Duration(0), kLongest);
    v.length("jump", f.jump, -kLongest, kLongest);
    v.chance("strobe", f.strobe, 1);
    v.chance("fast", f.fast, 1);
    v.chance("zero", f.zero, 1);
}

template <typename Visitor>
void visit_params(NetFault& f, Visitor& v) {
    v.chance("loss", f.loss, 0.5);
    v.chance("corrupt", f.corrupt, 0.5);
    v.length("delay", f.delay, Duration(0), kLongest);
    v.chance("clog", f.clog, 0.5);
    v.length("clog_for", f.clog_for, Duration(0), kLongest);
    v.chance("small", f.small, 1);
    v.chance("half_open", f.half_open, 0.5);
}

template <typename Visitor>
void visit_params(FrameFault& f, Visitor& v) {
    v.chance("drop", f.drop, 0.5);
    v.chance("duplicate", f.duplicate, 0.5);
    v.chance("late", f.late, 0.5);
    v.length("late_for", f.late_for, Duration(0), kLongest);
}

template <typename Visitor>
void visit_params(RestartFault& f, Visitor& v) {
    v.chance("again", f.again, 0.9);
    v.chance("install", f.install, 0.5);
    v.interval("every", f.every, Duration(0), kLongest);
    v.length("for", f.length, kShortest, kLongest);
}

template <typename Visitor>
void visit_params(LimitFault& f, Visitor& v) {
    v.interval("every", f.every, kShortest, kLongest);
    v.length("for", f.length, kShortest, kLongest);
}

template <typename Visitor>
void visit_params(EngineFault& f, Visitor& v) {
    v.chance("stall", f.stall, 0.5);
    v.chance("flush", f.flush, 0.5);
}

template <typename Visitor>
void visit_params(StrangerFault& f, Visitor& v) {
    v.interval("every", f.every, kShortest, kLongest);
    v.count_each("storm", f.storm, 1, 1000);
}

template <typename Visitor>
void visit_params(ReplyFault& f, Visitor& v) {
    v.chance("lost", f.lost, 0.5);
}

template <typename Visitor>
void visit_params(RotFault& f, Visitor& v) {
    v.choice("mode", f.mode, kRotWords);
    v.interval("every", f.every, kShortest, kLongest);
    v.chance("share", f.share, 1);
}

template <typename Visitor>
void visit_params(DirectoryFault& f, Visitor& v) {
    v.choice("mode", f.mode, kDirectoryWords);
    v.interval("every", f.every, kShortest, kLongest);
}

template <typename Visitor>
void visit_params(MemberFault& f, Visitor& v) {
    v.choice("mode", f.mode, kMemberWords);
    v.interval("every", f.every, kShortest, kLongest);
}

template <typename Visitor>
void visit_params(KeyspaceFault& f, Visitor& v) {
    v.choice("mode", f.mode, kKeyspaceWords);
    v.interval("every", f.every, kShortest, kLongest);
    v.chance("force", f.force, 1);
}

template <typename Visitor>
void visit_params(Script& s, Visitor& v) {
    v.fixed("every", s.every, Duration(0), kLongest);
}

// The verbs of a script, and what each takes.
struct Verb {
    std::string_view name;
    bool who = true, other = false, length = true;
    bool lose = false, factor = false, by = false, many = false;
    Words what{};  // not empty: it takes what=, one of these
};
inline constexpr std::array kVerbs = {
    Verb{.name = "roles", .who = false, .length = false},
    Verb{.name = "crash", .lose = true},
    Verb{.name = "pause"},
    Verb{.name = "full"},
    Verb{.name = "slow", .factor = true},
    Verb{.name = "loop"},
    Verb{.name = "limits"},
    Verb{.name = "jump", .length = false, .by = true},
    Verb{.name = "strobe", .by = true},
    Verb{.name = "isolate"},
    Verb{.name = "split", .other = true},
    Verb{.name = "oneway", .other = true},
    Verb{.name = "cut"},
    Verb{.name = "strangers", .length = false, .many = true},
    Verb{.name = "rot", .length = false, .what = kRotWords},
    Verb{.name = "directory", .length = false, .what = kDirectoryWords},
    Verb{.name = "members", .length = false, .what = kMemberWords},
    Verb{.name = "keyspaces", .length = false, .what = kKeyspaceWords},
};

// What can be expected, and what each takes.
struct Hope {
    std::string_view name;
    bool share = false, within = false, per_minute = false;
};
inline constexpr std::array kHopes = {
    Hope{.name = "rate", .share = true},       Hope{.name = "serves", .within = true},
    Hope{.name = "refuses", .within = true},   Hope{.name = "steps_down", .within = true},
    Hope{.name = "expiry", .within = true},    Hope{.name = "leaders", .per_minute = true},
    Hope{.name = "terms", .per_minute = true},
};

const Verb* find_verb(std::string_view name);  // null: there is none
const Hope* find_hope(std::string_view name);  // likewise

// The words of Step::who, and what one of them means: a node, counted from 0; a role, `a` is 0.
std::vector<std::string> names_of(std::string_view names);
std::optional<uint32_t> read_node(std::string_view name);
std::optional<uint32_t> read_role(std::string_view name);
std::optional<std::pair<uint32_t, uint32_t>> read_link(std::string_view name);

// `verb` is that of the step.
template <typename Visitor>
void visit_params(Step& s, Visitor& v, const Verb& verb) {
    if (verb.length) v.length("for", s.length, kShortest, kLongest);
    if (verb.lose) v.share("lose", s.lose, 1);
    if (verb.factor) v.count_each("factor", s.factor, 2, 100'000);
    if (verb.by) v.fixed("by", s.by, -kLongest, kLongest);
    if (verb.many) v.count_each("many", s.many, 0, 1000);
    if (!verb.what.empty()) v.choice("what", s.what, verb.what);
}

// `hope` is that of the expectation.
template <typename Visitor>
void visit_params(Expectation& e, Visitor& v, const Hope& hope) {
    if (hope.share) v.share("share", e.share, 1);
    if (hope.within) v.fixed("within", e.within, Duration(0), kLongest);
    if (hope.per_minute) v.count_each("per_minute", e.per_minute, 0, 1000);
}

}  // namespace asterias::sim
