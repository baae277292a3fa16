// asterias demo: many clients count the words of a text through all nodes of a cluster of their own
// while nodes are killed, stopped and started again; the counts are then read back through every
// node and compared with a count by one thread. First what is promised, then what happens, then
// what was checked.
// With --json an event a line, in this order: promised; of each round plan (--chaos all), ready,
// killed or stopped, started or continued, recovered (progress in between), result, data (the
// directory, if it is kept); end (--loop).
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <signal.h>

#include "app/commands.h"
#include "app/demo_round.h"
#include "app/operate.h"
#include "service/node/json.h"

namespace asterias::app {
namespace {

// The handler may only touch what is free of locks.
std::atomic<bool> asked_to_end{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// A handler and no mask: the nodes, which are started all along, inherit no handlers. The second
// Ctrl-C ends this process at once, and the nodes with it (see run_program).
void listen_for_the_end() {
    struct sigaction action{};
    action.sa_handler = [](int) { asked_to_end = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
        ::sigaction(signal, &action, nullptr);
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGPIPE, &action, nullptr);  // nobody reads what it prints
}

int refuse(const DemoOptions& options, int code, const std::string& text) {
    return Caller{"demo", "", options.json}.fail(code, text);
}

// What is wrong with the options; empty: nothing.
std::string trouble_with(const DemoOptions& options) {
    if (options.chaos == "follower" && options.nodes == 1)
        return "--chaos follower wants --nodes 2 or more: one node has no follower";
    // An earlier count in it would be added to, and its nodes have ports of their own.
    if (!options.data.empty() && std::filesystem::exists(options.data + "/node-1"))
        return options.data +
               " holds a cluster already, and the demo makes its own; name a directory with --data "
               "that is not there yet";
    return "";
}

void tell_promise(DemoScreen& screen, const DemoOptions& options, const DemoText& text) {
    const std::string words = grouped(text.items.size()), different = grouped(text.names.size());
    const std::string what = options.column.empty() ? " words, " : " values, ";
    screen.say("\n  Asterias demo: " + std::to_string(options.clients) + " clients count " +
               (options.column.empty() ? "words" : "values") + " through " +
               std::to_string(options.nodes) + " node" + (options.nodes == 1 ? "" : "s") + "\n");
    screen.say(
        "  promised   What was acknowledged is on disk on a majority of the copies: it is there,\n"
        "             whoever dies. What was asked again is done once. Any node answers the same.");
    screen.say("  text       " + text.source + ": " + words + what + different + " different" +
               (text.note.empty() ? "" : "; " + text.note));
    screen.event("promised", "\"text\":" + node::quoted(text.source) +
                                 ",\"items\":" + std::to_string(text.items.size()) +
                                 ",\"different\":" + std::to_string(text.names.size()) +
                                 ",\"nodes\":" + std::to_string(options.nodes) +
                                 ",\"clients\":" + std::to_string(options.clients) +
                                 ",\"chaos\":" + node::quoted(options.chaos));
}

// A cluster, a count, a verdict. The exit code.
int run_round(const DemoOptions& options, const DemoText& text, DemoScreen& screen,
              const DemoPlan& plan) {
    std::error_code ec;
    std::string data = options.data;
    if (data.empty()) {
        std::string name = std::filesystem::temp_directory_path(ec).string();
        name += "/asterias-demo-XXXXXX";
        if (ec || !::mkdtemp(name.data()))
            return refuse(options, kFailed, "no temporary directory can be made: " + name);
        data = name;
    }
    int code = kFailed;
    {
        LocalCluster cluster({.data = data,
                              .nodes = options.nodes,
                              .keyspaces = {kDemoKeyspace},
                              .death_signal = SIGKILL});
        if (auto started = cluster.start(seconds(30)); !started)
            refuse(options, code, started.error().context);
        else
            code = DemoRound(cluster, text, screen, options.clients, plan, asked_to_end).run();
    }
    // What went wrong can be looked at; who was asked to end leaves nothing behind.
    const bool keep = !options.data.empty() || (code != kDone && !asked_to_end);
    if (!keep) std::filesystem::remove_all(data, ec);
    if (keep && std::filesystem::exists(data, ec)) {
        screen.say("  data       " + data);
        screen.event("data", "\"directory\":" + node::quoted(data));
    } else if (asked_to_end) {
        screen.say("  ended      the nodes were ended, their directory is removed");
    }
    return code;
}

}  // namespace

int run_demo(const DemoOptions& options) {
    if (const std::string trouble = trouble_with(options); !trouble.empty())
        return refuse(options, kUsage, trouble);
    const auto text = load_demo_text(options.file, options.column);
    if (!text) return refuse(options, kUsage, text.error().context);
    listen_for_the_end();
    const uint64_t seed = options.seed.empty() ? std::random_device{}() % 1'000'000
                                               : std::strtoull(options.seed.c_str(), nullptr, 10);
    DemoScreen screen(options.json);
    tell_promise(screen, options, *text);
    int code = kDone;
    size_t rounds = 0;
    while (code == kDone && !asked_to_end && (options.loop == 0 || rounds < options.loop)) {
        const DemoPlan plan = plan_of(options.chaos, options.nodes, seed + rounds);
        if (options.loop != 1) screen.say("\n  round " + grouped(rounds + 1));
        code = run_round(options, *text, screen, plan);
        rounds += code == kDone;
    }
    if (options.loop != 1) {
        screen.say("\n  rounds     " + grouped(rounds) + " done, all exact" +
                   (code == kDone          ? ""
                    : code == kCheckFailed ? "; then one that is WRONG"
                                           : "; then one that was not finished"));
        screen.event("end", "\"exact_rounds\":" + std::to_string(rounds));
    }
    // Ctrl-C is how a loop ends; before a round was done there is nothing to say 0 for.
    if (asked_to_end && code != kCheckFailed) return rounds > 0 ? kDone : kFailed;
    return code;
}

}  // namespace asterias::app
