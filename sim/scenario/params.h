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

#include <initializer_list>
#include <string_view>

#include "sim/scenario/scenario.h"

namespace asterias::sim {

using Words = std::initializer_list<std::string_view>;

inline constexpr Duration kLongest = std::chrono::hours(24);
inline constexpr Duration kShortest = milliseconds(1);

template <typename Visitor>
void visit_params(WorldSpec& w, Visitor& v) {
    v.count("nodes", w.nodes, 1, 64);
    v.count("shards", w.shards, 1, 64);
    v.fixed("duration", w.duration, kShortest, kLongest);
    v.fixed("liveness", w.liveness, kShortest, kLongest);
    v.choice("core", w.core, Words{"all", "majority"});
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
}

template <typename Visitor>
void visit_params(Swarm& s, Visitor& v) {
    v.share("off", s.off, 1);
    v.share("extreme", s.extreme, 1);
    v.choice("always", s.always,
             Words{"none", "partition", "crash", "pause", "disk", "slow", "full", "clock", "net",
                   "frames"});
}

template <typename Visitor>
void visit_params(PartitionFault& f, Visitor& v) {
    v.choice("mode", f.mode,
             Words{"random", "majority", "isolate", "leader", "oneway", "bridge", "flap"});
    v.interval("every", f.every, kShortest, kLongest);
    v.length("for", f.length, kShortest, kLongest);
}

template <typename Visitor>
void visit_params(CrashFault& f, Visitor& v) {
    v.choice("mode", f.mode, Words{"one", "minority", "all", "leader", "random"});
    v.interval("every", f.every, kShortest, kLongest);
    v.length("down", f.down, kShortest, kLongest);
    v.chance("lose", f.lose, 1);
}

template <typename Visitor>
void visit_params(PauseFault& f, Visitor& v) {
    v.choice("mode", f.mode, Words{"one", "minority", "leader"});
    v.interval("every", f.every, kShortest, kLongest);
    v.length("for", f.length, kShortest, kLongest);
}

template <typename Visitor>
void visit_params(DiskFault& f, Visitor& v) {
    v.chance("stall", f.stall, 1);
    v.length("stall_for", f.stall_for, Duration(0), kLongest);
    v.chance("error", f.error, 0.1);
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
}

template <typename Visitor>
void visit_params(NetFault& f, Visitor& v) {
    v.chance("loss", f.loss, 0.5);
    v.chance("corrupt", f.corrupt, 0.5);
    v.length("delay", f.delay, Duration(0), kLongest);
    v.chance("clog", f.clog, 0.5);
    v.length("clog_for", f.clog_for, Duration(0), kLongest);
}

template <typename Visitor>
void visit_params(FrameFault& f, Visitor& v) {
    v.chance("drop", f.drop, 0.5);
    v.chance("duplicate", f.duplicate, 0.5);
    v.chance("late", f.late, 0.5);
    v.length("late_for", f.late_for, Duration(0), kLongest);
}

}  // namespace asterias::sim
