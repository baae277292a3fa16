#include "app/demo_round.h"

#include <algorithm>
#include <cstdio>

#include "app/commands.h"
#include "service/node/json.h"

namespace asterias::app {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr size_t kWordsMin = 100'000;
// Long enough to be seen, and for the others to elect and go on.
constexpr Duration kCalm = milliseconds(1500), kHold = milliseconds(2000);
constexpr Duration kPatience = seconds(60);

std::string fixed(double value, int digits) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

std::string names_of(const std::vector<size_t>& nodes) {
    std::string names;
    for (const size_t node : nodes)
        names += (names.empty() ? "" : ",") + std::to_string(node + 1);
    return names;
}

}  // namespace

DemoPlan plan_of(const std::string& chaos, uint32_t nodes, uint64_t seed) {
    DemoPlan plan{.seed = seed, .drawn = chaos == "all"};
    if (chaos == "all") {
        plan.kinds = {"leader", "stop", "all-nodes"};
        if (nodes > 1) plan.kinds.push_back("follower");
        Prng(seed).shuffle(plan.kinds);
    } else if (chaos != "none") {
        plan.kinds = {chaos};
    }
    return plan;
}

DemoRound::DemoRound(LocalCluster& cluster, const DemoText& text, DemoScreen& screen,
                     uint32_t clients, DemoPlan plan, const std::atomic<bool>& end)
    : cluster_(cluster),
      text_(text),
      screen_(screen),
      client_count_(clients),
      plan_(std::move(plan)),
      end_(end),
      prng_(plan_.seed),
      work_(text),
      watch_(cluster),
      done_(cluster.size(), Done::Nothing) {}

int DemoRound::run() {
    std::string nodes;
    for (size_t i = 0; i < cluster_.size(); ++i)
        nodes += std::string(i ? "," : "") +
                 "{\"redis\":" + node::quoted(cluster_.resp(i).describe()) +
                 ",\"http\":" + node::quoted(cluster_.http(i).describe()) +
                 ",\"pid\":" + std::to_string(cluster_.pid(i)) + "}";
    screen_.event("ready",
                  "\"data\":" + node::quoted(cluster_.data()) + ",\"nodes\":[" + nodes + "]");
    if (plan_.drawn) {
        std::string order, fields;
        for (const auto& kind : plan_.kinds) {
            order += (order.empty() ? "" : ", ") + kind;
            fields += (fields.empty() ? "" : ",") + node::quoted(kind);
        }
        screen_.say("  chaos      " + order + " (--seed " + std::to_string(plan_.seed) +
                    " repeats the order)");
        screen_.event("plan",
                      "\"seed\":" + std::to_string(plan_.seed) + ",\"kinds\":[" + fields + "]");
    }
    screen_.say("");
    start_clients();
    direct();
    mend();  // where it was given up half-way
    work_.finish(kWordsMin);
    while (clients_left_ > 0) {
        doing_ = "the text is counted to its end, " + grouped(work_.total()) + " in all";
        tick();
    }
    for (auto& client : clients_)
        client.join();
    taken_ = seconds_now();
    return judge(progress_.give_up ? Finding{} : check());
}

void DemoRound::start_clients() {
    clients_left_ = client_count_;
    for (uint32_t i = 0; i < client_count_; ++i)
        clients_.emplace_back([this, i] {
            count_words(cluster_, i, text_, work_, progress_);
            clients_left_.fetch_sub(1);
        });
}

void DemoRound::direct() {
    for (const auto& kind : plan_.kinds) {
        doing_ = "all is calm";
        if (!play(kCalm) || !strike(kind) || !play(kHold)) return;
        mend();
        doing_ = "until every node is back";
        const size_t before = progress_.done;
        const bool back =
            play_until([&] { return watch_.all_well() && progress_.done > before; }, kPatience);
        if (progress_.give_up) return;
        if (!back) return progress_.stop("not every node was back within a minute");
        recovered();
    }
    doing_ = "all is calm";
    play(kCalm);
}

// False: it was given up, before anything was done.
bool DemoRound::strike(const std::string& kind) {
    size_t leader = cluster_.size();
    const auto known = [&] { return (leader = watch_.leader()) < cluster_.size(); };
    if (!play_until(known, kPatience)) {
        progress_.stop("no node named a leader for a minute");
        return false;
    }
    if (kind == "all-nodes") {
        for (size_t i = 0; i < cluster_.size(); ++i)
            victims_.push_back(i);
    } else if (kind == "follower") {
        const size_t step = prng_.between(1, cluster_.size() - 1);
        victims_ = {(leader + step) % cluster_.size()};
    } else {
        victims_ = {leader};
    }
    const bool stops = kind == "stop";
    progress_.trouble_gap_us = 0;
    for (const size_t node : victims_) {
        watch_.forget(node, true);
        if (stops)
            cluster_.pause(node);
        else
            cluster_.kill_hard(node);
        done_[node] = stops ? Done::Stopped : Done::Killed;
    }
    const std::string who = kind == "all-nodes"
                                ? "all nodes"
                                : "node " + std::to_string(victims_[0] + 1) +
                                      (victims_[0] == leader ? ", the leader" : ", a follower");
    doing_ = (stops ? "SIGSTOP of " : "kill -9 of ") + who;
    tell(stops ? "SIGSTOP" : "kill -9", who, stops ? "stopped" : "killed",
         "\"chaos\":" + node::quoted(kind) + ",\"nodes\":[" + names_of(victims_) + "]");
    return true;
}

void DemoRound::mend() {
    if (victims_.empty()) return;
    const bool stopped = done_[victims_[0]] == Done::Stopped;
    for (const size_t node : victims_) {
        watch_.forget(node, false);
        if (stopped)
            cluster_.carry_on(node);
        else if (progress_.give_up)
            continue;  // nobody needs it any more
        else if (auto spawned = cluster_.spawn(node); !spawned)
            progress_.stop(spawned.error().context);
        done_[node] = Done::Restarted;
    }
    const std::string who = victims_.size() == cluster_.size() && cluster_.size() > 1
                                ? "all nodes"
                                : "node " + names_of(victims_);
    if (!progress_.give_up)
        tell(stopped ? "SIGCONT" : "started", who + (stopped ? " goes on" : " again"),
             stopped ? "continued" : "started", "\"nodes\":[" + names_of(victims_) + "]");
    victims_.clear();
}

void DemoRound::recovered() {
    std::ranges::fill(done_, Done::Nothing);
    const double gap = static_cast<double>(progress_.trouble_gap_us) / 1e3;
    const size_t leader = watch_.leader();
    tell("recovered",
         "all nodes serve" +
             (leader < cluster_.size() ? ", node " + std::to_string(leader + 1) + " leads"
                                       : std::string()) +
             "; longest gap meanwhile " + fixed(gap, 0) + " ms",
         "recovered",
         "\"leader\":" + std::to_string(leader < cluster_.size() ? leader + 1 : 0) +
             ",\"gap_ms\":" + fixed(gap, 1));
}

bool DemoRound::tick() {
    std::this_thread::sleep_for(milliseconds(20));
    if (end_) progress_.stop("interrupted");
    if (const std::string ended = cluster_.ended_child(); !ended.empty()) progress_.stop(ended);
    const auto silent = microseconds(progress_.now_us() - progress_.last_ack_us);
    if (clients_left_ > 0 && silent > kPatience)
        progress_.stop("no word was acknowledged for a minute");
    sample();
    screen_.show(picture());
    return !progress_.give_up;
}

bool DemoRound::play(Duration time) {
    const auto until = SteadyClock::now() + time;
    while (SteadyClock::now() < until)
        if (!tick()) return false;
    return true;
}

// Whether the condition came true in time.
bool DemoRound::play_until(const std::function<bool()>& condition, Duration time) {
    const auto until = SteadyClock::now() + time;
    while (!condition())
        if (!tick() || SteadyClock::now() > until) return false;
    return true;
}

void DemoRound::tell(const std::string& what, const std::string& text, const std::string& kind,
                     const std::string& fields) {
    char line[64];
    std::snprintf(line, sizeof line, "  %6.1f s   %-10s ", seconds_now(), what.c_str());
    screen_.say(line + text);
    screen_.event(kind, "\"seconds\":" + fixed(seconds_now(), 3) +
                            ",\"words\":" + std::to_string(progress_.done.load()) + "," + fields);
}

void DemoRound::sample() {
    const double now = seconds_now();
    if (now - sampled_at_ < 0.5) return;
    const size_t words = progress_.done;
    rates_.push_back(static_cast<double>(words - sampled_words_) / (now - sampled_at_));
    if (rates_.size() > 30) rates_.erase(rates_.begin());
    sampled_words_ = words;
    sampled_at_ = now;
}

DemoPicture DemoRound::picture() {
    // The one that goes on is one, too.
    const int64_t open_gap = clients_left_ > 0 ? progress_.now_us() - progress_.last_ack_us : 0;
    DemoPicture p{.seconds = seconds_now(),
                  .words = progress_.done,
                  .rate = rates_.empty() ? 0 : rates_.back(),
                  .rates = rates_,
                  .gap_ms = static_cast<double>(std::max(progress_.gap_us.load(), open_gap)) / 1e3,
                  .retries = progress_.retries,
                  .unknown = progress_.unknown,
                  .lost_answers = progress_.lost_answers,
                  .doing = doing_};
    const size_t leader = watch_.leader();
    for (size_t i = 0; i < cluster_.size(); ++i) {
        p.addresses.push_back(cluster_.resp(i).describe());
        p.nodes.push_back(done_[i] == Done::Killed      ? DemoNode::Killed
                          : done_[i] == Done::Stopped   ? DemoNode::Stopped
                          : leader == i                 ? DemoNode::Leads
                          : watch_.answers(i)           ? DemoNode::Serves
                          : done_[i] == Done::Restarted ? DemoNode::Starting
                                                        : DemoNode::Silent);
    }
    return p;
}

DemoRound::Finding DemoRound::check() {
    Finding finding;
    const auto passes = static_cast<int64_t>(work_.passes());
    for (size_t node = 0; node < cluster_.size(); ++node) {
        doing_ = "reading the counts back through node " + std::to_string(node + 1);
        screen_.show(picture());
        auto counts = read_counts(cluster_, node, text_.names, seconds(30), end_);
        if (!counts && end_) {
            finding.trouble = "interrupted";
            break;
        }
        if (!counts) {
            finding.trouble = "node " + std::to_string(node + 1) +
                              " did not answer every read: " + counts.error().context;
            break;
        }
        size_t wrong = 0;
        for (size_t i = 0; i < counts->size(); ++i)
            wrong += (*counts)[i] != passes * text_.counts[i];
        // The first one that differs is the one to show.
        if (node == 0 || (wrong > 0 && finding.wrong == 0)) finding.one = std::move(*counts);
        finding.wrong += wrong;
    }
    return finding;
}

void DemoRound::tell_counts(const Finding& finding) {
    const auto passes = static_cast<int64_t>(work_.passes());
    std::vector<size_t> order(text_.names.size());
    for (size_t i = 0; i < order.size(); ++i)
        order[i] = i;
    // The wrong ones first, then the most frequent.
    const auto rank = [&](size_t i) {
        const bool right = i < finding.one.size() && finding.one[i] == passes * text_.counts[i];
        return std::tuple(right, -text_.counts[i], i);
    };
    std::ranges::sort(order, [&](size_t a, size_t b) { return rank(a) < rank(b); });
    order.resize(std::min<size_t>(order.size(), 5));
    for (const size_t i : order) {
        if (i >= finding.one.size()) break;
        char line[200];
        std::snprintf(line, sizeof line, "             %-14s %s x %s = %s expected, %s counted",
                      shown(text_.names[i]).c_str(),
                      grouped(static_cast<uint64_t>(text_.counts[i])).c_str(),
                      grouped(work_.passes()).c_str(),
                      grouped(static_cast<uint64_t>(passes * text_.counts[i])).c_str(),
                      grouped(static_cast<uint64_t>(finding.one[i])).c_str());
        screen_.say(line);
    }
}

int DemoRound::judge(const Finding& finding) {
    const std::string stopped = progress_.stopped();
    const bool read = stopped.empty() && finding.trouble.empty();
    const bool exact = read && finding.wrong == 0;
    const size_t words = progress_.done;
    const double gap_ms = static_cast<double>(progress_.gap_us) / 1e3;
    screen_.say("\n  counted    " + grouped(words) + " in " + fixed(taken_, 1) + " s, " +
                grouped(static_cast<uint64_t>(static_cast<double>(words) / taken_)) +
                "/s; longest gap " + fixed(gap_ms, 0) + " ms\n             " + in_doubt(picture()));
    if (stopped.empty()) {
        screen_.say("  checked    " + grouped(text_.names.size()) + " counts through " +
                    (cluster_.size() == 1
                         ? "the node"
                         : "each of " + std::to_string(cluster_.size()) + " nodes") +
                    " against the text times " + grouped(work_.passes()) +
                    ",\n             counted by one thread: " +
                    (!finding.trouble.empty() ? finding.trouble
                     : exact                  ? "all equal"
                                              : grouped(finding.wrong) + " of " +
                                   grouped(text_.names.size() * cluster_.size()) + " differ"));
        tell_counts(finding);
    }
    const std::string verdict = exact ? "exact: nothing lost, nothing twice"
                                : read
                                    ? "WRONG"
                                    : "stopped: " + (stopped.empty() ? finding.trouble : stopped);
    screen_.say("  verdict    " + verdict);
    screen_.event("result", std::string("\"exact\":") + (exact ? "true" : "false") +
                                ",\"stopped\":" + (read ? "false" : "true") + ",\"verdict\":" +
                                node::quoted(verdict) + ",\"words\":" + std::to_string(words) +
                                ",\"passes\":" + std::to_string(work_.passes()) +
                                ",\"different\":" + std::to_string(text_.names.size()) +
                                ",\"wrong\":" + std::to_string(finding.wrong) + ",\"seconds\":" +
                                fixed(taken_, 3) + ",\"gap_ms\":" + fixed(gap_ms, 1) +
                                ",\"retries\":" + std::to_string(progress_.retries) +
                                ",\"unknown\":" + std::to_string(progress_.unknown) +
                                ",\"lost_answers\":" + std::to_string(progress_.lost_answers));
    return exact ? kDone : read ? kCheckFailed : kFailed;
}

}  // namespace asterias::app
