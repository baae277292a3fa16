#include "app/command_line.h"

#include <cstdio>

#include <CLI/CLI.hpp>

#include "app/config/nearest.h"
#include "app/tree.h"

namespace asterias::app {
namespace {

void declare_door(CLI::App& command, AccessOptions& access, bool nodes = true) {
    const char* const group = "Redis door";
    if (nodes)
        command
            .add_option("--node", access.nodes,
                        "HOST:RESP_PORT of a node; of several, with commas, the next is asked when "
                        "one is lost")
            ->capture_default_str()
            ->group(group);
    command.add_option("--user", access.user, "Whose password is given")
        ->capture_default_str()
        ->group(group);
    command
        .add_option("--password-file", access.password_file,
                    "Its first line is the password. Without it ASTERIAS_PASSWORD is, or it is "
                    "asked for on the terminal")
        ->group(group);
    command.add_flag("--tls", access.tls, "Speak TLS; any option of it means it")->group(group);
    command
        .add_option("--tls-ca", access.tls_ca,
                    "File (PEM) of who may have signed the door's certificate; the system's")
        ->group(group);
    command
        .add_option("--tls-name", access.tls_name,
                    "Name that the certificate must bear, instead of the address")
        ->group(group);
    command
        .add_flag("--tls-no-verify", access.tls_no_verify,
                  "Take any certificate: whoever is in between can read and change everything")
        ->group(group);
    command.add_option("--tls-cert", access.tls_cert, "File (PEM) with a certificate to show")
        ->group(group);
    command.add_option("--tls-key", access.tls_key, "File (PEM) with its key")->group(group);
}

}  // namespace

void UserCommands::declare(CLI::App& app) {
    declare_kv(app);
    declare_bench(app);
    declare_top(app);
    declare_words(app);
}

void UserCommands::declare_kv(CLI::App& app) {
    auto* command = app.add_subcommand("kv", "Keys and values, through any node");
    command->require_subcommand(1);
    const auto add = [&](const char* name, const char* what) {
        auto* op = command->add_subcommand(name, what);
        op->add_flag("--json", kv_.json, "As JSON; bytes that are no UTF-8 as base64");
        declare_door(*op, kv_.access);
        op->callback([this, name] {
            asked_ = "kv";
            kv_.op = name;
        });
        return op;
    };
    auto* op = add("get", "The value of a key");
    op->add_option("key", kv_.key, "The key")->required();
    op->add_flag("--raw", kv_.raw, "The bytes alone, without a newline behind them");
    op->footer("Ends with 4 when the key is not there.\nExample: asterias kv get cart:7");
    op = add("put", "Set a key");
    op->add_option("key", kv_.key, "The key")->required();
    auto* value = op->add_option("value", kv_.value, "Its value");
    op->add_option("--file", kv_.file, "File whose bytes are the value; - is standard input")
        ->excludes(value);
    op->add_option("--ttl", kv_.ttl_s, "Seconds until it is deleted")
        ->check(CLI::Range(0.001, 1e10));
    auto* absent = op->add_flag("--if-absent", kv_.if_absent, "Only if it is not there");
    op->add_flag("--if-present", kv_.if_present, "Only if it is there")->excludes(absent);
    op->footer(
        "Ends with 4 when the condition did not hold. A value on the command line can be seen with "
        "ps.\nExample: asterias kv put cart:7 apples --ttl 60");
    // One only: CLI11 would take the key [a,b] for two, were it a list.
    op = add("del", "Delete a key; 1 if it was there, else 0");
    op->add_option("key", kv_.key, "The key")->required();
    op->footer("Example: asterias kv del cart:7");
    op = add("scan", "The keys that begin so, or all");
    op->add_option("prefix", kv_.key, "How they begin");
    op->add_flag("--values", kv_.values, "With their values");
    op->add_option("--limit", kv_.limit, "So many at most")->check(CLI::PositiveNumber);
    op->footer(
        "The keys are not as of one moment: what changes meanwhile is told as it was or as it is.\n"
        "Example: asterias kv scan cart: --values");
    op = add("watch", "What changes of a key, or under a prefix, until Ctrl-C");
    op->add_option("key", kv_.key, "The key")->required();
    op->add_flag("--prefix", kv_.prefix, "All keys that begin so, 10,000 at most");
    op->add_option("--interval", kv_.interval_ms, "Milliseconds between two looks")
        ->capture_default_str()
        ->check(CLI::Range(10u, 3'600'000u));
    op->add_option("--count", kv_.count, "End after so many changes")->check(CLI::PositiveNumber);
    op->add_option("--seconds", kv_.seconds, "End after so long")->check(CLI::PositiveNumber);
    op->footer(
        "It looks at the interval and compares, because the cluster tells nobody of changes of "
        "keys: what\nchanges and changes back between two looks is not seen. --json prints an "
        "object a line.\nExample: asterias kv watch cart: --prefix");
}

void UserCommands::declare_bench(CLI::App& app) {
    auto* command =
        app.add_subcommand("bench", "Load on the Redis doors, and what rate and latency it gets");
    command->add_option("mode", bench_.mode, "What is asked")
        ->capture_default_str()
        ->check(CLI::IsMember({"set", "get", "mixed"}));
    command->add_option("--connections", bench_.connections, "Spread evenly over the nodes")
        ->capture_default_str()
        ->check(CLI::Range(1u, 10'000u));
    command->add_option("--pipeline", bench_.pipeline, "Outstanding operations of each")
        ->capture_default_str()
        ->check(CLI::Range(1u, 10'000u));
    command->add_option("--seconds", bench_.seconds, "How long, behind the warm-up")
        ->capture_default_str()
        ->check(CLI::Range(0.1, 1e6));
    command->add_option("--warmup", bench_.warmup_seconds, "Seconds before that, not counted")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1e6));
    command->add_option("--value-bytes", bench_.value_bytes, "Size of a value")
        ->capture_default_str()
        ->check(CLI::Range(1u, 16u * 1024 * 1024));
    command->add_option("--keys", bench_.keys, "Different keys, drawn evenly")
        ->capture_default_str()
        ->check(CLI::Range(1u, 100'000'000u));
    command->add_option("--prefix", bench_.prefix, "Its keys are PREFIX:000000000000 and on")
        ->capture_default_str();
    command->add_option("--seed", bench_.seed, "Of the draws")->capture_default_str();
    command->add_flag("--keep", bench_.keep, "Leave its keys there; else they are deleted");
    command->add_flag("--json", bench_.json, "As JSON");
    declare_door(*command, bench_.access);
    command->footer(
        "A closed loop: who is not answered does not ask, so a standstill shows in the longest gap "
        "and the\nmaximum, hardly in percentiles. mixed is half set, half get; get and mixed write "
        "the keys first. It\nshares the machine with what it measures, if they are on one. Ends "
        "with 4 when operations failed.\nExample: asterias bench mixed --connections 64 --node "
        "127.0.0.1:6379,127.0.0.1:6380,127.0.0.1:6381");
}

void UserCommands::declare_top(CLI::App& app) {
    auto* command = app.add_subcommand(
        "top", "Live: nodes, groups, who leads, rates, latency, gaps; q ends it");
    command->add_option("--node", top_.address, "HOST:HTTP_PORT of any node")
        ->capture_default_str();
    command->add_option("--interval", top_.interval_ms, "Milliseconds between two pictures")
        ->capture_default_str()
        ->check(CLI::Range(100u, 3'600'000u));
    command->add_flag("--once", top_.once, "One picture, an interval after the start");
    command->add_flag("--json", top_.json, "As JSON, an object a line");
    declare_door(*command, top_.access, false);
    command->footer(
        "Rates and syncs are the nodes' own counters over the interval. Latency and gap are what "
        "this\ncommand measures itself: ten reads a second through each node's Redis door, "
        "linearizable, of a key\nof the keyspace `default`. Without a terminal it prints a picture "
        "an interval.\nExample: asterias top --node 127.0.0.1:8081");
    command->callback([this] { asked_ = "top"; });
    app.get_subcommand("bench")->callback([this] { asked_ = "bench"; });
}

void UserCommands::declare_words(CLI::App& app) {
    auto* map = app.add_subcommand(
        "map", "Every concept of distributed systems: what is there, and how to see it live");
    map->add_option("words", map_.words, "The number of a row, or what stands in it");
    map->add_flag("--all", map_.all, "The rows that are not there yet, too, with what is expected");
    map->add_flag("--json", map_.json, "All rows as JSON");
    map->footer("Example: asterias map raft");
    map->callback([this] { asked_ = "map"; });
    auto* completion = app.add_subcommand("completion", "Completion of this program for a shell");
    completion->add_option("shell", shell_, "Which shell")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    completion->footer("Example: source <(asterias completion bash)");
    completion->callback([this] { asked_ = "completion"; });
    auto* help = app.add_subcommand("help", "Help with a command; the manual page");
    help->add_option("command", help_.words, "Which; without it all are listed");
    auto* man = help->add_flag("--man", help_.man, "The manual page, for man(1)");
    help->add_flag("--json", help_.json, "All commands, their options and the exit codes as JSON")
        ->excludes(man);
    help->footer("Example: asterias help --man | man -l -");
    help->callback([this] { asked_ = "help"; });
}

int UserCommands::run_help(const CLI::App& app) const {
    if (help_.man || help_.json) {
        const CommandWord tree = tree_of(app);
        std::fputs((help_.man ? manual_of(tree, version()) : json_of(tree)).c_str(), stdout);
        return kDone;
    }
    const CLI::App* at = &app;
    constexpr auto normal = CLI::AppFormatMode::Normal;
    std::string before;
    for (const auto& word : help_.words) {
        const auto below =
            at->get_subcommands([&](const CLI::App* each) { return each->get_name() == word; });
        if (below.empty()) {
            std::fprintf(stderr, "asterias help: there is no command '%s'\n%s", word.c_str(),
                         explain(*at, word).c_str());
            return kUsage;
        }
        before += (before.empty() ? "" : " ") + at->get_name();
        at = below.front();
    }
    // The root delegates to the command that was parsed, which is this one.
    const auto text =
        at == &app ? app.get_formatter()->make_help(at, app.get_name(), normal) : at->help(before);
    std::fputs(text.c_str(), stdout);
    return kDone;
}

std::optional<int> UserCommands::run(const CLI::App& app) const {
    if (asked_ == "kv") return run_kv(kv_);
    if (asked_ == "bench") return run_bench(bench_);
    if (asked_ == "top") return run_top(top_);
    if (asked_ == "map") return run_map(map_);
    if (asked_ == "help") return run_help(app);
    if (asked_ != "completion") return std::nullopt;
    std::fputs(completion_of(tree_of(app), shell_).c_str(), stdout);
    return kDone;
}

std::string explain(const CLI::App& app, const std::string& word) {
    std::vector<std::string> names;
    const bool option = word.starts_with('-');
    if (option)
        for (const auto* each : app.get_options())
            for (const auto& name : each->get_lnames())
                names.push_back("--" + name);
    else
        for (const auto* each : app.get_subcommands(nullptr))
            names.push_back(each->get_name());
    const std::string_view meant =
        config::nearest_of(word.substr(0, word.find('=')), {names.begin(), names.end()});
    std::string text;
    if (!meant.empty()) text = "Did you mean " + std::string(meant) + "?\n";
    if (option || names.empty()) return text;
    text += "The subcommands are:";
    for (const auto& name : names)
        text += " " + name;
    return text + "\n";
}

}  // namespace asterias::app
