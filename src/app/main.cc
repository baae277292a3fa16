// The command line: which commands there are and what they take. What they do is in the other
// files.
#include <cstdio>
#include <string_view>

#include <CLI/CLI.hpp>

#include "app/command_line.h"
#include "app/commands.h"
#include "app/config/settings.h"
#include "app/text.h"
#include "sim/command.h"

namespace asterias::app {
namespace {

// CLI11 would take -1 for a large one.
CLI::Validator node_number() {
    return {[](std::string& text) -> std::string {
                const bool digits = !text.empty() && text.size() <= 5 &&
                                    text.find_first_not_of("0123456789") == std::string::npos;
                if (digits && std::stoul(text) >= 1 && std::stoul(text) <= 65535) return "";
                return "the number of a node is 1 to 65535 (asterias status lists them), not '" +
                       text + "'";
            },
            "1-65535"};
}

// Nothing (for ever), or a number of rounds.
CLI::Validator loop_rounds() {
    return {[](std::string& text) -> std::string {
                const bool digits =
                    text.size() <= 9 && text.find_first_not_of("0123456789") == std::string::npos;
                if (text.empty() || (digits && std::stoul(text) >= 1)) return "";
                return "takes a number of rounds from 1, or nothing: until Ctrl-C; not '" + text +
                       "'";
            },
            "[ROUNDS]"};
}

CLI::App* add_init(CLI::App& app, InitOptions& init) {
    auto* command = app.add_subcommand("init", "Create a cluster, exactly once");
    command->add_option("--data", init.data, "Directory of its first node")->capture_default_str();
    command->add_option("--nodes", init.nodes, "Founding members (1 to 7)")->capture_default_str();
    command->add_option("--shards", init.shards, "Event loops of this node")
        ->capture_default_str()
        ->check(CLI::Range(1, 64));
    command->add_option("--keyspace", init.keyspaces,
                        "A keyspace beside `default`: keys NAME:... live in it (repeatable)");
    command->add_flag("--json", init.json, "As JSON");
    command->footer("Example: asterias init --data /var/lib/asterias --nodes 3 --keyspace orders");
    return command;
}

// Every row of the table is a flag; what was said is kept as text.
void add_settings(CLI::App& command, ConfigOptions& options) {
    // Empty is a variable of somebody's script that was not set, and no wish for defaults.
    command.add_option("--config", options.file, "File with settings (TOML)")
        ->check([](const std::string& path) {
            return path.empty() ? "the path of a file is wanted, this one is empty" : "";
        });
    for (const config::Row& row : config::rows()) {
        const std::string name = row.name;
        CLI::Option* option = nullptr;
        if (row.kind == config::Kind::Flag)
            option = command.add_flag_function(
                config::flag_of(row),
                [&options, name](int64_t times) {
                    options.flags[name] = times > 0 ? "true" : "false";
                },
                row.what);
        else
            option =
                command
                    .add_option_function<std::string>(
                        config::flag_of(row),
                        [&options, name](const std::string& text) { options.flags[name] = text; },
                        row.what)
                    ->default_str(config::get(row, {}));
        option->group(row.group);
    }
}

CLI::App* add_serve(CLI::App& app, ConfigOptions& serve) {
    auto* command = app.add_subcommand("serve", "Run a node");
    add_settings(*command, serve);
    command->footer(
        "Each flag is also a key of the file and an environment variable: --resp-port, resp-port,\n"
        "ASTERIAS_RESP_PORT; a flag wins over the environment, that over the file.\n"
        "Ends with 1 where the same again, later, may help: another process holds the directory or "
        "a\nport. With 5 where it does not: no node lives in the directory (init, or --join), or "
        "what lies\nthere is damaged, an old copy, or another cluster's.\n"
        "Example: asterias serve --data n2 --resp-port 6380 --http-port 8081 "
        "--peer-port 7401 --join 127.0.0.1:7400");
    return command;
}

CLI::App* add_config(CLI::App& app, ConfigOptions& config) {
    auto* command = app.add_subcommand(
        "config", "The settings that serve would take, and where each comes from");
    add_settings(*command, config);
    command->add_flag("--markdown", config.markdown, "All settings as docs/configuration.md");
    command->add_flag("--json", config.json, "As JSON")->excludes("--markdown");
    command->footer("Example: asterias config --config node.toml --resp-port 6380");
    return command;
}

struct CheckOptions {
    std::string file;
    bool json = false;
};
CLI::App* add_check_config(CLI::App& app, CheckOptions& check) {
    auto* command =
        app.add_subcommand("check-config", "Whether serve would take this file; all that is wrong");
    command->add_option("file", check.file, "File with settings (TOML)")->required();
    command->add_flag("--json", check.json, "As JSON");
    command->footer(
        "Ends with 0, or with 2 and a line for each problem.\n"
        "Example: asterias check-config node.toml");
    return command;
}

CLI::App* add_dev(CLI::App& app, DevOptions& dev) {
    auto* command = app.add_subcommand("dev", "A cluster on this machine, without configuration");
    command->add_option("--nodes", dev.nodes, "How many")
        ->capture_default_str()
        ->check(CLI::Range(1, 7));
    command->add_option("--data", dev.data, "Directory")->capture_default_str();
    command->add_option("--shards", dev.shards, "Event loops per node")
        ->capture_default_str()
        ->check(CLI::Range(1, 64));
    command->add_option("--resp-port", dev.resp_port, "Of the first node")->capture_default_str();
    command->add_option("--http-port", dev.http_port, "Of the first node")->capture_default_str();
    command->add_option("--peer-port", dev.peer_port, "Of the first node")->capture_default_str();
    command->add_option("--keyspace", dev.keyspaces, "A keyspace beside `default` (repeatable)");
    command->add_option("--log-level", dev.log_level, "Of the nodes' logs")
        ->capture_default_str()
        ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
    command->add_flag("--json", dev.json, "The card as JSON");
    command->footer("Example: asterias dev --nodes 3");
    return command;
}

CLI::App* add_status(CLI::App& app, StatusOptions& status) {
    auto* command = app.add_subcommand("status", "Nodes and groups, as one node sees them");
    command->add_option("--node", status.address, "HOST:HTTP_PORT")->capture_default_str();
    command->add_flag("--all", status.all, "Every group; else those that are well are cut at 12");
    command->add_flag("--json", status.json, "As JSON");
    command->footer("Example: asterias status --node 127.0.0.1:8081 --json");
    return command;
}

CLI::App* add_why(CLI::App& app, WhyOptions& why) {
    auto* command = app.add_subcommand(
        "why", "What is not as it should be, why, and what to do next; asks all nodes");
    command->add_option("--node", why.address, "HOST:HTTP_PORT of any node")->capture_default_str();
    command->add_option("--keyspace", why.keyspace, "Only this one, and nodes as a whole");
    command->add_flag("--json", why.json, "As JSON");
    command->footer("Ends with 0 when all is well, with 4 when not.\nExample: asterias why");
    return command;
}

void add_keyspace(CLI::App& app, KeyspaceOptions& keyspace) {
    auto* command = app.add_subcommand(
        "keyspace", "Which keyspaces there are; new ones, and fewer, while the cluster serves");
    command->require_subcommand(1);
    const auto add = [&](const char* name, const char* what, bool one, bool change) {
        auto* op = command->add_subcommand(name, what);
        if (one) op->add_option("name", keyspace.name, "The prefix of its keys")->required();
        op->add_option("--node-address", keyspace.address, "HOST:HTTP_PORT of any node")
            ->capture_default_str();
        op->add_flag("--json", keyspace.json, "As JSON");
        op->callback([&keyspace, name] { keyspace.op = name; });
        if (!change) return op;
        op->add_flag("--no-wait", keyspace.no_wait, "Do not wait until it is done");
        op->add_option("--timeout", keyspace.timeout_s, "Seconds to wait; it goes on after that")
            ->capture_default_str();
        return op;
    };
    add("list", "Which there are, and how far those are that come and go", false, false)
        ->footer("Example: asterias keyspace list");
    add("describe", "What it promises, in words", true, false)
        ->footer("Example: asterias keyspace describe cart");
    auto* op =
        add("create", "Keys that begin with its name and a colon become its own", true, true);
    op->add_option("--copies", keyspace.copies, "How many nodes hold it; 3, or all of fewer nodes")
        ->check(CLI::Range(1, 7));
    op->add_option("--on", keyspace.on,
                   "Numbers of the nodes that hold it, as in 1,2,3; without "
                   "it those with the fewest copies");
    op->add_flag("--move", keyspace.move,
                 "With the keys that `default` holds of it; they wait while that lasts");
    op->footer("Example: asterias keyspace create cart --copies 3");
    op = add("drop", "Its keys become default's again; refused while it holds any", true, true);
    op->add_flag("--force", keyspace.force, "Also when it holds keys: they are gone with it");
    op->footer("Example: asterias keyspace drop cart");
}

void add_replica(CLI::App& app, ReplicaOptions& replica) {
    auto* command = app.add_subcommand(
        "replica", "Which nodes hold a keyspace, and changes of that while it serves");
    command->require_subcommand(1);
    const auto add = [&](const char* name, const char* what, bool keyspace) {
        auto* op = command->add_subcommand(name, what);
        op->add_option("--node-address", replica.address, "HOST:HTTP_PORT of any node")
            ->capture_default_str();
        op->add_option("--keyspace", replica.keyspace, "`default`, `system`, or another one")
            ->required(keyspace);
        op->add_flag("--json", replica.json, "As JSON");
        op->callback([&replica, name] { replica.op = name; });
        if (!keyspace) return op;
        if (std::string_view(name) != "transfer")
            op->add_flag("--force", replica.force,
                         "Also when it leaves fewer copies than the keyspace wants, or "
                         "the node that comes is not up");
        op->add_flag("--no-wait", replica.no_wait, "Do not wait until it is done");
        op->add_option("--timeout", replica.timeout_s, "Seconds to wait; it goes on after that")
            ->capture_default_str();
        return op;
    };
    add("list", "Who holds it, and how far each is", false)
        ->footer("Example: asterias replica list --keyspace orders");
    auto* op = add("add", "A copy on another node: it catches up first, then it votes", true);
    op->add_option("--node", replica.node, "Number of the node")->required()->check(node_number());
    op->add_flag("--witness", replica.witness, "It votes, and holds no data");
    op->footer("Example: asterias replica add --keyspace orders --node 4");
    op = add("remove", "Take the copy of a node away", true);
    op->add_option("--node", replica.node, "Number of the node")->required()->check(node_number());
    op->footer("Example: asterias replica remove --keyspace orders --node 3");
    op = add("replace", "A copy on one node instead of another, in one step", true);
    op->add_option("--node", replica.node, "Number of the node that comes")
        ->required()
        ->check(node_number());
    op->add_option("--from", replica.from, "Number of the node that goes")
        ->required()
        ->check(node_number());
    op->footer("Example: asterias replica replace --keyspace orders --from 3 --node 4");
    op = add("transfer", "Give the lead to another node", true);
    op->add_option("--node", replica.node, "Number of the node; without it the best one")
        ->check(node_number());
    op->footer("Example: asterias replica transfer --keyspace orders --node 2");
    command->footer(
        "A change is done when it is committed; while a copy catches up the way is told. What "
        "would\n"
        "leave no full copy, or no live majority, is refused, with the way out: exit code 5. So is "
        "without\n"
        "--force what takes a live copy and leaves fewer than at the founding (a copy whose node "
        "is down\n"
        "goes without), and a copy for a node that is not up. While another change is under way: "
        "exit\n"
        "code 1. list ends with 4 when it could not ask about some keyspaces. Ctrl-C and --timeout "
        "end\n"
        "the waiting, not the change; adding is taken back with remove.");
}

CLI::App* add_demo(CLI::App& app, DemoOptions& demo) {
    auto* command = app.add_subcommand(
        "demo", "Count the words of a text through all nodes while nodes are killed");
    auto* file = command->add_option("file,--text", demo.file,
                                     "A text, or CSV with --column; without it sonnets of "
                                     "Shakespeare");
    file->check(CLI::ExistingFile);
    command
        ->add_option("--column", demo.column,
                     "Count the values of this column of a CSV file: its name in the first line, "
                     "or its number from 1 (then the first line is counted, too)")
        ->needs(file);
    command->add_option("--nodes", demo.nodes, "Nodes of its own cluster")
        ->capture_default_str()
        ->check(CLI::Range(1, 7));
    command->add_option("--clients", demo.clients, "Clients, spread over the nodes")
        ->capture_default_str()
        ->check(CLI::Range(1, 512));
    command->add_option("--chaos", demo.chaos, "What is done to the nodes, see below")
        ->capture_default_str()
        ->check(
            CLI::IsMember(std::vector<std::string>(std::begin(kDemoChaos), std::end(kDemoChaos))));
    command->add_option("--seed", demo.seed, "Of the order of --chaos all")
        ->check([](const std::string& text) -> std::string {
            const bool digits = !text.empty() && text.size() <= 18 &&
                                text.find_first_not_of("0123456789") == std::string::npos;
            return digits ? "" : "takes a number, not '" + text + "'";
        });
    auto* data = command->add_option("--data", demo.data,
                                     "Directory that is not there yet, and is kept; else a "
                                     "temporary one");
    command
        ->add_option_function<std::string>(
            "--loop",
            [&demo](const std::string& rounds) {
                demo.loop = rounds.empty() ? 0 : static_cast<uint32_t>(std::stoul(rounds));
            },
            "Round after round, each with a cluster of its own, until one fails or Ctrl-C; with a "
            "number so many")
        ->expected(0, 1)
        ->default_str("")
        ->check(loop_rounds())
        ->excludes(data);
    command->add_flag("--json", demo.json, "What happens as JSON, an event a line");
    command->footer(
        "--chaos: leader     kill -9 of the leader, and started again 2 s later\n"
        "         follower   kill -9 of another node\n"
        "         stop       SIGSTOP of the leader: its connections stay, it does nothing for 2 s\n"
        "         all-nodes  kill -9 of every node at once\n"
        "         all        each of these, in an order drawn from --seed\n"
        "         none\n"
        "The text is counted again and again until all of that is over, at least 100,000 words.\n"
        "Exit code 0: every count is exact; 4: one is not; 1: it could not be finished.\n"
        "Example: asterias demo /usr/share/common-licenses/GPL-3 --chaos all");
    return command;
}

CLI::App* add_user(CLI::App& app, UserOptions& user) {
    auto* command = app.add_subcommand("user", "Users of the Redis door");
    command->require_subcommand(1);
    auto* hash = command->add_subcommand(
        "hash", "Read a password from standard input, print its line for [users] of the file");
    hash->add_option("--name", user.user,
                     "Whose it is; `default` is the user of AUTH with one word")
        ->capture_default_str();
    hash->add_flag("--json", user.json, "As JSON");
    hash->footer("Example: asterias user hash --name orders < secret >> node.toml");
    return command;
}

// The command that was being read when it went wrong.
const CLI::App& reached(const CLI::App& app) {
    const CLI::App* at = &app;
    while (!at->get_subcommands().empty())
        at = at->get_subcommands().front();
    return *at;
}

// A command line that is none: the exit code, or 0 if it only asked for help.
int refuse(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
    if (app.exit(error) == 0) return kDone;
    const CLI::App& at = reached(app);
    const auto left = at.remaining();
    const std::string hint = argc > 1 ? explain(at, left.empty() ? "" : left.front()) : "";
    std::fputs(hint.c_str(), stderr);
    for (int i = 1; i < argc; ++i)
        if (std::string_view(argv[i]) == "--json")
            std::printf("{\"error\":%s,\"exit_code\":%d}\n", json_string(error.what()).c_str(),
                        kUsage);
    return kUsage;
}

std::string footer() {
    std::string text = "Exit codes:\n";
    for (const ExitCode& each : exit_codes())
        text += "  " + std::to_string(each.code) + "  " + each.means + "\n";
    return text + "Begin with: asterias dev --nodes 3";
}

}  // namespace
}  // namespace asterias::app

int main(int argc, char** argv) {
    using namespace asterias::app;
    CLI::App app{"Asterias: many machines, one computer."};
    app.set_version_flag("--version", version());
    app.require_subcommand(0, 1);  // none is told apart from an unknown one below
    app.footer(footer());

    InitOptions init;
    auto* init_command = add_init(app, init);
    ConfigOptions serve, config;
    auto* serve_command = add_serve(app, serve);
    auto* config_command = add_config(app, config);
    CheckOptions check;
    auto* check_config_command = add_check_config(app, check);
    UserOptions user;
    auto* user_command = add_user(app, user);
    DevOptions dev;
    dev.program = argv[0];
    auto* dev_command = add_dev(app, dev);
    StatusOptions status;
    auto* status_command = add_status(app, status);
    WhyOptions why;
    auto* why_command = add_why(app, why);
    ReplicaOptions replica;
    add_replica(app, replica);
    KeyspaceOptions keyspace;
    add_keyspace(app, keyspace);
    DemoOptions demo;
    add_demo(app, demo);
    UserCommands users;
    users.declare(app);
    // Only listed here: its options are the simulator's own.
    app.add_subcommand("sim", "Run simulated clusters under faults, and judge them");
    if (argc > 1 && std::string_view(argv[1]) == "sim")
        return asterias::sim::run_command(argc - 1, argv + 1, std::string(argv[0]) + " sim");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return refuse(app, e, argc, argv);
    }
    if (app.get_subcommands().empty()) {
        std::fputs(("A subcommand is required.\n\n" + app.help()).c_str(), stderr);
        return kUsage;
    }
    if (init_command->parsed()) return run_init(init);
    if (serve_command->parsed()) return run_serve(serve);
    if (config_command->parsed()) return run_config(config);
    if (check_config_command->parsed()) return run_check_config(check.file, check.json);
    if (user_command->parsed()) return run_user_hash(user);
    if (dev_command->parsed()) return run_dev(dev);
    if (status_command->parsed()) return run_status(status);
    if (why_command->parsed()) return run_why(why);
    if (!replica.op.empty()) return run_replica(replica);
    if (const auto code = users.run(app)) return *code;
    if (!keyspace.op.empty()) return run_keyspace(keyspace);
    return run_demo(demo);
}
